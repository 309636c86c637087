//! The pods.

use drydock_protocol::{ObjectKind, Pod, PodHealth, Topology};
use leptos::prelude::*;

use super::{item, room, scene, sign, two_lines};
use crate::diagram::looks::pod_line;
use crate::diagram::{Density, Look, Rect, group_id, is_card, is_system, maker, pod_id};
use crate::inline::{ending, shorten};
use crate::live::live;
use crate::parts::picture::Thing;
use crate::settings::words;

/// All pods, those that wait for a node included.
#[component]
pub(crate) fn Pods() -> impl IntoView {
    let scene = scene();
    let ids = Memo::new(move |_| scene.layout.with(|it| it.pods.keys().cloned().collect::<Vec<_>>()));
    view! {
        <For each=move || ids.get() key=Clone::clone let:id>
            <PodCard id />
        </For>
        <Groups />
    }
}

/// Where there are too many: those of an owner together.
#[component]
fn Groups() -> impl IntoView {
    let scene = scene();
    let ids = Memo::new(move |_| scene.layout.with(|it| it.groups.keys().cloned().collect::<Vec<_>>()));
    view! {
        <For each=move || ids.get() key=Clone::clone let:id>
            <GroupCard id />
        </For>
    }
}

/// What a group's card says.
#[derive(Clone, PartialEq)]
struct Summary {
    name: String,
    look: Look,
    ready: usize,
    all: usize,
}

#[component]
fn GroupCard(id: String) -> impl IntoView {
    let words = words();
    let scene = scene();
    let live = live();
    let summary = {
        let id = id.clone();
        Memo::new(move |_| {
            live.topology.with(|topology| {
                let pods = || topology.pods.iter().filter(|it| is_card(it) && group_id(it) == id);
                let name = pods().next().map(|it| maker(it).1.to_owned()).unwrap_or_default();
                let ready = pods().filter(|it| it.health() == PodHealth::Ready).count();
                Summary { name, look: Look::of_pods(pods()), ready, all: pods().count() }
            })
        })
    };
    let rect = {
        let id = id.clone();
        Memo::new(move |_| scene.layout.with(|it| it.groups.get(&id).map(|it| it.rect).unwrap_or_default()))
    };
    let look = move || summary.with(|it| it.look);
    let name = move || {
        summary.with(|it| if it.name.is_empty() { words.get().scene.by_hand.to_owned() } else { it.name.clone() })
    };
    let line = move || summary.with(|it| (words.get().scene.pods_ready)(it.ready, it.all));
    let parts = two_lines(look, move || rect.get(), move || shorten(&name(), room(rect.get()).0), line);
    item(
        Thing::Group(id),
        move || rect.get(),
        move || format!("pod group {}", look().class()),
        move || words.marks().and(format_args!("{} {}", words.get().scene.pods, name()), line()),
        9.0,
        parts,
    )
}

/// Whether `pod` has nothing to do with the deployment or service that is looked at.
fn is_beside(pod: &Pod, asked: Option<&Thing>, topology: &Topology) -> bool {
    match asked {
        Some(Thing::Object(key)) if key.kind == ObjectKind::Ingress => false,
        Some(Thing::Object(key)) if key.kind != ObjectKind::Service => {
            let kind = format!("{:?}", key.kind);
            pod.namespace != key.namespace || !pod.owners.iter().any(|it| it.kind == kind && it.name == key.name)
        }
        Some(Thing::Object(key)) => {
            let service = topology.services.iter().find(|it| it.name == key.name && it.namespace == key.namespace);
            let is_behind = |pod: &Pod| {
                service.is_some_and(|it| it.endpoints.iter().any(|it| it.pod.as_deref() == Some(&pod.name)))
            };
            // A Service without pods in the picture, such as `kubernetes`, dims none.
            topology.pods.iter().any(|it| it.namespace == key.namespace && is_behind(it))
                && !(pod.namespace == key.namespace && is_behind(pod))
        }
        _ => false,
    }
}

