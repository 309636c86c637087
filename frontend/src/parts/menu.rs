//! A button that opens a short menu. Arrow keys walk, Esc closes, the focus comes back to the button.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{FocusEvent, HtmlElement, KeyboardEvent, Node};

use crate::classes::MENU_ITEM;

/// Whether the menu around is open.
#[derive(Clone, Copy)]
struct Open(RwSignal<bool>);

/// The button and its menu.
#[component]
pub(crate) fn Menu(
    /// Its name.
    #[prop(into)]
    name: Signal<&'static str>,
    /// Looks of the button.
    class: &'static str,
    /// Looks of the menu: the side at which it hangs.
    place: &'static str,
    /// What the button shows.
    icon: AnyView,
    /// Entries.
    children: ChildrenFn,
) -> impl IntoView {
    let open = RwSignal::new(false);
    provide_context(Open(open));
    let around = NodeRef::<html::Div>::new();
    let children = StoredValue::new(children);
    let items = move || -> Vec<HtmlElement> {
        let Some(Ok(list)) = around.get_untracked().map(|it| it.query_selector_all("[role=menuitem]")) else {
            return Vec::new();
        };
        (0..list.length()).filter_map(|it| list.item(it)?.dyn_into().ok()).collect()
    };
    let focus_button = move || {
        let button = around.get_untracked().and_then(|it| it.query_selector("button").ok().flatten());
        if let Some(button) = button.and_then(|it| it.dyn_into::<HtmlElement>().ok()) {
            let _ = button.focus();
        }
    };
    let key = move |event: KeyboardEvent| {
        if !open.get_untracked() {
            return;
        }
        let items = items();
        let here = items.iter().position(|it| Some(it.as_ref()) == document().active_element().as_ref());
        let count = items.len().max(1);
        let next = match event.key().as_str() {
            "ArrowDown" => here.map_or(0, |it| (it + 1) % count),
            "ArrowUp" => here.map_or(count - 1, |it| (it + count - 1) % count),
            "Home" => 0,
            "End" => count - 1,
            "Escape" => {
                event.prevent_default();
                event.stop_propagation();
                open.set(false);
                focus_button();
                return;
            }
            _ => return,
        };
        event.prevent_default();
        if let Some(item) = items.get(next) {
            let _ = item.focus();
        }
    };
    let leave = move |event: FocusEvent| {
        let next = event.related_target().and_then(|it| it.dyn_into::<Node>().ok());
        if !around.get_untracked().is_some_and(|it| it.contains(next.as_ref())) {
            open.set(false);
        }
    };
    Effect::new(move || {
        if open.get() {
            request_animation_frame(move || {
                if let Some(first) = items().first() {
                    let _ = first.focus();
                }
            });
        }
    });
    view! {
        <div node_ref=around class="relative shrink-0" on:keydown=key on:focusout=leave>
            <button
                class=class
                aria-haspopup="menu"
                aria-expanded=move || if open.get() { "true" } else { "false" }
                aria-label=name
                title=name
                on:click=move |_| open.update(|it| *it = !*it)
            >
                {icon}
            </button>
            <Show when=move || open.get()>
                <div class=format!("rise absolute z-30 min-w-52 rounded-lg border border-line-strong bg-surface p-1 text-sm text-ink {place}") role="menu" aria-label=name on:mousedown=|event| event.prevent_default()>
                    {children.with_value(|it| it())}
                </div>
            </Show>
        </div>
    }
}

/// An entry.
#[component]
pub(crate) fn MenuItem(
    /// Does it.
    on_pick: Callback<()>,
    /// What it says.
    children: Children,
) -> impl IntoView {
    let Open(open) = expect_context();
    let pick = move |_| {
        open.set(false);
        on_pick.run(());
    };
    view! { <button class=MENU_ITEM role="menuitem" tabindex="-1" on:click=pick>{children()}</button> }
}
