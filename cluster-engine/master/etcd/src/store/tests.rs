//! The store against a model that keeps every state it ever had, and against its own log.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use drydock_etcd_proto::etcdserverpb as pb;
use pb::request_op::Request;
use proptest::prelude::*;
use prost::Message;

use super::{Identity, Record, Span, Store, Unusable};
use crate::error::Error;

const KEYS: [&str; 5] = ["a", "a/1", "a/2", "b", "c"];
const NOW: Duration = Duration::ZERO;

#[derive(Clone, Debug)]
enum Op {
    Put {
        key: usize,
        value: u8,
        lease: bool,
    },
    Delete {
        from: usize,
        to: usize,
    },
    /// Puts the key if it has not changed since the last revision, else deletes it.
    Swap {
        key: usize,
        value: u8,
        stale: bool,
    },
    Compact {
        back: i64,
    },
    Grant,
    Revoke,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..KEYS.len();
    prop_oneof![
        6 => (key.clone(), any::<u8>(), any::<bool>()).prop_map(|(key, value, lease)| Op::Put { key, value, lease }),
        3 => (key.clone(), key.clone()).prop_map(|(from, to)| Op::Delete { from, to }),
        3 => (key, any::<u8>(), any::<bool>()).prop_map(|(key, value, stale)| Op::Swap { key, value, stale }),
        1 => (0..6_i64).prop_map(|back| Op::Compact { back }),
        1 => Just(Op::Grant),
        1 => Just(Op::Revoke),
        1 => Just(Op::Restart),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Kept {
    value: u8,
    created: i64,
    modified: i64,
    version: i64,
    leased: bool,
}

type State = BTreeMap<&'static str, Kept>;

/// The model: the state after each revision, and what changed in it.
struct Model {
    states: Vec<State>,
    lease: bool,
}

impl Model {
    fn now(&self) -> &State {
        self.states.last().expect("there is a first state")
    }

    fn revision(&self) -> i64 {
        self.states.len() as i64
    }

    fn put(&self, state: &mut State, key: &'static str, value: u8, leased: bool) {
        let modified = self.revision() + 1;
        let (created, version) = state.get(key).map_or((modified, 1), |kept| (kept.created, kept.version + 1));
        state.insert(key, Kept { value, created, modified, version, leased });
    }
}

/// Ours, with everything it has logged.
struct Subject {
    store: Store,
    log: Vec<Record>,
}

impl Subject {
    fn logged<T>(&mut self, (answer, record): (T, Option<Record>)) -> T {
        self.log.extend(record);
        answer
    }

    /// What a restart makes of snapshot and log.
    fn replayed(&self, snapshot: &[Record]) -> Store {
        let mut records = snapshot.iter().cloned().map(Ok::<_, Unusable>);
        let mut store = Store::restore(&mut records, NOW).unwrap();
        for record in &self.log {
            let bytes = record.encode_to_vec();
            store.replay(Record::decode(bytes.as_slice()).unwrap(), NOW).unwrap();
        }
        store
    }
}

fn range(key: &str, revision: i64) -> pb::RangeRequest {
    pb::RangeRequest { key: key.to_owned().into(), revision, ..Default::default() }
}

fn everything(revision: i64) -> pb::RangeRequest {
    pb::RangeRequest { range_end: vec![0].into(), ..range("\0", revision) }
}

fn put(key: &str, value: u8, lease: i64) -> pb::PutRequest {
    pb::PutRequest { key: key.to_owned().into(), value: vec![value].into(), lease, ..Default::default() }
}

fn delete(from: &str, to: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: from.to_owned().into(), range_end: to.to_owned().into(), prev_kv: true }
}

fn seen(response: pb::RangeResponse) -> BTreeMap<Bytes, Kept> {
    let kept = |kv: &drydock_etcd_proto::mvccpb::KeyValue| Kept {
        value: kv.value[0],
        created: kv.create_revision,
        modified: kv.mod_revision,
        version: kv.version,
        leased: kv.lease != 0,
    };
    response.kvs.iter().map(|kv| (kv.key.clone(), kept(kv))).collect()
}

fn expected(state: &State) -> BTreeMap<Bytes, Kept> {
    state.iter().map(|(key, kept)| (Bytes::from_static(key.as_bytes()), kept.clone())).collect()
}

fn apply(op: &Op, model: &mut Model, subject: &mut Subject) {
    let mut state = model.now().clone();
    match *op {
        Op::Put { key, value, lease } => {
            let lease = lease && model.lease;
            model.put(&mut state, KEYS[key], value, lease);
            let result = subject.store.put(put(KEYS[key], value, i64::from(lease))).unwrap();
            subject.logged(result);
            model.states.push(state);
        }
        Op::Delete { from, to } => {
            let (from, to) = (KEYS[from], KEYS[to]);
            state.retain(|key, _| !(from <= *key && *key < to));
            let result = subject.store.delete_range(&delete(from, to)).unwrap();
            let answer = subject.logged(result);
            let gone = model.now().len() - state.len();
            assert_eq!((answer.deleted, answer.prev_kvs.len()), (gone as i64, gone));
            if gone > 0 {
                model.states.push(state);
            }
        }
        Op::Swap { key, value, stale } => {
            let key = KEYS[key];
            let modified = state.get(key).map_or(0, |kept| kept.modified);
            let request = pb::TxnRequest {
                compare: vec![pb::Compare {
                    target: pb::compare::CompareTarget::Mod.into(),
                    key: key.into(),
                    target_union: Some(pb::compare::TargetUnion::ModRevision(modified + i64::from(stale))),
                    ..Default::default()
                }],
                success: vec![pb::RequestOp { request: Some(Request::RequestPut(put(key, value, 0))) }],
                failure: vec![pb::RequestOp { request: Some(Request::RequestDeleteRange(delete(key, ""))) }],
            };
            let result = subject.store.txn(request).unwrap();
            let answer = subject.logged(result);
            assert_eq!(answer.succeeded, !stale);
            if !stale {
                model.put(&mut state, key, value, false);
                model.states.push(state);
            } else if state.remove(key).is_some() {
                model.states.push(state);
            }
        }
        Op::Compact { back } => {
            let revision = model.revision() - back;
            let result = subject.store.compact(revision);
            if revision > subject.store.compacted() || result.is_ok() {
                subject.log.push(result.unwrap());
            } else {
                assert_eq!(result, Err(Error::Compacted));
            }
        }
        Op::Grant => {
            let result = subject.store.grant(1, 60, NOW);
            assert_eq!(result.is_ok(), !model.lease);
            subject.log.extend(result.ok().map(|(_, record)| record));
            model.lease = true;
        }
        Op::Revoke => {
            let result = subject.store.revoke(1);
            assert_eq!(result.is_ok(), model.lease);
            subject.log.extend(result.ok());
            model.lease = false;
            state.retain(|_, kept| !kept.leased);
            if state.len() < model.now().len() {
                model.states.push(state);
            }
        }
        Op::Restart => {}
    }
}

fn check(model: &Model, store: &Store) {
    assert_eq!(store.revision(), model.revision());
    for (index, state) in model.states.iter().enumerate() {
        let revision = index as i64 + 1;
        let answer = store.range(&everything(revision));
        if revision < store.compacted() {
            assert_eq!(answer, Err(Error::Compacted));
        } else {
            assert_eq!(seen(answer.unwrap()), expected(state), "revision {revision}");
        }
    }
    assert_eq!(store.range(&everything(model.revision() + 1)), Err(Error::FutureRevision));
    let leased = store.lease(1).map(|lease| lease.keys.iter().cloned().collect::<Vec<_>>());
    let wanted: Vec<Bytes> =
        model.now().iter().filter(|(_, kept)| kept.leased).map(|(key, _)| Bytes::from_static(key.as_bytes())).collect();
    assert_eq!(leased, model.lease.then_some(wanted));
}

/// Every watch, begun anywhere that is not compacted, sees the difference between neighbouring states.
fn check_events(model: &Model, store: &Store) {
    let from = store.compacted().max(0) + 1;
    let (events, next) = store.events(&Span::From(Bytes::from_static(b"\0")), from, model.revision(), true, usize::MAX);
    assert_eq!(next, None);
    let mut events = events.into_iter().peekable();
    for revision in from.max(2)..=model.revision() {
        let before = &model.states[revision as usize - 2];
        let after = &model.states[revision as usize - 1];
        let mut changed: Vec<_> = KEYS.iter().filter(|key| before.get(*key) != after.get(*key)).collect();
        while let Some(event) = events.next_if(|event| event.kv.as_ref().unwrap().mod_revision == revision) {
            let kv = event.kv.unwrap();
            let index = changed.iter().position(|key| key.as_bytes() == kv.key).expect("an event for every change");
            let key = changed.remove(index);
            assert_eq!(event.r#type == 0, after.contains_key(key));
            assert_eq!(event.prev_kv.map(|kv| kv.value[0]), before.get(key).map(|kept| kept.value));
        }
        assert!(changed.is_empty(), "no event for {changed:?} in revision {revision}");
    }
    assert!(events.next().is_none());
}

proptest! {
    #[test]
    fn behaves_like_a_list_of_all_states(ops in prop::collection::vec(op(), 1..60)) {
        let mut model = Model { states: vec![State::new()], lease: false };
        let mut subject = Subject { store: Store::new(Identity::default()), log: Vec::new() };
        let mut snapshot: Vec<Record> = subject.store.snapshot().collect();
        for op in &ops {
            apply(op, &mut model, &mut subject);
            if matches!(op, Op::Restart) {
                let store = subject.replayed(&snapshot);
                prop_assert_eq!(store.index(), subject.store.index());
                subject.store = store;
                subject.log.clear();
                snapshot = subject.store.snapshot().collect();
            }
            check(&model, &subject.store);
        }
        check_events(&model, &subject.store);
        let replayed = subject.replayed(&snapshot);
        check(&model, &replayed);
        check_events(&model, &replayed);
        prop_assert_eq!(replayed.hash(0), subject.store.hash(0));
        prop_assert_eq!(replayed.bytes(), subject.store.bytes());
    }
}

#[test]
fn a_compaction_frees_what_nobody_can_read() {
    let mut store = Store::new(Identity::default());
    for value in 0..100 {
        store.put(put("a", value, 0)).unwrap();
    }
    let one = store.bytes() / 100;
    store.compact(store.revision()).unwrap();
    assert_eq!(store.bytes(), one);
    store.delete_range(&delete("a", "")).unwrap();
    store.put(put("b", 1, 0)).unwrap();
    store.compact(store.revision()).unwrap();
    assert_eq!((store.bytes(), store.live_keys()), (one, 1));
}

#[test]
fn records_that_do_not_follow_are_refused() {
    let mut store = Store::new(Identity::default());
    store.put(put("a", 1, 0)).unwrap();
    let record = store.put(put("a", 2, 0)).unwrap().1.unwrap();
    let mut other = Store::new(Identity::default());
    assert_eq!(other.replay(record, NOW), Err(Unusable::Gap { have: 1, next: 3 }));
    assert_eq!(other.replay(Record { body: None }, NOW), Err(Unusable::Unknown));
    let mut cut = store.snapshot().take(2).map(Ok::<_, Unusable>);
    assert_eq!(Store::restore(&mut cut, NOW).err(), Some(Unusable::Incomplete));
}

#[test]
fn leases_end_and_are_renewed() {
    let seconds = Duration::from_secs;
    let mut store = Store::new(Identity::default());
    store.grant(5, 10, NOW).unwrap();
    assert_eq!(store.grant(5, 10, NOW).err(), Some(Error::LeaseExists));
    assert_eq!(store.grant(6, super::MAX_TTL + 1, NOW).err(), Some(Error::LeaseTtlTooLarge));
    assert_eq!(store.next_expiry(), Some(seconds(10)));
    assert_eq!(store.keep_alive(5, seconds(9)), Some(10));
    assert_eq!(store.expired(seconds(18)), Vec::<i64>::new());
    assert_eq!(store.expired(seconds(19)), [5]);
    assert_eq!(store.keep_alive(5, seconds(19)), None);
    store.revoke(5).unwrap();
    assert_eq!(store.revoke(5).err(), Some(Error::LeaseNotFound));
}
