//! Rectangles for everything.

use std::collections::BTreeMap;

use drydock_protocol::{Node, NodeRole, ObjectKey, ObjectKind, Topology};

use super::edges::{self, Edge};
use super::geometry::Rect;
use super::{Slots, group_id, is_card, is_system, pod_id};

/// Room between the columns of a picture, and inside of its boxes.
const GAP: f64 = 12.0;
/// Inner room of a node.
const PAD: f64 = 14.0;
/// Least width of a node.
const NODE_MIN: f64 = 226.0;
/// Average width of a character in titles.
const CHAR: f64 = 7.0;
/// Height that must be to spare before cards say more again: more than a row of the largest.
const SPARE: f64 = 60.0;
/// Room between ingresses and services, where the lines between them run.
const GUTTER: f64 = 34.0;

/// Heights: generous where there is room, tight on a small screen.
#[derive(Clone, Copy)]
struct Heights {
    /// Room around everything.
    margin: f64,
    /// Room between lane and nodes, where edges run.
    bus: f64,
    /// From the master's upper border to its components, their height, and the room for lines below them.
    master: [f64; 3],
    /// From a lane's upper border to its chips, their height, and the room below them.
    lane: [f64; 3],
    /// From a node's upper border to its first pod, and from its last pod to its lower border.
    node: [f64; 2],
    /// An agent.
    agent: f64,
    /// A pod's card with two lines.
    card: f64,
}

impl Heights {
    const GENEROUS: Self = Self {
        margin: 16.0,
        bus: 24.0,
        master: [38.0, 44.0, 18.0],
        lane: [24.0, 38.0, 10.0],
        node: [40.0, 44.0],
        agent: 24.0,
        card: 46.0,
    };
    const TIGHT: Self = Self {
        margin: 12.0,
        bus: 20.0,
        master: [34.0, 38.0, 15.0],
        lane: [21.0, 34.0, 8.0],
        node: [38.0, 38.0],
        agent: 22.0,
        card: 42.0,
    };

    /// One line each.
    const LEAST: Self = Self {
        margin: 8.0,
        bus: 16.0,
        master: [30.0, 26.0, 13.0],
        lane: [20.0, 24.0, 6.0],
        node: [34.0, 30.0],
        agent: 20.0,
        card: 40.0,
    };

    fn of(height: f64) -> Self {
        if height < 340.0 {
            Self::LEAST
        } else if height < 450.0 {
            Self::TIGHT
        } else {
            Self::GENEROUS
        }
    }
}

/// Width and height of the place that the picture has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// How much a pod's card says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Density {
    /// Name and a second line.
    #[default]
    Roomy,
    /// Name only.
    Compact,
    /// The end of the name, which tells replicas apart.
    Ends,
    /// Only the shape of its state.
    Signs,
    /// No cards of their own: one for all of an owner's pods on a node.
    Groups,
}

impl Density {
    const ALL: [Self; 5] = [Self::Roomy, Self::Compact, Self::Ends, Self::Signs, Self::Groups];

    /// Least width and the height of a card, the height of a roomy one being given.
    const fn card(self, roomy: f64) -> (f64, f64) {
        match self {
            Self::Roomy => (128.0, roomy),
            Self::Groups => (132.0, 36.0),
            Self::Compact => (108.0, 26.0),
            Self::Ends => (66.0, 20.0),
            Self::Signs => (22.0, 22.0),
        }
    }

    /// Room between cards.
    pub(super) const fn gap(self) -> f64 {
        match self {
            Self::Roomy | Self::Groups => 10.0,
            Self::Compact => 8.0,
            Self::Ends => 5.0,
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
    /// What stands behind its name: address and use, as far as there is room.
    pub details: String,
    /// Its agents with their places: kubelet, kube-proxy.
    pub agents: Vec<(String, Rect)>,
    /// First row of pods begins here.
    pub pods_top: f64,
    /// Row of nodes in which it stands, 0 the uppermost.
    pub row: usize,
}

/// What the viewer wants to see, and saw before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// Whether workloads, services and ingresses of the system show.
    pub system: bool,
    /// How much cards said before; they say more again only where there is room to spare, so that a pod that comes and
    /// goes does not change all cards each time.
    pub before: Option<Density>,
}

/// Pods of one owner on one node, shown as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Its card.
    pub rect: Rect,
    /// Identities of its pods.
    pub pods: Vec<String>,
}

