//! What all sessions of a machine may have together, and what one of them may have: nodes' own limits, added up, can be more.

use std::fs;

use drydock_container_runtime::Limits;
use drydock_container_runtime::cgroup::{Group, Hierarchy};

use crate::Error;
use crate::protocol::CGROUP;

/// Memory that is left to the machine itself: at least this, at most half.
const RESERVE: u64 = 512 << 20;

/// The limits of all sessions, and of one.
fn limits(memory: u64, pids: u64) -> (Limits, Limits) {
    let all = memory - (memory / 16).max(RESERVE).min(memory / 2);
    let of_all = Limits { memory_bytes: Some(all), pids: Some(pids / 4 * 3), ..Limits::default() };
    let of_one = Limits { memory_bytes: Some(all / 4 * 3), pids: Some(pids / 2), ..Limits::default() };
    (of_all, of_one)
}

/// Makes the control groups of all sessions and of this one, with their limits.
pub(crate) fn divide(cgroups: &Hierarchy, session: &Group) -> Result<(), Error> {
    let number = |file: &str| fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let pids = [number("/proc/sys/kernel/pid_max"), number("/proc/sys/kernel/threads-max")];
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    let (Some(kib), Some(pids)) = (kib, pids.into_iter().flatten().min()) else { return Ok(()) };
    let (of_all, of_one) = limits(kib * 1024, pids);
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
            let (of_all, of_one) = limits(memory, pids);
            assert_eq!((of_all.memory_bytes, of_all.pids), (Some(all.0), Some(all.1)));
            assert_eq!((of_one.memory_bytes, of_one.pids), (Some(one.0), Some(one.1)));
        }
    }
}
