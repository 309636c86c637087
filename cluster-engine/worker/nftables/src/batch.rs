//! Steps as one atomic nftables batch.

use crate::attributes::{APPEND, Attributes, CREATE, Messages, REQUEST};
use crate::ruleset::{Hook, Key, SetKind, Step, Verdict};
use crate::{Error, Socket, expressions};

pub(crate) const IPV4: u8 = 2;
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

const NEW_TABLE: u16 = SUBSYSTEM << 8;
const GET_TABLE: u16 = NEW_TABLE | 1;
const DEL_TABLE: u16 = NEW_TABLE | 2;
const NEW_CHAIN: u16 = NEW_TABLE | 3;
const DEL_CHAIN: u16 = NEW_TABLE | 5;
const NEW_RULE: u16 = NEW_TABLE | 6;
const DEL_RULE: u16 = NEW_TABLE | 8;
const NEW_SET: u16 = NEW_TABLE | 9;
const DEL_SET: u16 = NEW_TABLE | 11;
const NEW_ELEMENT: u16 = NEW_TABLE | 12;
const DEL_ELEMENT: u16 = NEW_TABLE | 14;

const SET_MAP: u32 = 0x8;
const SET_TIMEOUT: u32 = 0x10;
const SET_EVAL: u32 = 0x20;
/// nft's numbers of the types that keys consist of, for `nft list`.
const TYPE_ADDRESS: u32 = 7;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
const DATA_VERDICT: u32 = 0xffff_ff00;

/// What fits into one send with the socket's default buffer; what does not is cut between steps, in an order in
/// which each part alone is sound: chains and sets, then rules, then members.
const MOST: usize = 120 << 10;

