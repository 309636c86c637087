//! The master with the control plane, and the worker nodes with their agents.

use drydock_protocol::{Component, ComponentState, FaultKind, Node, NodeRole, NodeState, Session};
use leptos::prelude::*;

use super::{item, place, room, scene, sign, two_lines};
use crate::diagram::geometry::{arrow_head, at};
use crate::diagram::layout::{CONTROL_PLANE, ONE_LINE};
use crate::diagram::{Layout, Look, NodeBox, Rect, is_card, rounded_path};
use crate::format;
use crate::inline::shorten;
use crate::live::live;
use crate::parts::picture::Thing;
use crate::settings::words;
use crate::story::short_name;
use crate::text::Texts;

/// A state in words, empty for the ordinary one.
fn state_word(words: &Texts, state: NodeState) -> &'static str {
    match state {
        NodeState::Ready => "",
        NodeState::Starting => words.starting,
        NodeState::NotReady => words.not_ready,
        NodeState::Stopped => words.stopped,
    }
}

/// Faults that hold on a node, or on one of its components.
fn faults_of(session: &Option<Session>, node: &str, component: Option<&str>) -> Vec<FaultKind> {
    let faults = session.iter().flat_map(|it| &it.faults);
    faults
        .filter(|it| match component {
            // etcd is what writes slowly.
            Some("etcd") if it.kind == FaultKind::SlowWrites => true,
            component => it.kind != FaultKind::SlowWrites && it.node == node && it.component.as_deref() == component,
        })
        .map(|it| it.kind)
        .collect()
}

/// A node by name, kept up to date.
fn node(name: String) -> Memo<Node> {
    let live = live();
    Memo::new(move |_| live.topology.with(|it| it.nodes.iter().find(|it| it.name == name).cloned().unwrap_or_default()))
}

/// A component on a node (an empty name is the master), kept up to date. Before the node reports, it counts as
/// starting.
fn component(node: String, name: String) -> Memo<Component> {
    let live = live();
    Memo::new(move |_| {
        live.topology.with(|it| {
            let node = it.nodes.iter().find(|it| it.name == node || (node.is_empty() && it.role == NodeRole::Master));
            node.and_then(|it| it.components.iter().find(|it| it.name == name)).cloned().unwrap_or_default()
        })
    })
}

/// The master's box.
#[component]
pub(crate) fn Master() -> impl IntoView {
    let words = words();
    let scene = scene();
    let live = live();
    let name = Memo::new(move |_| {
        live.topology.with(|it| it.nodes.iter().find(|it| it.role == NodeRole::Master).map(|it| it.name.clone()))
    });
    let frame = move |side: fn(&Rect) -> f64| move || scene.layout.with(|it| side(&it.master.rect));
    let queue = move || scene.layout.with(|it| it.queue);
    let waiting = move || live.topology.with(|it| it.pods.iter().filter(|it| is_card(it) && it.node.is_none()).count());
    view! {
        <rect class="box" x=frame(|it| it.x) y=frame(|it| it.y) width=frame(|it| it.w) height=frame(|it| it.h) rx="14" />
        {move || name.get().map(|name| view! { <NodeParts name master=true /> })}
        <Talk />
        {CONTROL_PLANE.map(|component| view! { <ComponentBox component /> }).collect_view()}
        <g class="place" style:transform=move || place(queue())>
            <rect class="lane" width=move || queue().w height=move || queue().h rx="10" />
            <text class="minor" x="10" y=move || if queue().h < ONE_LINE { queue().h / 2.0 + 4.0 } else { queue().h / 2.0 - 4.0 }>{move || fitting(words.get().waiting, queue())}</text>
            <Show when=move || { waiting() == 0 && queue().h >= ONE_LINE }>
                <text class="minor" x="10" y=move || queue().h / 2.0 + 12.0>{move || words.get().waiting_none}</text>
            </Show>
        </g>
    }
}

/// A text that fits into a box, cut where it does not.
fn fitting(text: &str, rect: Rect) -> String {
    // Chinese characters are about twice as wide.
    let wide = text.chars().filter(|it| *it as u32 > 0x2e80).count();
    let room = ((rect.w - 14.0) / 6.0) as usize;
    if text.chars().count() + wide <= room {
        text.to_owned()
    } else {
        text.chars().take(room.saturating_sub(1 + wide)).chain(['…']).collect()
    }
}

