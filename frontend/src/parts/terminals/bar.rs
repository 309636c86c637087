//! The tabs of a side, what opens more of them, and what can be done with the chosen one.

use drydock_protocol::{Node, NodeState};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlElement, KeyboardEvent};

use super::{Runner, runner};
use crate::classes::{BAR_BUTTON, TAB};
use crate::live::live;
use crate::parts::icons;
use crate::parts::menu::{Menu, MenuItem};
use crate::settings::words;
use crate::tabs::{Tab, WORKSTATION, What};

/// The element of a tab.
pub(super) fn element_id(id: &str) -> String {
    format!("tab-{id}")
}

fn focus_tab(id: &str) {
    if let Some(tab) = document().get_element_by_id(&element_id(id)) {
        let _ = tab.unchecked_into::<HtmlElement>().focus();
    }
}

/// The bar.
#[component]
pub(super) fn Bar(side: usize) -> impl IntoView {
    let words = words();
    let live = live();
    let runner = runner();
    let renaming = RwSignal::new(None::<String>);
    let tabs = move || runner.tabs.with(|it| it.on(side).cloned().collect::<Vec<_>>());
    let shown = move || runner.tabs.with_untracked(|it| it.shown(side).map(|it| it.id.clone()));
    let walk = move |event: KeyboardEvent| {
        let step = match event.key().as_str() {
            "ArrowLeft" => -1,
            "ArrowRight" => 1,
            "Delete" => {
                if let Some(id) = shown() {
                    runner.close(&id);
                }
                return;
            }
            "F2" => {
                renaming.set(shown());
                return;
            }
            _ => return,
        };
        if renaming.with_untracked(Option::is_some) {
            return;
        }
        event.prevent_default();
        if let Some(id) = runner.tabs.with_untracked(|it| it.beside(side, step)) {
            runner.show(&id);
            focus_tab(&id);
        }
    };
    let nodes = Memo::new(move |_| {
        let names = live.topology.with(|it| it.nodes.iter().map(|it| it.name.clone()).collect::<Vec<_>>());
        std::iter::once(WORKSTATION.to_owned()).chain(names).collect::<Vec<_>>()
    });
    let open_shell = move |node: String| {
        Callback::new(move |()| {
            let id = runner.change(|tabs| tabs.new_shell(&node, side));
            runner.order(id, super::Order::Focus);
        })
    };
    let new_file = Callback::new(move |()| {
        runner.change(|tabs| {
            tabs.show_side(side);
            let name = tabs.new_file_name();
            tabs.file(&name)
        });
    });
    let files = Callback::new(move |()| runner.files.set(true));
    let split = Callback::new(move |()| {
        let id = runner.change(crate::tabs::Tabs::split);
        runner.order(id, super::Order::Focus);
    });
    let shift = Callback::new(move |()| {
        if let Some(id) = shown() {
            runner.change(|tabs| tabs.shift(&id));
        }
    });
    let rename = Callback::new(move |()| renaming.set(shown()));
    let close = Callback::new(move |()| {
        if let Some(id) = shown() {
            runner.close(&id);
        }
    });
    view! {
        <div class="flex shrink-0 items-center gap-1 bg-term-bar px-2 pt-1.5">
            <div class="flex min-w-0 items-end gap-0.5 overflow-x-auto" role="tablist" aria-label=move || words.get().terminals on:keydown=walk>
                <For each=tabs key=|it| it.id.clone() let:tab>
                    <TabButton tab side renaming />
                </For>
            </div>
            <Menu name=Signal::derive(move || words.get().page.new_menu) class=BAR_BUTTON place="left-0 top-full" icon=icons::plus().into_any()>
                <p class="px-3 pt-1.5 pb-1 text-xs text-muted" role="presentation">{move || words.get().page.shell_on}</p>
                {move || nodes.get().into_iter().map(|node| view! { <MenuItem on_pick=open_shell(node.clone())>{node}</MenuItem> }).collect::<Vec<_>>()}
                <hr class="my-1 border-line" role="presentation" />
                <MenuItem on_pick=new_file>{move || words.get().page.new_file}</MenuItem>
                <MenuItem on_pick=files>{move || words.get().page.files}"…"</MenuItem>
            </Menu>
            <span class="grow"></span>
            <button class=BAR_BUTTON aria-label=move || words.get().page.files title=move || words.get().page.files on:click=move |_| runner.files.set(true)>{icons::folder()}</button>
            <Show when=move || !runner.tabs.with(crate::tabs::Tabs::is_split)>
                <button class=BAR_BUTTON aria-label=move || words.get().page.split title=move || words.get().page.split on:click=move |_| split.run(())>{icons::split()}</button>
            </Show>
            <Menu name=Signal::derive(move || words.get().page.tab_menu) class=BAR_BUTTON place="right-0 top-full" icon=icons::more().into_any()>
                <MenuItem on_pick=rename>{move || words.get().page.rename}</MenuItem>
                <Show when=move || runner.tabs.with(crate::tabs::Tabs::can_close)>
                    <MenuItem on_pick=shift>{move || words.get().page.shift}</MenuItem>
                    <MenuItem on_pick=close>{move || words.get().close_tab}</MenuItem>
                </Show>
            </Menu>
        </div>
    }
}

