//! Containers of a pod.

use drydock_client::types::IntOrString;
use serde::Deserialize;

use super::{Resources, SeccompProfile};

/// A container, an init container or an ephemeral container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) image_pull_policy: String,
    pub(crate) command: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) working_dir: String,
    pub(crate) env: Vec<EnvVar>,
    pub(crate) env_from: Vec<EnvFrom>,
    pub(crate) ports: Vec<ContainerPort>,
    pub(crate) volume_mounts: Vec<VolumeMount>,
    pub(crate) resources: Resources,
    pub(crate) liveness_probe: Option<Probe>,
    pub(crate) readiness_probe: Option<Probe>,
    pub(crate) startup_probe: Option<Probe>,
    pub(crate) lifecycle: Option<Lifecycle>,
    pub(crate) security_context: SecurityContext,
    pub(crate) termination_message_path: String,
    pub(crate) termination_message_policy: String,
    pub(crate) restart_policy: Option<String>,
    pub(crate) restart_policy_rules: Vec<RestartRule>,
    pub(crate) resize_policy: Vec<ResizePolicy>,
    pub(crate) tty: bool,
    pub(crate) stdin: bool,
    pub(crate) stdin_once: bool,
    pub(crate) target_container_name: String,
}

impl Container {
    pub(crate) fn is_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }

    /// Whether a change of the resource's limits needs a restart.
    pub(crate) fn restarts_for(&self, resource: &str) -> bool {
        let wanted = self.resize_policy.iter().find(|policy| policy.resource_name == resource);
        wanted.is_some_and(|policy| policy.restart_policy == "RestartContainer")
    }

    /// The number of a port given as number or name.
    pub(crate) fn port(&self, port: &IntOrString) -> Option<u16> {
        match port {
            IntOrString::Int(number) => u16::try_from(*number).ok(),
            IntOrString::String(name) => match name.parse() {
                Ok(number) => Some(number),
                Err(_) => self.ports.iter().find(|port| port.name == *name).map(|port| port.container_port),
            },
        }
    }
}

/// What an exit code means for the container's restart.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RestartRule {
    pub(crate) action: String,
    pub(crate) exit_codes: ExitCodes,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExitCodes {
    pub(crate) operator: String,
    pub(crate) values: Vec<i32>,
}

impl RestartRule {
    pub(crate) fn matches(&self, exit_code: i32) -> bool {
        let listed = self.exit_codes.values.contains(&exit_code);
        match self.exit_codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResizePolicy {
    pub(crate) resource_name: String,
    pub(crate) restart_policy: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) value_from: Option<EnvVarSource>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EnvVarSource {
    pub(crate) field_ref: Option<FieldRef>,
    pub(crate) resource_field_ref: Option<ResourceFieldRef>,
    pub(crate) config_map_key_ref: Option<KeyRef>,
    pub(crate) secret_key_ref: Option<KeyRef>,
    pub(crate) file_key_ref: Option<FileKeyRef>,
}

/// A key of an environment file on a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FileKeyRef {
    pub(crate) volume_name: String,
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FieldRef {
    pub(crate) field_path: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResourceFieldRef {
    pub(crate) container_name: String,
    pub(crate) resource: String,
    pub(crate) divisor: Option<drydock_api::quantity::Quantity>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct KeyRef {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EnvFrom {
    pub(crate) prefix: String,
    pub(crate) config_map_ref: Option<NameRef>,
    pub(crate) secret_ref: Option<NameRef>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NameRef {
    pub(crate) name: String,
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerPort {
    pub(crate) name: String,
    pub(crate) container_port: u16,
    pub(crate) host_port: u16,
    #[serde(rename = "hostIP")]
    pub(crate) host_ip: String,
    pub(crate) protocol: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VolumeMount {
    pub(crate) name: String,
    pub(crate) mount_path: String,
    pub(crate) read_only: bool,
    pub(crate) sub_path: String,
    pub(crate) sub_path_expr: String,
    pub(crate) mount_propagation: Option<String>,
    pub(crate) recursive_read_only: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Probe {
    #[serde(flatten)]
    pub(crate) action: Action,
    pub(crate) initial_delay_seconds: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) period_seconds: u32,
    pub(crate) success_threshold: u32,
    pub(crate) failure_threshold: u32,
    pub(crate) termination_grace_period_seconds: Option<i64>,
}

/// What a probe or a lifecycle hook does: one of these.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Action {
    pub(crate) exec: Option<ExecAction>,
    pub(crate) http_get: Option<HttpAction>,
    pub(crate) tcp_socket: Option<TcpAction>,
    pub(crate) grpc: Option<GrpcAction>,
    pub(crate) sleep: Option<SleepAction>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExecAction {
    pub(crate) command: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HttpAction {
    pub(crate) path: String,
    pub(crate) port: IntOrString,
    pub(crate) host: String,
    pub(crate) scheme: String,
    pub(crate) http_headers: Vec<HttpHeader>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HttpHeader {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TcpAction {
    pub(crate) port: IntOrString,
    pub(crate) host: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GrpcAction {
    pub(crate) port: u16,
    pub(crate) service: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SleepAction {
    pub(crate) seconds: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Lifecycle {
    pub(crate) post_start: Option<Action>,
    pub(crate) pre_stop: Option<Action>,
    pub(crate) stop_signal: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SecurityContext {
    pub(crate) run_as_user: Option<i64>,
    pub(crate) run_as_group: Option<i64>,
    pub(crate) run_as_non_root: Option<bool>,
    pub(crate) privileged: bool,
    pub(crate) read_only_root_filesystem: bool,
    pub(crate) allow_privilege_escalation: Option<bool>,
    pub(crate) capabilities: Capabilities,
    pub(crate) seccomp_profile: Option<SeccompProfile>,
    pub(crate) proc_mount: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Capabilities {
    pub(crate) add: Vec<String>,
    pub(crate) drop: Vec<String>,
}
