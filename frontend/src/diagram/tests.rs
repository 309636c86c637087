//! Rules that hold for every picture, tried on clusters of many shapes and places of many sizes.

use drydock_protocol::{
    Component, Deployment, Endpoint, Ingress, IngressRoute, Node, NodeRole, NodeState, OwnerRef, Pod, Service, Topology,
};

use super::edges::End;

use super::layout::CONTROL_PLANE;
use super::*;

struct Cluster(Topology);

fn cluster(workers: usize) -> Cluster {
    let node = |name: String, role, components: &[&str]| Node {
        ip: "10.20.0.2".into(),
        state: NodeState::Ready,
        memory_bytes: Some(11_000_000),
        cpu_millis: Some(40),
        components: components.iter().map(|it| Component { name: (*it).into(), ..Component::default() }).collect(),
        name,
        role,
        ..Node::default()
    };
    let master = [CONTROL_PLANE.as_slice(), &["kubelet", "kube-proxy"]].concat();
    let mut nodes = vec![node("master".into(), NodeRole::Master, &master)];
    nodes.extend((1..=workers).map(|it| node(format!("worker-{it}"), NodeRole::Worker, &["kubelet", "kube-proxy"])));
    Cluster(Topology { nodes, ..Topology::default() })
}

impl Cluster {
    /// `replicas` pods spread over the workers, and a Service in front of them.
    fn app(mut self, name: &str, replicas: usize) -> Self {
        let workers = self.0.nodes.len() - 1;
        let mut endpoints = Vec::new();
        for index in 0..replicas {
            let pod = format!("{name}-7d9f6c5b8d-{index:05}");
            let node = format!("worker-{}", index % workers + 1);
            endpoints.push(Endpoint {
                pod: Some(pod.clone()),
                node: Some(node.clone()),
                ready: index % 3 != 0,
                ..Endpoint::default()
            });
            self.0.pods.push(Pod {
                namespace: "default".into(),
                uid: pod.clone(),
                name: pod,
                node: Some(node),
                owners: vec![OwnerRef { kind: "Deployment".into(), name: name.into() }],
                ..Pod::default()
            });
        }
        self.0.deployments.push(Deployment { namespace: "default".into(), name: name.into(), ..Deployment::default() });
        self.0.services.push(Service {
            namespace: "default".into(),
            name: name.into(),
            endpoints,
            ..Service::default()
        });
        self
    }

    fn waiting(mut self, pods: usize) -> Self {
        self.0.pods.extend((0..pods).map(|it| Pod { uid: format!("waiting-{it}"), ..Pod::default() }));
        self
    }

    /// An Ingress that leads to some of the Services, and to one that does not exist.
    fn ingress(mut self, name: &str, services: &[&str]) -> Self {
        let route = |service: &&str| IngressRoute {
            host: format!("{service}.localhost"),
            path: "/".into(),
            service: (*service).into(),
            port: "80".into(),
        };
        let routes = services.iter().chain(&["missing"]).map(route).collect();
        self.0.ingresses.push(Ingress { namespace: "default".into(), name: name.into(), routes, ..Ingress::default() });
        self
    }

    fn layout(&self, width: f64, height: f64) -> Layout {
        let mut slots = Slots::default();
        slots.update(&self.0);
        layout(&self.0, &slots, Size { width, height }, View::default())
    }
}

fn shapes() -> Vec<(&'static str, Cluster)> {
    vec![
        ("nothing yet", Cluster(Topology::default())),
        ("fresh", cluster(2)),
        ("one app", cluster(2).app("web", 3)),
        ("several apps", cluster(3).app("web", 4).app("api", 2).app("shop", 5).app("blog", 1).app("db", 1).waiting(2)),
        ("one ingress", cluster(2).app("web", 3).ingress("shop", &["web"])),
        (
            "many services",
            (0..14)
                .fold(cluster(3), |it, index| it.app(&format!("app-{index:02}"), 2))
                .ingress("shop", &["app-00", "app-01", "app-05", "app-13"])
                .ingress("blog", &["app-02"])
                .ingress("docs", &["app-07", "app-08"]),
        ),
        ("sixty pods", cluster(3).app("web", 60)),
        ("many nodes", cluster(9).app("web", 20).app("api", 9)),
        ("a thousand pods", cluster(5).app("web", 1000).waiting(50)),
    ]
}

