//! The row above the picture: what is broken now, one node more, and the panel that breaks something.

use drydock_protocol::{Fault, FaultKind, Node, NodeRole, NodeState};
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::KeyboardEvent;

use super::icons;
use super::picture::{Zoom, ZoomButtons};
use crate::api;
use crate::classes::{ICON_BUTTON, OVERLAY};
use crate::live::{Live, live};
use crate::settings::{Words, words};
use crate::story::short_name;

/// A small button of the row and the panel.
const SMALL: &str = "inline-flex cursor-pointer items-center gap-1 rounded-md border border-line bg-surface px-2 py-0.5 text-xs font-medium whitespace-nowrap transition-colors hover:border-line-strong hover:bg-sunken disabled:opacity-50";

/// What the learner does to the cluster by hand; what the server said to it.
#[derive(Clone, Copy)]
pub(crate) struct Hands {
    live: Live,
    words: Words,
    /// Requests under way.
    busy: RwSignal<usize>,
    /// Why the last one was refused.
    problem: RwSignal<Option<String>>,
}

impl Hands {
    pub(crate) fn new() -> Self {
        Self { live: live(), words: words(), busy: RwSignal::new(0), problem: RwSignal::new(None) }
    }

    fn send(self, request: impl Future<Output = Result<drydock_protocol::Session, api::Error>> + 'static) {
        self.problem.set(None);
        self.busy.update(|it| *it += 1);
        spawn_local(async move {
            let answer = request.await;
            let _ = self.busy.try_update(|it| *it -= 1);
            match answer {
                Ok(session) => self.live.set_session(session),
                Err(api::Error::Refused { code, message, .. }) => {
                    let _ = self.problem.try_set(Some(self.words.now().refusal(&code, &message)));
                }
                Err(api::Error::Offline) => drop(self.problem.try_set(Some(self.words.now().offline_text.to_owned()))),
            }
        });
    }

    fn id(self) -> String {
        self.live.id.get_value()
    }

    /// Causes a fault, or heals it.
    pub(crate) fn fault(self, fault: Fault, heal: bool) {
        let id = self.id();
        self.send(async move { api::fault(&id, &fault, heal).await });
    }

    /// One worker more.
    fn add(self) {
        let id = self.id();
        self.send(async move { api::add_node(&id).await });
    }

    /// One worker less.
    pub(crate) fn remove(self, node: String) {
        let id = self.id();
        self.send(async move { api::remove_node(&id, &node).await });
    }

    /// A stopped node runs again.
    pub(crate) fn start(self, node: String) {
        let id = self.id();
        self.send(async move { api::node(&id, &node, "start").await });
    }

    /// What may be broken.
    pub(crate) fn offered(self) -> Vec<FaultKind> {
        self.live.session.with(|it| it.as_ref().map(|it| it.may_break.clone()).unwrap_or_default())
    }

    /// Whether nodes can be added and removed: in the playground, and in lessons about nodes that go.
    pub(crate) fn may_change_nodes(self) -> bool {
        self.live
            .session
            .with(|it| it.as_ref().is_some_and(|it| it.lesson.is_none() || it.may_break.contains(&FaultKind::StopNode)))
    }

    fn holds(self, fault: &Fault) -> bool {
        self.live.session.with(|it| it.as_ref().is_some_and(|it| it.faults.contains(fault)))
    }
}

