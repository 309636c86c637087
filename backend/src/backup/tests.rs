//! Save, damage, restore.

use std::fs;
use std::path::Path;

use drydock_protocol::operator::Sample;

use super::*;
use crate::store::Store;

async fn filled(data: &Path, at: u64) -> Store {
    fs::create_dir_all(data.join("lessons/mine/images")).expect("folder");
    fs::write(data.join("lessons/mine/lesson.toml"), format!("at = {at}")).expect("lesson");
    fs::write(data.join("lessons/mine/images/a.svg"), "<svg/>").expect("picture");
    let store = Store::open(&data.join(DATABASE)).await.expect("open");
    store.put_sample(&Sample { at_millis: at, ..Sample::default() }, 0).await.expect("sample");
    store
}

async fn times(store: &Store) -> Vec<u64> {
    let history = store.history(0, 1_000_000, 1).await.expect("history");
    history.samples.iter().map(|sample| sample.at_millis).collect()
}

#[tokio::test]
async fn what_was_saved_comes_back_and_what_was_there_is_kept() {
    let folder = tempfile::tempdir().expect("tempdir");
    let (data, file) = (folder.path().join("data"), folder.path().join("b.tgz"));
    fs::create_dir(&data).expect("folder");
    let store = filled(&data, 30_000).await;
    // The server still has it open, with what it wrote in the write-ahead log.
    let saved = save(&data, &file, 7).await.expect("saved");
    let names: Vec<_> = saved.contents.files.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(names, ["drydock.db", "lessons/mine/images/a.svg", "lessons/mine/lesson.toml"]);
    assert_eq!(saved.contents.schema, snapshot::newest_schema());
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).expect("meta")) & 0o777, 0o600);
    let again = save(&data, &file, 7).await.expect_err("a second time");
    assert!(again.to_string().ends_with("is there already: name another file"), "{again}");

    store.put_sample(&Sample { at_millis: 90_000, ..Sample::default() }, 0).await.expect("sample");
    fs::write(data.join("lessons/mine/new.txt"), "later").expect("file");
    let before = times(&store).await;
    drop(store);
    let restored = restore(&data, &file, 8).await.expect("restored");
    assert_eq!(restored.contents, saved.contents);
    let store = Store::open(&data.join(DATABASE)).await.expect("open");
    assert_eq!(times(&store).await.len(), before.len() - 1, "what came later is gone");
    assert!(!data.join("lessons/mine/new.txt").exists());
    let Place::Kept(Some(kept)) = restored.place else { panic!("nothing kept") };
    let store = Store::open(&kept.join(DATABASE)).await.expect("open");
    assert_eq!(times(&store).await, before);
    assert!(kept.join("lessons/mine/new.txt").exists());
    let rest: Vec<_> =
        fs::read_dir(&data).expect("data").filter_map(Result::ok).map(|entry| entry.file_name()).collect();
    assert!(!rest.iter().any(|name| name.to_string_lossy().starts_with('.')), "nothing half done is left: {rest:?}");
}

#[tokio::test]
async fn a_new_machine_takes_a_backup() {
    let folder = tempfile::tempdir().expect("tempdir");
    let (data, other, file) = (folder.path().join("data"), folder.path().join("other"), folder.path().join("b.tgz"));
    fs::create_dir(&data).and_then(|()| fs::create_dir(&other)).expect("folders");
    drop(filled(&data, 1).await);
    save(&data, &file, 7).await.expect("saved");
    assert_eq!(restore(&other, &file, 8).await.expect("restored").place, Place::Kept(None));
    assert_eq!(fs::read_to_string(other.join("lessons/mine/lesson.toml")).expect("lesson"), "at = 1");
}

#[tokio::test]
async fn nothing_changes_where_a_backup_cannot_be_used() {
    let folder = tempfile::tempdir().expect("tempdir");
    let (data, file) = (folder.path().join("data"), folder.path().join("b.tgz"));
    fs::create_dir(&data).expect("folder");
    let refused = save(&data, &file, 7).await.expect_err("nothing there");
    assert!(refused.to_string().starts_with("there is no database in "), "{refused}");
    drop(filled(&data, 1).await);
    save(&data, &file, 7).await.expect("saved");
    fs::write(data.join("lessons/mine/lesson.toml"), "mine").expect("lesson");

    let check = async |name: &str, expected: &str| {
        let source = folder.path().join(name);
        let error = restore(&data, &source, 8).await.expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert_eq!(fs::read_to_string(data.join("lessons/mine/lesson.toml")).expect("lesson"), "mine", "{name}");
    };
    let running = lock(&data).expect("locked");
    check("b.tgz", "a server runs with the data folder").await;
    drop(running);

    fs::write(folder.path().join("text"), "hello").expect("file");
    check("text", "is no backup of Drydock").await;
    check("none", "cannot read").await;
    let whole = fs::read(&file).expect("archive");
    fs::write(folder.path().join("cut"), &whole[..whole.len() / 2]).expect("file");
    check("cut", "damaged").await;

    let rewrite = |name: &str, change: &dyn Fn(&mut Contents), more: Option<&str>| {
        let target = std::fs::File::create(folder.path().join(name)).expect("file");
        let mut out = tar::Builder::new(flate2::write::GzEncoder::new(target, flate2::Compression::fast()));
        let mut old = tar::Archive::new(flate2::read::GzDecoder::new(whole.as_slice()));
        for (index, entry) in old.entries().expect("entries").enumerate() {
            let mut entry = entry.expect("entry");
            let path = entry.path().expect("path").into_owned();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("bytes");
            if index == 0 {
                let mut contents: Contents = serde_json::from_slice(&bytes).expect("contents");
                change(&mut contents);
                bytes = serde_json::to_vec(&contents).expect("contents");
            }
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            out.append_data(&mut header, path, bytes.as_slice()).expect("append");
        }
        if let Some(path) = more {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            out.append_data(&mut header, path, [].as_slice()).expect("append");
        }
        out.into_inner().expect("tar").finish().expect("gzip");
    };
    rewrite("digest", &|contents| contents.files[1].sha256 = "00".repeat(32), None);
    check("digest", "lessons/mine/images/a.svg is not what it was").await;
    rewrite("newer", &|contents| contents.schema = 999_999, None);
    check("newer", "schema 999999, this program knows").await;
    rewrite("format", &|contents| contents.format = 2, None);
    check("format", "restore it with that version").await;
    rewrite("more", &|_| {}, Some("etc/passwd"));
    check("more", "\"etc/passwd\" does not belong here").await;
    let smuggled = Item { path: "etc/passwd".to_owned(), bytes: 0, sha256: String::new() };
    rewrite("named", &|contents| contents.files.push(smuggled.clone()), Some("etc/passwd"));
    check("named", "\"etc/passwd\" does not belong here").await;
    rewrite("less", &|contents| contents.files.push(smuggled.clone()), None);
    check("less", "etc/passwd is missing").await;
}
