//! The runtime's description of a container, made from the pod's: pure, but for the files it names.

mod etc;
pub(crate) mod seccomp;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use drydock_container_runtime::{ContainerConfig, Limits, Mount, Propagation, RootFs, Security, UserSpec};
use drydock_images::Image;

use crate::env::expand;
use crate::pod::{Container, Pod, Qos, Resources};
use crate::volumes::Ready;

pub(crate) use etc::{hosts_file, resolv_conf};

/// All that a container is made from.
pub(crate) struct Inputs<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    pub(crate) image: &'a Image,
    pub(crate) image_dir: &'a Path,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) volumes: &'a BTreeMap<String, Ready>,
    /// The pod's directory, with `etc/` in it.
    pub(crate) pod_dir: &'a Path,
    /// The container's directory of this instance.
    pub(crate) dir: &'a Path,
    pub(crate) memory_capacity: u64,
    pub(crate) pids_limit: Option<u64>,
}

/// Makes the description.
///
/// # Errors
/// Upstream's text of what makes the container impossible (`CreateContainerConfigError`).
pub(crate) fn container_config(inputs: &Inputs<'_>) -> Result<ContainerConfig, String> {
    let Inputs { pod, container, image, .. } = inputs;
    verify_non_root(pod, container, image)?;
    let variable = |name: &str| inputs.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let mut env: Vec<(String, String)> =
        image.config.env.iter().map(|text| text.split_once('=').unwrap_or((text, ""))).map(own).collect();
    env.retain(|(name, _)| !inputs.env.iter().any(|(key, _)| key == name));
    env.extend(inputs.env.iter().cloned());
    if !env.iter().any(|(name, _)| name == "HOSTNAME") {
        env.insert(0, ("HOSTNAME".to_owned(), pod.host_name()));
    }
    let context = &container.security_context;
    let shared = &pod.spec.security_context;
    let security = Security {
        privileged: context.privileged,
        add_capabilities: context.capabilities.add.clone(),
        drop_capabilities: context.capabilities.drop.clone(),
        no_new_privileges: context.allow_privilege_escalation == Some(false) && !context.privileged,
        seccomp: seccomp::wanted(pod, container),
        read_only_root: context.read_only_root_filesystem,
        unmasked_proc: context.proc_mount.as_deref() == Some("Unmasked"),
    };
    let id = |value: Option<i64>| value.and_then(|id| u32::try_from(id).ok());
    let mut groups: Vec<u32> =
        shared.supplemental_groups.iter().filter_map(|group| u32::try_from(*group).ok()).collect();
    groups.extend(id(shared.fs_group));
    let user = UserSpec {
        image_user: image.config.user.clone(),
        uid: id(context.run_as_user.or(shared.run_as_user)),
        gid: id(context.run_as_group.or(shared.run_as_group)),
        supplemental_groups: groups,
        strict_groups: shared.supplemental_groups_policy.as_deref() == Some("Strict"),
    };
    let command: Vec<String> = container.command.iter().map(|word| expand(word, variable)).collect();
    let words: Vec<String> = container.args.iter().map(|word| expand(word, variable)).collect();
    let args = arguments(command, words, image);
    if args.is_empty() {
        return Err("no command specified".to_owned());
    }
    let cwd = if container.working_dir.is_empty() { &image.config.working_dir } else { &container.working_dir };
    Ok(ContainerConfig {
        name: container.name.clone(),
        rootfs: RootFs::Overlay { layers: shifted(inputs, &inputs.image.layers), writable: inputs.dir.join("rootfs") },
        args,
        env,
        cwd: cwd.clone(),
        user,
        mounts: mounts(inputs, variable)?,
        devices: Vec::new(),
        security,
        limits: limits(&container.resources, inputs.pids_limit),
        oom_score_adj: oom_score_adj(pod, container, inputs.memory_capacity),
        tty: container.tty,
        stdin: container.stdin,
        pid_target: None,
    })
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A command replaces the image's entry point and its arguments; arguments alone replace the latter.
fn arguments(command: Vec<String>, words: Vec<String>, image: &Image) -> Vec<String> {
    let config = &image.config;
    match (command.is_empty(), words.is_empty()) {
        (false, _) => [command, words].concat(),
        (true, false) => [config.entrypoint.clone(), words].concat(),
        (true, true) => [config.entrypoint.clone(), config.cmd.clone()].concat(),
    }
}

/// The layers as the pod's root owns them: the host shows the store a second time, shifted into the pods' ids.
fn shifted(inputs: &Inputs<'_>, layers: &[PathBuf]) -> Vec<PathBuf> {
    let mut shifted = inputs.image_dir.as_os_str().to_owned();
    shifted.push("-pods");
    let shifted = PathBuf::from(shifted);
    let layers = layers.iter();
    if !inputs.pod.has_user_namespace() || !shifted.is_dir() {
        return layers.cloned().collect();
    }
    layers
        .map(|layer| layer.strip_prefix(inputs.image_dir).map_or_else(|_| layer.clone(), |inner| shifted.join(inner)))
        .collect()
}

/// upstream: `verifyRunAsNonRoot`.
fn verify_non_root(pod: &Pod, container: &Container, image: &Image) -> Result<(), String> {
    let shared = &pod.spec.security_context;
    let own = &container.security_context;
    if own.run_as_non_root.or(shared.run_as_non_root) != Some(true) {
        return Ok(());
    }
    let place = format!("(pod: \"{}\", container: {})", pod.format(), container.name);
    match own.run_as_user.or(shared.run_as_user) {
        Some(0) => return Err(format!("container's runAsUser breaks non-root policy {place}")),
        Some(_) => return Ok(()),
        None => {}
    }
    let user = image.config.user.split(':').next().unwrap_or_default();
    match user.parse::<u32>() {
        Ok(0) => Err(format!("container has runAsNonRoot and image will run as root {place}")),
        Ok(_) => Ok(()),
        Err(_) if user.is_empty() => Err(format!("container has runAsNonRoot and image will run as root {place}")),
        Err(_) => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {place}"
        )),
    }
}