/// The row. It also holds the choice to show objects of the system.
#[component]
pub(crate) fn Tools(
    /// Whether they show.
    system: RwSignal<bool>,
    /// How large the picture is.
    zoom: Zoom,
) -> impl IntoView {
    let words = words();
    let hands: Hands = expect_context();
    let open = RwSignal::new(false);
    let offers = Memo::new(move |_| !hands.offered().is_empty());
    let may_change = Memo::new(move |_| hands.may_change_nodes());
    let faults =
        Memo::new(move |_| hands.live.session.with(|it| it.as_ref().map(|it| it.faults.clone()).unwrap_or_default()));
    let adding = move || hands.busy.get() > 0;
    view! {
        <div class="relative z-20 flex h-8 shrink-0 items-center gap-2 px-4 pt-1 text-xs">
            <ul class="flex min-w-0 grow items-center gap-1.5 overflow-hidden" aria-label=move || words.get().scene.faults_now>
                <For each=move || faults.get() key=Clone::clone let:fault>
                    <Held fault />
                </For>
            </ul>
            {move || hands.problem.get().map(|text| view! { <p class="truncate text-bad" role="alert" title=text.clone()>{text.clone()}</p> })}
            <label class="flex cursor-pointer items-center gap-1.5 whitespace-nowrap text-muted hover:text-ink">
                <input type="checkbox" class="m-1 size-4 accent-accent" prop:checked=system on:change=move |event| system.set(event_target_checked(&event)) />
                {move || words.get().system}
            </label>
            <ZoomButtons zoom />
            <Show when=move || may_change.get()>
                <button class=SMALL data-add-node disabled=adding on:click=move |_| hands.add()>
                    {icons::plus()}
                    {move || words.get().scene.add_node}
                </button>
            </Show>
            <Show when=move || offers.get()>
                <button class=SMALL data-break aria-expanded=move || if open.get() { "true" } else { "false" } on:click=move |_| open.update(|it| *it = !*it)>
                    {icons::bolt()}
                    {move || words.get().scene.faults}
                </button>
            </Show>
            <Show when=move || open.get() && offers.get()>
                <Panel open />
            </Show>
        </div>
    }
}

/// What a fault is about, in words.
fn target(fault: &Fault) -> String {
    match (&fault.component, fault.kind) {
        (Some(component), _) => format!("{} · {}", short_name(component), fault.node),
        (None, FaultKind::SlowWrites) => "etcd".to_owned(),
        (None, _) => fault.node.clone(),
    }
}

/// A fault that holds, with the button that heals it.
#[component]
fn Held(fault: Fault) -> impl IntoView {
    let words = words();
    let hands: Hands = expect_context();
    let text = {
        let fault = fault.clone();
        move || words.marks().labelled(target(&fault), words.get().scene.befallen(fault.kind))
    };
    let name = {
        let text = text.clone();
        move || words.marks().labelled(words.get().scene.heal, text())
    };
    view! {
        <li class="flex items-center gap-1 rounded-full bg-warn-soft py-0.5 ps-2.5 pe-1 whitespace-nowrap text-warn-ink">
            {icons::bolt()}
            <span>{text}</span>
            <button class="cursor-pointer rounded-full px-1.5 font-semibold underline-offset-2 hover:underline" data-heal aria-label=name on:click=move |_| hands.fault(fault.clone(), true)>
                {move || words.get().scene.heal}
            </button>
        </li>
    }
}

