//! What states look like: a colour class and a shape, never colour alone.

use drydock_protocol::{ComponentState, Ingress, NodeState, Pod, PodHealth, Service, Topology};

/// A colour class of `styles/diagram.css` together with its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Works: green circle.
    Good,
    /// Wants attention, dotted: amber triangle.
    Warn,
    /// Broken: red diamond.
    Bad,
    /// On its way, dotted: blue ring.
    Info,
    /// Finished: grey ring.
    Done,
    /// Switched off, dotted: grey ring.
    Off,
}

impl Look {
    /// The class.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
            Self::Done => "done",
            Self::Off => "done off",
        }
    }

    /// SVG path of the shape, centred on the origin, some 10 px across.
    #[must_use]
    pub const fn shape(self) -> &'static str {
        match self {
            Self::Good => "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z",
            Self::Warn => "M0 -5.5L6 5H-6Z",
            Self::Bad => "M0 -6L6 0L0 6L-6 0Z",
            Self::Info | Self::Done | Self::Off => "M-4.3 0a4.3 4.3 0 1 0 8.6 0a4.3 4.3 0 1 0 -8.6 0Z",
        }
    }

    /// The look of a pod.
    #[must_use]
    pub fn of_pod(pod: &Pod) -> Self {
        match pod.health() {
            PodHealth::Ready => Self::Good,
            PodHealth::Progressing => Self::Info,
            PodHealth::NotReady => Self::Warn,
            PodHealth::Failing => Self::Bad,
            PodHealth::Completed => Self::Done,
        }
    }

    /// The look of a node.
    #[must_use]
    pub const fn of_node(state: NodeState) -> Self {
        match state {
            NodeState::Ready => Self::Good,
            NodeState::NotReady => Self::Warn,
            NodeState::Starting => Self::Info,
            NodeState::Stopped => Self::Off,
        }
    }

    /// The look of a component.
    #[must_use]
    pub const fn of_component(state: ComponentState) -> Self {
        match state {
            ComponentState::Running => Self::Good,
            ComponentState::Starting => Self::Info,
            ComponentState::Failing => Self::Bad,
            ComponentState::Stopped => Self::Off,
        }
    }

    /// The look of a set of replicas.
    #[must_use]
    pub const fn of_replicas(ready: u32, wanted: u32) -> Self {
        if wanted == 0 {
            Self::Done
        } else if ready >= wanted {
            Self::Good
        } else if ready > 0 {
            Self::Warn
        } else {
            Self::Info
        }
    }

    /// The look of a Service: by its endpoints.
    #[must_use]
    pub fn of_service(service: &Service) -> Self {
        let ready = service.endpoints.iter().filter(|it| it.ready).count();
        match (ready, service.endpoints.len()) {
            _ if service.r#type == "ExternalName" => Self::Done,
            (0, 0) => Self::Off,
            (0, _) => Self::Bad,
            (ready, all) if ready < all => Self::Warn,
            _ => Self::Good,
        }
    }

    /// The look of an Ingress: by the Services that it names.
    #[must_use]
    pub fn of_ingress(ingress: &Ingress, topology: &Topology) -> Self {
        let works = |name: &str| {
            let service = topology.services.iter().find(|it| it.name == name && it.namespace == ingress.namespace);
            service.is_some_and(|it| it.endpoints.iter().any(|it| it.ready) || it.r#type == "ExternalName")
        };
        let good = ingress.routes.iter().filter(|it| works(&it.service)).count();
        match (good, ingress.routes.len()) {
            // Nobody has taken it on yet.
            _ if ingress.addresses.is_empty() => Self::Info,
            (_, 0) => Self::Off,
            (0, _) => Self::Bad,
            (good, all) if good < all => Self::Warn,
            _ => Self::Good,
        }
    }

    /// The look of pods that are shown as one: the one that most wants to be seen.
    #[must_use]
    pub fn of_pods<'a>(pods: impl Iterator<Item = &'a Pod>) -> Self {
        let rank = |look: &Self| match look {
            Self::Bad => 0,
            Self::Warn => 1,
            Self::Info => 2,
            Self::Good => 3,
            Self::Done => 4,
            Self::Off => 5,
        };
        pods.map(Self::of_pod).min_by_key(rank).unwrap_or(Self::Off)
    }
}

