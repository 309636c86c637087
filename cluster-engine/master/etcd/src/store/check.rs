//! Checks that need no state: what etcd refuses before a request reaches the store.

use std::collections::BTreeSet;

use bytes::Bytes;
use drydock_etcd_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use drydock_etcd_proto::etcdserverpb::request_op::Request;
use drydock_etcd_proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};

use crate::error::Error;

/// Refuses a range request that could never be answered.
pub(super) fn range(request: &RangeRequest) -> Result<(), Error> {
    if request.key.is_empty() {
        return Err(Error::EmptyKey);
    }
    if SortOrder::try_from(request.sort_order).is_err() || SortTarget::try_from(request.sort_target).is_err() {
        return Err(Error::InvalidSortOption);
    }
    Ok(())
}

/// Refuses a put that contradicts itself.
pub(super) fn put(request: &PutRequest) -> Result<(), Error> {
    if request.key.is_empty() {
        return Err(Error::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(Error::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Error::LeaseProvided);
    }
    Ok(())
}

/// Refuses a deletion without a key.
pub(super) fn delete(request: &DeleteRangeRequest) -> Result<(), Error> {
    if request.key.is_empty() { Err(Error::EmptyKey) } else { Ok(()) }
}

/// Refuses a transaction with more than `max_ops` operations, with a malformed one, or that would
/// change one key twice.
///
/// The last is stricter than etcd, which overlooks a put that a later nested transaction deletes again
/// and a put inside a deletion without end.
///
/// # Errors
/// The first of etcd's complaints.
pub fn check_txn(request: &TxnRequest, max_ops: usize) -> Result<(), Error> {
    operations(request, max_ops)?;
    writes(&request.success)?;
    writes(&request.failure)?;
    Ok(())
}

fn operations(request: &TxnRequest, max_ops: usize) -> Result<(), Error> {
    let count = request.compare.len().max(request.success.len()).max(request.failure.len());
    let left = max_ops.checked_sub(count).ok_or(Error::TooManyOps)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Error::EmptyKey);
    }
    for op in request.success.iter().chain(&request.failure) {
        match op.request.as_ref().ok_or(Error::KeyNotFound)? {
            Request::RequestRange(request) => range(request)?,
            Request::RequestPut(request) => put(request)?,
            Request::RequestDeleteRange(request) => delete(request)?,
            // Each level leaves fewer operations to the next, which bounds the recursion.
            Request::RequestTxn(request) if left > 0 => operations(request, left)?,
            Request::RequestTxn(request) => {
                if !request.compare.is_empty() || !request.success.is_empty() || !request.failure.is_empty() {
                    return Err(Error::TooManyOps);
                }
            }
        }
    }
    Ok(())
}

type Puts<'a> = BTreeSet<&'a Bytes>;
type Deletes<'a> = Vec<(&'a Bytes, &'a Bytes)>;

/// The keys that one branch puts and the ranges it deletes, nested transactions included.
fn writes(ops: &[RequestOp]) -> Result<(Puts<'_>, Deletes<'_>), Error> {
    let mut deletes: Deletes<'_> = ops
        .iter()
        .filter_map(|op| match &op.request {
            Some(Request::RequestDeleteRange(request)) => Some((&request.key, &request.range_end)),
            _ => None,
        })
        .collect();
    let mut puts = Puts::new();
    for op in ops {
        let Some(Request::RequestTxn(nested)) = &op.request else { continue };
        let (then_puts, then_deletes) = writes(&nested.success)?;
        let (else_puts, else_deletes) = writes(&nested.failure)?;
        for key in &then_puts {
            if puts.contains(key) || deleted(&deletes, key) {
                return Err(Error::DuplicateKey);
            }
        }
        for key in &else_puts {
            if puts.contains(key) || deleted(&deletes, key) {
                return Err(Error::DuplicateKey);
            }
        }
        if puts.iter().any(|key| deleted(&then_deletes, key) || deleted(&else_deletes, key)) {
            return Err(Error::DuplicateKey);
        }
        // Only one of the two branches runs, so they may put the same key.
        puts.extend(then_puts);
        puts.extend(else_puts);
        deletes.extend(then_deletes);
        deletes.extend(else_deletes);
    }
    for op in ops {
        let Some(Request::RequestPut(request)) = &op.request else { continue };
        if deleted(&deletes, &request.key) || !puts.insert(&request.key) {
            return Err(Error::DuplicateKey);
        }
    }
    Ok((puts, deletes))
}

fn deleted(deletes: &Deletes<'_>, key: &Bytes) -> bool {
    deletes.iter().any(
        |(from, to)| {
            if to.is_empty() { from == &key } else { *from <= key && (to.as_ref() == [0] || key < *to) }
        },
    )
}
