//! System call filters: the floor under everything on a node, the default profile, and profiles of the pod's own.
//!
//! Filters stack, and the strictest answer of all counts: the supervisor gives the floor to a node's first process, so
//! whatever runs on the node has it, and no profile of a pod is weaker.

mod profile;
mod table;

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::launch::{CapabilitySet, Program, SystemCalls};
use crate::sys;

/// Compiled filters, in the order to install them.
pub(super) struct Filter(Vec<BpfProgram>);

impl Filter {
    /// Installs the filters on this thread; needs `CAP_SYS_ADMIN` in its user namespace or `no_new_privs`.
    pub(super) fn install(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|program| sys::seccomp(program))
    }
}

/// The filter `program` asks for.
pub(super) fn program(program: &Program) -> Result<Option<Filter>, seccompiler::Error> {
    let Program::Command(command) = program else { return Ok(None) };
    let mut programs = match &command.system_calls {
        SystemCalls::All => return Ok(None),
        SystemCalls::Floor => Vec::new(),
        SystemCalls::Default => default(command.capabilities)?,
        SystemCalls::Profile(profile) => profile::compile(profile, arch()?)?,
    };
    // First, so that it is there while the others are being installed.
    programs.insert(0, floor()?);
    Ok(Some(Filter(programs)))
}

fn arch() -> Result<TargetArch, seccompiler::Error> {
    Ok(std::env::consts::ARCH.try_into()?)
}

fn errno(code: i32) -> SeccompAction {
    SeccompAction::Errno(code.unsigned_abs())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn argument(
    index: u8,
    len: SeccompCmpArgLen,
    op: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::Error> {
    Ok(SeccompCondition::new(index, len, op, value)?)
}

/// A deny-list; what it answers is `EPERM`.
fn floor() -> Result<BpfProgram, seccompiler::Error> {
    let filter = SeccompFilter::new(floor_rules()?, SeccompAction::Allow, errno(libc::EPERM), arch()?)?;
    Ok(BpfProgram::try_from(filter)?)
}

fn floor_rules() -> Result<Rules, seccompiler::Error> {
    let mut rules: Rules = table::denied().map(|number| (number, Vec::new())).collect();
    let other_family = table::FAMILIES
        .iter()
        .map(|family| argument(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())))
        .collect::<Result<_, _>>()?;
    let other_family = vec![SeccompRule::new(other_family)?];
    rules.insert(libc::SYS_socket, other_family.clone());
    rules.insert(libc::SYS_socketpair, other_family);
    if cfg!(target_arch = "x86_64") {
        // The same calls by their numbers of the x32 ABI, and two that have numbers of their own there.
        const X32: i64 = 0x4000_0000;
        let again: Vec<_> = rules.iter().map(|(number, rule)| (number | X32, rule.clone())).collect();
        rules.extend(again);
        rules.extend([X32 + 528, X32 + 533].map(|number| (number, Vec::new())));
    }
    Ok(rules)
}

/// An allow-list close to Docker's and containerd's default profile. What is not listed fails with `EPERM`, except that
/// `clone3` fails with `ENOSYS`, so that C libraries fall back to `clone`, whose flags a filter can see.
fn default(capabilities: CapabilitySet) -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let filter = SeccompFilter::new(default_rules(capabilities)?, errno(libc::EPERM), SeccompAction::Allow, arch()?)?;
    let mut programs = vec![BpfProgram::try_from(filter)?];
    if !capabilities.has("SYS_ADMIN") {
        let only = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        let filter = SeccompFilter::new(only, SeccompAction::Allow, errno(libc::ENOSYS), arch()?)?;
        programs.push(BpfProgram::try_from(filter)?);
    }
    Ok(programs)
}

fn default_rules(capabilities: CapabilitySet) -> Result<Rules, seccompiler::Error> {
    use SeccompCmpArgLen::{Dword, Qword};
    let mut rules: Rules = table::always().map(|number| (number, Vec::new())).collect();
    for (capability, calls) in table::WITH_CAPABILITY {
        if capabilities.has(capability) {
            rules.extend(calls.iter().map(|(_, number)| (*number, Vec::new())));
        }
    }
    // Any family here: the floor says which there are.
    rules.insert(libc::SYS_socket, Vec::new());
    // Execution domains: Linux, 32 bit, and asking.
    let personalities = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
    let personality =
        |value: u64| Ok::<_, seccompiler::Error>(SeccompRule::new(vec![argument(0, Dword, SeccompCmpOp::Eq, value)?])?);
    rules.insert(libc::SYS_personality, personalities.into_iter().map(personality).collect::<Result<_, _>>()?);
    if !capabilities.has("SYS_ADMIN") {
        // No new namespaces.
        let namespaces = u64::from(
            (libc::CLONE_NEWNS
                | libc::CLONE_NEWUTS
                | libc::CLONE_NEWIPC
                | libc::CLONE_NEWUSER
                | libc::CLONE_NEWPID
                | libc::CLONE_NEWNET
                | libc::CLONE_NEWCGROUP)
                .cast_unsigned(),
        );
        let none = argument(0, Qword, SeccompCmpOp::MaskedEq(namespaces), 0)?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![none])?]);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_compile_and_fit() {
        assert!(floor().unwrap().len() < 512);
        for set in [CapabilitySet::default(), CapabilitySet::container_default(), CapabilitySet::ALL] {
            let programs = default(set).unwrap();
            assert!(programs.iter().all(|program| program.len() < 4096), "the kernel takes 4096 instructions at most");
            assert_eq!(programs.len(), if set.has("SYS_ADMIN") { 1 } else { 2 });
        }
    }

    #[test]
    fn mounting_is_for_administrators() {
        let plain = default_rules(CapabilitySet::container_default()).unwrap();
        let admin = default_rules(CapabilitySet::ALL).unwrap();
        for number in [libc::SYS_mount, libc::SYS_unshare, libc::SYS_setns] {
            assert!(!plain.contains_key(&number) && admin.contains_key(&number), "{number}");
        }
        assert!(plain[&libc::SYS_clone].len() == 1 && admin[&libc::SYS_clone].is_empty());
    }

    #[test]
    fn what_the_floor_denies_no_capability_allows() {
        let (floor, admin) = (floor_rules().unwrap(), default_rules(CapabilitySet::ALL).unwrap());
        for number in table::denied() {
            assert!(floor[&number].is_empty() && !admin.contains_key(&number), "{number}");
        }
        assert_eq!(floor[&libc::SYS_socket].len(), 1);
        // What a kubelet cannot do without.
        for number in [libc::SYS_clone3, libc::SYS_mount, libc::SYS_setns, libc::SYS_pivot_root, libc::SYS_seccomp] {
            assert!(!floor.contains_key(&number), "{number}");
        }
    }
}