const PLACES: [(f64, f64); 6] =
    [(1000.0, 520.0), (900.0, 380.0), (928.0, 318.0), (640.0, 360.0), (1500.0, 900.0), (200.0, 100.0)];

/// Runs `check` on every cluster in every place.
fn each(check: impl Fn(&Layout, &str)) {
    for (name, cluster) in shapes() {
        for (width, height) in PLACES {
            check(&cluster.layout(width, height), &format!("{name} in {width}×{height}"));
        }
    }
}

#[test]
fn boxes_do_not_overlap_and_hold_their_content() {
    each(|it, name| {
        let mut outer: Vec<Rect> = it.nodes.values().map(|node| node.rect).collect();
        outer.extend([it.master.rect, it.workloads_lane, it.services_lane]);
        for (index, a) in outer.iter().enumerate() {
            assert!(outer[index + 1..].iter().all(|b| !a.overlaps(b)), "{name}: boxes overlap");
            assert!(a.right() <= it.size.width && a.bottom() <= it.size.height, "{name}: a box leaves the picture");
        }
        let chips: Vec<&Rect> = it.services.values().chain(it.ingresses.values()).collect();
        for (index, chip) in chips.iter().enumerate() {
            assert!(it.size.width < 500.0 || it.services_lane.holds(chip), "{name}: a service leaves its lane");
            assert!(chips[index + 1..].iter().all(|other| !chip.overlaps(other)), "{name}: services overlap");
        }
        for chip in it.workloads.values() {
            assert!(it.workloads_lane.holds(chip), "{name}: a workload leaves its lane");
        }
        for rect in it.components.values().chain([&it.queue]) {
            assert!(it.master.rect.holds(rect), "{name}: a component leaves the master");
        }
        for node in it.nodes.values() {
            assert!(node.agents.iter().all(|(_, agent)| node.rect.holds(agent)), "{name}: an agent leaves its node");
        }
    });
}

#[test]
fn pods_stand_apart_inside_their_node() {
    each(|it, name| {
        let pods = it.pods.iter().filter(|(id, _)| !id.starts_with("waiting"));
        let cards: Vec<(&String, &Rect)> = pods.chain(it.groups.iter().map(|(id, it)| (id, &it.rect))).collect();
        let node_of = |card: &Rect| it.nodes.values().find(|node| node.rect.holds(card));
        for (index, (id, card)) in cards.iter().enumerate() {
            let node = node_of(card).unwrap_or_else(|| panic!("{name}: {id} is outside of every node"));
            assert!(!card.overlaps(&node.title), "{name}: {id} covers a title");
            assert!(node.agents.iter().all(|(_, agent)| !card.overlaps(agent)), "{name}: {id} covers an agent");
            assert!(
                cards[index + 1..].iter().all(|(_, other)| !card.overlaps(other)),
                "{name}: {id} covers another pod"
            );
        }
    });
}

#[test]
fn edges_end_at_borders_and_keep_out_of_titles_and_other_pods() {
    each(|it, name| {
        if it.size.width < 500.0 {
            return; // In a sliver a title fills its node's whole width.
        }
        for (id, edge) in &it.edges {
            let card = match &edge.to {
                End::Pod(id) => it.pods[id],
                End::Group(id) => it.groups[id].rect,
                End::Service(key) => it.services[key],
            };
            let end = *edge.points.last().unwrap();
            let on_top = (end.y - card.y).abs() < 0.01 && end.x >= card.x && end.x <= card.right();
            let on_left = (end.x - card.x).abs() < 0.01 && end.y >= card.y && end.y <= card.bottom();
            assert!(on_top || on_left, "{name}: {id} does not end at its pod's border");
            for line in edge.points.windows(2) {
                assert!(
                    (line[0].x - line[1].x).abs() < 0.01 || (line[0].y - line[1].y).abs() < 0.01,
                    "{name}: {id} is aslant"
                );
                for node in it.nodes.values() {
                    assert!(!node.title.is_crossed(line[0], line[1]), "{name}: {id} crosses a title");
                }
                for (pod, card) in it.pods.iter().chain(it.groups.iter().map(|(id, it)| (id, &it.rect))) {
                    assert!(!card.is_crossed(line[0], line[1]), "{name}: {id} crosses {pod}");
                }
                for chip in it.services.values().chain(it.ingresses.values()) {
                    assert!(!chip.is_crossed(line[0], line[1]), "{name}: {id} crosses a service");
                }
            }
        }
    });
}

