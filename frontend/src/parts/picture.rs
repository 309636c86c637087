//! The living picture: applies `crate::diagram`'s layout to SVG, item by item, so that things move and do not jump.

mod items;

use drydock_protocol::ObjectKey;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::{KeyboardEvent, ResizeObserver};

use super::details::Details;
use super::trace::Player;
use crate::diagram::{Layout, Size, Slots, layout};
use crate::live::live;
use crate::settings::words;
use crate::story::Lit;
use items::{Deployments, Edges, Master, Nodes, Pods, Services};

/// Something in the picture.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Thing {
    /// A component, with its node.
    Component(String, String),
    /// A node.
    Node(String),
    /// A pod, by identity.
    Pod(String),
    /// A deployment.
    Deployment(ObjectKey),
    /// A service.
    Service(ObjectKey),
}

/// What the items of the picture share.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    /// Where everything stands.
    pub(crate) layout: Memo<Layout>,
    /// What is looked at in detail.
    pub(crate) chosen: RwSignal<Option<Thing>>,
    /// What the pointer or the focus is on.
    pub(crate) pointed: RwSignal<Option<Thing>>,
    /// What happens now.
    pub(crate) lit: Memo<Vec<Lit>>,
}

impl Scene {
    /// Whether a component on a node is lit. A trace does not always know on which node.
    fn is_lit(self, node: &str, component: &str) -> bool {
        self.lit.with(|it| it.iter().any(|(on, name)| name == component && on.as_deref().is_none_or(|on| on == node)))
    }

    /// Whether `thing` is the one that is looked at or pointed to.
    fn is_in_focus(self, thing: &Thing) -> bool {
        self.chosen.with(|it| it.as_ref() == Some(thing)) || self.pointed.with(|it| it.as_ref() == Some(thing))
    }
}

/// The picture with its details.
#[component]
pub(crate) fn Picture(
    /// What lights it up.
    player: Player,
) -> impl IntoView {
    let words = words();
    let live = live();
    let place = NodeRef::<html::Div>::new();
    let size = RwSignal::new(Size::default());
    let system = RwSignal::new(false);
    let slots = StoredValue::new(Slots::default());
    let layout = Memo::new(move |_| {
        live.topology.with(|topology| {
            slots.update_value(|it| it.update(topology));
            slots.with_value(|slots| layout(topology, slots, size.get(), system.get()))
        })
    });
    let scene = Scene {
        layout,
        chosen: RwSignal::new(None),
        pointed: RwSignal::new(None),
        lit: Memo::new(move |_| player.lit()),
    };
    provide_context(scene);
    let observer = StoredValue::new_local(None::<(ResizeObserver, Closure<dyn FnMut()>)>);
    Effect::new(move || {
        let Some(element) = place.get() else { return };
        let measured = element.clone();
        let measure = Closure::<dyn FnMut()>::new(move || {
            let found = Size { width: f64::from(measured.client_width()), height: f64::from(measured.client_height()) };
            if found.width > 0.0 && size.try_get_untracked() != Some(found) {
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
        if event.key() == "Escape" {
            scene.chosen.set(None);
        }
    };
    view! {
        <section class="relative min-h-0 grow" aria-label=move || words.get().picture on:keydown=escape>
            <div node_ref=place class="absolute inset-0 overflow-auto">
                <Show when=move || { size.get().width > 0.0 }>
                    <svg
                        class="diagram block"
                        width=move || layout.with(|it| it.size.width)
                        height=move || layout.with(|it| it.size.height)
                        role="group"
                        aria-label=move || format!("{}. {}", words.get().picture, words.get().picture_help)
                    >
                        <Master />
                        <Deployments />
                        <Services />
                        <Nodes />
                        <Edges />
                        <Pods />
                    </svg>
                </Show>
            </div>
            <Tip />
            <SystemSwitch system />
            <Details />
        </section>
    }
}

/// Shows deployments and services of the system, at the right end of the services' lane.
#[component]
fn SystemSwitch(system: RwSignal<bool>) -> impl IntoView {
    let words = words();
    let scene: Scene = expect_context();
    let place = move |axis: fn(&Layout) -> f64| scene.layout.with(|it| format!("{}px", axis(it)));
    view! {
        <label
            class="absolute flex cursor-pointer items-center gap-1.5 text-[11px] text-muted hover:text-ink"
            style:top=move || place(|it| it.services_lane.y + 5.0)
            style:right=move || place(|it| it.size.width - it.services_lane.right() + 12.0)
        >
            <input type="checkbox" class="size-3 accent-accent" prop:checked=system on:change=move |event| system.set(event_target_checked(&event)) />
            {move || words.get().system}
        </label>
    }
}

/// The whole name of what is pointed to, where the picture has no room for it.
#[component]
fn Tip() -> impl IntoView {
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
                style:left=format!("{:.0}px", rect.x)
                style:top=format!("{:.0}px", rect.bottom() + 6.0)
                role="tooltip"
            >{text}</p>
        })}
    }
}
