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
    let toggle = move |by_key: bool| {
        scene.by_key.set(by_key);
        scene.chosen.set(if chosen() { None } else { Some(thing.get_value()) });
    };
    let key = move |event: KeyboardEvent| {
        if matches!(event.key().as_str(), "Enter" | " ") {
            event.prevent_default();
            toggle(true);
        }
    };
    let point = move || scene.pointed.set(Some(thing.get_value()));
    let is_stop = Memo::new(move |_| scene.stop.with(|it| thing.with_value(|thing| it == thing)));
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
                id=thing.with_value(Thing::id)
                tabindex=move || if is_stop.get() { "0" } else { "-1" }
                role="button"
                aria-label=name
                aria-expanded=move || if chosen() { "true" } else { "false" }
                on:click=move |_| toggle(false)
                on:keydown=key
                on:pointerenter=move |_| point()
                on:pointerleave=move |_| leave()
                on:focus=move |_| {
                    scene.here.set(Some(thing.get_value()));
                    point();
                }
                on:blur=move |_| leave()
            >
                <rect class="frame" width=move || rect().w height=move || rect().h rx=radius />
                {children}
            </g>
        </g>
    }
}
