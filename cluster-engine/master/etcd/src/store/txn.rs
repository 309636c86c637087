//! Transactions: first a plan made from the state as it is, then the writes, which cannot fail.

use bytes::Bytes;
use drydock_etcd_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use drydock_etcd_proto::etcdserverpb::request_op::Request;
use drydock_etcd_proto::etcdserverpb::response_op::Response;
use drydock_etcd_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RequestOp, ResponseHeader,
    ResponseOp, TxnRequest, TxnResponse,
};

use super::history::Version;
use super::record::{Body, Change, Commit, Record};
use super::{Span, Store};
use crate::error::Error;

/// A transaction whose compares have been decided: one branch, checked.
pub(super) struct Plan {
    succeeded: bool,
    steps: Vec<Step>,
}

enum Step {
    Range(RangeRequest),
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(Plan),
}

/// Whether either branch puts anything.
pub(super) fn puts(request: &TxnRequest) -> bool {
    request.success.iter().chain(&request.failure).any(|op| match &op.request {
        Some(Request::RequestPut(_)) => true,
        Some(Request::RequestTxn(nested)) => puts(nested),
        _ => false,
    })
}

impl Store {
    /// Decides all compares, nested ones too, against the present state and checks the branch taken.
    pub(super) fn plan(&self, request: TxnRequest) -> Result<Plan, Error> {
        let plan = self.decide(request)?;
        self.check_puts(&plan)?;
        self.check_ranges(&plan)?;
        Ok(plan)
    }

    fn decide(&self, request: TxnRequest) -> Result<Plan, Error> {
        let succeeded = request.compare.iter().all(|compare| self.holds(compare));
        let branch = if succeeded { request.success } else { request.failure };
        let steps = branch.into_iter().map(|op| self.step(op)).collect::<Result<_, _>>()?;
        Ok(Plan { succeeded, steps })
    }

    fn step(&self, op: RequestOp) -> Result<Step, Error> {
        Ok(match op.request.ok_or(Error::KeyNotFound)? {
            Request::RequestRange(request) => Step::Range(request),
            Request::RequestPut(request) => Step::Put(request),
            Request::RequestDeleteRange(request) => Step::Delete(request),
            Request::RequestTxn(request) => Step::Txn(self.decide(request)?),
        })
    }

    fn check_puts(&self, plan: &Plan) -> Result<(), Error> {
        plan.steps.iter().try_for_each(|step| match step {
            Step::Put(request) => self.check_put(request),
            Step::Txn(nested) => self.check_puts(nested),
            Step::Range(_) | Step::Delete(_) => Ok(()),
        })
    }

    fn check_ranges(&self, plan: &Plan) -> Result<(), Error> {
        plan.steps.iter().try_for_each(|step| match step {
            Step::Range(request) => self.check_revision(request.revision),
            Step::Txn(nested) => self.check_ranges(nested),
            Step::Put(_) | Step::Delete(_) => Ok(()),
        })
    }

    /// What only the state can say about a put: is there a value or lease to keep, does the lease exist.
    pub(super) fn check_put(&self, request: &PutRequest) -> Result<(), Error> {
        if (request.ignore_value || request.ignore_lease) && self.now(&request.key).is_none() {
            return Err(Error::KeyNotFound);
        }
        self.check_lease(request)
    }

    pub(super) fn check_lease(&self, request: &PutRequest) -> Result<(), Error> {
        if request.lease != 0 && !self.leases.contains_key(&request.lease) {
            return Err(Error::LeaseNotFound);
        }
        Ok(())
    }

    fn now(&self, key: &Bytes) -> Option<&Version> {
        self.keys.get(key)?.at(self.revision)
    }

    fn holds(&self, compare: &Compare) -> bool {
        let span = Span::new(&compare.key, &compare.range_end);
        let mut versions = self.live_in(&span, self.revision).map(|(_, version)| version).peekable();
        if versions.peek().is_none() {
            // An absent key has revisions, version and lease 0, but no value that could be compared.
            return CompareTarget::try_from(compare.target) != Ok(CompareTarget::Value)
                && compare_version(compare, None);
        }
        versions.all(|version| compare_version(compare, Some(version)))
    }

    /// Begins to write at the next revision.
    pub(super) fn session(&mut self) -> Session<'_> {
        Session { store: self, changes: Vec::new() }
    }
}

