//! What all sessions of a machine may have together, and what one of them may have: nodes' own limits, added up, can be more.

use std::fs;

use drydock_container_runtime::Limits;
use drydock_container_runtime::cgroup::{Group, Hierarchy};
use drydock_engine::host::NodeLimits;

use crate::Error;
use crate::protocol::CGROUP;

/// Memory that is left to the machine itself: at least this, at most half.
const RESERVE: u64 = 512 << 20;
/// The kernel's period of CPU quotas, microseconds.
const PERIOD: u64 = 100_000;

/// All sessions have the same right to the machine's CPUs, however many nodes and processes they are.
const WEIGHT: u64 = 1024;

/// The limits of all sessions, and of one that asked for `wanted`.
fn limits(memory: u64, pids: u64, wanted: &NodeLimits) -> (Limits, Limits) {
    let all = memory - (memory / 16).max(RESERVE).min(memory / 2);
    let of_all = Limits { memory_bytes: Some(all), pids: Some(pids / 4 * 3), ..Limits::default() };
    let least = |most: u64, wanted: Option<u64>| Some(wanted.map_or(most, |wanted| wanted.min(most)));
    let of_one = Limits {
        memory_bytes: least(all / 4 * 3, wanted.memory_bytes),
        pids: least(pids / 2, wanted.pids),
        cpu_shares: Some(WEIGHT),
        cpu_quota_us: wanted.cpu_millis.and_then(|millis| i64::try_from(millis * PERIOD / 1000).ok()),
        ..Limits::default()
    };
    (of_all, of_one)
}

/// Makes the control groups of all sessions and of this one, with their limits.
pub(crate) fn divide(cgroups: &Hierarchy, session: &Group, wanted: &NodeLimits) -> Result<(), Error> {
    let number = |file: &str| fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let pids = [number("/proc/sys/kernel/pid_max"), number("/proc/sys/kernel/threads-max")];
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    let (Some(kib), Some(pids)) = (kib, pids.into_iter().flatten().min()) else { return Ok(()) };
    let (of_all, of_one) = limits(kib * 1024, pids, wanted);
    let all = cgroups.group(CGROUP);
    session.create().map_err(Error::runtime("cannot make the session's cgroup"))?;
    for (group, limits) in [(&all, of_all), (session, of_one)] {
        group.limit(&limits).map_err(Error::runtime(format!("cannot limit {}", group.path().display())))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_to_the_machine_and_to_others() {
        const GIB: u64 = 1 << 30;
        for (memory, pids, all, one) in [
            (24 * GIB, 32_768, (22 * GIB + GIB / 2, 24_576), (16 * GIB + GIB * 7 / 8, 16_384)),
            (GIB, 4096, (GIB / 2, 3072), (GIB * 3 / 8, 2048)),
        ] {
            let (of_all, of_one) = limits(memory, pids, &NodeLimits::default());
            assert_eq!((of_all.memory_bytes, of_all.pids), (Some(all.0), Some(all.1)));
            assert_eq!((of_one.memory_bytes, of_one.pids), (Some(one.0), Some(one.1)));
        }
    }

    #[test]
    fn a_session_may_be_given_less_but_never_more() {
        const GIB: u64 = 1 << 30;
        for (wanted, memory, pids) in [(2 * GIB, 2 * GIB, 4096), (100 * GIB, 16 * GIB + GIB * 7 / 8, 4096)] {
            let wanted =
                NodeLimits { memory_bytes: Some(wanted), pids: Some(4096), cpu_millis: Some(1500), disk_bytes: None };
            let (_, of_one) = limits(24 * GIB, 32_768, &wanted);
            assert_eq!((of_one.memory_bytes, of_one.pids), (Some(memory), Some(pids)));
            assert_eq!((of_one.cpu_shares, of_one.cpu_quota_us), (Some(WEIGHT), Some(150_000)));
        }
    }
}
