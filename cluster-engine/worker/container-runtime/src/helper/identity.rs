//! Users, groups, capabilities: who the program is and what it may never become.

use std::fs::File;
use std::io::Read;

use rustix::fs::{Mode, OFlags};

use super::{Failure, Step, seccomp};
use crate::launch::Command;
use crate::{UserSpec, sys};

/// The numbers behind a [`UserSpec`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// Becomes root of the user namespace we are in; our former ids do not exist in it.
pub(super) fn become_root() -> Result<(), Failure> {
    set_groups(&[])?;
    set_gid(0)?;
    set_uid(0)
}

/// Takes on an effective user and keeps all rights.
pub(super) fn act_as(uid: u32) -> Result<(), Failure> {
    let permitted = sys::permitted_capabilities().step("read capabilities")?;
    nix::unistd::seteuid(nix::unistd::Uid::from_raw(uid)).step(format_args!("act as user {uid}"))?;
    sys::set_capabilities(permitted, permitted, 0).step("keep capabilities")
}

/// Ends [`act_as`].
pub(super) fn act_as_oneself() -> Result<(), Failure> {
    nix::unistd::seteuid(nix::unistd::getuid()).step("act as oneself again")
}

/// No core files: where they go is the machine's business, not the container's.
pub(super) fn forbid_core_files() -> Result<(), Failure> {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, none).step("forbid core files")
}

/// Gives up everything, for a process that only waits.
pub(super) fn renounce(id: Option<u32>) -> Result<(), Failure> {
    drop_bounding(0)?;
    if let Some(id) = id {
        set_groups(&[])?;
        set_gid(id)?;
        set_uid(id)?;
    }
    sys::set_capabilities(0, 0, 0).step("drop capabilities")?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).step("set no_new_privs")
}

/// Becomes the user of `command` with its capabilities and its system call filter.
pub(super) fn assume(command: &Command, user: &User, filter: Option<&seccomp::Filter>) -> Result<(), Failure> {
    let permitted = sys::permitted_capabilities().step("read capabilities")?;
    let keep = command.capabilities.0 & permitted;
    drop_bounding(keep)?;
    forbid_core_files()?;
    sys::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0).step("clear ambient capabilities")?;
    // Installing a filter without no_new_privs needs the capabilities we are about to lose.
    if let Some(filter) = filter {
        filter.install().step("install the seccomp filter")?;
    }
    set_groups(&user.groups)?;
    set_gid(user.gid)?;
    set_uid(user.uid)?;
    // As containerd: another user than root starts without any, and gets them back by no means but set-uid programs.
    let effective = if user.uid == 0 { keep } else { 0 };
    sys::set_capabilities(effective, effective, 0).step("drop capabilities")?;
    if command.no_new_privileges {
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).step("set no_new_privs")?;
    }
    Ok(())
}

fn drop_bounding(keep: u64) -> Result<(), Failure> {
    for capability in 0..64u8 {
        match sys::bounding_has(capability) {
            Ok(true) if keep & (1 << capability) == 0 => {
                sys::prctl(libc::PR_CAPBSET_DROP, capability.into(), 0).step("drop from the bounding set")?;
            }
            Ok(_) => {}
            // The kernel's last capability is behind us.
            Err(_) => break,
        }
    }
    Ok(())
}

fn set_groups(groups: &[u32]) -> Result<(), Failure> {
    let groups: Vec<_> = groups.iter().map(|group| nix::unistd::Gid::from_raw(*group)).collect();
    nix::unistd::setgroups(&groups).step("set supplementary groups")
}

fn set_gid(gid: u32) -> Result<(), Failure> {
    let gid = nix::unistd::Gid::from_raw(gid);
    nix::unistd::setresgid(gid, gid, gid).step(format_args!("become group {gid}"))
}

fn set_uid(uid: u32) -> Result<(), Failure> {
    let uid = nix::unistd::Uid::from_raw(uid);
    nix::unistd::setresuid(uid, uid, uid).step(format_args!("become user {uid}"))
}

/// Finds the user in the container's own `/etc/passwd` and `/etc/group`.
pub(super) fn look_up(spec: &UserSpec) -> Result<User, Failure> {
    resolve(spec, &read_database("/etc/passwd"), &read_database("/etc/group")).map_err(Failure::Setup)
}

/// A file of the image may be anything: only a regular file counts, and only its first megabyte.
fn read_database(path: &str) -> String {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else { return String::new() };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return String::new();
    }
    let mut bytes = Vec::new();
    if file.take(1 << 20).read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

