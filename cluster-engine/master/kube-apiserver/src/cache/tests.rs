//! The cache without etcd.

use super::*;

static ROW: Resource =
    Resource { kind: "ConfigMap", plural: "configmaps", storage: "/registry/configmaps", ..Resource::BASE };

fn caches() -> (Caches, Arc<Cache>) {
    let caches = Caches::new([&ROW].into_iter());
    let cache = caches.get(ROW.storage).expect("cache");
    cache.reset(BTreeMap::new(), 10);
    caches.revision.send_replace(10);
    (caches, cache)
}

fn put(cache: &Cache, key: &str, revision: i64) {
    let text =
        format!(r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"{key}","labels":{{"a":"b"}}}}}}"#);
    cache.apply(key, revision, Some(text.as_bytes()));
    cache.notify();
}

#[test]
fn a_key_finds_its_cache() {
    let (caches, _) = caches();
    assert_eq!(caches.route("/registry/configmaps/default/a").map(|(_, rest)| rest), Some("default/a"));
    assert!(caches.route("/registry/pods/default/a").is_none());
}

#[test]
fn a_watch_sees_what_comes_after_its_revision() {
    let (_, cache) = caches();
    put(&cache, "default/a", 11);
    put(&cache, "default/b", 12);
    cache.apply("default/a", 13, None);
    let mut cursor = cache.follow(11).expect("known");
    let events = cursor.take().expect("known");
    let seen: Vec<_> =
        events.iter().map(|event| (event.revision, event.deleted, event.object.name().to_owned())).collect();
    assert_eq!(seen, [(12, false, "b".to_owned()), (13, true, "a".to_owned())]);
    assert_eq!(events[1].object.value()["metadata"]["resourceVersion"], "13");
    assert!(cursor.take().expect("known").is_empty());
    assert!(cache.follow(9).is_err_and(|status| status.code == 410));
}

#[test]
fn an_event_that_comes_twice_counts_once() {
    let (_, cache) = caches();
    let mut cursor = cache.follow(10).expect("known");
    put(&cache, "default/a", 11);
    put(&cache, "default/a", 11);
    assert_eq!(cursor.take().expect("known").len(), 1);
}

#[test]
fn a_watcher_that_falls_behind_is_cut_off() {
    let (_, cache) = caches();
    let mut cursor = cache.follow(10).expect("known");
    for revision in 11..=i64::try_from(KEEP_AT_MOST).expect("small") + 20 {
        put(&cache, "default/a", revision);
    }
    assert!(cursor.take().is_err());
}

#[test]
fn a_list_is_cut_by_prefix_and_start() {
    let (_, cache) = caches();
    for (index, key) in ["a/x", "a/y", "ab/x", "b/x"].into_iter().enumerate() {
        put(&cache, key, 11 + index as i64);
    }
    let names = |prefix: &str, start: &str| {
        cache.list(prefix, start).0.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("a/", ""), ["a/x", "a/y"]);
    assert_eq!(names("", "a/y"), ["a/y", "ab/x", "b/x"]);
    assert_eq!(names("a/", "a/x\0"), ["a/y"]);
}
