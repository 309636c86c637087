//! What becomes of one object (upstream: `attemptToDeleteItem`).

use drydock_api::meta::OwnerReference;
use drydock_client::Propagation;

use super::FOREGROUND;
use super::graph::Item;

/// What is known of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there.
    There,
    /// It is there, being deleted, and waits for its dependents.
    Waiting,
    /// It is gone.
    Gone,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Nothing,
    Delete(Propagation),
    /// Forget these owners; others are left.
    Disown(Vec<String>),
    /// Two wait for each other: let the owner go first.
    UnblockAndDelete,
    /// Nothing is left to wait for.
    Finalize(&'static str),
    /// Take this owner away from all dependents.
    Orphan,
    /// Look at these: they are waited for.
    Visit(Vec<String>),
}

pub(super) fn plan(item: &Item, owners: &[(OwnerReference, Owner)], dependents: &[Item]) -> Action {
    if item.deleting {
        if item.orphan {
            return Action::Orphan;
        }
        if !item.foreground {
            return Action::Nothing;
        }
        let blocking: Vec<&Item> = dependents.iter().filter(|dependent| dependent.blocks(&item.uid)).collect();
        if blocking.is_empty() {
            return Action::Finalize(FOREGROUND);
        }
        let idle = blocking.into_iter().filter(|dependent| !dependent.waits_for_dependents());
        return Action::Visit(idle.map(|dependent| dependent.uid.clone()).collect());
    }
    if owners.is_empty() {
        return Action::Nothing;
    }
    let is_left = owners.iter().any(|(_, owner)| *owner == Owner::There);
    let lost: Vec<String> =
        owners.iter().filter(|(_, owner)| *owner != Owner::There).map(|(reference, _)| reference.uid.clone()).collect();
    if is_left {
        return if lost.is_empty() { Action::Nothing } else { Action::Disown(lost) };
    }
    let owner_waits = owners.iter().any(|(_, owner)| *owner == Owner::Waiting);
    if owner_waits && !dependents.is_empty() {
        if dependents.iter().any(Item::waits_for_dependents) {
            return Action::UnblockAndDelete;
        }
        return Action::Delete(Propagation::Foreground);
    }
    // What the object was meant to have on its own deletion is respected.
    Action::Delete(match (item.orphan, item.foreground) {
        (true, _) => Propagation::Orphan,
        (false, true) => Propagation::Foreground,
        (false, false) => Propagation::Background,
    })
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
#[cfg(test)]
mod tests {
    use super::super::graph::testing::item;
    use super::*;

    #[track_caller]
    fn check(item: &Item, owners: &[(&str, Owner)], dependents: &[Item], expected: Action) {
        let owners: Vec<_> = owners
            .iter()
            .map(|(uid, owner)| (OwnerReference { uid: (*uid).into(), ..OwnerReference::default() }, *owner))
            .collect();
        assert_eq!(plan(item, &owners, dependents), expected);
    }

    fn leaving(uid: &str, foreground: bool, orphan: bool) -> Item {
        Item { deleting: true, foreground, orphan, ..item(uid, &[]) }
    }

    #[test]
    fn owners_decide() {
        use Owner::{Gone, There, Waiting};
        let child = item("c", &["a", "b"]);
        check(&child, &[("a", There)], &[], Action::Nothing);
        check(&child, &[("a", Gone)], &[], Action::Delete(Propagation::Background));
        check(&child, &[("a", There), ("b", Gone)], &[], Action::Disown(vec!["b".into()]));
        check(&child, &[("a", There), ("b", Waiting)], &[], Action::Disown(vec!["b".into()]));
        check(&child, &[("a", Waiting)], &[], Action::Delete(Propagation::Background));
        check(&child, &[("a", Waiting)], &[item("g", &["c"])], Action::Delete(Propagation::Foreground));
        check(&child, &[("a", Waiting)], &[leaving("g", true, false)], Action::UnblockAndDelete);
        check(&item("lonely", &[]), &[], &[], Action::Nothing);
        let keeps = Item { orphan: true, ..child };
        check(&keeps, &[("a", Gone)], &[], Action::Delete(Propagation::Orphan));
    }

    #[test]
    fn deletion_waits_or_lets_go() {
        check(&leaving("o", false, false), &[], &[item("c", &["!o"])], Action::Nothing);
        check(&leaving("o", true, false), &[], &[], Action::Finalize(FOREGROUND));
        check(&leaving("o", true, false), &[], &[item("c", &["o"])], Action::Finalize(FOREGROUND));
        check(&leaving("o", true, false), &[], &[item("c", &["!o"])], Action::Visit(vec!["c".into()]));
        check(&leaving("o", false, true), &[], &[item("c", &["!o"])], Action::Orphan);
    }
}
