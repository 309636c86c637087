//! After any deletion nothing is left that has lost all its owners, nothing goes that has one, and then all is quiet.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::graph::Graph;
use super::super::graph::testing::item;
use super::*;

/// The API server: objects by uid.
struct World {
    objects: BTreeMap<String, Item>,
    graph: Graph,
    queue: Vec<String>,
}

impl World {
    fn put(&mut self, item: Item) {
        self.queue.extend(self.graph.apply(item.clone()));
        self.objects.insert(item.uid.clone(), item);
    }

    fn delete(&mut self, uid: &str, how: Propagation) {
        let Some(mut item) = self.objects.get(uid).cloned() else { return };
        match how {
            Propagation::Background if !item.foreground && !item.orphan => {
                self.objects.remove(uid);
                self.queue.extend(self.graph.remove(uid));
                return;
            }
            Propagation::Background => {}
            Propagation::Foreground => (item.foreground, item.orphan) = (true, false),
            Propagation::Orphan => (item.foreground, item.orphan) = (false, true),
        }
        item.deleting = true;
        self.put(item);
    }

    fn without_owners(&mut self, uid: &str, gone: &[String]) {
        if let Some(mut item) = self.objects.get(uid).cloned() {
            item.owners.retain(|owner| !gone.contains(&owner.uid));
            self.put(item);
        }
    }

    fn step(&mut self, uid: &str) {
        let Some(item) = self.objects.get(uid).cloned() else { return };
        let state = |owner: &OwnerReference| match self.objects.get(&owner.uid) {
            None => Owner::Gone,
            Some(found) if found.waits_for_dependents() => Owner::Waiting,
            Some(_) => Owner::There,
        };
        let owners: Vec<_> = item.owners.iter().map(|owner| (owner.clone(), state(owner))).collect();
        let dependents = self.graph.dependents(uid);
        match plan(&item, &owners, &dependents) {
            Action::Nothing => {}
            Action::Delete(how) => self.delete(uid, how),
            Action::Disown(gone) => self.without_owners(uid, &gone),
            Action::UnblockAndDelete => {
                let mut unblocked = item;
                unblocked.owners.iter_mut().for_each(|owner| owner.block_owner_deletion = Some(false));
                self.put(unblocked);
                self.delete(uid, Propagation::Foreground);
            }
            Action::Finalize(_) => {
                self.objects.remove(uid);
                self.queue.extend(self.graph.remove(uid));
            }
            Action::Orphan => {
                for dependent in dependents {
                    self.without_owners(&dependent.uid, &[uid.to_owned()]);
                }
                self.objects.remove(uid);
                self.queue.extend(self.graph.remove(uid));
            }
            Action::Visit(blocking) => self.queue.extend(blocking),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_without_owners_is_left(
        owners in prop::collection::vec(prop::collection::btree_map(0_usize..8, any::<bool>(), 0..3), 8),
        deletions in prop::collection::vec((0_usize..8, 0_u8..3), 1..4),
    ) {
        let mut world = World { objects: BTreeMap::new(), graph: Graph::default(), queue: Vec::new() };
        for (at, owners) in owners.iter().enumerate() {
            // Circles are allowed: an owner may come later.
            let owners: Vec<String> = owners
                .iter()
                .filter(|(owner, _)| **owner != at)
                .map(|(owner, blocks)| format!("{}o{owner}", if *blocks { "!" } else { "" }))
                .collect();
            let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
            let item = item(&format!("o{at}"), &owners);
            world.graph.apply(item.clone());
            world.objects.insert(item.uid.clone(), item);
        }
        let before = world.objects.clone();
        for (at, how) in deletions {
            let how = [Propagation::Background, Propagation::Foreground, Propagation::Orphan][usize::from(how)];
            let uid = format!("o{at}");
            if world.objects.get(&uid).is_some_and(|item| !item.deleting) {
                world.delete(&uid, how);
            }
            let mut steps = 0;
            while !world.queue.is_empty() {
                steps += 1;
                prop_assert!(steps < 2000, "no rest: {:?}", world.objects);
                let uid = world.queue.remove(0);
                world.step(&uid);
            }
            for item in world.objects.values() {
                prop_assert!(!item.deleting, "{} waits for ever", item.uid);
                let mut owners = item.owners.iter();
                let has_owner = owners.any(|owner| world.objects.contains_key(&owner.uid));
                prop_assert!(item.owners.is_empty() || has_owner, "{} has lost its owners", item.uid);
                prop_assert!(item.owners.is_empty() == before[&item.uid].owners.is_empty() || item.owners.is_empty());
            }
        }
    }
}