/// Requests and limits as the kernel takes them (upstream: `MilliCPUToShares`, `MilliCPUToQuota`).
pub(crate) fn limits(resources: &Resources, pids: Option<u64>) -> Limits {
    let cpu_limit = resources.limits.get("cpu").filter(|quantity| !quantity.is_zero());
    let cpu = resources.requests.get("cpu").or(cpu_limit);
    let milli = |quantity: &drydock_api::quantity::Quantity| u64::try_from(quantity.milli_value()).unwrap_or(0);
    let memory = resources.limits.get("memory").map(|quantity| quantity.value()).filter(|bytes| *bytes > 0);
    Limits {
        memory_bytes: memory.and_then(|bytes| u64::try_from(bytes).ok()),
        cpu_shares: Some(cpu.map_or(2, |quantity| (milli(quantity) * 1024 / 1000).clamp(2, 262_144))),
        cpu_quota_us: cpu_limit.map(|quantity| i64::try_from(milli(quantity) * 100).unwrap_or(i64::MAX).max(1000)),
        cpu_period_us: cpu_limit.map(|_| 100_000),
        pids,
    }
}

/// upstream: `GetContainerOOMScoreAdjust`.
fn oom_score_adj(pod: &Pod, container: &Container, capacity: u64) -> i32 {
    let critical = pod.is_static() || pod.spec.priority.is_some_and(|priority| priority >= 2_000_000_000);
    match pod.qos() {
        _ if critical => -997,
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let request = container.resources.requests.get("memory").map_or(0, |quantity| quantity.value());
            let share = 1000 * i128::from(request) / i128::from(capacity.max(1));
            i32::try_from((1000 - share).clamp(3, 999)).unwrap_or(999)
        }
    }
}

fn mounts(inputs: &Inputs<'_>, variable: impl Fn(&str) -> Option<String> + Copy) -> Result<Vec<Mount>, String> {
    let mut mounts = Vec::new();
    for wanted in &inputs.container.volume_mounts {
        let Some(volume) = inputs.volumes.get(&wanted.name) else {
            return Err(format!(
                "cannot find volume \"{}\" to mount into container \"{}\"",
                wanted.name, inputs.container.name
            ));
        };
        let sub_path = if wanted.sub_path_expr.is_empty() {
            wanted.sub_path.clone()
        } else {
            expand(&wanted.sub_path_expr, variable)
        };
        if sub_path.starts_with('/') || sub_path.split('/').any(|part| part == "..") {
            return Err(format!("subPath \"{sub_path}\" must be a relative path without '..'"));
        }
        if sub_path.contains("$(") {
            return Err(format!("failed to expand subPathExpr \"{}\"", wanted.sub_path_expr));
        }
        mounts.push(Mount {
            host_path: volume.path.clone(),
            layers: shifted(inputs, &volume.layers),
            sub_path: (!sub_path.is_empty()).then(|| PathBuf::from(sub_path)),
            container_path: PathBuf::from("/").join(&wanted.mount_path),
            read_only: wanted.read_only || volume.read_only,
            recursive: true,
            propagation: match wanted.mount_propagation.as_deref() {
                Some("HostToContainer") => Propagation::HostToContainer,
                Some("Bidirectional") => Propagation::Bidirectional,
                _ => Propagation::Private,
            },
        });
    }
    let taken =
        |path: &str| inputs.container.volume_mounts.iter().any(|mount| mount.mount_path.trim_end_matches('/') == path);
    for name in ["hosts", "hostname", "resolv.conf"] {
        let path = format!("/etc/{name}");
        if !taken(&path) {
            mounts.push(file(
                inputs.pod_dir.join("etc").join(name),
                &path,
                inputs.container.security_context.read_only_root_filesystem,
            ));
        }
    }
    let termination = termination_path(inputs.container);
    if !taken(termination) {
        mounts.push(file(inputs.dir.join("termination-log"), termination, false));
    }
    Ok(mounts)
}

