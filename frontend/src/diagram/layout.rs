//! Rectangles for everything.

use std::collections::BTreeMap;

use drydock_protocol::{Deployment, Node, NodeRole, ObjectKey, Service, Topology};

use super::edges::{self, Edge};
use super::geometry::Rect;
use super::{Slots, is_card, is_system, pod_id};

/// Room around everything.
const MARGIN: f64 = 16.0;
/// Room between boxes.
const GAP: f64 = 12.0;
/// Room between lane and nodes, where edges run.
pub(super) const BUS: f64 = 24.0;
/// Inner room of a node.
const PAD: f64 = 14.0;
/// From a node's upper border to its first pod.
const NODE_HEAD: f64 = 40.0;
/// From a node's last pod to its lower border, agents included.
const NODE_FOOT: f64 = 42.0;
/// Least width of a node.
const NODE_MIN: f64 = 226.0;
/// Height of a deployment's or service's chip.
const CHIP: f64 = 38.0;
/// Average width of a character in titles.
const CHAR: f64 = 7.0;

/// Width and height of the place that the picture has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// How much a pod's card says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Density {
    /// Name and a second line.
    #[default]
    Roomy,
    /// Name only.
    Compact,
    /// Only the shape of its state.
    Signs,
}

impl Density {
    const ALL: [Self; 3] = [Self::Roomy, Self::Compact, Self::Signs];

    /// Least width and the height of a card.
    const fn card(self) -> (f64, f64) {
        match self {
            Self::Roomy => (128.0, 46.0),
            Self::Compact => (108.0, 26.0),
            Self::Signs => (22.0, 22.0),
        }
    }

    /// Room between cards.
    pub(super) const fn gap(self) -> f64 {
        match self {
            Self::Roomy => 10.0,
            Self::Compact => 8.0,
            Self::Signs => 5.0,
        }
    }
}

/// A node's box.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeBox {
    /// Its border.
    pub rect: Rect,
    /// The place of its title, which edges keep out of.
    pub title: Rect,
    /// Its agents with their places: kubelet, kube-proxy.
    pub agents: Vec<(String, Rect)>,
    /// First row of pods begins here.
    pub pods_top: f64,
    /// Row of nodes in which it stands, 0 the uppermost.
    pub row: usize,
}

/// The whole picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Width and height of what was laid out; the height may be more than was there.
    pub size: Size,
    /// How much cards say.
    pub density: Density,
    /// The master's box, with its agents in the title row.
    pub master: NodeBox,
    /// Control plane components by name.
    pub components: BTreeMap<String, Rect>,
    /// The place where pods wait for a node.
    pub queue: Rect,
    /// Box around the deployments.
    pub deployments_lane: Rect,
    /// Box around the services.
    pub services_lane: Rect,
    /// Deployments.
    pub deployments: BTreeMap<ObjectKey, Rect>,
    /// Services.
    pub services: BTreeMap<ObjectKey, Rect>,
    /// Worker nodes by name.
    pub nodes: BTreeMap<String, NodeBox>,
    /// Pods by identity, those that wait for a node included.
    pub pods: BTreeMap<String, Rect>,
    /// Services to their pods.
    pub edges: BTreeMap<String, Edge>,
}

/// Components of the control plane, in the order of a request.
pub const CONTROL_PLANE: [&str; 4] = ["kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler"];

/// Whether a component belongs to the control plane; the others are a node's agents.
#[must_use]
pub fn is_control_plane(component: &str) -> bool {
    CONTROL_PLANE.contains(&component)
}

/// Lays out `topology` for a place of `size`. `system` says whether deployments and services of the system show.
#[must_use]
pub fn layout(topology: &Topology, slots: &Slots, size: Size, system: bool) -> Layout {
    let mut best = Layout::default();
    for density in Density::ALL {
        best = lay_out(topology, slots, size, system, density);
        if best.size.height <= size.height + 0.5 {
            break;
        }
    }
    edges::connect(&mut best, topology);
    best
}

fn lay_out(topology: &Topology, slots: &Slots, size: Size, system: bool, density: Density) -> Layout {
    let width = size.width.max(NODE_MIN + 2.0 * MARGIN);
    let mut out = Layout { density, ..Layout::default() };
    let inner = width - 2.0 * MARGIN;
    place_master(&mut out, topology, slots, inner);
    let lane_top = out.master.rect.bottom() + GAP;
    let lane_bottom = place_lane(&mut out, topology, system, inner, lane_top);
    let bottom = place_nodes(&mut out, topology, slots, inner, lane_bottom + BUS, size.height);
    out.size = Size { width, height: (bottom + MARGIN).max(size.height) };
    out
}

