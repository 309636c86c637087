//! The panel beside the picture that tells all about the chosen thing, and what can be done with it.

use drydock_protocol::{Node, NodeRole, NodeState, Topology};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::icons;
use super::picture::{Scene, Thing};
use super::terminals::runner;
use crate::classes::{BUTTON, ICON_BUTTON, OVERLAY};
use crate::diagram::looks::ready_containers;
use crate::diagram::pod_id;
use crate::live::live;
use crate::settings::words;
use crate::text::Texts;
use crate::{api, format};

/// What the panel shows.
#[derive(Clone, Default, PartialEq)]
struct Sheet {
    kind: String,
    name: String,
    rows: Vec<(&'static str, Vec<String>)>,
    /// Names of commands and the commands.
    commands: Vec<(&'static str, String)>,
    /// A node that can be stopped (`stop`) or started (`start`).
    switch: Option<(String, &'static str)>,
}

/// The panel.
#[component]
pub(crate) fn Details() -> impl IntoView {
    let words = words();
    let live = live();
    let scene: Scene = expect_context();
    let sheet = Memo::new(move |_| {
        let thing = scene.chosen.get()?;
        let words = words.get();
        live.topology.with(|it| sheet(&thing, it, words))
    });
    // What is looked at may go.
    Effect::new(move || {
        if scene.chosen.with(Option::is_some) && sheet.with(Option::is_none) {
            scene.chosen.set(None);
        }
    });
    // Beside what it is about, not on it.
    let side = move || {
        let chosen = scene.chosen.get();
        scene.layout.with(|it| {
            let rect = match &chosen {
                Some(Thing::Pod(id)) => it.pods.get(id).copied(),
                Some(Thing::Deployment(key)) => it.deployments.get(key).copied(),
                Some(Thing::Service(key)) => it.services.get(key).copied(),
                Some(Thing::Node(name)) => it.nodes.get(name).map(|it| it.title),
                Some(Thing::Component(node, name)) if node.is_empty() => it.components.get(name).copied(),
                Some(Thing::Component(node, name)) => {
                    let place = it.nodes.get(node).unwrap_or(&it.master);
                    place.agents.iter().find(|it| it.0 == *name).map(|it| it.1)
                }
                None => None,
            };
            if rect.is_some_and(|rect| rect.center().x > it.size.width / 2.0) { "left-4" } else { "right-4" }
        })
    };
    let switch = move |node: String, verb: &'static str| {
        let id = live.id.get_value();
        spawn_local(async move {
            if let Ok(session) = api::node(&id, &node, verb).await {
                live.set_session(session);
            }
        });
    };
    view! {
        {move || sheet.get().map(|sheet| view! {
            <aside class=format!("{OVERLAY} rise absolute top-4 z-30 max-h-[calc(100%-2rem)] w-72 overflow-y-auto {}", side()) aria-label=words.get().details>
                <div class="flex items-start gap-2">
                    <div class="min-w-0 grow">
                        <p class="text-xs text-muted">{sheet.kind}</p>
                        <h2 class="font-semibold break-all">{sheet.name}</h2>
                    </div>
                    <button class=ICON_BUTTON aria-label=words.get().close title=words.get().close on:click=move |_| scene.chosen.set(None)>
                        {icons::cross()}
                    </button>
                </div>
                <dl class="mt-3 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-[13px]">
                    {sheet.rows.into_iter().map(|(name, values)| view! {
                        <dt class="text-muted">{name}</dt>
                        <dd class="min-w-0 break-words">{values.into_iter().map(|it| view! { <div>{it}</div> }).collect_view()}</dd>
                    }).collect_view()}
                </dl>
                <div class="mt-3 flex flex-wrap gap-2 empty:hidden">
                    {sheet.commands.into_iter().map(|(name, command)| view! {
                        <button class=BUTTON title=command.clone() on:click=move |_| runner().run("workstation", &command)>{name}</button>
                    }).collect_view()}
                    {sheet.switch.map(|(node, verb)| view! {
                        <button class=BUTTON on:click=move |_| switch(node.clone(), verb)>
                            {if verb == "stop" { words.get().stop_node } else { words.get().start_node }}
                        </button>
                    })}
                </div>
            </aside>
        })}
    }
}

/// A row, unless there is nothing to say.
fn row(rows: &mut Vec<(&'static str, Vec<String>)>, name: &'static str, values: impl IntoIterator<Item = String>) {
    let values: Vec<String> = values.into_iter().filter(|it| !it.is_empty()).collect();
    if !values.is_empty() {
        rows.push((name, values));
    }
}

fn sheet(thing: &Thing, topology: &Topology, words: &Texts) -> Option<Sheet> {
    match thing {
        Thing::Pod(id) => pod_sheet(id, topology, words),
        Thing::Node(name) => Some(node_sheet(topology.nodes.iter().find(|it| it.name == *name)?, words)),
        Thing::Component(node, name) => component_sheet(node, name, topology, words),
        Thing::Deployment(key) => {
            let it = topology.deployments.iter().find(|it| it.key() == *key)?;
            let mut rows = Vec::new();
            row(&mut rows, words.d_namespace, [it.namespace.clone()]);
            row(&mut rows, words.d_replicas, [(words.ready_of)(it.ready as usize, it.replicas as usize)]);
            let sets = topology.replica_sets.iter().filter(|set| {
                set.deployment.as_deref() == Some(&it.name) && set.namespace == it.namespace && set.replicas > 0
            });
            row(&mut rows, "ReplicaSets", sets.map(|it| format!("{} · {}/{}", it.name, it.ready, it.replicas)));
            row(&mut rows, words.d_images, it.images.clone());
            let commands =
                vec![(words.describe, format!("kubectl describe deployment {} -n {}", it.name, it.namespace))];
            Some(Sheet { kind: "Deployment".into(), name: it.name.clone(), rows, commands, switch: None })
        }
        Thing::Service(key) => {
            let it = topology.services.iter().find(|it| it.key() == *key)?;
            let mut rows = Vec::new();
            row(&mut rows, words.d_namespace, [it.namespace.clone()]);
            row(&mut rows, words.d_kind, [it.r#type.clone()]);
            row(&mut rows, words.d_ip, it.cluster_ip.clone());
            row(
                &mut rows,
                words.d_ports,
                it.ports.iter().map(|it| {
                    let node_port = it.node_port.map(|it| format!(" · NodePort {it}")).unwrap_or_default();
                    format!("{} → {}/{}{node_port}", it.port, it.target_port, it.protocol)
                }),
            );
            row(&mut rows, words.d_selector, it.selector.iter().map(|(key, value)| format!("{key}={value}")));
            row(
                &mut rows,
                words.d_endpoints,
                it.endpoints.iter().map(|it| {
                    let state = if it.ready { String::new() } else { format!(" · {}", words.not_ready) };
                    format!("{}{state}", it.pod.clone().unwrap_or_else(|| it.ip.clone()))
                }),
            );
            let commands = vec![(words.describe, format!("kubectl describe service {} -n {}", it.name, it.namespace))];
            Some(Sheet { kind: "Service".into(), name: it.name.clone(), rows, commands, switch: None })
        }
    }
}

fn pod_sheet(id: &str, topology: &Topology, words: &Texts) -> Option<Sheet> {
    let it = topology.pods.iter().find(|it| pod_id(it) == id)?;
    let (ready, all) = ready_containers(it);
    let mut rows = Vec::new();
    row(&mut rows, words.d_namespace, [it.namespace.clone()]);
    row(&mut rows, words.d_state, [format!("{} · {}", it.state, (words.ready_of)(ready, all))]);
    row(&mut rows, words.d_ip, it.ip.clone());
    row(&mut rows, words.d_node, it.node.clone());
    row(&mut rows, words.d_owner, it.owners.iter().map(|it| format!("{} {}", it.kind, it.name)));
    row(
        &mut rows,
        words.d_containers,
        it.containers.iter().map(|it| format!("{} · {} · {}", it.name, it.image, it.state)),
    );
    row(&mut rows, words.d_restarts, [it.restarts.to_string()]);
    row(&mut rows, words.d_labels, it.labels.iter().map(|(key, value)| format!("{key}={value}")));
    let target = format!("{} -n {}", it.name, it.namespace);
    let commands = vec![
        (words.describe, format!("kubectl describe pod {target}")),
        (words.logs, format!("kubectl logs {target}")),
    ];
    Some(Sheet { kind: "Pod".into(), name: it.name.clone(), rows, commands, switch: None })
}

fn node_sheet(it: &Node, words: &Texts) -> Sheet {
    let state = match it.state {
        NodeState::Ready => "Ready",
        NodeState::NotReady => "NotReady",
        NodeState::Starting => words.starting,
        NodeState::Stopped => words.stopped,
    };
    let mut rows = Vec::new();
    row(
        &mut rows,
        words.d_state,
        [state.to_owned(), if it.unschedulable { words.cordoned.to_owned() } else { String::new() }],
    );
    row(&mut rows, words.d_ip, [it.ip.clone()]);
    row(&mut rows, words.d_cidr, it.pod_cidr.clone());
    row(&mut rows, "CPU", it.cpu_millis.map(format::cpu));
    row(&mut rows, words.d_memory, it.memory_bytes.map(format::bytes));
    row(&mut rows, words.d_components, it.components.iter().map(|it| it.name.clone()));
    let verb = if it.state == NodeState::Stopped { "start" } else { "stop" };
    let commands = vec![(words.describe, format!("kubectl describe node {}", it.name))];
    let switch = (it.role == NodeRole::Worker).then(|| (it.name.clone(), verb));
    Sheet { kind: words.d_node.to_owned(), name: it.name.clone(), rows, commands, switch }
}

fn component_sheet(node: &str, name: &str, topology: &Topology, words: &Texts) -> Option<Sheet> {
    let node = topology.nodes.iter().find(|it| it.name == node || (node.is_empty() && it.role == NodeRole::Master))?;
    let it = node.components.iter().find(|it| it.name == name)?;
    let state = match it.state {
        drydock_protocol::ComponentState::Running => words.running,
        drydock_protocol::ComponentState::Starting => words.starting,
        drydock_protocol::ComponentState::Failing => words.failing,
        drydock_protocol::ComponentState::Stopped => words.stopped,
    };
    let mut rows = Vec::new();
    row(&mut rows, words.d_state, [state.to_owned()]);
    row(&mut rows, words.d_node, [node.name.clone()]);
    row(&mut rows, words.d_memory, it.memory_bytes.map(format::bytes));
    row(&mut rows, words.d_restarts, [it.restarts.to_string()]);
    // The kubelet is the node's first process; all others are static pods.
    let commands = if name == "kubelet" {
        Vec::new()
    } else {
        let pod = format!("{name}-{} -n kube-system", node.name);
        vec![(words.describe, format!("kubectl describe pod {pod}")), (words.logs, format!("kubectl logs {pod}"))]
    };
    Some(Sheet { kind: words.d_components.to_owned(), name: name.to_owned(), rows, commands, switch: None })
}