#[component]
fn TabButton(tab: Tab, side: usize, renaming: RwSignal<Option<String>>) -> impl IntoView {
    let words = words();
    let live = live();
    let runner = runner();
    let id = StoredValue::new(tab.id.clone());
    let chosen = move || runner.tabs.with(|it| id.with_value(|id| it.shown(side).is_some_and(|it| it.id == *id)));
    let name = move || {
        runner.tabs.with(|it| id.with_value(|id| it.get(id).map(|it| it.name().to_owned()))).unwrap_or_default()
    };
    let off = Memo::new(move |_| {
        let What::Shell(node) = &tab.what else { return false };
        live.topology.with(|it| it.nodes.iter().any(|it: &Node| it.name == *node && it.state == NodeState::Stopped))
    });
    let is_renaming = move || renaming.with(|it| id.with_value(|id| it.as_deref() == Some(id)));
    let can_close = move || runner.tabs.with(crate::tabs::Tabs::can_close);
    view! {
        <Show when=is_renaming>
            <RenameField id=id.get_value() name=name() runner renaming />
        </Show>
        <button
            id=id.with_value(|it| element_id(it))
            class=TAB
            class:opacity-50=off
            class:hidden=is_renaming
            role="tab"
            aria-selected=move || if chosen() { "true" } else { "false" }
            tabindex=move || if chosen() { "0" } else { "-1" }
            title=name
            on:dblclick=move |_| renaming.set(Some(id.get_value()))
            on:click=move |_| {
                runner.show(&id.get_value());
                runner.focus(side);
            }
        >
            <span class="max-w-40 truncate">{name}</span>
            // For the mouse only; by keyboard it is Delete, or the menu at the end of the bar.
            <Show when=can_close>
                <span
                    class="-me-1.5 rounded p-0.5 text-term-muted hover:text-term-ink"
                    aria-hidden="true"
                    title=move || words.get().close_tab
                    on:click=move |event| {
                        event.stop_propagation();
                        runner.close(&id.get_value());
                    }
                >
                    {icons::cross()}
                </span>
            </Show>
        </button>
    }
}

/// The field in a tab's place while it is renamed: Enter takes the name, Esc leaves the old one.
#[component]
fn RenameField(id: String, name: String, runner: Runner, renaming: RwSignal<Option<String>>) -> impl IntoView {
    let words = words();
    let field = NodeRef::<html::Input>::new();
    Effect::new(move || {
        if let Some(field) = field.get() {
            let _ = field.focus();
            field.select();
        }
    });
    let id = StoredValue::new(id);
    let take = move || {
        if renaming.with_untracked(Option::is_some)
            && let Some(field) = field.get_untracked()
        {
            renaming.set(None);
            let title = field.value();
            runner.change(|tabs| id.with_value(|id| tabs.rename(id, if title == *id { "" } else { &title })));
        }
    };
    let key = move |event: KeyboardEvent| {
        event.stop_propagation();
        match event.key().as_str() {
            "Enter" => {
                take();
                id.with_value(|it| focus_tab(it));
            }
            "Escape" => {
                renaming.set(None);
                id.with_value(|it| focus_tab(it));
            }
            _ => {}
        }
    };
    view! {
        <input
            node_ref=field
            class="mx-1 mb-1 w-32 rounded border border-accent bg-term px-2 py-0.5 text-[13px] text-term-ink"
            maxlength="40"
            aria-label=move || words.get().page.tab_name
            prop:value=name
            on:keydown=key
            on:blur=move |_| take()
        />
    }
}
