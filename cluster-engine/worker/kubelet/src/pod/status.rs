//! The pod's status, in the shape that goes over the wire.

use serde::{Deserialize, Serialize};

use super::Resources;

fn is_empty(text: &str) -> bool {
    text.is_empty()
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodStatus {
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) observed_generation: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) phase: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) message: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) reason: String,
    #[serde(rename = "hostIP", skip_serializing_if = "is_empty")]
    pub(crate) host_ip: String,
    #[serde(rename = "hostIPs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) host_ips: Vec<Ip>,
    #[serde(rename = "podIP", skip_serializing_if = "is_empty")]
    pub(crate) pod_ip: String,
    #[serde(rename = "podIPs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) pod_ips: Vec<Ip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_time: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) init_container_statuses: Vec<ContainerStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) container_statuses: Vec<ContainerStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ephemeral_container_statuses: Vec<ContainerStatus>,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) qos_class: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ip {
    pub(crate) ip: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) observed_generation: i64,
    pub(crate) last_probe_time: Option<String>,
    pub(crate) last_transition_time: Option<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerStatus {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) last_state: State,
    pub(crate) ready: bool,
    pub(crate) restart_count: u32,
    pub(crate) image: String,
    #[serde(rename = "imageID")]
    pub(crate) image_id: String,
    #[serde(rename = "containerID", skip_serializing_if = "is_empty")]
    pub(crate) container_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allocated_resources: Option<std::collections::BTreeMap<String, drydock_api::quantity::Quantity>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<Resources>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) volume_mounts: Vec<VolumeMountStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<ContainerUser>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerUser {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) linux: Option<LinuxUser>,
}

/// Ids as the pod sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LinuxUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) supplemental_groups: Vec<u32>,
}

impl LinuxUser {
    /// From `/proc/PID/status`, whose ids are the node's; `base` is there the pod's id 0.
    pub(crate) fn parse(status: &str, base: u32) -> Option<LinuxUser> {
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let ids = |name: &str| -> Option<Vec<u32>> {
            line(name)?.split_whitespace().map(|id| id.parse::<u32>().ok()?.checked_sub(base)).collect()
        };
        // The first of each is the real one; among the groups upstream's runtimes count the process's own, too.
        let (uid, gid) = (*ids("Uid")?.first()?, *ids("Gid")?.first()?);
        let mut supplemental_groups = vec![gid];
        supplemental_groups.extend(ids("Groups")?.into_iter().filter(|group| *group != gid));
        Some(LinuxUser { uid, gid, supplemental_groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_who_it_is() {
        let status =
            "Name:\tsh\nUid:\t66536\t66536\t66536\t66536\nGid:\t65536\t65536\t65536\t65536\nGroups:\t65536 65546 \n";
        let user = LinuxUser::parse(status, 65_536).unwrap();
        assert_eq!((user.uid, user.gid, user.supplemental_groups), (1000, 0, vec![0, 10]));
        let plain = LinuxUser::parse("Uid:\t0\t0\t0\t0\nGid:\t5\t5\t5\t5\nGroups:\t \n", 0).unwrap();
        assert_eq!((plain.uid, plain.gid, plain.supplemental_groups), (0, 5, vec![5]));
        // Not of the pod at all.
        assert_eq!(LinuxUser::parse("Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\nGroups:\t\n", 65_536), None);
        assert_eq!(LinuxUser::parse("", 0), None);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VolumeMountStatus {
    pub(crate) name: String,
    pub(crate) mount_path: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recursive_read_only: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct State {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<Waiting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) running: Option<Running>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Waiting {
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Running {
    pub(crate) started_at: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Terminated {
    pub(crate) exit_code: i32,
    #[serde(skip_serializing_if = "is_zero_signal")]
    pub(crate) signal: i32,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) message: String,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    #[serde(rename = "containerID", skip_serializing_if = "is_empty")]
    pub(crate) container_id: String,
}

fn is_zero_signal(signal: &i32) -> bool {
    *signal == 0
}