struct PasswdLine<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn passwd_lines(text: &str) -> impl Iterator<Item = PasswdLine<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) =
            (fields.next()?, fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(PasswdLine { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    })
}

fn group_lines(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn resolve(spec: &UserSpec, passwd: &str, group: &str) -> Result<User, String> {
    let (user_part, group_part) = match spec.image_user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (spec.image_user.as_str(), None),
    };
    let line = match spec.uid {
        Some(uid) => passwd_lines(passwd).find(|line| line.uid == uid),
        None if user_part.is_empty() => passwd_lines(passwd).find(|line| line.uid == 0),
        // A name wins over a number, as in runc.
        None => passwd_lines(passwd)
            .find(|line| line.name == user_part)
            .or_else(|| passwd_lines(passwd).find(|line| Ok(line.uid) == user_part.parse())),
    };
    let uid = match (spec.uid, &line) {
        (Some(uid), _) => uid,
        (None, Some(line)) => line.uid,
        (None, None) if user_part.is_empty() => 0,
        (None, None) => user_part
            .parse()
            .map_err(|_| format!("unable to find user {user_part}: no matching entries in passwd file"))?,
    };
    let gid = match (spec.gid, group_part) {
        (Some(gid), _) => gid,
        // runAsUser replaces the image's user as a whole, its group included.
        (None, Some(name)) if spec.uid.is_none() => match group_lines(group).find(|(other, ..)| *other == name) {
            Some((_, gid, _)) => gid,
            None => {
                name.parse().map_err(|_| format!("unable to find group {name}: no matching entries in group file"))?
            }
        },
        _ => line.as_ref().map_or(0, |line| line.gid),
    };
    let mut groups = vec![gid];
    if !spec.strict_groups
        && let Some(line) = &line
    {
        groups.extend(
            group_lines(group)
                .filter(|(_, _, members)| members.split(',').any(|member| member == line.name))
                .map(|(_, gid, _)| gid),
        );
    }
    groups.extend(&spec.supplemental_groups);
    let mut seen = std::collections::HashSet::new();
    groups.retain(|gid| seen.insert(*gid));
    let home = line.map_or("/", |line| if line.home.is_empty() { "/" } else { line.home }).to_owned();
    Ok(User { uid, gid, groups, home })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:\nbroken\n12:x:77:78::/twelve:";
    const GROUP: &str = "root:x:0:\nweb:x:33:\nlogs:x:4:web,other\n";

    #[track_caller]
    fn check(spec: UserSpec, expected: Result<(u32, u32, &[u32], &str), &str>) {
        let actual = resolve(&spec, PASSWD, GROUP);
        let expected = expected
            .map(|(uid, gid, groups, home)| User { uid, gid, groups: groups.to_vec(), home: home.to_owned() })
            .map_err(str::to_owned);
        assert_eq!(actual, expected, "{spec:?}");
    }

    fn image(user: &str) -> UserSpec {
        UserSpec { image_user: user.to_owned(), ..UserSpec::default() }
    }

    #[test]
    fn users_are_found_as_containerd_finds_them() {
        check(image(""), Ok((0, 0, &[0], "/root")));
        check(image("web"), Ok((33, 33, &[33, 4], "/var/www")));
        check(image("web:logs"), Ok((33, 4, &[4], "/var/www")));
        check(image("1000"), Ok((1000, 0, &[0], "/")));
        check(image("33"), Ok((33, 33, &[33, 4], "/var/www")));
        check(image("12"), Ok((77, 78, &[78], "/twelve")));
        check(image("1000:1001"), Ok((1000, 1001, &[1001], "/")));
        check(image("nobody"), Err("unable to find user nobody: no matching entries in passwd file"));
        check(image("web:none"), Err("unable to find group none: no matching entries in group file"));
        check(UserSpec { uid: Some(33), ..image("root:root") }, Ok((33, 33, &[33, 4], "/var/www")));
        check(UserSpec { uid: Some(5), gid: Some(6), ..image("web") }, Ok((5, 6, &[6], "/")));
        check(
            UserSpec { supplemental_groups: vec![2000, 33], ..image("web") },
            Ok((33, 33, &[33, 4, 2000], "/var/www")),
        );
        check(UserSpec { strict_groups: true, ..image("web") }, Ok((33, 33, &[33], "/var/www")));
    }
}