/// Applies `steps` to the IPv4 table of that name; in one transaction if they are less than about a thousand.
///
/// # Errors
/// When the kernel refuses a step; of the transaction it was in nothing is applied.
pub fn apply(socket: &Socket, table: &str, steps: &[Step<'_>]) -> Result<(), Error> {
    let mut steps = steps;
    while !steps.is_empty() {
        let mut batch = Messages::default();
        control(&mut batch, BATCH_BEGIN);
        let mut count = 0;
        for step in steps {
            if batch.bytes.len() > MOST {
                break;
            }
            // The sequence number tells later which step an error is about.
            write(&mut batch, table, step, count as u32);
            count += 1;
        }
        control(&mut batch, BATCH_END);
        let (now, later) = steps.split_at(count);
        if let Some((sequence, error)) = socket.send_and_collect_errors(&batch.bytes)?.into_iter().next() {
            let step = usize::try_from(sequence).ok().and_then(|sequence| now.get(sequence));
            let step = step.map_or_else(|| "a batch".to_owned(), |step| format!("{step:?}"));
            return Err(Error::Refused { step, source: error });
        }
        steps = later;
    }
    Ok(())
}

/// Whether the table is still there: somebody may have flushed the whole ruleset.
///
/// # Errors
/// When the socket does not work.
pub fn table_exists(socket: &Socket, table: &str) -> Result<bool, Error> {
    let mut request = Messages::default();
    request.message(GET_TABLE, REQUEST, 0, IPV4, 0, |a| a.text(1, table));
    match socket.send_and_collect_errors(&request.bytes)?.into_iter().next() {
        None => Ok(true),
        Some((_, error)) if error.raw_os_error() == Some(nix::libc::ENOENT) => Ok(false),
        Some((_, error)) => Err(Error::Socket(error)),
    }
}

/// Removes a table with all that is in it; one that is not there is no error.
///
/// # Errors
/// When the kernel refuses.
pub fn remove_table(socket: &Socket, table: &str) -> Result<(), Error> {
    let mut batch = Messages::default();
    control(&mut batch, BATCH_BEGIN);
    // Made first, so that removing it cannot fail.
    batch.message(NEW_TABLE, REQUEST | CREATE, 0, IPV4, 0, |a| a.text(1, table));
    batch.message(DEL_TABLE, REQUEST, 0, IPV4, 0, |a| a.text(1, table));
    control(&mut batch, BATCH_END);
    match socket.send_and_collect_errors(&batch.bytes)?.into_iter().next() {
        None => Ok(()),
        Some((_, source)) => Err(Error::Refused { step: format!("to remove the table {table}"), source }),
    }
}

fn control(batch: &mut Messages, kind: u16) {
    batch.message(kind, REQUEST, u32::MAX, 0, SUBSYSTEM, |_| {});
}

fn write(batch: &mut Messages, table: &str, step: &Step<'_>, sequence: u32) {
    let mut message = |kind: u16, flags: u16, fill: &mut dyn FnMut(&mut Attributes<'_>)| {
        batch.message(kind, REQUEST | flags, sequence, IPV4, 0, |a| fill(a));
    };
    match *step {
        Step::Reset => {
            // Made first, so that removing it cannot fail.
            message(NEW_TABLE, CREATE, &mut |a| a.text(1, table));
            message(DEL_TABLE, 0, &mut |a| a.text(1, table));
            message(NEW_TABLE, CREATE, &mut |a| a.text(1, table));
        }
        Step::AddChain(name, hook) => message(NEW_CHAIN, CREATE, &mut |a| chain(a, table, name, hook)),
        Step::AddSet(name, kind) => message(NEW_SET, CREATE, &mut |a| set(a, table, name, kind, sequence)),
        Step::RemoveMember(set, kind, key) => message(DEL_ELEMENT, 0, &mut |a| member(a, table, set, kind, key, None)),
        Step::Flush(chain) => message(DEL_RULE, 0, &mut |a| {
            a.text(1, table);
            a.text(2, chain);
        }),
        Step::AddRule(chain, rule) => message(NEW_RULE, CREATE | APPEND, &mut |a| {
            a.text(1, table);
            a.text(2, chain);
            a.nested(4, |a| expressions::rule(a, rule));
        }),
        Step::AddMember(set, kind, key, verdict) => {
            message(NEW_ELEMENT, CREATE, &mut |a| member(a, table, set, kind, key, verdict));
        }
        Step::RemoveChain(name) => message(DEL_CHAIN, 0, &mut |a| {
            a.text(1, table);
            a.text(3, name);
        }),
        Step::RemoveSet(name) => message(DEL_SET, 0, &mut |a| {
            a.text(1, table);
            a.text(2, name);
        }),
    }
}

fn chain(a: &mut Attributes<'_>, table: &str, name: &str, hook: Option<Hook>) {
    a.text(1, table);
    a.text(3, name);
    if let Some(hook) = hook {
        a.nested(4, |a| {
            a.number(1, hook.point as u32);
            a.raw(2, &hook.priority.to_be_bytes());
        });
        // Accept.
        a.number(5, 1);
        a.text(7, if hook.nat { "nat" } else { "filter" });
    }
}

fn set(a: &mut Attributes<'_>, table: &str, name: &str, kind: SetKind, id: u32) {
    let concatenated = |types: &[u32]| types.iter().fold(0, |all, one| all << 6 | one);
    let (flags, key_type, key_length) = match kind {
        SetKind::Services => (SET_MAP, concatenated(&[TYPE_ADDRESS, TYPE_PROTOCOL, TYPE_PORT]), 12),
        SetKind::Ports => (SET_MAP, concatenated(&[TYPE_PROTOCOL, TYPE_PORT]), 8),
        SetKind::Endpoints => (0, concatenated(&[TYPE_ADDRESS, TYPE_PROTOCOL, TYPE_PORT]), 12),
        SetKind::Addresses => (0, TYPE_ADDRESS, 4),
        SetKind::AddressVerdicts => (SET_MAP, TYPE_ADDRESS, 4),
        SetKind::AddressPairs => (0, concatenated(&[TYPE_ADDRESS, TYPE_ADDRESS]), 8),
        SetKind::Remembered => (SET_TIMEOUT | SET_EVAL, TYPE_ADDRESS, 4),
    };
    a.text(1, table);
    a.text(2, name);
    a.number(3, flags);
    a.number(4, key_type);
    a.number(5, key_length);
    if flags & SET_MAP != 0 {
        a.number(6, DATA_VERDICT);
        a.number(7, 0);
    }
    a.number(10, id + 1);
}

fn member(a: &mut Attributes<'_>, table: &str, set: &str, kind: SetKind, key: &Key, verdict: Option<&Verdict>) {
    let mut bytes = Vec::with_capacity(12);
    if !matches!(kind, SetKind::Ports) {
        bytes.extend(key.address.map(|address| address.octets()).unwrap_or_default());
    }
    if matches!(kind, SetKind::AddressPairs) {
        bytes.extend(key.destination.map(|address| address.octets()).unwrap_or_default());
    }
    if let Some((protocol, port)) = key.port {
        // Each part of a key fills up a register of four bytes.
        bytes.extend([protocol.number(), 0, 0, 0]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0; 2]);
    }
    a.text(1, table);
    a.text(2, set);
    a.nested(3, |a| {
        a.nested(1, |a| {
            a.nested(1, |a| a.raw(1, &bytes));
            if let Some(verdict) = verdict {
                a.nested(2, |a| expressions::verdict_data(a, verdict));
            }
        });
    });
}