/// The whole picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Width and height of what was laid out; the height may be more than was there.
    pub size: Size,
    /// The height that it needs, without what is spare.
    pub needed: f64,
    /// How much cards say.
    pub density: Density,
    /// Room between lane and nodes, and between rows of nodes.
    pub bus: f64,
    /// The master's name, empty before it is known.
    pub master_name: String,
    /// The master's box, with its agents in the title row.
    pub master: NodeBox,
    /// Control plane components by name.
    pub components: BTreeMap<String, Rect>,
    /// The place where pods wait for a node.
    pub queue: Rect,
    /// Box around the workloads.
    pub workloads_lane: Rect,
    /// Box around services and ingresses.
    pub services_lane: Rect,
    /// Deployments, StatefulSets, DaemonSets and Jobs.
    pub workloads: BTreeMap<ObjectKey, Rect>,
    /// Services.
    pub services: BTreeMap<ObjectKey, Rect>,
    /// Ingresses.
    pub ingresses: BTreeMap<ObjectKey, Rect>,
    /// Worker nodes by name.
    pub nodes: BTreeMap<String, NodeBox>,
    /// Pods by identity, those that wait for a node included.
    pub pods: BTreeMap<String, Rect>,
    /// Groups of pods by identity, where pods have no cards of their own.
    pub groups: BTreeMap<String, Group>,
    /// Services to their pods, ingresses to their services.
    pub edges: BTreeMap<String, Edge>,
}

/// Lower than this, a chip has one line.
pub const ONE_LINE: f64 = 30.0;

/// Components of the control plane, in the order of a request.
pub const CONTROL_PLANE: [&str; 4] = ["kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler"];

/// Whether a component belongs to the control plane; the others are a node's agents.
#[must_use]
pub fn is_control_plane(component: &str) -> bool {
    CONTROL_PLANE.contains(&component)
}

/// Lays out `topology` for a place of `size`.
#[must_use]
pub fn layout(topology: &Topology, slots: &Slots, size: Size, view: View) -> Layout {
    let mut best = Layout { needed: f64::INFINITY, ..Layout::default() };
    for density in Density::ALL {
        let it = lay_out(topology, slots, size, view.system, density);
        let is_roomier = view.before.is_some_and(|before| density < before);
        let spare = if is_roomier { SPARE } else { -0.5 };
        let fits = it.needed + spare <= size.height;
        // Where nothing fits, what needs the least is scrolled.
        if fits || it.needed < best.needed {
            best = it;
        }
        if fits {
            break;
        }
    }
    edges::connect(&mut best, topology);
    best
}

fn lay_out(topology: &Topology, slots: &Slots, size: Size, system: bool, density: Density) -> Layout {
    let heights = Heights::of(size.height);
    let inner = (size.width - 2.0 * heights.margin).max(NODE_MIN);
    let mut plan =
        Plan { out: Layout { density, bus: heights.bus, ..Layout::default() }, topology, slots, heights, inner };
    plan.master();
    let lane_bottom = plan.lanes(system);
    let (bottom, spare) = plan.nodes(lane_bottom + heights.bus, size.height);
    plan.out.needed = bottom + heights.margin - spare;
    plan.out.size = Size { width: inner + 2.0 * heights.margin, height: (bottom + heights.margin).max(size.height) };
    plan.out
}

/// A picture in the making.
struct Plan<'a> {
    out: Layout,
    topology: &'a Topology,
    slots: &'a Slots,
    heights: Heights,
    /// Width without the margins.
    inner: f64,
}

