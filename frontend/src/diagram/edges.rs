//! Lines from Services to the pods behind them, and from Ingresses to their Services.
//!
//! A line to a pod leaves the lower border of its Service, runs along the bus between lane and nodes, enters a node beside
//! its title and ends at a pod's border: the upper one in the first row, the left one below it. It is level or
//! upright everywhere. One from an Ingress runs in the gutter beside the Services and ends at the left border of one in
//! the first column, at the upper border of any other.

use std::collections::HashMap;

use drydock_protocol::{ObjectKey, Pod, Topology};

use super::geometry::{Point, Rect, at, simplified};
use super::layout::{Density, Layout, NodeBox};
use super::{group_id, pod_id};

/// Where on a Service's left border lines leave it and arrive.
const LEAVES: f64 = 0.7;
const ARRIVES: f64 = 0.35;

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Where it comes from: a Service or an Ingress.
    pub from: ObjectKey,
    /// Where it ends.
    pub to: End,
    /// Whether traffic gets through.
    pub ready: bool,
    /// Its corners; the last one lies on the border of where it ends.
    pub points: Vec<Point>,
}

/// Where a line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// At a pod, by identity.
    Pod(String),
    /// At a group of pods, by identity.
    Group(String),
    /// At a Service.
    Service(ObjectKey),
}

/// Fills `layout.edges`.
pub(super) fn connect(layout: &mut Layout, topology: &Topology) {
    ingresses(layout, topology);
    let grouped = layout.density == Density::Groups;
    let end_of = |pod: &Pod| if grouped { End::Group(group_id(pod)) } else { End::Pod(pod_id(pod)) };
    let pods: HashMap<(&str, &str), (End, &str)> = topology
        .pods
        .iter()
        .filter_map(|it| Some(((it.namespace.as_str(), it.name.as_str()), (end_of(it), it.node.as_deref()?))))
        .collect();
    let first_top = layout.nodes.values().map(|it| it.rect.y).fold(f64::INFINITY, f64::min);
    let half_bus = layout.bus / 2.0;
    let mut index = 0;
    for service in &topology.services {
        let Some(&chip) = layout.services.get(&service.key()) else { continue };
        // Neighbouring services run at slightly different heights of the bus.
        let shift = f64::from(index % 3 - 1) * 4.0;
        index += 1;
        let last_row = layout.services.values().all(|it| it.y <= chip.y);
        for endpoint in &service.endpoints {
            let Some((end, node)) = endpoint.pod.as_deref().and_then(|it| pods.get(&(service.namespace.as_str(), it)))
            else {
                continue;
            };
            let (name, card) = match end {
                End::Group(id) => (id, layout.groups.get(id).map(|it| it.rect)),
                End::Pod(id) => (id, layout.pods.get(id).copied()),
                End::Service(_) => continue,
            };
            let (Some(node), Some(card)) = (layout.nodes.get(*node), card) else { continue };
            let key = format!("{}/{}>{name}", service.namespace, service.name);
            if let Some(known) = layout.edges.get_mut(&key) {
                known.ready |= endpoint.ready;
                continue;
            }
            let mut points = leave(chip, last_row, first_top - half_bus + shift);
            let way = Way { bus: first_top - half_bus + shift, to_bus: half_bus - shift, gap: layout.density.gap() };
            enter(&mut points, node, card, &way);
            let edge =
                Edge { from: service.key(), to: end.clone(), ready: endpoint.ready, points: simplified(&points) };
            layout.edges.insert(key, edge);
        }
    }
}

/// From a Service down to the bus; one of an upper row goes round those below it.
fn leave(chip: Rect, last_row: bool, bus: f64) -> Vec<Point> {
    if last_row {
        let x = chip.center().x;
        return vec![at(x, chip.bottom()), at(x, bus)];
    }
    let (x, y) = (chip.x - 6.0, chip.y + chip.h * LEAVES);
    vec![at(chip.x, y), at(x, y), at(x, bus)]
}

/// From each Ingress to the Services that it names.
fn ingresses(layout: &mut Layout, topology: &Topology) {
    let first_column = layout.services.values().map(|it| it.x).fold(f64::INFINITY, f64::min);
    for (index, ingress) in topology.ingresses.iter().enumerate() {
        let Some(&chip) = layout.ingresses.get(&ingress.key()) else { continue };
        // Neighbours run side by side in the gutter.
        let x = chip.right() + 10.0 + (index % 3) as f64 * 4.0;
        for route in &ingress.routes {
            let service =
                topology.services.iter().find(|it| it.name == route.service && it.namespace == ingress.namespace);
            let Some((service, key)) = service.map(|it| (it, it.key())) else { continue };
            let Some(&end) = layout.services.get(&key) else { continue };
            let mut points = vec![at(chip.right(), chip.center().y), at(x, chip.center().y)];
            if end.x < first_column + 0.5 {
                let y = end.y + end.h * ARRIVES;
                points.extend([at(x, y), at(end.x, y)]);
            } else {
                let (middle, y) = (end.center().x, end.y - 9.0);
                points.extend([at(x, y), at(middle, y), at(middle, end.y)]);
            }
            let ready = service.endpoints.iter().any(|it| it.ready);
            let edge = Edge { from: ingress.key(), to: End::Service(key), ready, points: simplified(&points) };
            layout.edges.insert(format!("{}/{}>>{}", ingress.namespace, ingress.name, route.service), edge);
        }
    }
}

/// What the last part of the way goes by.
struct Way {
    /// Height of the bus above the first row of nodes.
    bus: f64,
    /// From a row's upper border up to its bus.
    to_bus: f64,
    /// Room between cards.
    gap: f64,
}

/// From the bus to a pod's card.
fn enter(points: &mut Vec<Point>, node: &NodeBox, card: Rect, way: &Way) {
    let mut bus = way.bus;
    if node.row > 0 {
        // Down beside the nodes above, to the bus of this row.
        let x = node.rect.x - 6.0;
        let next = node.rect.y - way.to_bus;
        points.extend([at(x, bus), at(x, next)]);
        bus = next;
    }
    let first_row = card.y < node.pods_top + 0.5;
    let x = if first_row { card.center().x } else { card.x - way.gap / 2.0 };
    // Between title and first pods there is room for a level line; it is entered right of the title.
    let level = node.pods_top - 9.0;
    let clear = node.title.right() + 8.0;
    if x >= clear {
        points.push(at(x, bus));
    } else {
        let entry = clear.min(node.rect.right() - 8.0);
        points.extend([at(entry, bus), at(entry, level), at(x, level)]);
    }
    if first_row {
        points.push(at(x, card.y));
    } else {
        points.extend([at(x, card.center().y), at(card.x, card.center().y)]);
    }
}
