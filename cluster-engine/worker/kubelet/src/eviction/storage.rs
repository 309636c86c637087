//! Limits of pods' own disk space: `sizeLimit` of emptyDirs and `ephemeral-storage` of containers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use drydock_api::quantity::Quantity;

use crate::kubelet::{Kubelet, blocking};
use crate::pod::Pod;
use crate::state::Failure;
use crate::worker::Handle;

const RESOURCE: &str = "ephemeral-storage";

/// Bytes below a directory as the disk counts them; links are not followed.
pub(super) fn disk_usage(top: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    let mut todo = vec![top.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            total += metadata.blocks() * 512;
            if metadata.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    total
}

/// The directories a pod writes to.
#[derive(Clone, Debug, Default)]
struct Places {
    /// Volume name, limit, directory.
    empty_dirs: Vec<(String, Option<Quantity>, PathBuf)>,
    /// Container name, limit, directories.
    containers: Vec<(String, Option<Quantity>, Vec<PathBuf>)>,
}

fn places(kubelet: &Kubelet, pod: &Pod) -> Places {
    let uid = &pod.metadata.uid;
    let on_disk = pod.spec.volumes.iter().filter_map(|volume| Some((volume, volume.empty_dir.as_ref()?)));
    let empty_dirs = on_disk
        .filter(|(_, empty)| empty.medium != "Memory")
        .map(|(volume, empty)| {
            (volume.name.clone(), empty.size_limit, kubelet.volume_dir(uid, "empty-dir", &volume.name))
        })
        .collect();
    let containers = pod
        .all_containers()
        .map(|(_, container)| {
            let own = kubelet.pod_dir(uid).join("containers").join(&container.name);
            let limit = container.resources.limits.get(RESOURCE).copied().filter(|limit| !limit.is_zero());
            (container.name.clone(), limit, vec![own, kubelet.log_dir(pod).join(&container.name)])
        })
        .collect();
    Places { empty_dirs, containers }
}

/// All that a pod keeps on the node's disk, and what of it each container does.
pub(super) async fn usage(kubelet: &Arc<Kubelet>, pod: &Pod) -> (i64, Vec<(String, i64)>) {
    let places = places(kubelet, pod);
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    blocking(move || {
        let volumes: u64 = places.empty_dirs.iter().map(|(_, _, path)| disk_usage(path)).sum();
        let containers: Vec<_> = places
            .containers
            .iter()
            .map(|(name, _, paths)| (name.clone(), signed(paths.iter().map(|path| disk_usage(path)).sum())))
            .collect();
        let total = containers.iter().fold(signed(volumes), |total, (_, own)| total.saturating_add(*own));
        (total, containers)
    })
    .await
}

/// Pods that are beyond a limit of their own. Those without such limits cost nothing.
pub(super) async fn offenders(kubelet: &Arc<Kubelet>) -> Vec<(Handle, Failure)> {
    let mut found = Vec::new();
    for handle in kubelet.pods.handles() {
        let (pod, over) = {
            let view = handle.view();
            let over = matches!(view.status.phase.as_str(), "Succeeded" | "Failed") || view.pod.metadata.is_deleting();
            (view.pod.clone(), over)
        };
        let places = places(kubelet, &pod);
        let limited = places.empty_dirs.iter().any(|(_, limit, _)| limit.is_some())
            || places.containers.iter().any(|(_, limit, _)| limit.is_some());
        if over || !limited {
            continue;
        }
        let whole = pod.limit(RESOURCE).filter(|limit| !limit.is_zero());
        if let Some(message) = blocking(move || exceeded(&places, whole, disk_usage)).await {
            found.push((handle, Failure { disruption: true, ..Failure::new("Evicted", message) }));
        }
    }
    found
}

/// The first limit that is exceeded, in upstream's words.
fn exceeded(places: &Places, whole: Option<Quantity>, usage: impl Fn(&Path) -> u64) -> Option<String> {
    let beyond = |used: u64, limit: Quantity| i64::try_from(used).unwrap_or(i64::MAX) > limit.value();
    let mut total = 0;
    for (name, limit, path) in &places.empty_dirs {
        let used = usage(path);
        total += used;
        if let Some(limit) = limit.filter(|limit| !limit.is_zero() && beyond(used, *limit)) {
            return Some(format!("Usage of EmptyDir volume \"{name}\" exceeds the limit \"{limit}\". "));
        }
    }
    let mut container = None;
    for (name, limit, paths) in &places.containers {
        let used = paths.iter().map(|path| usage(path)).sum();
        total += used;
        if let Some(limit) = limit.filter(|limit| container.is_none() && beyond(used, *limit)) {
            container = Some(format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". "));
        }
    }
    let whole = whole.filter(|limit| beyond(total, *limit));
    whole
        .map(|limit| format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "))
        .or(container)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_volumes_containers_and_pods() {
        let quantity = |text: &str| Some(text.parse::<Quantity>().unwrap());
        let places = |volume: &str, container: &str| Places {
            empty_dirs: vec![("v".into(), quantity(volume), "v".into())],
            containers: vec![("c".into(), quantity(container), vec!["c".into(), "log".into()])],
        };
        // Every directory holds ten bytes.
        let check = |volume: &str, container: &str, whole: Option<Quantity>, expected: Option<&str>| {
            assert_eq!(exceeded(&places(volume, container), whole, |_| 10).as_deref(), expected);
        };
        check("10", "20", None, None);
        check("9", "20", None, Some("Usage of EmptyDir volume \"v\" exceeds the limit \"9\". "));
        check("10", "19", None, Some("Container c exceeded its local ephemeral storage limit \"19\". "));
        let text = "Pod ephemeral local storage usage exceeds the total limit of containers 29. ";
        check("10", "20", quantity("29"), Some(text));
    }
}