/// The lines on which a component speaks to the API server, and the API server to etcd.
#[component]
fn Talk() -> impl IntoView {
    let scene = scene();
    let boxes = move || scene.layout.with(|it| it.components.clone());
    let to_etcd = move || {
        let boxes = boxes();
        let (Some(api), Some(etcd)) = (boxes.get("kube-apiserver"), boxes.get("etcd")) else { return Vec::new() };
        vec![at(api.right(), api.center().y), at(etcd.x - 1.0, etcd.center().y)]
    };
    let to_api = move |component: &'static str| {
        move || {
            let boxes = boxes();
            let (Some(api), Some(from)) = (boxes.get("kube-apiserver"), boxes.get(component)) else {
                return Vec::new();
            };
            let (low, x) = (api.bottom() + 10.0, api.center().x);
            vec![at(from.center().x, from.bottom()), at(from.center().x, low), at(x, low), at(x, api.bottom() + 1.0)]
        }
    };
    let is_lit = move |component: &'static str| move || scene.lit.with(|it| it.iter().any(|it| it.1 == component));
    let class = move |base: &'static str| {
        let lit = is_lit("etcd");
        move || if lit() { format!("{base} lit") } else { base.to_owned() }
    };
    let talking = |component: &'static str| {
        view! {
            <Show when=is_lit(component)>
                <path class="edge lit appear" d=move || rounded_path(&to_api(component)(), 7.0) />
                <path class="tip lit appear" d=move || arrow_head(&to_api(component)(), 7.0) />
            </Show>
        }
    };
    view! {
        <g aria-hidden="true">
            <path class=class("edge") d=move || rounded_path(&to_etcd(), 0.0) />
            <path class=class("tip") d=move || arrow_head(&to_etcd(), 7.0) />
            {talking("kube-controller-manager")}
            {talking("kube-scheduler")}
        </g>
    }
}

/// Title and agents of a node.
#[component]
fn NodeParts(name: String, master: bool) -> impl IntoView {
    let words = words();
    let scene = scene();
    let live = live();
    let node = node(name.clone());
    let of = {
        let name = name.clone();
        move |it: &Layout| if master { it.master.clone() } else { it.nodes.get(&name).cloned().unwrap_or_default() }
    };
    let bounds = Memo::new(move |_| scene.layout.with(&of));
    let faults = {
        let name = name.clone();
        Memo::new(move |_| faults_of(&live.session.get(), &name, None))
    };
    let look = move || match Look::of_node(node.with(|it| it.state)) {
        // Something is wrong that the cluster has not noticed yet.
        Look::Good if faults.with(|it| !it.is_empty()) => Look::Warn,
        look => look,
    };
    let details = move || {
        node.with(|it| {
            let words = words.get();
            let befallen = faults.with(|it| {
                it.iter()
                    .filter(|it| **it != FaultKind::StopNode)
                    .map(|it| words.scene.befallen(*it))
                    .collect::<Vec<_>>()
            });
            let mut parts = match state_word(words, it.state) {
                "" if it.unschedulable => vec![it.ip.clone(), words.cordoned.to_owned()],
                "" if befallen.is_empty() => vec![bounds.with(|it: &NodeBox| it.details.clone())],
                state => vec![it.ip.clone(), state.to_owned()],
            };
            parts.extend(befallen.into_iter().map(str::to_owned));
            if master {
                parts.push(words.control_plane.to_owned());
            }
            parts.retain(|it| !it.is_empty());
            parts.join(" · ")
        })
    };
    let agents =
        Memo::new(move |_| bounds.with(|it: &NodeBox| it.agents.iter().map(|it| it.0.clone()).collect::<Vec<_>>()));
    let owner = StoredValue::new(name.clone());
    let (spoken, shown) = (name.clone(), name.clone());
    let beside = name.chars().count() as f64 * 7.4 + 30.0;
    let parts = view! {
        {sign(look, 6.0, 10.0)}
        <text class="strong" x="20" y="14.5">{shown}</text>
        <text class="minor" x=beside y="14.5">{details}</text>
    };
    view! {
        {item(
            Thing::Node(name),
            move || bounds.with(|it| Rect::new(it.title.x - 4.0, it.title.y, it.title.w + 8.0, it.title.h)),
            move || format!("title {}", look().class()),
            move || words.marks().and(&spoken, details()),
            6.0,
            view! { <g transform="translate(4,0)">{parts}</g> }.into_any(),
        )}
        <For each=move || agents.get() key=Clone::clone let:agent>
            <AgentChip node=owner.get_value() agent bounds />
        </For>
    }
}