fn place_master(out: &mut Layout, topology: &Topology, slots: &Slots, inner: f64) {
    let (head, height, foot) = (38.0, 44.0, 18.0);
    let (x, y) = (MARGIN + PAD, MARGIN + head);
    // Weights follow the length of the names; the queue comes last.
    let weights = [1.05, 0.8, 1.55, 1.05, 1.0];
    let gap = 16.0;
    let unit = (inner - 2.0 * PAD - 4.0 * gap) / weights.iter().sum::<f64>();
    let mut left = x;
    for (index, weight) in weights.iter().enumerate() {
        let rect = Rect::new(left, y, unit * weight, height);
        match CONTROL_PLANE.get(index) {
            Some(name) => drop(out.components.insert((*name).to_owned(), rect)),
            None => out.queue = rect,
        }
        left = rect.right() + gap;
    }
    let waiting: Vec<String> = topology.pods.iter().filter(|it| is_card(it) && it.node.is_none()).map(pod_id).collect();
    for (index, pod) in waiting.into_iter().enumerate() {
        // Signs side by side under the queue's title; the last place is shared by all that do not fit.
        let room = ((out.queue.w - 20.0) / 14.0).floor().max(1.0) as usize;
        let column = index.min(room - 1) as f64;
        out.pods.insert(pod, Rect::new(out.queue.x + 10.0 + column * 14.0, out.queue.y + 25.0, 12.0, 12.0));
    }
    let master = topology.nodes.iter().find(|it| it.role == NodeRole::Master);
    let name = master.map_or("", |it| it.name.as_str());
    let pods_top = y + height + foot;
    let pods_bottom = place_pods(out, slots, name, Rect::new(x, pods_top, inner - 2.0 * PAD, 0.0));
    let rect = Rect::new(MARGIN, MARGIN, inner, pods_bottom.map_or(pods_top, |it| it + PAD) - MARGIN);
    let title = Rect::new(x, MARGIN + 8.0, title_width(master).min(inner - 2.0 * PAD), 20.0);
    let mut agents = Vec::new();
    let mut right = rect.right() - PAD;
    for component in
        master.into_iter().flat_map(|it| it.components.iter().rev()).filter(|it| !is_control_plane(&it.name))
    {
        let w = agent_width(&component.name);
        if right - w < title.right() + GAP {
            break;
        }
        agents.push((component.name.clone(), Rect::new(right - w, MARGIN + 7.0, w, 22.0)));
        right -= w + 8.0;
    }
    out.master = NodeBox { rect, title, agents, pods_top, row: 0 };
}

/// Deployments left, services right, each in a dashed box that grows by rows.
fn place_lane(out: &mut Layout, topology: &Topology, system: bool, inner: f64, top: f64) -> f64 {
    let deployments: Vec<&Deployment> =
        topology.deployments.iter().filter(|it| system || !is_system(&it.namespace)).collect();
    let services: Vec<&Service> = topology.services.iter().filter(|it| system || !is_system(&it.namespace)).collect();
    let left = ((inner - GAP) * 0.4).floor();
    let right = inner - GAP - left;
    let (chips_left, bottom_left) = chips(Rect::new(MARGIN, top, left, 0.0), deployments.len());
    let (chips_right, bottom_right) = chips(Rect::new(MARGIN + left + GAP, top, right, 0.0), services.len());
    let bottom = bottom_left.max(bottom_right);
    out.deployments_lane = Rect::new(MARGIN, top, left, bottom - top);
    out.services_lane = Rect::new(MARGIN + left + GAP, top, right, bottom - top);
    out.deployments = deployments.iter().map(|it| it.key()).zip(chips_left).collect();
    out.services = services.iter().map(|it| it.key()).zip(chips_right).collect();
    bottom
}

fn chips(lane: Rect, count: usize) -> (Vec<Rect>, f64) {
    let (head, pad, least) = (24.0, 10.0, 146.0);
    let columns = (((lane.w - 2.0 * PAD + GAP) / (least + GAP)).floor() as usize).max(1);
    let w = ((lane.w - 2.0 * PAD + GAP) / columns as f64 - GAP).min(220.0);
    let chip = |index: usize| {
        let (row, column) = (index / columns, index % columns);
        Rect::new(lane.x + PAD + column as f64 * (w + GAP), lane.y + head + row as f64 * (CHIP + 8.0), w, CHIP)
    };
    let rows = count.div_ceil(columns).max(1);
    ((0..count).map(chip).collect(), lane.y + head + rows as f64 * (CHIP + 8.0) - 8.0 + pad)
}

