//! What the items of the picture share: where they stand, which is looked at, what happens now.

use std::collections::BTreeSet;

use drydock_protocol::{ObjectKey, ObjectKind};
use leptos::prelude::*;

use super::focus;
use crate::diagram::{Layout, Rect};
use crate::parts::trace::Player;
use crate::story::Lit;

/// Something in the picture.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Thing {
    /// A component, with its node; an empty node is the master's control plane.
    Component(String, String),
    /// A node.
    Node(String),
    /// A pod, by identity.
    Pod(String),
    /// Pods of one owner on one node, by identity.
    Group(String),
    /// A workload, Service or Ingress.
    Object(ObjectKey),
}

impl Thing {
    /// Identifier of its element on the page.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Component(node, name) => format!("pic-c-{node}-{name}"),
            Self::Node(name) => format!("pic-n-{name}"),
            Self::Pod(id) => format!("pic-p-{id}"),
            Self::Group(id) => format!("pic-g-{id}"),
            Self::Object(key) => format!("pic-o-{:?}-{}-{}", key.kind, key.namespace, key.name),
        }
    }
}

/// What the items of the picture share.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    /// Where everything stands.
    pub(crate) layout: Memo<Layout>,
    /// What is looked at in detail.
    pub(crate) chosen: RwSignal<Option<Thing>>,
    /// Whether it was chosen with the keyboard, which then goes into the details.
    pub(crate) by_key: RwSignal<bool>,
    /// What the pointer or the focus is on.
    pub(crate) pointed: RwSignal<Option<Thing>>,
    /// What the focus was on last.
    pub(crate) here: RwSignal<Option<Thing>>,
    /// The one thing that the tab key leads to.
    pub(crate) stop: Memo<Thing>,
    /// Components of what happens now.
    pub(crate) lit: Memo<Vec<Lit>>,
    /// Objects of what happens now: resource, namespace, name.
    touched: Memo<BTreeSet<(String, String, String)>>,
}

impl Scene {
    pub(super) fn new(layout: Memo<Layout>, player: Player) -> Self {
        let here = RwSignal::new(None::<Thing>);
        let stop = Memo::new(move |_| {
            let first = Thing::Component(String::new(), "kube-apiserver".to_owned());
            here.get().filter(|it| layout.with(|layout| rect(layout, it).is_some())).unwrap_or(first)
        });
        Self {
            layout,
            chosen: RwSignal::new(None),
            by_key: RwSignal::new(false),
            pointed: RwSignal::new(None),
            here,
            stop,
            lit: Memo::new(move |_| player.lit()),
            touched: Memo::new(move |_| player.touched()),
        }
    }

    /// Whether a component on a node is lit. A trace does not always know on which node.
    pub(crate) fn is_lit(self, node: &str, component: &str) -> bool {
        self.lit.with(|it| it.iter().any(|(on, name)| name == component && on.as_deref().is_none_or(|on| on == node)))
    }

    /// Whether what happens now is about this object.
    pub(crate) fn is_touched(self, resource: &str, namespace: &str, name: &str) -> bool {
        self.touched.with(|it| it.iter().any(|it| it.0 == resource && it.1 == namespace && it.2 == name))
    }

    /// Whether `thing` is the one that is looked at or pointed to.
    pub(crate) fn is_in_focus(self, thing: &Thing) -> bool {
        self.chosen.with(|it| it.as_ref() == Some(thing)) || self.pointed.with(|it| it.as_ref() == Some(thing))
    }

    /// Closes the details; who went in with the keyboard comes back to where they were.
    pub(crate) fn close(self) {
        let Some(thing) = self.chosen.get_untracked() else { return };
        self.chosen.set(None);
        if self.by_key.get_untracked() {
            focus(&thing.id());
        }
    }
}

/// Where a thing stands.
pub(crate) fn rect(layout: &Layout, thing: &Thing) -> Option<Rect> {
    match thing {
        Thing::Pod(id) => {
            let group = || layout.groups.values().find(|it| it.pods.contains(id)).map(|it| it.rect);
            layout.pods.get(id).copied().or_else(group)
        }
        Thing::Group(id) => layout.groups.get(id).map(|it| it.rect),
        Thing::Object(key) => {
            let places = match key.kind {
                ObjectKind::Service => &layout.services,
                ObjectKind::Ingress => &layout.ingresses,
                _ => &layout.workloads,
            };
            places.get(key).copied()
        }
        Thing::Node(name) => layout.nodes.get(name).unwrap_or(&layout.master).title.into(),
        Thing::Component(node, name) if node.is_empty() => layout.components.get(name).copied(),
        Thing::Component(node, name) => {
            let place = layout.nodes.get(node).unwrap_or(&layout.master);
            place.agents.iter().find(|it| it.0 == *name).map(|it| it.1)
        }
    }
}

/// Everything that the arrow keys lead to.
pub(super) fn things(layout: &Layout) -> Vec<(Thing, Rect)> {
    let mut out: Vec<(Thing, Rect)> = Vec::new();
    let master = layout.master_name.clone();
    out.push((Thing::Node(master.clone()), layout.master.title));
    out.extend(layout.components.iter().map(|(name, rect)| (Thing::Component(String::new(), name.clone()), *rect)));
    let nodes = layout.nodes.iter().map(|(name, it)| (name.clone(), it));
    for (name, node) in nodes.chain([(master, &layout.master)]) {
        let agent = |it: &(String, Rect)| (Thing::Component(name.clone(), it.0.clone()), it.1);
        out.extend(node.agents.iter().map(agent));
    }
    out.extend(layout.nodes.iter().map(|(name, it)| (Thing::Node(name.clone()), it.title)));
    let objects = layout.workloads.iter().chain(&layout.services).chain(&layout.ingresses);
    out.extend(objects.map(|(key, rect)| (Thing::Object(key.clone()), *rect)));
    out.extend(layout.pods.iter().map(|(id, rect)| (Thing::Pod(id.clone()), *rect)));
    out.extend(layout.groups.iter().map(|(id, it)| (Thing::Group(id.clone()), it.rect)));
    out
}