impl Plan<'_> {
    fn master(&mut self) {
        let margin = self.heights.margin;
        let [head, height, foot] = self.heights.master;
        let (x, y) = (margin + PAD, margin + head);
        // Weights follow the length of the names; the queue comes last.
        let weights = [1.05, 0.92, 1.48, 1.08, 0.97];
        let gap = 16.0;
        let unit = (self.inner - 2.0 * PAD - 4.0 * gap) / weights.iter().sum::<f64>();
        let mut left = x;
        for (index, weight) in weights.iter().enumerate() {
            let rect = Rect::new(left, y, unit * weight, height);
            match CONTROL_PLANE.get(index) {
                Some(name) => drop(self.out.components.insert((*name).to_owned(), rect)),
                None => self.out.queue = rect,
            }
            left = rect.right() + gap;
        }
        self.waiting();
        let master = self.topology.nodes.iter().find(|it| it.role == NodeRole::Master);
        let name = master.map_or("", |it| it.name.as_str());
        self.out.master_name = name.to_owned();
        let pods_top = y + height + foot;
        let pods_bottom = self.pods(name, x, pods_top, self.inner - 2.0 * PAD);
        let rect = Rect::new(margin, margin, self.inner, pods_bottom.map_or(pods_top, |it| it + PAD) - margin);
        let (details, width) = master.map(|it| title(it, self.inner - 2.0 * PAD)).unwrap_or_default();
        let title = Rect::new(x, margin + (head - 20.0) / 2.0, width, 20.0);
        let mut agents = Vec::new();
        let mut right = rect.right() - PAD;
        for component in
            master.into_iter().flat_map(|it| it.components.iter().rev()).filter(|it| !is_control_plane(&it.name))
        {
            let w = agent_width(&component.name);
            if right - w < title.right() + GAP {
                break;
            }
            agents.push((component.name.clone(), Rect::new(right - w, margin + (head - 22.0) / 2.0, w, 22.0)));
            right -= w + 8.0;
        }
        self.out.master = NodeBox { rect, title, details, agents, pods_top, row: 0 };
    }

    /// Pods without a node: signs side by side under the queue's title; the last place is shared by all that do
    /// not fit.
    fn waiting(&mut self) {
        let queue = self.out.queue;
        let room = ((queue.w - 20.0) / 14.0).floor().max(1.0) as usize;
        let pods = self.topology.pods.iter().filter(|it| is_card(it) && it.node.is_none());
        for (index, pod) in pods.enumerate() {
            let column = index.min(room - 1) as f64;
            self.out
                .pods
                .insert(pod_id(pod), Rect::new(queue.x + 10.0 + column * 14.0, queue.bottom() - 18.0, 12.0, 12.0));
        }
    }

    /// Workloads left, ingresses and services right, each in a dashed box that grows by rows. Returns where they end.
    fn lanes(&mut self, system: bool) -> f64 {
        let (top, x) = (self.out.master.rect.bottom() + GAP, self.heights.margin);
        let shown = |key: &ObjectKey| system || !is_system(&key.namespace);
        let workloads: Vec<ObjectKey> = workloads(self.topology).filter(&shown).collect();
        let services: Vec<ObjectKey> = self.topology.services.iter().map(|it| it.key()).filter(&shown).collect();
        let ingresses: Vec<ObjectKey> = self.topology.ingresses.iter().map(|it| it.key()).filter(&shown).collect();
        let left = ((self.inner - GAP) * 0.4).floor();
        let right = self.inner - GAP - left;
        // Lines from ingresses end at upper borders: they need room for their heads.
        let air = if ingresses.is_empty() { 0.0 } else { 6.0 };
        let (chips_left, bottom_left) = self.chips(Rect::new(x, top, left, 0.0), workloads.len(), 0.0);
        let mut lane = Rect::new(x + left + GAP, top, right, 0.0);
        self.out.services_lane = lane;
        let mut bottom = bottom_left;
        if !ingresses.is_empty() {
            let w = (right * 0.36).clamp(96.0, 230.0);
            let (chips, end) = self.chips(Rect { w: w + 2.0 * PAD, ..lane }, ingresses.len(), air);
            let chips = chips.into_iter().map(|it| Rect { w, ..it });
            self.out.ingresses = ingresses.into_iter().zip(chips).collect();
            bottom = bottom.max(end);
            lane = Rect { x: lane.x + w + GUTTER, w: lane.w - w - GUTTER, ..lane };
        }
        let (chips_right, end) = self.chips(lane, services.len(), air);
        bottom = bottom.max(end);
        self.out.workloads_lane = Rect::new(x, top, left, bottom - top);
        self.out.services_lane.h = bottom - top;
        self.out.workloads = workloads.into_iter().zip(chips_left).collect();
        self.out.services = services.into_iter().zip(chips_right).collect();
        bottom
    }

    /// Chips in a lane and where they end; `air` is room above each row beyond the ordinary.
    fn chips(&self, lane: Rect, count: usize, air: f64) -> (Vec<Rect>, f64) {
        let [head, height, pad] = self.heights.lane;
        let (head, gap) = (head + air, 8.0 + air);
        let columns_of = |least: f64| (((lane.w - 2.0 * PAD + GAP) / (least + GAP)).floor() as usize).max(1);
        // What has one line needs less width, too; many have one line each.
        let (mut columns, mut height) = (columns_of(if height < ONE_LINE { 112.0 } else { 146.0 }), height);
        if count.div_ceil(columns) > 2 {
            columns = columns_of(112.0);
            height = height.min(24.0);
        }
        let w = ((lane.w - 2.0 * PAD + GAP) / columns as f64 - GAP).min(220.0);
        let chip = |index: usize| {
            let (row, column) = (index / columns, index % columns);
            Rect::new(lane.x + PAD + column as f64 * (w + GAP), lane.y + head + row as f64 * (height + gap), w, height)
        };
        let rows = count.div_ceil(columns).max(1);
        ((0..count).map(chip).collect(), lane.y + head + rows as f64 * (height + gap) - gap + pad)
    }

    /// The workers in one row, or more where they are many; they share the height that is left.
    /// Returns where they end, and how much of that height was spare.
    fn nodes(&mut self, top: f64, height: f64) -> (f64, f64) {
        let topology = self.topology;
        let workers: Vec<&Node> = topology.nodes.iter().filter(|it| it.role == NodeRole::Worker).collect();
        if workers.is_empty() {
            return (top, 0.0);
        }
        let Heights { margin, bus, node: [head, foot], .. } = self.heights;
        let fitting = (((self.inner + GAP) / (NODE_MIN + GAP)).floor() as usize).max(1);
        let rows = workers.len().div_ceil(fitting);
        let columns = workers.len().div_ceil(rows);
        let w = (self.inner + GAP) / columns as f64 - GAP;
        let grid = Grid::new(w - 2.0 * PAD, self.out.density, self.heights.card);
        let needed: Vec<f64> = workers
            .chunks(columns)
            .map(|row| {
                let most = row.iter().map(|it| self.places_on(&it.name)).max().unwrap_or(0);
                head + grid.height(most).max(grid.card_height) + foot
            })
            .collect();
        let all: f64 = needed.iter().sum::<f64>() + bus * (rows - 1) as f64;
        let spare = ((height - margin - top - all) / rows as f64).max(0.0);
        let mut y = top;
        for (row, (nodes, least)) in workers.chunks(columns).zip(&needed).enumerate() {
            let h = least + spare;
            for (column, node) in nodes.iter().enumerate() {
                self.node(node, Rect::new(margin + column as f64 * (w + GAP), y, w, h), row);
            }
            y += h + bus;
        }
        (y - bus, spare * rows as f64)
    }

    /// Places that a node needs.
    fn places_on(&self, node: &str) -> usize {
        if self.out.density == Density::Groups { self.slots.groups_needed(node) } else { self.slots.needed(node) }
    }

    fn node(&mut self, node: &Node, rect: Rect, row: usize) {
        let [head, foot] = self.heights.node;
        let agent_height = self.heights.agent;
        let pods_top = rect.y + head;
        self.pods(&node.name, rect.x + PAD, pods_top, rect.w - 2.0 * PAD);
        // Right of the title there must be room for edges.
        let (details, width) = title(node, rect.w - 2.0 * PAD - 22.0);
        // Between title and first pods, edges run.
        let title = Rect::new(rect.x + PAD, rect.y + (head - 31.0).min(7.0), width, 20.0);
        let mut left = rect.x + PAD;
        let mut agents = Vec::new();
        for component in &node.components {
            let agent = Rect::new(
                left,
                rect.bottom() - foot / 2.0 - agent_height / 2.0 + 2.0,
                agent_width(&component.name),
                agent_height,
            );
            if agent.right() > rect.right() - PAD {
                break;
            }
            left = agent.right() + 8.0;
            agents.push((component.name.clone(), agent));
        }
        self.out.nodes.insert(node.name.clone(), NodeBox { rect, title, details, agents, pods_top, row });
    }

    /// Places a node's pods in a grid; returns where the last row ends.
    fn pods(&mut self, node: &str, x: f64, y: f64, width: f64) -> Option<f64> {
        let grid = Grid::new(width, self.out.density, self.heights.card);
        if self.out.density == Density::Groups {
            for (place, group) in self.slots.groups_on(node) {
                let rect = grid.card(place, x, y);
                self.out.groups.insert(group.to_owned(), Group { rect, pods: Vec::new() });
            }
            let pods = self.topology.pods.iter().filter(|it| is_card(it) && it.node.as_deref() == Some(node));
            for pod in pods {
                if let Some(group) = self.out.groups.get_mut(&group_id(pod)) {
                    group.pods.push(pod_id(pod));
                }
            }
        } else {
            for (place, pod) in self.slots.on(node) {
                self.out.pods.insert(pod.to_owned(), grid.card(place, x, y));
            }
        }
        let needed = self.places_on(node);
        (needed > 0).then(|| y + grid.height(needed))
    }
}