/// Everything that can be broken.
#[component]
fn Panel(open: RwSignal<bool>) -> impl IntoView {
    let words = words();
    let live = live();
    let nodes = Memo::new(move |_| {
        live.topology.with(|it| it.nodes.iter().map(|it| (it.name.clone(), it.role)).collect::<Vec<_>>())
    });
    let panel = NodeRef::<leptos::html::Div>::new();
    Effect::new(move || {
        if let Some(panel) = panel.get() {
            let _ = panel.focus();
        }
    });
    let escape = move |event: KeyboardEvent| {
        if event.key() == "Escape" {
            event.stop_propagation();
            open.set(false);
        }
    };
    view! {
        <div node_ref=panel tabindex="-1" class=format!("{OVERLAY} rise absolute top-full right-4 z-40 mt-1 max-h-[26rem] w-[30rem] max-w-[calc(100%-2rem)] overflow-y-auto") role="dialog" aria-label=move || words.get().scene.faults on:keydown=escape>
            <div class="flex items-center gap-2">
                <h2 class="grow font-semibold">{move || words.get().scene.faults_title}</h2>
                <button class=ICON_BUTTON aria-label=move || words.get().close title=move || words.get().close on:click=move |_| open.set(false)>{icons::cross()}</button>
            </div>
            <h3 class="mt-2 text-xs text-muted">{move || words.get().scene.f_nodes}</h3>
            <For each=move || nodes.get() key=Clone::clone let:node>
                <div class="flex flex-wrap items-center gap-1.5 border-b border-line py-1.5 last:border-0">
                    <span class="w-24 truncate font-medium">{node.0.clone()}</span>
                    <NodeFaults node=node.0.clone() />
                </div>
            </For>
            <h3 class="mt-3 text-xs text-muted">{move || words.get().scene.f_components}</h3>
            <For each=move || nodes.get() key=Clone::clone let:node>
                {components(node.1).iter().map(|component| view! {
                    <div class="flex flex-wrap items-center gap-1.5 border-b border-line py-1.5 last:border-0">
                        <span class="w-56 truncate font-medium">{*component}" "<span class="font-normal text-muted">{node.0.clone()}</span></span>
                        <ComponentFaults node=node.0.clone() component=(*component).to_owned() />
                    </div>
                }).collect_view()}
            </For>
        </div>
    }
}

/// Components that run as processes of their own.
fn components(role: NodeRole) -> &'static [&'static str] {
    match role {
        NodeRole::Master => &["kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "kube-proxy"],
        NodeRole::Worker => &["kube-proxy"],
    }
}

/// Buttons for all that can befall a node.
#[component]
pub(crate) fn NodeFaults(node: String) -> impl IntoView {
    let kinds = [FaultKind::StopNode, FaultKind::FreezeNode, FaultKind::CutNode, FaultKind::Loss];
    kinds.map(|kind| view! { <Toggle fault=Fault { kind, node: node.clone(), component: None } /> }).collect_view()
}

/// Buttons for all that can befall a component; none for the kubelet, which is its node.
#[component]
pub(crate) fn ComponentFaults(node: String, component: String) -> impl IntoView {
    let mut faults = Vec::new();
    if component != "kubelet" {
        let of = |kind| Fault { kind, node: node.clone(), component: Some(component.clone()) };
        faults.extend([of(FaultKind::KillComponent), of(FaultKind::PauseComponent)]);
    }
    if component == "etcd" {
        faults.push(Fault { kind: FaultKind::SlowWrites, node, component: None });
    }
    faults.into_iter().map(|fault| view! { <Toggle fault /> }).collect_view()
}

/// Breaks something at a click, and heals it at the next.
#[component]
fn Toggle(fault: Fault) -> impl IntoView {
    let words = words();
    let hands: Hands = expect_context();
    let fault = StoredValue::new(fault);
    let kind = fault.with_value(|it| it.kind);
    let offered = Memo::new(move |_| hands.offered().contains(&kind));
    let on = Memo::new(move |_| fault.with_value(|it| hands.holds(it)));
    let class = move || {
        let tone = if on.get() { "border-warn bg-warn-soft text-warn-ink" } else { "" };
        format!("{SMALL} {tone}")
    };
    let label = move || {
        let words = words.get();
        fault.with_value(|it| format!("{} {}", words.scene.fault(kind).0, target(it)))
    };
    view! {
        <Show when=move || offered.get()>
            <button
                class=class
                aria-label=label
                aria-pressed=move || kind.lasts().then(|| if on.get() { "true" } else { "false" })
                title=move || words.get().scene.fault(kind).1
                disabled=move || { hands.busy.get() > 0 }
                on:click=move |_| hands.fault(fault.get_value(), on.get_untracked())
            >
                {move || words.get().scene.fault(kind).0}
            </button>
        </Show>
    }
}

/// Whether a node can be started, being off.
pub(crate) fn is_off(node: &Node) -> bool {
    node.state == NodeState::Stopped
}