fn file(host_path: PathBuf, container_path: &str, read_only: bool) -> Mount {
    Mount { host_path, container_path: container_path.into(), read_only, ..Mount::default() }
}

/// Where the container leaves its last words.
pub(crate) fn termination_path(container: &Container) -> &str {
    if container.termination_message_path.is_empty() {
        "/dev/termination-log"
    } else {
        &container.termination_message_path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::tests::pod;

    fn image() -> Image {
        let config = drydock_images::ImageConfig {
            entrypoint: vec!["/entry".into()],
            cmd: vec!["cmd".into()],
            env: vec!["PATH=/bin".into(), "A=image".into()],
            ..Default::default()
        };
        Image {
            name: "i".into(),
            names: Vec::new(),
            digest: "sha256:1".into(),
            layers: vec!["/img/layers/1".into()],
            config,
            size: 1,
            repo_digests: Vec::new(),
        }
    }

    fn config(spec: &str, container: &str, env: &[(&str, &str)]) -> Result<ContainerConfig, String> {
        let pod = pod(&format!(
            "{{metadata: {{name: p, namespace: ns, uid: u}}, spec: {{{spec} containers: [{{name: c, {container}}}]}}}}"
        ));
        let volumes = [("v".to_owned(), Ready { path: "/vol".into(), ..Ready::default() })].into();
        container_config(&Inputs {
            pod: &pod,
            container: &pod.spec.containers[0],
            image: &image(),
            image_dir: Path::new("/img"),
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            volumes: &volumes,
            pod_dir: Path::new("/pod"),
            dir: Path::new("/pod/c"),
            memory_capacity: 1 << 30,
            pids_limit: Some(100),
        })
    }

    #[test]
    fn commands_and_arguments() {
        for (container, expected) in [
            ("tty: false", vec!["/entry", "cmd"]),
            ("args: [x]", vec!["/entry", "x"]),
            ("command: [w]", vec!["w"]),
            ("command: [w], args: [$(B), $(C)]", vec!["w", "b", "$(C)"]),
        ] {
            assert_eq!(config("", container, &[("B", "b")]).unwrap().args, expected, "{container}");
        }
        let env = config("", "tty: false", &[("A", "pod")]).unwrap().env;
        let get =
            |name: &str| env.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
        assert_eq!((get("A"), get("PATH"), get("HOSTNAME")), (vec!["pod"], vec!["/bin"], vec!["p"]));
    }

    #[test]
    fn limits_are_the_kernels() {
        let limits =
            config("", "resources: {requests: {cpu: 250m}, limits: {cpu: 500m, memory: 64Mi}}", &[]).unwrap().limits;
        assert_eq!(
            (limits.cpu_shares, limits.cpu_quota_us, limits.memory_bytes),
            (Some(256), Some(50_000), Some(64 << 20))
        );
        assert_eq!(config("", "tty: false", &[]).unwrap().limits.cpu_shares, Some(2));
        let burstable = config("", "resources: {requests: {memory: 512Mi}}", &[]).unwrap();
        assert_eq!(burstable.oom_score_adj, 500);
    }

    #[test]
    fn users_and_non_root() {
        let user = config(
            "securityContext: {runAsUser: 1, fsGroup: 7, supplementalGroups: [8]},",
            "securityContext: {runAsUser: 2}",
            &[],
        )
        .unwrap()
        .user;
        assert_eq!((user.uid, user.supplemental_groups), (Some(2), vec![8, 7]));
        let error = config("securityContext: {runAsNonRoot: true},", "tty: false", &[]).unwrap_err();
        assert_eq!(error, "container has runAsNonRoot and image will run as root (pod: \"p_ns(u)\", container: c)");
        let error = config("", "securityContext: {runAsNonRoot: true, runAsUser: 0}", &[]).unwrap_err();
        assert_eq!(error, "container's runAsUser breaks non-root policy (pod: \"p_ns(u)\", container: c)");
    }

    #[test]
    fn mounts_are_checked() {
        let mounts =
            |text: &str| config("", &format!("volumeMounts: [{{name: v, mountPath: /m, {text}}}]"), &[("N", "nn")]);
        let mount = mounts("subPathExpr: x/$(N), readOnly: true").unwrap().mounts[0].clone();
        assert_eq!((mount.sub_path, mount.read_only), (Some("x/nn".into()), true));
        assert!(mounts("subPath: ../x").is_err());
        assert!(mounts("subPathExpr: $(NOPE)").is_err());
        assert!(config("", "volumeMounts: [{name: nope, mountPath: /m}]", &[]).is_err());
        let paths: Vec<_> =
            mounts("readOnly: false").unwrap().mounts.into_iter().map(|mount| mount.container_path).collect();
        assert_eq!(paths.last().unwrap(), Path::new("/dev/termination-log"));
        assert!(paths.contains(&"/etc/resolv.conf".into()));
    }
}
