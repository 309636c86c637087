//! Workloads, Services and Ingresses, and the lines between them and to pods.

use drydock_protocol::{Ingress, ObjectKey, ObjectKind, Port, Service, Topology, Workload};
use leptos::prelude::*;

use super::{item, room, scene, two_lines};
use crate::diagram::edges::End;
use crate::diagram::geometry::arrow_head;
use crate::diagram::{Edge, Look, Rect, rounded_path};
use crate::inline::shorten;
use crate::live::live;
use crate::parts::picture::{Thing, rect};
use crate::parts::ports;
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

/// Deployments, StatefulSets, DaemonSets and Jobs.
#[component]
pub(crate) fn Workloads() -> impl IntoView {
    let words = words();
    let scene = scene();
    let keys = Memo::new(move |_| scene.layout.with(|it| it.workloads.keys().cloned().collect::<Vec<_>>()));
    view! {
        <Lane
            rect=Signal::derive(move || scene.layout.with(|it| it.workloads_lane))
            title=Signal::derive(move || words.get().scene.workloads)
            empty=Signal::derive(move || keys.with(Vec::is_empty))
        />
        <For each=move || keys.get() key=Clone::clone let:key>
            <WorkloadChip key />
        </For>
    }
}

/// Pods ready and wanted of what makes them.
fn replicas(topology: &Topology, key: &ObjectKey) -> (u32, u32) {
    let of = |list: &[Workload]| {
        let found = list.iter().find(|it| it.name == key.name && it.namespace == key.namespace);
        found.map_or((0, 0), |it| (it.ready, it.replicas))
    };
    match key.kind {
        ObjectKind::StatefulSet => of(&topology.stateful_sets),
        ObjectKind::DaemonSet => of(&topology.daemon_sets),
        ObjectKind::Job => of(&topology.jobs),
        _ => {
            let found = topology.deployments.iter().find(|it| it.name == key.name && it.namespace == key.namespace);
            found.map_or((0, 0), |it| (it.ready, it.replicas))
        }
    }
}

/// A kind as requests name it.
fn resource(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::StatefulSet => "statefulsets",
        ObjectKind::DaemonSet => "daemonsets",
        ObjectKind::Job => "jobs",
        ObjectKind::Service => "services",
        ObjectKind::Ingress => "ingresses",
        _ => "deployments",
    }
}

/// ` lit` while what happens now is about the object.
fn glow(key: ObjectKey) -> impl Fn() -> &'static str + Clone + Send + Sync {
    let scene = scene();
    move || if scene.is_touched(resource(key.kind), &key.namespace, &key.name) { " lit" } else { "" }
}

/// Room at a chip's end for the mark of what opens.
const MARK: f64 = 18.0;

/// What opens of a chip's object.
#[derive(Clone, Copy)]
struct Opens(Memo<Option<Port>>);

fn opens(key: &ObjectKey) -> Opens {
    let (live, key) = (live(), key.clone());
    Opens(Memo::new(move |_| live.topology.with(|it| ports::of(&key, it).into_iter().next())))
}

impl Opens {
    /// What is left of a chip for its texts.
    fn room(self, rect: Rect) -> Rect {
        if self.0.with(Option::is_some) { Rect { w: rect.w - MARK, ..rect } } else { rect }
    }

    /// The chip's parts and the mark.
    fn beside(self, parts: AnyView, rect: Memo<Rect>) -> AnyView {
        view! {
            {parts}
            {ports::mark(self.0, move || (rect.get().w - MARK, rect.get().h / 2.0))}
        }
        .into_any()
    }
}

/// Where an object stands.
fn place_of(key: &ObjectKey) -> Memo<Rect> {
    let scene = scene();
    let thing = Thing::Object(key.clone());
    Memo::new(move |_| scene.layout.with(|it| rect(it, &thing).unwrap_or_default()))
}

/// An object: its sign, its name and a line that fits the room it is given, the mark of what opens of it, and what is told
/// of it aloud.
fn chip(
    key: ObjectKey,
    place: Memo<Rect>,
    radius: f64,
    look: impl Fn() -> Look + Copy + Send + Sync + 'static,
    line: impl Fn(usize) -> String + Send + Sync + 'static,
    spoken: impl Fn() -> String + Send + Sync + 'static,
) -> impl IntoView {
    let name = key.name.clone();
    let opens = opens(&key);
    let free = move || room(opens.room(place.get()));
    let title = move || shorten(&name, free().0);
    let parts = opens.beside(two_lines(look, move || place.get(), title, move || line(free().1)), place);
    let lit = glow(key.clone());
    let class = move || format!("{}{}", look().class(), lit());
    item(Thing::Object(key), move || place.get(), class, spoken, radius, parts)
}

