//! The pods.

use drydock_protocol::{Pod, PodHealth, Topology};
use leptos::prelude::*;

use super::{item, scene, sign, two_lines};
use crate::diagram::looks::pod_line;
use crate::diagram::{Density, Look, is_system, pod_id};
use crate::inline::{ending, shorten};
use crate::live::live;
use crate::parts::picture::Thing;

/// All pods, those that wait for a node included.
#[component]
pub(crate) fn Pods() -> impl IntoView {
    let scene = scene();
    let ids = Memo::new(move |_| scene.layout.with(|it| it.pods.keys().cloned().collect::<Vec<_>>()));
    view! {
        <For each=move || ids.get() key=Clone::clone let:id>
            <PodCard id />
        </For>
    }
}

/// Whether `pod` has nothing to do with the deployment or service that is looked at.
fn is_beside(pod: &Pod, asked: Option<&Thing>, topology: &Topology) -> bool {
    match asked {
        Some(Thing::Deployment(key)) => {
            pod.namespace != key.namespace
                || !pod.owners.iter().any(|it| it.kind == "Deployment" && it.name == key.name)
        }
        Some(Thing::Service(key)) => {
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
        format!("pod {}{bare}{}", look().class(), if dimmed.get() { " dimmed" } else { "" })
    };
    let name = move || pod.with(|it| format!("Pod {}, {}", it.name, it.state));
    let room = move |aside: f64| ((rect.get().w - aside) / 7.4).max(4.0) as usize;
    let title = move |aside: f64| pod.with(|it| shorten(&it.name, room(aside)));
    let line = move || {
        pod.with(|it| {
            let line = if is_system(&it.namespace) && it.health() == PodHealth::Ready {
                it.namespace.clone()
            } else {
                pod_line(it)
            };
            shorten(&line, room(36.0) + 1)
        })
    };
    let middle = move || format!("translate({:.1}px,{:.1}px)", rect.get().w / 2.0, rect.get().h / 2.0);
    let parts = move || {
        match density.get() {
        Density::Roomy => two_lines(look, move || rect.get(), move || title(38.0), line),
        Density::Compact => view! {
            {sign(look, 14.0, 13.0)}
            <text class="strong" x="25" y="17">{move || title(34.0)}</text>
        }
        .into_any(),
        Density::Ends => view! {
            {sign(look, 11.0, 10.0)}
            <text class="minor ink" x="20" y="14">{move || pod.with(|it| ending(&it.name, ((rect.get().w - 23.0) / 6.2) as usize))}</text>
        }
        .into_any(),
        Density::Signs => view! { <g style:transform=middle>{sign(look, 0.0, 0.0)}</g> }.into_any(),
    }
    };
    item(Thing::Pod(id), move || rect.get(), class, name, 9.0, parts.into_any())
}
