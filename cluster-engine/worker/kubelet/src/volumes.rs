//! A pod's volumes on the node's disk.

mod atomic;
mod payload;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::env::Sources;
use crate::pod::{HostPath, Pod, Volume};

pub(crate) use atomic::Owner;
pub(crate) use payload::{Payload, payload, references};

/// The first id of the range in which a learner's pod has its own ids 0 to 65535.
pub(crate) const POD_IDS: u32 = 65_536;

/// A volume ready to be mounted into containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) path: PathBuf,
    /// Only to be read: config maps and the like.
    pub(crate) read_only: bool,
    /// Of an image volume: the image's layers, instead of `path`.
    pub(crate) layers: Vec<PathBuf>,
}

/// The node's id for an id inside the pod.
pub(crate) fn node_id(pod: &Pod, id: u32) -> u32 {
    if pod.has_user_namespace() { POD_IDS.saturating_add(id) } else { id }
}

fn owner(pod: &Pod) -> Owner {
    let group = pod.spec.security_context.fs_group.and_then(|group| u32::try_from(group).ok());
    let base = node_id(pod, 0);
    Owner { uid: base, gid: node_id(pod, group.unwrap_or(0)), base, group_reads: group.is_some() }
}

/// Writes the files of a config map, secret, downward or projected volume; true if they changed.
///
/// # Errors
/// A file operation that failed.
pub(crate) fn write_files(pod: &Pod, volume: &Volume, directory: &Path, payload: &Payload) -> io::Result<bool> {
    let owner = owner(pod);
    if is_in_memory(volume) {
        std::fs::create_dir_all(directory)?;
        // After a start of the node what was in memory is gone.
        mount_memory(directory, None)?;
    }
    let changed = atomic::write(directory, payload, owner)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
    chown(directory, Some(owner.uid), Some(owner.gid))?;
    Ok(changed)
}

/// Whether a volume's files never lie on a disk: upstream keeps config maps there and everything else in memory.
fn is_in_memory(volume: &Volume) -> bool {
    volume.secret.is_some() || volume.projected.is_some() || volume.downward_api.is_some()
}

/// Mounts memory at a folder, of at most so many bytes. Mounted already is fine.
fn mount_memory(directory: &Path, size: Option<i64>) -> io::Result<()> {
    if is_mount_point(directory) {
        return Ok(());
    }
    let options = size.map_or("mode=0777".to_owned(), |size| format!("mode=0777,size={size}"));
    mount(Some("tmpfs"), directory, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options.as_str()))?;
    Ok(())
}

/// Makes an emptyDir: open to everybody in the pod, as upstream's.
///
/// # Errors
/// A file operation that failed.
pub(crate) fn empty_dir(pod: &Pod, volume: &Volume, directory: &Path) -> io::Result<()> {
    let Some(empty) = &volume.empty_dir else { return Ok(()) };
    std::fs::create_dir_all(directory)?;
    let owner = owner(pod);
    if empty.medium == "Memory" {
        let limits = [empty.size_limit, pod.limit("memory")].into_iter().flatten().map(|limit| limit.value());
        mount_memory(directory, limits.filter(|size| *size > 0).min())?;
    }
    let setgid = if owner.group_reads { 0o2000 } else { 0 };
    chown(directory, Some(owner.uid), Some(owner.gid))?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777 | setgid))
}

/// Checks or makes what a hostPath volume names.
///
/// # Errors
/// Upstream's text when the path is not of its type.
pub(crate) fn host_path(pod: &Pod, host: &HostPath) -> Result<PathBuf, String> {
    let path = PathBuf::from(&host.path);
    let found = std::fs::metadata(&path);
    let missing = found.is_err();
    let kind = found.ok().map(|metadata| metadata.file_type());
    let is = |test: fn(&std::fs::FileType) -> bool| kind.as_ref().is_some_and(test);
    let failed = |wanted: &str| Err(format!("hostPath type check failed: {} is not a {wanted}", host.path));
    let own = |path: &Path| {
        // The pod's root is not the node's: what is made for the pod belongs to it.
        let id = node_id(pod, 0);
        chown(path, Some(id), Some(id)).map_err(|error| error.to_string())
    };
    match host.kind.as_str() {
        "DirectoryOrCreate" if missing => {
            std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
            own(&path)?;
        }
        "FileOrCreate" if missing => {
            std::fs::File::create(&path).map_err(|error| error.to_string())?;
            own(&path)?;
        }
        "" if missing => {
            std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
            own(&path)?;
        }
        "Directory" | "DirectoryOrCreate" if !is(std::fs::FileType::is_dir) => return failed("directory"),
        "File" | "FileOrCreate" if !is(std::fs::FileType::is_file) => return failed("file"),
        "Socket" if !is(FileTypeExt::is_socket) => return failed("socket file"),
        "CharDevice" if !is(FileTypeExt::is_char_device) => return failed("character device"),
        "BlockDevice" if !is(FileTypeExt::is_block_device) => return failed("block device"),
        _ => {}
    }
    Ok(path)
}

/// Takes a pod's volumes away: memory-backed ones are unmounted, then everything is deleted.
pub(crate) fn remove(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        for volume in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            if is_mount_point(&volume.path()) {
                let _ = umount2(&volume.path(), MntFlags::MNT_DETACH);
            }
        }
    }
    if let Err(error) = std::fs::remove_dir_all(directory)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %directory.display(), %error, "cannot remove a pod's volumes");
    }
}

fn is_mount_point(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let parent = path.parent().and_then(device);
    matches!((device(path), parent), (Some(own), Some(parent)) if own != parent)
}

/// The files of every such volume of the pod.
///
/// # Errors
/// Volume name and upstream's text of what is missing.
pub(crate) fn payloads(
    pod: &Pod,
    sources: &Sources,
    tokens: &BTreeMap<String, BTreeMap<String, String>>,
) -> Result<Vec<(Volume, Payload)>, (String, String)> {
    let none = BTreeMap::new();
    let mut payloads = Vec::new();
    for volume in &pod.spec.volumes {
        let tokens = tokens.get(&volume.name).unwrap_or(&none);
        match payload(pod, volume, sources, tokens) {
            Ok(Some(payload)) => {
                payloads.push((volume.clone(), payload));
            }
            Ok(None) => {}
            Err(message) => return Err((volume.name.clone(), message)),
        }
    }
    Ok(payloads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::tests::pod;

    #[test]
    fn secrets_stay_in_memory() {
        for (volume, expected) in [
            ("secret: {secretName: s}", true),
            ("projected: {sources: []}", true),
            ("downwardAPI: {items: []}", true),
            ("configMap: {name: c}", false),
            ("emptyDir: {}", false),
        ] {
            let pod = pod(&format!("spec: {{volumes: [{{name: v, {volume}}}]}}"));
            assert_eq!(is_in_memory(&pod.spec.volumes[0]), expected, "{volume}");
        }
    }
}