fn compare_version(compare: &Compare, version: Option<&Version>) -> bool {
    let number = |found: fn(&Version) -> i64, wanted: Option<i64>| version.map_or(0, found).cmp(&wanted.unwrap_or(0));
    let wanted = compare.target_union.as_ref();
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Value) => {
            let found = version.and_then(|version| version.value.as_deref()).unwrap_or_default();
            let wanted = match wanted {
                Some(TargetUnion::Value(value)) => value.as_ref(),
                _ => &[],
            };
            found.cmp(wanted)
        }
        Ok(CompareTarget::Create) => number(
            |version| version.created,
            wanted.and_then(|w| if let TargetUnion::CreateRevision(n) = w { Some(*n) } else { None }),
        ),
        Ok(CompareTarget::Mod) => number(
            |version| version.modified,
            wanted.and_then(|w| if let TargetUnion::ModRevision(n) = w { Some(*n) } else { None }),
        ),
        Ok(CompareTarget::Version) => number(
            |version| version.version,
            wanted.and_then(|w| if let TargetUnion::Version(n) = w { Some(*n) } else { None }),
        ),
        Ok(CompareTarget::Lease) => number(
            |version| version.lease,
            wanted.and_then(|w| if let TargetUnion::Lease(n) = w { Some(*n) } else { None }),
        ),
        // etcd compares an unknown target as equal.
        Err(_) => std::cmp::Ordering::Equal,
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering.is_eq(),
        Ok(CompareResult::NotEqual) => ordering.is_ne(),
        Ok(CompareResult::Greater) => ordering.is_gt(),
        Ok(CompareResult::Less) => ordering.is_lt(),
        Err(_) => true,
    }
}

/// Writes that share one revision.
pub(super) struct Session<'a> {
    store: &'a mut Store,
    changes: Vec<Change>,
}

impl Session<'_> {
    /// The newest revision a read in this session sees: its own writes included.
    fn visible(&self) -> i64 {
        self.store.revision + i64::from(!self.changes.is_empty())
    }

    fn write(&mut self, key: Bytes, value: Option<Bytes>, lease: i64) {
        let change = Change { key, value, lease };
        self.store.write(change.clone());
        self.changes.push(change);
    }

    pub(super) fn put(&mut self, request: PutRequest) -> PutResponse {
        let visible = self.visible();
        let before = self.store.keys.get(&request.key).and_then(|history| history.at(visible));
        // Copied: what arrived is a slice of the connection's receive buffer and would keep all of it.
        let key = Bytes::copy_from_slice(&request.key);
        let value = match before {
            Some(before) if request.ignore_value => before.value.clone().unwrap_or_default(),
            _ => Bytes::copy_from_slice(&request.value),
        };
        let lease = match before {
            Some(before) if request.ignore_lease => before.lease,
            _ => request.lease,
        };
        let prev_kv = before.filter(|_| request.prev_kv).map(|before| before.key_value(&key));
        self.write(key, Some(value), lease);
        PutResponse { header: revision_only(self.visible()), prev_kv }
    }

    pub(super) fn delete_range(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let span = Span::new(&request.key, &request.range_end);
        let mut prev_kvs = Vec::new();
        let mut keys = Vec::new();
        for (key, version) in self.store.live_in(&span, self.visible()) {
            if request.prev_kv {
                prev_kvs.push(version.key_value(key));
            }
            keys.push(key.clone());
        }
        let deleted = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        for key in keys {
            self.delete(key);
        }
        DeleteRangeResponse { header: revision_only(self.visible()), deleted, prev_kvs }
    }

    pub(super) fn run(&mut self, plan: Plan) -> TxnResponse {
        let responses = plan
            .steps
            .into_iter()
            .map(|step| {
                let response = match step {
                    Step::Range(request) => {
                        let mut response = self.store.range_at(&request, self.visible());
                        response.header = revision_only(self.visible());
                        Response::ResponseRange(response)
                    }
                    Step::Put(request) => Response::ResponsePut(self.put(request)),
                    Step::Delete(request) => Response::ResponseDeleteRange(self.delete_range(&request)),
                    Step::Txn(nested) => Response::ResponseTxn(self.run(nested)),
                };
                ResponseOp { response: Some(response) }
            })
            .collect();
        // The outer header is filled in by the caller; a nested one stays empty, as in etcd.
        TxnResponse { header: Some(ResponseHeader::default()), succeeded: plan.succeeded, responses }
    }

    /// Deletes one key that exists.
    pub(super) fn delete(&mut self, key: Bytes) {
        self.write(key, None, 0);
    }

    /// Takes the revision if anything was written.
    pub(super) fn finish(self) -> Option<Record> {
        let Session { store, changes } = self;
        let commit = store.take(changes)?;
        Some(store.logged(Body::Commit(commit)))
    }

    /// As [`Session::finish`], for a caller that logs the commit as part of something larger.
    pub(super) fn commit(self) -> Option<Commit> {
        self.store.take(self.changes)
    }
}

impl Store {
    fn take(&mut self, changes: Vec<Change>) -> Option<Commit> {
        if changes.is_empty() {
            return None;
        }
        self.revision += 1;
        Some(Commit { revision: self.revision, changes })
    }
}

fn revision_only(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}
