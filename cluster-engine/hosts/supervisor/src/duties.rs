//! What a container must be made into before nodes can run in it: its own control groups writable, and nothing of `/proc`
//! and `/sys` hidden, since the kernel lets a user namespace mount only what its maker sees in full.
//!
//! All of it happens in the supervisor's own mount namespace. On a bare machine there is nothing to do.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::Error;

/// One step.
#[derive(Debug, PartialEq, Eq)]
enum Duty {
    /// Take away what hides a part of a kernel file system.
    Uncover(PathBuf),
    /// Let this mount be written to.
    Open(PathBuf),
    /// Let the file system itself be written to, wherever it is mounted.
    OpenWhole(PathBuf),
}

/// Does what [`plan`] says. The mount namespace must be the supervisor's own.
pub(crate) fn perform() -> Result<(), Error> {
    fulfil(&plan(&mounts()?))
}

/// Lets the control groups be written to that the container has, and nothing else: for who only cleans up after supervisors.
///
/// # Errors
/// When the rights for it are missing.
pub fn open_control_groups() -> Result<(), Error> {
    let duties: Vec<_> = plan(&mounts()?).into_iter().filter(|duty| matches!(duty, Duty::Open(_))).collect();
    fulfil(&duties)
}

fn mounts() -> Result<String, Error> {
    std::fs::read_to_string("/proc/self/mountinfo").map_err(Error::io("cannot read the mounts"))
}

fn fulfil(duties: &[Duty]) -> Result<(), Error> {
    for duty in duties {
        let outcome = match duty {
            Duty::Uncover(path) => umount2(path.as_path(), MntFlags::MNT_DETACH),
            Duty::Open(path) => remount(path, MsFlags::MS_BIND),
            Duty::OpenWhole(path) => remount(path, MsFlags::empty()),
        };
        outcome.map_err(|error| Error::io(format!("cannot prepare the container ({duty:?})"))(error.into()))?;
    }
    Ok(())
}

fn remount(path: &Path, flags: MsFlags) -> nix::Result<()> {
    let flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
}

/// The steps that the mounts of `/proc/self/mountinfo` ask for, the innermost first.
fn plan(mountinfo: &str) -> Vec<Duty> {
    let mut duties = Vec::new();
    for line in mountinfo.lines().rev() {
        let Some((mount, file_system)) = line.split_once(" - ") else { continue };
        let mount: Vec<&str> = mount.split(' ').collect();
        let file_system: Vec<&str> = file_system.split(' ').collect();
        let (Some(path), Some(options), Some(kind)) = (mount.get(4), mount.get(5), file_system.first()) else {
            continue;
        };
        let read_only = |options: &str| options.split(',').any(|option| option == "ro");
        let whole = file_system.get(2).is_some_and(|options| read_only(options));
        let path = Path::new(path);
        // Programs of other machines' kinds are registered there; it hides nothing.
        if path.starts_with("/proc") && path != Path::new("/proc") && !path.starts_with("/proc/sys/fs/binfmt_misc") {
            duties.push(Duty::Uncover(path.into()));
        } else if path.starts_with("/sys/fs/cgroup") {
            if matches!(*kind, "cgroup" | "cgroup2") && read_only(options) {
                duties.push(Duty::Open(path.into()));
            }
        } else if path.starts_with("/sys") && *kind == "tmpfs" {
            duties.push(Duty::Uncover(path.into()));
        } else if path == Path::new("/sys") && *kind == "sysfs" && (whole || read_only(options)) {
            duties.push(Duty::OpenWhole(path.into()));
        }
    }
    duties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mountinfo: &str, expected: &[&str]) {
        let duties: Vec<String> = plan(mountinfo)
            .into_iter()
            .map(|duty| match duty {
                Duty::Uncover(path) => format!("uncover {}", path.display()),
                Duty::Open(path) => format!("open {}", path.display()),
                Duty::OpenWhole(path) => format!("open whole {}", path.display()),
            })
            .collect();
        assert_eq!(duties, expected);
    }

    #[test]
    fn a_bare_machine_needs_nothing() {
        check(
            "22 1 0:21 / /sys rw,nosuid - sysfs sysfs rw\n23 1 0:22 / /proc rw - proc proc rw\n\
             24 22 0:23 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n25 24 0:24 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             26 23 0:25 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n\
             27 22 0:26 / /sys/firmware/efi/efivars rw - efivarfs efivarfs rw\n",
            &[],
        );
    }

    #[test]
    fn a_docker_container_with_cgroups_of_version_1() {
        check(
            "600 500 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=a\n\
             601 600 0:53 / /proc rw,nosuid - proc proc rw\n602 600 0:54 / /dev rw - tmpfs tmpfs rw\n\
             603 600 0:55 / /sys ro,nosuid - sysfs sysfs ro\n604 603 0:56 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
             605 604 0:30 / /sys/fs/cgroup/memory ro,nosuid master:9 - cgroup cgroup rw,memory\n\
             606 601 0:53 /sys /proc/sys ro - proc proc rw\n607 601 0:54 /null /proc/kcore rw - tmpfs tmpfs rw\n\
             608 603 0:60 / /sys/firmware ro - tmpfs tmpfs ro\n",
            &[
                "uncover /sys/firmware",
                "uncover /proc/kcore",
                "uncover /proc/sys",
                "open /sys/fs/cgroup/memory",
                "open whole /sys",
            ],
        );
    }

    #[test]
    fn a_docker_container_with_cgroups_of_version_2() {
        check(
            "603 600 0:55 / /sys ro,nosuid - sysfs sysfs ro\n604 603 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n",
            &["open /sys/fs/cgroup", "open whole /sys"],
        );
    }
}