/// What makes pods, in the order of the lane.
fn workloads(topology: &Topology) -> impl Iterator<Item = ObjectKey> {
    let deployments = topology.deployments.iter().map(|it| it.key());
    let stateful_sets = topology.stateful_sets.iter().map(|it| it.key(ObjectKind::StatefulSet));
    let daemon_sets = topology.daemon_sets.iter().map(|it| it.key(ObjectKind::DaemonSet));
    deployments.chain(stateful_sets).chain(daemon_sets).chain(topology.jobs.iter().map(|it| it.key(ObjectKind::Job)))
}

/// The grid of a node's pods. Its columns depend on width and density alone, so that places stay.
struct Grid {
    columns: usize,
    card_width: f64,
    card_height: f64,
    gap: f64,
}

impl Grid {
    fn new(width: f64, density: Density, roomy: f64) -> Self {
        let (least, card_height) = density.card(roomy);
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

/// What stands behind a node's name and how wide the whole title is: address and use, the less important left out
/// where there is no room.
fn title(node: &Node, room: f64) -> (String, f64) {
    let cpu = node.cpu_millis.map(|it| format!("cpu {}", crate::format::cpu(it)));
    let memory = node.memory_bytes.map(crate::format::bytes);
    let name = 22.0 + (node.name.chars().count() as f64 + 2.0) * CHAR;
    let attempts = [
        vec![Some(node.ip.clone()), cpu, memory.clone()],
        vec![Some(node.ip.clone()), memory],
        vec![Some(node.ip.clone())],
        vec![],
    ];
    for parts in attempts {
        let details = parts.into_iter().flatten().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" · ");
        let width = name + details.chars().count() as f64 * 6.3;
        if width <= room || details.is_empty() {
            return (details, width.min(room));
        }
    }
    (String::new(), name.min(room))
}

fn agent_width(name: &str) -> f64 {
    name.chars().count() as f64 * 6.3 + 32.0
}