#[component]
fn PodCard(id: String) -> impl IntoView {
    let words = words();
    let scene = scene();
    let live = live();
    let pod = {
        let id = id.clone();
        Memo::new(move |_| {
            live.topology.with(|it| it.pods.iter().find(|it| pod_id(it) == id).cloned().unwrap_or_default())
        })
    };
    let rect = {
        let id = id.clone();
        Memo::new(move |_| scene.layout.with(|it| it.pods.get(&id).copied().unwrap_or_default()))
    };
    let look = move || pod.with(Look::of_pod);
    let density =
        Memo::new(
            move |_| if pod.with(|it| it.node.is_none()) { Density::Signs } else { scene.layout.with(|it| it.density) },
        );
    let dimmed = Memo::new(move |_| {
        let asked = scene.pointed.get().or_else(|| scene.chosen.get());
        pod.with(|pod| live.topology.with(|topology| is_beside(pod, asked.as_ref(), topology)))
    });
    let class = move || {
        let bare = if density.get() == Density::Signs { " bare" } else { "" };
        let lit = if pod.with(|it| scene.is_touched("pods", &it.namespace, &it.name)) { " lit" } else { "" };
        format!("pod {}{bare}{lit}{}", look().class(), if dimmed.get() { " dimmed" } else { "" })
    };
    let name = move || pod.with(|it| words.marks().and(format_args!("Pod {}", it.name), &it.state));
    let beside = move |aside: f64| ((rect.get().w - aside) / 7.4).max(4.0) as usize;
    let title = move |aside: f64| pod.with(|it| shorten(&it.name, beside(aside)));
    let line = move || {
        pod.with(|it| {
            let line = if is_system(&it.namespace) && it.health() == PodHealth::Ready {
                it.namespace.clone()
            } else {
                pod_line(it)
            };
            // Squares for containers stand at the end.
            let squares = if it.containers.len() > 1 { it.containers.len().min(5) * 10 + 4 } else { 0 };
            shorten(&line, ((rect.get().w - 36.0 - squares as f64) / 6.2).max(4.0) as usize)
        })
    };
    let middle = move || format!("translate({:.1}px,{:.1}px)", rect.get().w / 2.0, rect.get().h / 2.0);
    let parts = move || {
        match density.get() {
        Density::Roomy | Density::Groups => view! {
            {two_lines(look, move || rect.get(), move || title(38.0), line)}
            <Containers pod rect />
        }
        .into_any(),
        Density::Compact => view! {
            {sign(look, 14.0, 13.0)}
            <text class="strong" x="25" y="17">{move || title(34.0)}</text>
        }
        .into_any(),
        Density::Ends => view! {
            {sign(look, 11.0, 10.0)}
            <text class="minor ink" x="20" y="14">{move || pod.with(|it| ending(&it.name, ((rect.get().w - 24.0) / 7.2) as usize))}</text>
        }
        .into_any(),
        Density::Signs => view! { <g style:transform=middle>{sign(look, 0.0, 0.0)}</g> }.into_any(),
    }
    };
    item(Thing::Pod(id), move || rect.get(), class, name, 9.0, parts.into_any())
}

/// A pod's containers, where it has several: a small square each, at the right end of the second line.
#[component]
fn Containers(pod: Memo<Pod>, rect: Memo<Rect>) -> impl IntoView {
    const MOST: usize = 5;
    let squares = move || {
        pod.with(|it| {
            let all: Vec<&'static str> = it
                .containers
                .iter()
                .map(|it| match (it.init, it.ready, it.state.as_str()) {
                    (_, _, "Completed") => "box-done",
                    (_, true, _) => "box-good",
                    (_, _, "Waiting" | "ContainerCreating" | "PodInitializing") => "box-info",
                    (_, _, "Running") => "box-warn",
                    _ => "box-bad",
                })
                .collect();
            if all.len() < 2 { Vec::new() } else { all.into_iter().take(MOST).collect() }
        })
    };
    view! {
        <g style:transform=move || format!("translate({:.1}px,{:.1}px)", rect.get().w - 8.0, rect.get().h / 2.0 + 4.0)>
            {move || {
                let squares = squares();
                let count = squares.len();
                squares
                    .into_iter()
                    .enumerate()
                    .map(|(index, class)| view! { <rect class=class x=-((count - index) as f64 * 10.0) width="8" height="8" rx="2" /> })
                    .collect_view()
            }}
        </g>
    }
}