fn place_nodes(out: &mut Layout, topology: &Topology, slots: &Slots, inner: f64, top: f64, height: f64) -> f64 {
    let workers: Vec<&Node> = topology.nodes.iter().filter(|it| it.role == NodeRole::Worker).collect();
    if workers.is_empty() {
        return top;
    }
    let fitting = (((inner + GAP) / (NODE_MIN + GAP)).floor() as usize).max(1);
    let rows = workers.len().div_ceil(fitting);
    let columns = workers.len().div_ceil(rows);
    let w = (inner + GAP) / columns as f64 - GAP;
    let mut needed = Vec::new();
    for row in workers.chunks(columns) {
        let most = row.iter().map(|it| slots.needed(&it.name)).max().unwrap_or(0);
        let grid = Grid::new(w - 2.0 * PAD, out.density);
        needed.push(NODE_HEAD + grid.height(most).max(grid.card_height) + NODE_FOOT);
    }
    let all: f64 = needed.iter().sum::<f64>() + BUS * (rows - 1) as f64;
    let spare = ((height - MARGIN - top - all) / rows as f64).max(0.0);
    let mut y = top;
    for (row, (nodes, least)) in workers.chunks(columns).zip(&needed).enumerate() {
        let h = least + spare;
        for (column, node) in nodes.iter().enumerate() {
            let rect = Rect::new(MARGIN + column as f64 * (w + GAP), y, w, h);
            let pods_top = y + NODE_HEAD;
            place_pods(out, slots, &node.name, Rect::new(rect.x + PAD, pods_top, w - 2.0 * PAD, 0.0));
            let title = Rect::new(rect.x + PAD, y + 9.0, title_width(Some(node)).min(w - 2.0 * PAD - 22.0), 20.0);
            let mut left = rect.x + PAD;
            let mut agents = Vec::new();
            for component in &node.components {
                let agent = Rect::new(left, rect.bottom() - 34.0, agent_width(&component.name), 24.0);
                if agent.right() > rect.right() - PAD {
                    break;
                }
                left = agent.right() + 8.0;
                agents.push((component.name.clone(), agent));
            }
            out.nodes.insert(node.name.clone(), NodeBox { rect, title, agents, pods_top, row });
        }
        y += h + BUS;
    }
    y - BUS
}

/// Places a node's pods in a grid at `area`'s upper left; returns where the last row ends.
fn place_pods(out: &mut Layout, slots: &Slots, node: &str, area: Rect) -> Option<f64> {
    let grid = Grid::new(area.w, out.density);
    for (place, pod) in slots.on(node) {
        out.pods.insert(pod.to_owned(), grid.card(place, area.x, area.y));
    }
    (slots.needed(node) > 0).then(|| area.y + grid.height(slots.needed(node)))
}

/// The grid of a node's pods. Its columns depend on width and density alone, so that places stay.
struct Grid {
    columns: usize,
    card_width: f64,
    card_height: f64,
    gap: f64,
}

impl Grid {
    fn new(width: f64, density: Density) -> Self {
        let (least, card_height) = density.card();
        let gap = density.gap();
        let columns = (((width + gap) / (least + gap)).floor() as usize).max(1);
        let widest = if density == Density::Signs { least } else { 190.0 };
        Self { columns, card_width: ((width + gap) / columns as f64 - gap).min(widest), card_height, gap }
    }

    fn card(&self, place: usize, x: f64, y: f64) -> Rect {
        let (row, column) = (place / self.columns, place % self.columns);
        let (x, y) = (x + column as f64 * (self.card_width + self.gap), y + row as f64 * (self.card_height + self.gap));
        Rect::new(x, y, self.card_width, self.card_height)
    }

    fn height(&self, places: usize) -> f64 {
        let rows = places.div_ceil(self.columns) as f64;
        (rows * (self.card_height + self.gap) - self.gap).max(0.0)
    }
}

/// What stands behind a node's name: address and use.
#[must_use]
pub fn node_details(node: &Node) -> String {
    let mut parts = vec![node.ip.clone()];
    parts.extend(node.cpu_millis.map(|it| format!("cpu {}", crate::format::cpu(it))));
    parts.extend(node.memory_bytes.map(crate::format::bytes));
    parts.retain(|it| !it.is_empty());
    parts.join(" · ")
}

fn title_width(node: Option<&Node>) -> f64 {
    node.map_or(0.0, |it| {
        22.0 + (it.name.chars().count() as f64 + 2.0) * CHAR + node_details(it).chars().count() as f64 * 6.2
    })
}

fn agent_width(name: &str) -> f64 {
    name.chars().count() as f64 * 6.3 + 32.0
}
