//! Deployments, Services, and the lines from Services to pods.

use drydock_protocol::{Deployment, ObjectKey, Service};
use leptos::prelude::*;

use super::{item, room, scene, two_lines};
use crate::diagram::geometry::arrow_head;
use crate::diagram::{Edge, Look, Rect, rounded_path};
use crate::inline::shorten;
use crate::live::live;
use crate::parts::picture::Thing;
use crate::settings::words;

#[component]
fn Lane(rect: Signal<Rect>, title: Signal<&'static str>, empty: Signal<bool>) -> impl IntoView {
    let words = words();
    view! {
        <rect class="lane" x=move || rect.get().x y=move || rect.get().y width=move || rect.get().w height=move || rect.get().h rx="12" />
        <text class="minor" x=move || rect.get().x + 14.0 y=move || rect.get().y + 15.0>{title}</text>
        <Show when=move || empty.get()>
            <text class="minor" x=move || rect.get().x + 14.0 y=move || rect.get().bottom() - 24.0>{move || words.get().none_yet}</text>
        </Show>
    }
}

/// The deployments.
#[component]
pub(crate) fn Deployments() -> impl IntoView {
    let words = words();
    let scene = scene();
    let keys = Memo::new(move |_| scene.layout.with(|it| it.deployments.keys().cloned().collect::<Vec<_>>()));
    view! {
        <Lane
            rect=Signal::derive(move || scene.layout.with(|it| it.deployments_lane))
            title=Signal::derive(move || words.get().deployments)
            empty=Signal::derive(move || keys.with(Vec::is_empty))
        />
        <For each=move || keys.get() key=Clone::clone let:key>
            <DeploymentChip key />
        </For>
    }
}

#[component]
fn DeploymentChip(key: ObjectKey) -> impl IntoView {
    let words = words();
    let scene = scene();
    let live = live();
    let object = {
        let key = key.clone();
        Memo::new(move |_| {
            live.topology.with(|it| {
                it.deployments
                    .iter()
                    .find(|it| it.name == key.name && it.namespace == key.namespace)
                    .cloned()
                    .unwrap_or_default()
            })
        })
    };
    let rect = {
        let key = key.clone();
        Memo::new(move |_| scene.layout.with(|it| it.deployments.get(&key).copied().unwrap_or_default()))
    };
    let look = move || object.with(|it: &Deployment| Look::of_replicas(it.ready, it.replicas));
    let line = move || object.with(|it| (words.get().ready_of)(it.ready as usize, it.replicas as usize));
    let name = move || object.with(|it| it.name.clone());
    let parts = two_lines(look, move || rect.get(), move || shorten(&name(), room(rect.get()).0), line);
    item(
        Thing::Deployment(key),
        move || rect.get(),
        move || look().class().to_owned(),
        move || format!("Deployment {}, {}", name(), line()),
        10.0,
        parts,
    )
}

/// The services.
#[component]
pub(crate) fn Services() -> impl IntoView {
    let words = words();
    let scene = scene();
    let keys = Memo::new(move |_| scene.layout.with(|it| it.services.keys().cloned().collect::<Vec<_>>()));
    view! {
        <Lane
            rect=Signal::derive(move || scene.layout.with(|it| it.services_lane))
            title=Signal::derive(move || words.get().services)
            empty=Signal::derive(move || keys.with(Vec::is_empty))
        />
        <For each=move || keys.get() key=Clone::clone let:key>
            <ServiceChip key />
        </For>
    }
}

#[component]
fn ServiceChip(key: ObjectKey) -> impl IntoView {
    let words = words();
    let scene = scene();
    let live = live();
    let object = {
        let key = key.clone();
        Memo::new(move |_| {
            live.topology.with(|it| {
                it.services
                    .iter()
                    .find(|it| it.name == key.name && it.namespace == key.namespace)
                    .cloned()
                    .unwrap_or_default()
            })
        })
    };
    let rect = {
        let key = key.clone();
        Memo::new(move |_| scene.layout.with(|it| it.services.get(&key).copied().unwrap_or_default()))
    };
    let look = move || object.with(Look::of_service);
    let line = move || object.with(service_line);
    let ready = move || {
        object.with(|it| (words.get().ready_of)(it.endpoints.iter().filter(|it| it.ready).count(), it.endpoints.len()))
    };
    let name = move || object.with(|it| it.name.clone());
    let (title, below) = (move || shorten(&name(), room(rect.get()).0), move || shorten(&line(), room(rect.get()).1));
    let parts = two_lines(look, move || rect.get(), title, below);
    item(
        Thing::Service(key),
        move || rect.get(),
        move || look().class().to_owned(),
        move || format!("Service {}, {}, {}", name(), line(), ready()),
        19.0,
        parts,
    )
}

/// Address and port.
fn service_line(service: &Service) -> String {
    let address = service.cluster_ip.as_deref().unwrap_or(match service.r#type.as_str() {
        "ExternalName" => "ExternalName",
        _ => "headless",
    });
    match service.ports.first() {
        Some(port) => match port.node_port {
            Some(node_port) => format!("{address}:{} · {node_port}", port.port),
            None => format!("{address}:{}", port.port),
        },
        None => address.to_owned(),
    }
}

/// The lines.
#[component]
pub(crate) fn Edges() -> impl IntoView {
    let scene = scene();
    // Dotted ones first: where they share a way with others, the others show.
    let keys = Memo::new(move |_| {
        scene.layout.with(|it| {
            let of =
                |ready: bool| it.edges.iter().filter(move |(_, edge)| edge.ready == ready).map(|(key, _)| key.clone());
            of(false).chain(of(true)).collect::<Vec<_>>()
        })
    });
    view! {
        <g aria-hidden="true">
            <For each=move || keys.get() key=Clone::clone let:key>
                <Line key />
            </For>
        </g>
    }
}

#[component]
fn Line(key: String) -> impl IntoView {
    let scene = scene();
    let edge = Memo::new(move |_| scene.layout.with(|it| it.edges.get(&key).cloned()));
    let class = move |base: &str| {
        edge.with(|it| {
            let Some(edge) = it else { return base.to_owned() };
            let lit = scene.is_in_focus(&Thing::Service(edge.service.clone()))
                || scene.is_in_focus(&Thing::Pod(edge.pod.clone()));
            format!("appear {base}{}{}", if edge.ready { "" } else { " weak" }, if lit { " lit" } else { "" })
        })
    };
    let path = |draw: fn(&Edge) -> String| move || edge.with(|it| it.as_ref().map(draw).unwrap_or_default());
    view! {
        <path class=move || class("edge") d=path(|it| rounded_path(&it.points, 7.0)) />
        <path class=move || class("tip") d=path(|it| arrow_head(&it.points, 7.0)) />
    }
}
