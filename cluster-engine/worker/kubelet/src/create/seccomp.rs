//! Which system calls a container may make: `seccompProfile` of the container or its pod.

use std::io::Read;
use std::path::{Component, Path};

use drydock_container_runtime::Seccomp;
use drydock_container_runtime::profile::Profile;

use crate::pod::{Container, Pod, SeccompProfile};

/// No profile is larger.
const LIMIT: u64 = 1 << 20;

fn profile<'a>(pod: &'a Pod, container: &'a Container) -> Option<&'a SeccompProfile> {
    container.security_context.seccomp_profile.as_ref().or(pod.spec.security_context.seccomp_profile.as_ref())
}

/// What the container asks for; a profile of the node's is still to be [loaded](localhost).
pub(crate) fn wanted(pod: &Pod, container: &Container) -> Seccomp {
    match profile(pod, container).map(|profile| profile.kind.as_str()) {
        Some("Unconfined") => Seccomp::Unconfined,
        // The node's own parts run as upstream runs all pods; a learner's always have the default filter.
        None if !pod.has_user_namespace() => Seccomp::Unconfined,
        _ => Seccomp::RuntimeDefault,
    }
}

/// Reads the profile that the container names, from below the node's `seccomp` folder.
///
/// # Errors
/// containerd's text when there is none or it is unusable.
pub(crate) fn localhost(pod: &Pod, container: &Container, folder: &Path) -> Result<Option<Seccomp>, String> {
    let Some(profile) = profile(pod, container).filter(|profile| profile.kind == "Localhost") else { return Ok(None) };
    let name = profile.localhost_profile.as_deref().unwrap_or_default();
    let is_below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !is_below {
        return Err(format!(
            "failed to generate security options for container \"{}\": invalid seccomp profile \"localhost/{name}\"",
            container.name
        ));
    }
    let path = folder.join(name);
    let path = path.display();
    let text = std::fs::File::open(folder.join(name)).and_then(|file| {
        let mut text = Vec::new();
        file.take(LIMIT).read_to_end(&mut text).map(|_| text)
    });
    let text = text.map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        format!("failed to create containerd container: cannot load seccomp profile \"{path}\": open {path}: {reason}")
    })?;
    let profile = Profile::parse(&text).map_err(|reason| {
        format!("failed to create containerd container: decoding seccomp profile failed \"{path}\": {reason}")
    })?;
    Ok(Some(Seccomp::Localhost(Box::new(profile))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::tests::pod;

    fn load(container: &str, folder: &Path) -> Result<Option<Seccomp>, String> {
        let pod = pod(&format!(
            "{{metadata: {{name: p, namespace: ns, uid: u}}, spec: {{securityContext: {{seccompProfile: {{type: RuntimeDefault}}}}, containers: [{{name: c, securityContext: {{seccompProfile: {container}}}}}]}}}}"
        ));
        localhost(&pod, &pod.spec.containers[0], folder)
    }

    #[test]
    fn profiles_lie_below_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("profiles")).unwrap();
        std::fs::write(folder.path().join("profiles/audit.json"), r#"{"defaultAction": "SCMP_ACT_LOG"}"#).unwrap();
        std::fs::write(folder.path().join("broken.json"), "{").unwrap();
        let named = |name: &str| load(&format!("{{type: Localhost, localhostProfile: {name}}}"), folder.path());
        assert_eq!(load("{type: Unconfined}", folder.path()), Ok(None));
        assert!(matches!(named("profiles/audit.json"), Ok(Some(Seccomp::Localhost(_)))));
        let missing = named("none.json").unwrap_err();
        assert!(
            missing.contains("cannot load seccomp profile")
                && missing.ends_with("none.json: no such file or directory"),
            "{missing}"
        );
        assert!(named("broken.json").unwrap_err().contains("decoding seccomp profile failed"));
        for outside in ["../x.json", "/etc/passwd", "profiles/../../x"] {
            assert!(named(outside).unwrap_err().contains("invalid seccomp profile"), "{outside}");
        }
    }
}
