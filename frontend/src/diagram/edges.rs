//! Lines from Services to the pods behind them.
//!
//! A line leaves the lower border of its Service, runs along the bus between lane and nodes, enters a node beside
//! its title and ends at a pod's border: the upper one in the first row, the left one below it. It is level or
//! upright everywhere.

use std::collections::HashMap;

use drydock_protocol::{ObjectKey, Topology};

use super::geometry::{Point, Rect, at, simplified};
use super::layout::{Layout, NodeBox};
use super::pod_id;

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Where it comes from.
    pub service: ObjectKey,
    /// Identity of the pod at which it ends.
    pub pod: String,
    /// Whether the pod receives traffic.
    pub ready: bool,
    /// Its corners; the last one lies on the pod's border.
    pub points: Vec<Point>,
}

/// Fills `layout.edges`.
pub(super) fn connect(layout: &mut Layout, topology: &Topology) {
    let pods: HashMap<(&str, &str), (String, &str)> = topology
        .pods
        .iter()
        .filter_map(|it| Some(((it.namespace.as_str(), it.name.as_str()), (pod_id(it), it.node.as_deref()?))))
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
            let Some((pod, node)) = endpoint.pod.as_deref().and_then(|it| pods.get(&(service.namespace.as_str(), it)))
            else {
                continue;
            };
            let (Some(node), Some(&card)) = (layout.nodes.get(*node), layout.pods.get(pod)) else { continue };
            let mut points = leave(chip, last_row, first_top - half_bus + shift);
            let way = Way { bus: first_top - half_bus + shift, to_bus: half_bus - shift, gap: layout.density.gap() };
            enter(&mut points, node, card, &way);
            let edge =
                Edge { service: service.key(), pod: pod.clone(), ready: endpoint.ready, points: simplified(&points) };
            layout.edges.insert(format!("{}/{}>{pod}", service.namespace, service.name), edge);
        }
    }
}

/// From a Service down to the bus; one of an upper row goes round those below it.
fn leave(chip: Rect, last_row: bool, bus: f64) -> Vec<Point> {
    if last_row {
        let x = chip.center().x;
        return vec![at(x, chip.bottom()), at(x, bus)];
    }
    let x = chip.x - 6.0;
    vec![at(chip.x, chip.center().y), at(x, chip.center().y), at(x, bus)]
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