/// The second line of a pod's card: what is wrong, else its address.
#[must_use]
pub fn pod_line(pod: &Pod) -> String {
    match pod.health() {
        PodHealth::Ready => pod.ip.clone().unwrap_or_else(|| pod.state.clone()),
        PodHealth::Failing if pod.restarts > 0 => format!("{} ×{}", pod.state, pod.restarts),
        PodHealth::NotReady => {
            let (ready, all) = ready_containers(pod);
            format!("{ready}/{all} · {}", pod.state)
        }
        _ => pod.state.clone(),
    }
}

/// Ready and all containers, init containers left out.
#[must_use]
pub fn ready_containers(pod: &Pod) -> (usize, usize) {
    let ordinary = || pod.containers.iter().filter(|it| !it.init);
    (ordinary().filter(|it| it.ready).count(), ordinary().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_protocol::{Container, Endpoint};

    #[test]
    fn replicas() {
        for (ready, wanted, want) in
            [(0, 0, Look::Done), (0, 2, Look::Info), (1, 2, Look::Warn), (2, 2, Look::Good), (3, 2, Look::Good)]
        {
            assert_eq!(Look::of_replicas(ready, wanted), want, "{ready}/{wanted}");
        }
    }

    #[test]
    fn services_by_their_endpoints() {
        let service = |ready: &[bool]| Service {
            endpoints: ready.iter().map(|ready| Endpoint { ready: *ready, ..Endpoint::default() }).collect(),
            ..Service::default()
        };
        assert_eq!(Look::of_service(&service(&[])), Look::Off);
        assert_eq!(Look::of_service(&service(&[false])), Look::Bad);
        assert_eq!(Look::of_service(&service(&[true, false])), Look::Warn);
        assert_eq!(Look::of_service(&service(&[true, true])), Look::Good);
    }

    #[test]
    fn ingresses_by_their_services() {
        let service = |name: &str, ready: bool| Service {
            name: name.into(),
            endpoints: vec![Endpoint { ready, ..Endpoint::default() }],
            ..Service::default()
        };
        let topology = Topology { services: vec![service("web", true), service("api", false)], ..Topology::default() };
        let ingress = |services: &[&str], taken: bool| Ingress {
            routes: services
                .iter()
                .map(|it| drydock_protocol::IngressRoute { service: (*it).into(), ..Default::default() })
                .collect(),
            addresses: if taken { vec!["10.20.0.128".into()] } else { Vec::new() },
            ..Ingress::default()
        };
        for (services, taken, want) in [
            (&["web"][..], true, Look::Good),
            (&["web"], false, Look::Info),
            (&["web", "api"], true, Look::Warn),
            (&["api"], true, Look::Bad),
            (&["missing"], true, Look::Bad),
        ] {
            assert_eq!(Look::of_ingress(&ingress(services, taken), &topology), want, "{services:?} {taken}");
        }
    }

    #[test]
    fn trouble_of_one_shows_in_all() {
        let pod = |state: &str, ready: bool| Pod { state: state.into(), ready, ..Pod::default() };
        let look = |pods: &[Pod]| Look::of_pods(pods.iter());
        assert_eq!(look(&[pod("Running", true), pod("CrashLoopBackOff", false), pod("Running", false)]), Look::Bad);
        assert_eq!(look(&[pod("Completed", false), pod("Running", true)]), Look::Good);
        assert_eq!(look(&[]), Look::Off);
    }

    #[test]
    fn the_second_line_says_what_is_wrong() {
        let pod = |state: &str, ready: bool, restarts: u32| Pod {
            state: state.into(),
            ready,
            restarts,
            ip: Some("10.244.1.5".into()),
            containers: vec![
                Container { init: true, ready: true, ..Container::default() },
                Container { ready, ..Container::default() },
            ],
            ..Pod::default()
        };
        assert_eq!(pod_line(&pod("Running", true, 0)), "10.244.1.5");
        assert_eq!(pod_line(&pod("Running", false, 0)), "0/1 · Running");
        assert_eq!(pod_line(&pod("CrashLoopBackOff", false, 3)), "CrashLoopBackOff ×3");
        assert_eq!(pod_line(&pod("ContainerCreating", false, 0)), "ContainerCreating");
    }
}