#[test]
fn every_pod_and_endpoint_is_shown() {
    let cluster = cluster(3).app("web", 60).waiting(4);
    let it = cluster.layout(1000.0, 520.0);
    assert_eq!(it.pods.len(), 64);
    assert_eq!(it.edges.len(), 60);
    assert_eq!(it.edges.values().filter(|edge| !edge.ready).count(), 20);
}

#[test]
fn crowds_are_shown_with_fewer_words() {
    assert_eq!(cluster(2).app("web", 3).layout(1000.0, 480.0).density, Density::Roomy);
    assert_eq!(cluster(2).app("web", 24).layout(1000.0, 480.0).density, Density::Compact);
    assert_eq!(cluster(2).app("web", 60).layout(1000.0, 520.0).density, Density::Ends);
    assert_eq!(cluster(2).app("web", 160).layout(1000.0, 480.0).density, Density::Signs);
    assert_eq!(cluster(2).app("web", 1000).layout(1000.0, 480.0).density, Density::Groups);
}

#[test]
fn a_pod_stays_where_it_is_when_others_come_and_go() {
    let mut all = cluster(2).app("web", 4);
    let mut slots = Slots::default();
    let size = Size { width: 1000.0, height: 600.0 };
    slots.update(&all.0);
    let before = layout(&all.0, &slots, size, View::default());
    all.0.pods.remove(0);
    all.0.pods.push(Pod { uid: "new".into(), node: Some("worker-2".into()), ..Pod::default() });
    slots.update(&all.0);
    let after = layout(&all.0, &slots, size, View { before: Some(before.density), ..View::default() });
    for pod in all.0.pods.iter().filter(|it| it.uid != "new") {
        assert_eq!(before.pods[&pod.uid], after.pods[&pod.uid], "{}", pod.uid);
    }
}

#[test]
fn system_objects_show_on_demand() {
    let mut cluster = cluster(2).app("web", 1);
    cluster.0.services.push(Service { namespace: "kube-system".into(), name: "kube-dns".into(), ..Service::default() });
    let slots = Slots::default();
    let size = Size { width: 1000.0, height: 500.0 };
    assert_eq!(layout(&cluster.0, &slots, size, View::default()).services.len(), 1);
    assert_eq!(layout(&cluster.0, &slots, size, View { system: true, before: None }).services.len(), 2);
}

#[test]
fn a_thousand_pods_are_shown_by_owner_and_none_is_left_out() {
    let it = cluster(3).app("web", 700).app("api", 300).layout(1040.0, 460.0);
    assert_eq!(it.density, Density::Groups);
    assert!(it.pods.is_empty());
    assert_eq!(it.groups.len(), 6);
    assert_eq!(it.groups.values().map(|group| group.pods.len()).sum::<usize>(), 1000);
    // One line from each Service to each of its groups.
    assert_eq!(it.edges.len(), 6);
    assert!(it.size.height <= 460.0);
}

#[test]
fn ingresses_lead_to_services_that_exist() {
    let it = cluster(2).app("web", 1).app("api", 0).ingress("shop", &["web", "api"]).layout(1040.0, 460.0);
    let mut ways: Vec<(&str, bool)> = it
        .edges
        .values()
        .filter_map(|edge| match &edge.to {
            End::Service(key) => Some((key.name.as_str(), edge.ready)),
            _ => None,
        })
        .collect();
    ways.sort_unstable();
    assert_eq!(ways, [("api", false), ("web", false)]);
}

#[test]
fn cards_do_not_change_their_size_for_one_pod_that_comes_and_goes() {
    let size = Size { width: 1000.0, height: 480.0 };
    let draw = |replicas: usize, before: Option<Density>| {
        let cluster = cluster(2).app("web", replicas);
        let mut slots = Slots::default();
        slots.update(&cluster.0);
        layout(&cluster.0, &slots, size, View { system: false, before }).density
    };
    let most = (1..100).take_while(|it| draw(*it, None) == Density::Roomy).last().unwrap();
    assert_eq!(draw(most + 1, Some(Density::Roomy)), Density::Compact);
    assert_eq!(draw(most, Some(Density::Compact)), Density::Compact, "it would flicker");
    assert_eq!(draw(1, Some(Density::Compact)), Density::Roomy);
}
