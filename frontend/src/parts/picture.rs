//! The living picture: applies `crate::diagram`'s layout to SVG, item by item, so that things move and do not jump.
//!
//! One item at a time is a tab stop; the arrow keys lead to its neighbours.

mod items;
mod scene;
mod zoom;

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::{HtmlElement, KeyboardEvent, ResizeObserver};

use super::details::Details;
use super::faults::{Hands, Tools};
use super::trace::Player;
use crate::diagram::walk::{self, Way};
use crate::diagram::{Density, Size, Slots, View, layout};
use crate::live::live;
use crate::settings::words;
use items::{Edges, Ingresses, Master, Nodes, Pods, Services, Workloads};
pub(crate) use scene::{Scene, Thing, rect};
pub(crate) use zoom::{Zoom, ZoomButtons};

/// As wide as a scroll bar can be.
const BAR: f64 = 24.0;

/// The picture with its details.
#[component]
pub(crate) fn Picture(
    /// What lights it up.
    player: Player,
) -> impl IntoView {
    let words = words();
    let live = live();
    let place = NodeRef::<html::Div>::new();
    let zoom = Zoom::new(place);
    let size = RwSignal::new(Size::default());
    let system = RwSignal::new(false);
    let slots = StoredValue::new(Slots::default());
    let layout = Memo::new(move |before: Option<&crate::diagram::Layout>| {
        let view = View { system: system.get(), before: before.map(|it| it.density) };
        live.topology.with(|topology| {
            slots.update_value(|it| it.update(topology));
            slots.with_value(|slots| layout(topology, slots, size.get(), view))
        })
    });
    let scene = Scene::new(layout, player);
    provide_context(scene);
    provide_context(Hands::new());
    let observer = StoredValue::new_local(None::<(ResizeObserver, Closure<dyn FnMut()>)>);
    Effect::new(move || {
        let Some(element) = place.get() else { return };
        let measured = element.clone();
        let measure = Closure::<dyn FnMut()>::new(move || {
            let found = Size { width: f64::from(measured.client_width()), height: f64::from(measured.client_height()) };
            let Some(before) = size.try_get_untracked() else { return };
            // The scroll bars of a larger drawing are no reason to move things.
            let is_bar = !zoom.is_plain()
                && (found.width - before.width).abs() < BAR
                && (found.height - before.height).abs() < BAR;
            if found.width > 0.0 && before != found && !is_bar {
                let _ = size.try_set(found);
            }
        });
        if let Ok(watch) = ResizeObserver::new(measure.as_ref().unchecked_ref()) {
            watch.observe(&element);
            observer.set_value(Some((watch, measure)));
        }
    });
    on_cleanup(move || {
        if let Some(Some((watch, _))) = observer.try_update_value(Option::take) {
            watch.disconnect();
        }
    });
    let escape = move |event: KeyboardEvent| {
        if event.key() == "Escape" && scene.chosen.with_untracked(Option::is_some) {
            scene.close();
        }
    };
    let walk = move |event: KeyboardEvent| {
        zoom.key(&event);
        let Some(way) = Way::of_key(&event.key()) else { return };
        event.prevent_default();
        let here = scene.stop.get_untracked();
        let next = scene.layout.with_untracked(|it| {
            let things = scene::things(it);
            let from = scene::rect(it, &here)?;
            let places: Vec<_> = things.iter().map(|it| it.1).collect();
            walk::next(from, &places, way).map(|it| things[it].0.clone())
        });
        if let Some(next) = next {
            focus(&next.id());
        }
    };
    view! {
        <section class="relative flex min-h-0 grow flex-col" aria-label=move || words.get().picture on:keydown=escape>
            <Tools system zoom />
            <div class="relative min-h-0 grow">
                <div node_ref=place class="absolute inset-0 overflow-auto" on:wheel=move |event| zoom.wheel(&event)>
                    <Show when=move || { size.get().width > 0.0 }>
                        <svg
                            class="diagram block"
                            class:crowded=move || layout.with(|it| it.density >= Density::Ends)
                            width=move || layout.with(|it| it.size.width) * zoom.scale.get()
                            height=move || layout.with(|it| it.size.height) * zoom.scale.get()
                            viewBox=move || layout.with(|it| format!("0 0 {} {}", it.size.width, it.size.height))
                            role="group"
                            aria-label=move || words.marks().sentences(words.get().picture, words.get().scene.help)
                            on:keydown=walk
                        >
                            <Master />
                            <Workloads />
                            <Services />
                            <Ingresses />
                            <Nodes />
                            <Edges />
                            <Pods />
                        </svg>
                    </Show>
                    <Tip zoom />
                </div>
                <Details />
            </div>
        </section>
    }
}

/// Gives the keyboard to an element.
pub(super) fn focus(id: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        // An SVG group can be focused like an HTML element.
        let _ = element.unchecked_into::<HtmlElement>().focus();
    }
}

/// The whole name of what is pointed to, where the picture has no room for it.
#[component]
fn Tip(zoom: Zoom) -> impl IntoView {
    let scene: Scene = expect_context();
    let live = live();
    let tip = move || {
        let pointed = scene.pointed.get().filter(|it| scene.chosen.with(|chosen| chosen.as_ref() != Some(it)));
        let Some(Thing::Pod(id)) = pointed else { return None };
        let rect = scene.layout.with(|it| it.pods.get(&id).copied())?;
        let text = live.topology.with(|it| {
            it.pods.iter().find(|it| crate::diagram::pod_id(it) == id).map(|it| format!("{} · {}", it.name, it.state))
        })?;
        Some((text, rect))
    };
    view! {
        {move || tip().map(|(text, rect)| view! {
            <p
                class="pointer-events-none absolute z-20 rounded-md bg-ink px-2 py-1 text-xs whitespace-nowrap text-page"
                style:left=format!("{:.0}px", rect.x * zoom.scale.get())
                style:top=format!("{:.0}px", rect.bottom() * zoom.scale.get() + 6.0)
                role="tooltip"
            >{text}</p>
        })}
    }
}
