//! What all items have in common: a place, a look, a name, and that they can be chosen by click, Enter and space.

use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::{place, scene};
use crate::diagram::Rect;
use crate::parts::picture::Thing;

/// An item. Its children draw relative to its own corner.
pub(super) fn item(
    thing: Thing,
    rect: impl Fn() -> Rect + Copy + Send + Sync + 'static,
    class: impl Fn() -> String + Send + Sync + 'static,
    name: impl Fn() -> String + Send + Sync + 'static,
    radius: f64,
    children: AnyView,
) -> impl IntoView {
    let scene = scene();
    let thing = StoredValue::new(thing);
    let chosen = move || scene.chosen.with(|it| thing.with_value(|thing| it.as_ref() == Some(thing)));
    let toggle = move || scene.chosen.set(if chosen() { None } else { Some(thing.get_value()) });
    let key = move |event: KeyboardEvent| {
        if matches!(event.key().as_str(), "Enter" | " ") {
            event.prevent_default();
            toggle();
        }
    };
    let point = move || scene.pointed.set(Some(thing.get_value()));
    let leave = move || {
        if scene.pointed.try_with_untracked(|it| thing.try_with_value(|thing| it.as_ref() == Some(thing)))
            == Some(Some(true))
        {
            scene.pointed.set(None);
        }
    };
    on_cleanup(leave);
    view! {
        <g class="place" style:transform=move || place(rect())>
            <g
                class=move || format!("item appear {}{}", class(), if chosen() { " chosen" } else { "" })
                tabindex="0"
                role="button"
                aria-label=name
                aria-expanded=move || if chosen() { "true" } else { "false" }
                on:click=move |_| toggle()
                on:keydown=key
                on:pointerenter=move |_| point()
                on:pointerleave=move |_| leave()
                on:focus=move |_| point()
                on:blur=move |_| leave()
            >
                <rect class="frame" width=move || rect().w height=move || rect().h rx=radius />
                {children}
            </g>
        </g>
    }
}