#[component]
fn AgentChip(node: String, agent: String, bounds: Memo<NodeBox>) -> impl IntoView {
    let scene = scene();
    let rect = {
        let agent = agent.clone();
        Memo::new(move |_| {
            bounds.with(|it| it.agents.iter().find(|it| it.0 == agent).map(|it| it.1).unwrap_or_default())
        })
    };
    let component = component(node.clone(), agent.clone());
    let paused = {
        let (live, node, agent) = (live(), node.clone(), agent.clone());
        Memo::new(move |_| !faults_of(&live.session.get(), &node, Some(&agent)).is_empty())
    };
    let look = move || match Look::of_component(component.with(|it| it.state)) {
        Look::Good if paused.get() => Look::Warn,
        look => look,
    };
    let class = {
        let (node, agent) = (node.clone(), agent.clone());
        move || format!("agent {}{}", quiet(look()), if scene.is_lit(&node, &agent) { " lit" } else { "" })
    };
    let (words, on) = (words(), node.clone());
    let spoken = {
        let agent = agent.clone();
        move || words.marks().and(&agent, &on)
    };
    let shown = agent.clone();
    let parts = view! {
        <g transform=move || format!("translate(0,{:.1})", rect.get().h / 2.0)>
            {sign(look, 13.0, 0.0)}
            <text class="minor" x="24" y="4">{shown}</text>
        </g>
    };
    item(Thing::Component(node, agent), move || rect.get(), class, spoken, 7.0, parts.into_any())
}

/// A component that works has a quiet border; only trouble is coloured.
fn quiet(look: Look) -> &'static str {
    if look == Look::Good { "quiet" } else { look.class() }
}

#[component]
fn ComponentBox(component: &'static str) -> impl IntoView {
    let words = words();
    let scene = scene();
    let rect = Memo::new(move |_| scene.layout.with(|it| it.components.get(component).copied().unwrap_or_default()));
    let state = self::component(String::new(), component.to_owned());
    let live = live();
    let faults = Memo::new(move |_| {
        let master = scene.layout.with(|it| it.master_name.clone());
        faults_of(&live.session.get(), &master, Some(component))
    });
    let look = move || match Look::of_component(state.with(|it| it.state)) {
        Look::Good if faults.with(|it| !it.is_empty()) => Look::Warn,
        look => look,
    };
    let line = move || {
        if let Some(fault) = faults.with(|it| it.first().copied()) {
            return words.get().scene.befallen(fault).to_owned();
        }
        state.with(|it: &Component| {
            let word = match it.state {
                ComponentState::Running => words.get().running,
                ComponentState::Starting => words.get().starting,
                ComponentState::Failing => words.get().failing,
                ComponentState::Stopped => words.get().stopped,
            };
            let memory = it.memory_bytes.map(format::bytes).unwrap_or_default();
            let both = format!("{word} · {memory}");
            match (memory.is_empty(), both.chars().count() <= room(rect.get()).1) {
                (true, _) => word.to_owned(),
                (false, true) => both,
                // Where there is room for one only: trouble is said, else how much it takes.
                (false, false) if it.state == ComponentState::Running => memory,
                (false, false) => word.to_owned(),
            }
        })
    };
    let shown = move || {
        let room = room(rect.get()).0;
        if component.len() <= room { component.to_owned() } else { shorten(short_name(component), room) }
    };
    let class = move || {
        let lit = scene.lit.with(|it| it.iter().any(|it| it.1 == component));
        format!("{}{}", quiet(look()), if lit { " lit" } else { "" })
    };
    let parts = two_lines(look, move || rect.get(), shown, line);
    item(
        Thing::Component(String::new(), component.to_owned()),
        move || rect.get(),
        class,
        move || words.marks().and(component, line()),
        10.0,
        parts,
    )
}

/// The worker nodes.
#[component]
pub(crate) fn Nodes() -> impl IntoView {
    let scene = scene();
    let names = Memo::new(move |_| scene.layout.with(|it| it.nodes.keys().cloned().collect::<Vec<_>>()));
    view! {
        <For each=move || names.get() key=Clone::clone let:name>
            <NodeFrame name />
        </For>
    }
}

#[component]
fn NodeFrame(name: String) -> impl IntoView {
    let scene = scene();
    let node = node(name.clone());
    let rect = {
        let name = name.clone();
        Memo::new(move |_| scene.layout.with(|it| it.nodes.get(&name).map(|it| it.rect).unwrap_or_default()))
    };
    let live = live();
    let whole = {
        let name = name.clone();
        Memo::new(move |_| faults_of(&live.session.get(), &name, None).is_empty())
    };
    let class = move || if node.with(|it| it.state == NodeState::Ready) && whole.get() { "box" } else { "box absent" };
    view! {
        <g class="place appear-in" style:transform=move || place(rect.get())>
            <rect class=class width=move || rect.get().w height=move || rect.get().h rx="14" />
        </g>
        <NodeParts name master=false />
    }
}
