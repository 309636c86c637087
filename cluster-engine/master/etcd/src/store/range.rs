//! Ranges of keys and the answer to a range request.

use std::cmp::Ordering;
use std::ops::Bound;

use bytes::Bytes;
use drydock_etcd_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use drydock_etcd_proto::etcdserverpb::{RangeRequest, RangeResponse};
use drydock_etcd_proto::mvccpb::KeyValue;

use super::Store;
use super::history::Version;

/// A set of neighbouring keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// One key.
    One(Bytes),
    /// From the first (included) to the second (excluded); empty unless the first is smaller.
    Between(Bytes, Bytes),
    /// Every key from this one on.
    From(Bytes),
}

impl Span {
    /// The keys that `key` and `range_end` mean in etcd's requests.
    pub fn new(key: &Bytes, range_end: &Bytes) -> Span {
        match range_end.as_ref() {
            [] => Span::One(key.clone()),
            [0] => Span::From(key.clone()),
            _ => Span::Between(key.clone(), range_end.clone()),
        }
    }

    /// Whether `key` is one of them.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Span::One(one) => one == key,
            Span::Between(from, to) => from.as_ref() <= key && key < to.as_ref(),
            Span::From(from) => from.as_ref() <= key,
        }
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        matches!(self, Span::Between(from, to) if from >= to)
    }

    fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        match self {
            Span::One(key) => (Bound::Included(key), Bound::Included(key)),
            // A tree refuses bounds that cross.
            Span::Between(from, _) if self.is_empty() => (Bound::Included(from), Bound::Excluded(from)),
            Span::Between(from, to) => (Bound::Included(from), Bound::Excluded(to)),
            Span::From(from) => (Bound::Included(from), Bound::Unbounded),
        }
    }
}

impl Store {
    /// The keys of `span` that exist at `revision`, in order.
    pub(super) fn live_in(&self, span: &Span, revision: i64) -> impl Iterator<Item = (&Bytes, &Version)> {
        self.keys.range::<[u8], _>(span.bounds()).filter_map(move |(key, history)| Some((key, history.at(revision)?)))
    }

    /// Answers a checked request where `current` is the newest revision it may see.
    pub(super) fn range_at(&self, request: &RangeRequest, current: i64) -> RangeResponse {
        let span = Span::new(&request.key, &request.range_end);
        let revision = if request.revision <= 0 { current } else { request.revision };
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let mut response = RangeResponse::default();
        if request.count_only {
            response.count = count(self.live_in(&span, revision).count());
            return response;
        }
        let order = SortOrder::try_from(request.sort_order).unwrap_or(SortOrder::None);
        let target = SortTarget::try_from(request.sort_target).unwrap_or(SortTarget::Key);
        // Like etcd: what must be filtered or sorted is read whole, everything else only up to one key
        // past the limit.
        let whole = order != SortOrder::None || filters(request);
        let most = if limit == 0 || whole { usize::MAX } else { limit + 1 };
        let mut found = Vec::new();
        let mut total = 0;
        for (key, version) in self.live_in(&span, revision) {
            total += 1;
            if found.len() < most && (!filters(request) || passes(request, version)) {
                found.push((key, version));
            }
        }
        response.count = count(total);
        let descending = order == SortOrder::Descend;
        if order != SortOrder::None || target != SortTarget::Key {
            found.sort_by(|one, other| {
                let ordering = compare(target, *one, *other);
                if descending { ordering.reverse() } else { ordering }
            });
        }
        if limit > 0 && found.len() > limit {
            found.truncate(limit);
            response.more = true;
        }
        response.kvs = found.into_iter().map(|(key, version)| key_value(key, version, request.keys_only)).collect();
        response
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn key_value(key: &Bytes, version: &Version, keys_only: bool) -> KeyValue {
    let mut kv = version.key_value(key);
    if keys_only {
        kv.value = Bytes::new();
    }
    kv
}

fn filters(request: &RangeRequest) -> bool {
    request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn passes(request: &RangeRequest, version: &Version) -> bool {
    let at_least = |least: i64, revision: i64| least == 0 || revision >= least;
    let at_most = |most: i64, revision: i64| most == 0 || revision <= most;
    at_least(request.min_mod_revision, version.modified)
        && at_most(request.max_mod_revision, version.modified)
        && at_least(request.min_create_revision, version.created)
        && at_most(request.max_create_revision, version.created)
}

fn compare(target: SortTarget, one: (&Bytes, &Version), other: (&Bytes, &Version)) -> Ordering {
    match target {
        SortTarget::Key => one.0.cmp(other.0),
        SortTarget::Version => one.1.version.cmp(&other.1.version),
        SortTarget::Create => one.1.created.cmp(&other.1.created),
        SortTarget::Mod => one.1.modified.cmp(&other.1.modified),
        SortTarget::Value => one.1.value.cmp(&other.1.value),
    }
}