#[component]
fn WorkloadChip(key: ObjectKey) -> impl IntoView {
    let words = words();
    let live = live();
    let counts = {
        let key = key.clone();
        Memo::new(move |_| live.topology.with(|it| replicas(it, &key)))
    };
    let place = place_of(&key);
    let kind = format!("{:?}", key.kind);
    let is_job = key.kind == ObjectKind::Job;
    let look = move || match counts.get() {
        (done, wanted) if is_job && done >= wanted => Look::Done,
        (ready, wanted) => Look::of_replicas(ready, wanted),
    };
    let count = move || {
        let (ready, wanted) = counts.get();
        if is_job { format!("{ready}/{wanted}") } else { (words.get().ready_of)(ready as usize, wanted as usize) }
    };
    let line = {
        let kind = kind.clone();
        move |room| {
            let both = format!("{kind} · {}", count());
            // Chinese characters are twice as wide.
            let width = |text: &str| text.chars().map(|it| if it as u32 > 0x2e80 { 2 } else { 1 }).sum::<usize>();
            if width(&both) <= room {
                return both;
            }
            let (ready, wanted) = counts.get();
            let short = format!("{kind} · {ready}/{wanted}");
            if width(&short) <= room { short } else { format!("{ready}/{wanted}") }
        }
    };
    let spoken = format!("{kind} {}", key.name);
    chip(key, place, 10.0, look, line, move || words.marks().and(&spoken, count()))
}

/// The services.
#[component]
pub(crate) fn Services() -> impl IntoView {
    let words = words();
    let scene = scene();
    let keys = Memo::new(move |_| scene.layout.with(|it| it.services.keys().cloned().collect::<Vec<_>>()));
    let title = move || {
        let alone = scene.layout.with(|it| it.ingresses.is_empty());
        if alone { words.get().services } else { words.get().scene.ingress_services }
    };
    view! {
        <Lane
            rect=Signal::derive(move || scene.layout.with(|it| it.services_lane))
            title=Signal::derive(title)
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
    let place = place_of(&key);
    let look = move || object.with(Look::of_service);
    let line = move || object.with(service_line);
    let ready = move || {
        object.with(|it| (words.get().ready_of)(it.endpoints.iter().filter(|it| it.ready).count(), it.endpoints.len()))
    };
    let spoken = format!("Service {}", key.name);
    let below = move |room| shorten(&line(), room);
    chip(key, place, 19.0, look, below, move || words.marks().and(words.marks().and(&spoken, line()), ready()))
}

/// The ingresses.
#[component]
pub(crate) fn Ingresses() -> impl IntoView {
    let scene = scene();
    let keys = Memo::new(move |_| scene.layout.with(|it| it.ingresses.keys().cloned().collect::<Vec<_>>()));
    view! {
        <For each=move || keys.get() key=Clone::clone let:key>
            <IngressChip key />
        </For>
    }
}

#[component]
fn IngressChip(key: ObjectKey) -> impl IntoView {
    let words = words();
    let live = live();
    let object = {
        let key = key.clone();
        Memo::new(move |_| {
            live.topology.with(|it| {
                let found = it.ingresses.iter().find(|it| it.name == key.name && it.namespace == key.namespace);
                found.map(|ingress| (ingress.clone(), Look::of_ingress(ingress, it)))
            })
        })
    };
    let place = place_of(&key);
    let look = move || object.with(|it| it.as_ref().map_or(Look::Info, |it| it.1));
    let line = move || object.with(|it| it.as_ref().map(|it| ingress_line(&it.0)).unwrap_or_default());
    let spoken = format!("Ingress {}", key.name);
    let below = move |room| shorten(&line(), room);
    chip(key, place, 10.0, look, below, move || words.marks().and(&spoken, line()))
}

/// The first host, and how many more ways there are.
fn ingress_line(ingress: &Ingress) -> String {
    let Some(first) = ingress.routes.first() else { return String::new() };
    let host = if first.host.is_empty() { "*" } else { first.host.as_str() };
    let path = if first.path == "/" { "" } else { first.path.as_str() };
    match ingress.routes.len() {
        1 => format!("{host}{path}"),
        more => format!("{host}{path} +{}", more - 1),
    }
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
            let end = match &edge.to {
                End::Pod(id) => Thing::Pod(id.clone()),
                End::Group(id) => Thing::Group(id.clone()),
                End::Service(key) => Thing::Object(key.clone()),
            };
            let from = &edge.from;
            let lit = scene.is_in_focus(&Thing::Object(from.clone()))
                || scene.is_in_focus(&end)
                || scene.is_touched(resource(from.kind), &from.namespace, &from.name);
            format!("appear {base}{}{}", if edge.ready { "" } else { " weak" }, if lit { " lit" } else { "" })
        })
    };
    let path = |draw: fn(&Edge) -> String| move || edge.with(|it| it.as_ref().map(draw).unwrap_or_default());
    view! {
        <path class=move || class("edge") d=path(|it| rounded_path(&it.points, 7.0)) />
        <path class=move || class("tip") d=path(|it| arrow_head(&it.points, 7.0)) />
    }
}
