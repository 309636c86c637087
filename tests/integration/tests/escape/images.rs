//! The image store: every session sees it, none may change it, since supervisors run from it as the machine's root.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::lab::{Lab, Place};
use crate::machine;

pub(crate) fn cannot_be_poisoned(lab: &Lab<'_>) {
    let store = machine::store(lab.product);
    let before = listing(&store.join("layers"));

    // The tricks work where nothing is locked: on a mount of eve's own.
    let own =
        "b=busybox; $b mkdir -p /tmp/own && $b mount --bind /tmp/own /tmp/own && $b mount -o remount,bind,ro /tmp/own";
    lab.run(Place::Node, &["busybox", "sh", "-c", own]).ok();
    let tricks = lab.probe(Place::Node, &["remount", "/tmp/own"]);
    assert_eq!(tricks[0], ("plain".to_owned(), "ok, EROFS".to_owned()));
    assert!(tricks.iter().any(|(what, outcome)| what == "remount bind" && outcome == "ok, written"), "{tricks:?}");

    for shown in ["images", "images-pods", "images/private", "images-pods/private"] {
        for (place, path) in [
            (Place::Node, format!("/var/lib/{shown}")),
            (Place::Worst, format!("/node/var/lib/{shown}")),
            (Place::Privileged, format!("/node/var/lib/{shown}")),
        ] {
            lab.in_places(&[place], &["remount", &path], |_, _, outcome| !outcome.contains("written"));
        }
    }
    // The node's own program and kubectl are the machine's files, too.
    for file in ["/usr/local/bin/drydock-node", "/usr/local/bin/busybox"] {
        lab.in_places(&[Place::Node], &["write", file], |_, _, outcome| outcome != "ok");
        let shell =
            format!("busybox mount -o remount,bind,rw {file}; busybox umount {file}; busybox rm -f {file}; true");
        lab.run(Place::Node, &["busybox", "sh", "-c", &shell]);
        lab.in_places(&[Place::Node], &["write", file], |_, _, outcome| !["ok", "ENOENT"].contains(&outcome));
    }
    lab.in_places(&[Place::Workstation], &["write", "/usr/local/bin/kubectl"], |_, _, outcome| outcome != "ok");
    // An image's files change for the container that changes them alone.
    lab.run(Place::Privileged, &["sh", "-c", "echo poison > /usr/bin/env; rm -f /usr/bin/tree"]).ok();
    assert_eq!(lab.run(Place::Plain, &["env", "true"]).code, 0);

    let changed: Vec<_> = listing(&store.join("layers")).symmetric_difference(&before).cloned().collect();
    assert!(changed.is_empty() && !store.join("poison").exists(), "{changed:?}");
}

/// All files of the store with size and time of change.
fn listing(folder: &Path) -> BTreeSet<String> {
    use std::os::unix::fs::MetadataExt;
    let mut lines = BTreeSet::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).expect("the store").flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            lines.insert(format!("{} {} {}", entry.path().display(), metadata.size(), metadata.mtime_nsec()));
            if metadata.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    lines
}
