//! The store as a whole. Unpacking gives files to their owners, so most of it needs root and says so otherwise.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use drydock_images::{Error, Image, ImageConfig, ImageStore, Source};
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_root() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        println!("skipped: needs root");
    }
    root
}

enum File<'a> {
    Dir(&'a str, u32),
    Plain(&'a str, &'a str),
    Owned(&'a str, u32, u64),
    Link(&'a str, &'a str),
    Hard(&'a str, &'a str),
    Device(&'a str),
    Claims(&'a str, u64),
}

/// A tar whose names are written as they are, also those that no honest tool writes.
fn tar(files: &[File<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000);
        header.set_mode(0o644);
        header.set_size(0);
        let mut content: &[u8] = b"";
        let name = match *file {
            File::Dir(name, mode) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(mode);
                name
            }
            File::Plain(name, text) => {
                header.set_size(text.len() as u64);
                content = text.as_bytes();
                name
            }
            File::Owned(name, mode, owner) => {
                header.set_mode(mode);
                header.set_uid(owner);
                header.set_gid(owner);
                name
            }
            File::Link(name, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
                name
            }
            File::Hard(name, target) => {
                header.set_entry_type(tar::EntryType::Link);
                header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
                name
            }
            File::Device(name) => {
                header.set_entry_type(tar::EntryType::Block);
                header.set_device_major(8).unwrap();
                header.set_device_minor(0).unwrap();
                name
            }
            File::Claims(name, size) => {
                header.set_size(size);
                name
            }
        };
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// What `docker save` writes.
fn docker_archive(name: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
    archive_with(name, layers, &diff_ids)
}

fn archive_with(name: &str, layers: &[Vec<u8>], diff_ids: &[String]) -> Vec<u8> {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Entrypoint": ["/bin/app"], "Cmd": null, "Env": ["A=1"], "WorkingDir": "/w", "User": "5" },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
    .to_string();
    let config_name = format!("{}.json", sha256(config.as_bytes()));
    let mut out = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        out.append_data(&mut header, name, bytes).unwrap();
    };
    let mut names = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        names.push(format!("{number}/layer.tar"));
        add(&names[number], layer);
    }
    add(&config_name, config.as_bytes());
    add(
        "manifest.json",
        serde_json::json!([{ "Config": config_name, "RepoTags": [name], "Layers": names }]).to_string().as_bytes(),
    );
    out.into_inner().unwrap()
}

struct Scratch {
    _dir: tempfile::TempDir,
    root: PathBuf,
    store: ImageStore,
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        Self { _dir: dir, store: ImageStore::open(root.join("store")).unwrap(), root }
    }

    fn import(&self, layers: &[Vec<u8>]) -> Result<Image, Error> {
        let images = self.store.import_docker_archive(docker_archive("app:v1", layers).as_slice())?;
        Ok(images.into_iter().next().unwrap())
    }
}

#[test]
fn an_archive_is_imported_once_and_found_by_every_name() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let layers = [
        tar(&[
            File::Dir("etc", 0o755),
            File::Plain("etc/a", "one"),
            File::Owned("su", 0o4755, 7),
            File::Hard("b", "etc/a"),
        ]),
        tar(&[
            File::Plain("./etc/.wh.a", ""),
            File::Plain("opt/.wh..wh..opq", ""),
            File::Plain("etc/c", "three"),
            File::Plain("x/.wh..wh.plnk", ""),
        ]),
    ];
    let image = scratch.import(&layers).unwrap();
    assert_eq!(image.name, "docker.io/library/app:v1");
    assert_eq!(
        (image.config.entrypoint.as_slice(), image.config.user.as_str()),
        (["/bin/app".to_owned()].as_slice(), "5")
    );
    assert_eq!(image.size, 8);
    let [lower, upper] = image.layers.as_slice() else { panic!("{:?}", image.layers) };
    assert_eq!(fs::read_to_string(lower.join("etc/a")).unwrap(), "one");
    assert_eq!(fs::metadata(lower.join("b")).unwrap().ino(), fs::metadata(lower.join("etc/a")).unwrap().ino());
    let owned = fs::metadata(lower.join("su")).unwrap();
    assert_eq!((owned.uid(), owned.gid(), owned.mode() & 0o7777), (7, 7, 0o4755));
    assert_eq!(fs::metadata(lower.join("etc")).unwrap().mtime(), 1_000_000);
    let whiteout = fs::symlink_metadata(upper.join("etc/a")).unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    let mut value = [0; 4];
    assert_eq!(rustix::fs::getxattr(upper.join("opt"), "user.overlay.opaque", &mut value).unwrap(), 1);
    assert!(!upper.join("x/.wh..wh.plnk").exists() && !upper.join("opt/.wh..wh..opq").exists());

    for name in
        ["app:v1", "docker.io/library/app:v1", &image.digest, &image.digest[7..20], &format!("app@{}", image.digest)]
    {
        assert_eq!(scratch.store.resolve(name).unwrap().digest, image.digest, "{name}");
    }
    for name in ["app", "app:v2", "other@sha256:0000000000000000000000000000000000000000000000000000000000000000"] {
        assert!(matches!(scratch.store.resolve(name), Err(Error::NotFound { .. })), "{name}");
    }
    // Again, gzipped, under a second name: nothing is unpacked.
    let inode = fs::metadata(lower).unwrap().ino();
    let again = gzip(&docker_archive("reg.example/app:v9", &layers.clone().map(|layer| layer)));
    scratch.store.import_docker_archive(again.as_slice()).unwrap();
    assert_eq!(fs::metadata(lower).unwrap().ino(), inode);
    let names: Vec<_> = scratch.store.list().unwrap().into_iter().map(|image| image.name).collect();
    assert_eq!(names, ["docker.io/library/app:v1", "reg.example/app:v9"]);

    scratch.store.remove("app:v1").unwrap();
    assert!(lower.exists() && scratch.store.resolve("app:v1").is_err());
    scratch.store.remove("reg.example/app:v9").unwrap();
    scratch.store.remove("reg.example/app:v9").unwrap();
    assert!(!lower.exists() && scratch.store.list().unwrap().is_empty());
    assert!(!scratch.root.join("store/tmp").exists());
}

#[test]
fn equal_layers_count_once_and_the_topmost_stays() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let (same, other) = (tar(&[File::Plain("a", "1")]), tar(&[File::Plain("a", "2")]));
    let image = scratch.import(&[same.clone(), other.clone(), same.clone()]).unwrap();
    let text: Vec<_> = image.layers.iter().map(|layer| fs::read_to_string(layer.join("a")).unwrap()).collect();
    assert_eq!(text, ["2", "1"]);
}

/// Each of these tries to leave the layer. None may; some are refused as a whole.
#[test]
fn hostile_layers_stay_inside() {
    if !is_root() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let out = outside.path().to_str().unwrap();
    let victim_name = victim.to_str().unwrap();
    let up = "../../../../../../../../../../../../..";
    let up_link = format!("{up}{out}");
    let through = format!("{up}{out}/new");
    let cases: &[(&str, Vec<File<'_>>, bool)] = &[
        ("dots", vec![File::Plain("../evil", "x")], false),
        ("inner dots", vec![File::Plain("a/../../evil", "x")], false),
        ("long dots", vec![File::Plain(&through, "x")], false),
        ("absolute link", vec![File::Link("l", out), File::Plain("l/new", "x")], true),
        ("relative link", vec![File::Link("l", &up_link), File::Plain("l/new", "x")], true),
        ("link in the way", vec![File::Link("f", victim_name), File::Plain("f", "x")], true),
        ("link as directory", vec![File::Link("d", out), File::Dir("d", 0o777), File::Plain("d/new", "x")], true),
        ("hard link out", vec![File::Hard("h", victim_name)], false),
        ("hard link by link", vec![File::Link("l", victim_name), File::Hard("h", "l"), File::Plain("h", "x")], true),
        (
            "hard link through link",
            vec![File::Link("l", out), File::Hard("h", "l/victim"), File::Plain("h", "x")],
            false,
        ),
        ("device", vec![File::Device("sda")], true),
        ("whiteout of all", vec![File::Plain(".wh...", "")], false),
        ("whiteout of nothing", vec![File::Plain(".wh.", "")], false),
        ("whiteout outside", vec![File::Link("l", out), File::Plain("l/.wh.victim", "")], true),
        ("too large", vec![File::Claims("big", 1 << 60)], false),
        ("impossible owner", vec![File::Owned("o", 0o644, u64::from(u32::MAX))], false),
    ];
    for (name, files, accepted) in cases {
        let scratch = Scratch::new();
        let result = scratch.import(&[tar(files)]);
        let inside_is_missing = matches!(&result, Err(Error::Invalid { reason }) if reason.contains("dangling"));
        assert!(result.is_ok() == *accepted || inside_is_missing, "{name}: {result:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched", "{name}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{name}");
        if result.is_err() {
            assert!(scratch.store.list().unwrap().is_empty(), "{name}");
            assert_eq!(fs::read_dir(scratch.root.join("store/layers")).unwrap().count(), 0, "{name}");
        }
        if *name == "device" {
            assert!(!result.unwrap().layers[0].join("sda").exists());
        }
    }
}

#[test]
fn wrong_digests_and_broken_archives_are_refused() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let layer = tar(&[File::Plain("a", "1")]);
    let wrong = archive_with("app", std::slice::from_ref(&layer), &[format!("sha256:{}", "0".repeat(64))]);
    assert!(matches!(scratch.store.import_docker_archive(wrong.as_slice()), Err(Error::Digest { .. })));
    let strange = archive_with("app", std::slice::from_ref(&layer), &["sha256:../../../x".to_owned()]);
    assert!(matches!(scratch.store.import_docker_archive(strange.as_slice()), Err(Error::Invalid { .. })));
    let fewer = archive_with("app", std::slice::from_ref(&layer), &[]);
    assert!(matches!(scratch.store.import_docker_archive(fewer.as_slice()), Err(Error::Invalid { .. })));
    let whole = docker_archive("app", &[layer]);
    for bytes in [&whole[..whole.len() / 3], b"", b"no tar at all", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0]] {
        assert!(scratch.store.import_docker_archive(bytes).is_err());
    }
    assert!(scratch.store.list().unwrap().is_empty());
    scratch.store.import_docker_archive(whole.as_slice()).unwrap();
}

#[test]
fn an_oci_layout_is_imported_for_this_machine() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let layout = scratch.root.join("layout");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let hex = sha256(bytes);
        fs::write(blobs.join(&hex), bytes).unwrap();
        format!("sha256:{hex}")
    };
    let layer = tar(&[File::Plain("hello", "oci")]);
    let manifest = |architecture: &str| {
        let config = serde_json::json!({ "os": "linux", "architecture": architecture, "config": { "Cmd": [architecture] },
            "rootfs": { "diff_ids": [format!("sha256:{}", sha256(&layer))] } });
        let config = put(config.to_string().as_bytes());
        let blob = put(&gzip(&layer));
        put(serde_json::json!({ "config": { "digest": config }, "layers": [{ "digest": blob }] })
            .to_string()
            .as_bytes())
    };
    let here = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let inner = serde_json::json!({ "manifests": [
        { "digest": manifest("s390x"), "platform": { "os": "linux", "architecture": "s390x" } },
        { "digest": manifest(here), "platform": { "os": "linux", "architecture": here } },
    ]});
    let inner = put(inner.to_string().as_bytes());
    let index = serde_json::json!({ "manifests": [{
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": inner,
        "annotations": { "io.containerd.image.name": "reg.example/hello:v1" },
    }]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let images = scratch.store.import_oci_layout(&layout).unwrap();
    assert_eq!((images.len(), images[0].name.as_str()), (1, "reg.example/hello:v1"));
    assert_eq!(images[0].config.cmd, [here]);
    assert_eq!(fs::read_to_string(images[0].layers[0].join("hello")).unwrap(), "oci");
    // A manifest that was tampered with.
    let name = blobs.join(inner.trim_start_matches("sha256:"));
    fs::write(&name, fs::read_to_string(&name).unwrap().replace("s390x", "s390y")).unwrap();
    assert!(matches!(scratch.store.import_oci_layout(&layout), Err(Error::Digest { .. })));
}

#[test]
fn images_are_built_from_files_without_copying_them() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let binary = scratch.root.join("binary");
    fs::write(&binary, "program").unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let link = scratch.root.join("link");
    symlink("drydock-node", &link).unwrap();
    let files = [("usr/local/bin/drydock-node".into(), binary.clone()), ("/usr/local/bin/kubelet".into(), link)];
    let config = ImageConfig { env: vec!["PATH=/usr/local/bin".to_owned()], ..ImageConfig::default() };
    let image = scratch.store.build("drydock/node", &Source::Files(&files), &config).unwrap();
    assert_eq!(image.name, "docker.io/drydock/node:latest");
    assert_eq!(image.config, config);
    let inside = image.layers[0].join("usr/local/bin/drydock-node");
    assert_eq!(fs::metadata(&inside).unwrap().ino(), fs::metadata(&binary).unwrap().ino());
    assert_eq!(fs::read_link(image.layers[0].join("usr/local/bin/kubelet")).unwrap(), Path::new("drydock-node"));
    let again = scratch.store.build("drydock/node", &Source::Files(&files), &config).unwrap();
    assert_eq!(again.digest, image.digest, "the same files make the same image");
    let from_dir = scratch.store.build("copy", &Source::Directory(&image.layers[0]), &config).unwrap();
    assert_eq!(fs::read_to_string(from_dir.layers[0].join("usr/local/bin/kubelet")).unwrap(), "program");
    let packed = scratch.root.join("packed.tar.gz");
    fs::write(&packed, gzip(&tar(&[File::Plain("a", "tar")]))).unwrap();
    let from_tar = scratch.store.build("packed", &Source::Tar(&packed), &config).unwrap();
    assert_eq!(fs::read_to_string(from_tar.layers[0].join("a")).unwrap(), "tar");
    let dots = [("../x".into(), binary)];
    assert!(matches!(scratch.store.build("dots", &Source::Files(&dots), &config), Err(Error::Invalid { .. })));
    assert!(matches!(
        scratch.store.build("Not a name", &Source::Files(&files), &config),
        Err(Error::InvalidReference { .. })
    ));
}

#[test]
fn several_writers_at_once() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let shared = tar(&[File::Plain("shared", "1")]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (store, shared) = (scratch.store.clone(), shared.clone());
            scope.spawn(move || {
                let own = tar(&[File::Plain("own", &number.to_string())]);
                let archive = docker_archive(&format!("app:v{number}"), &[shared, own]);
                store.import_docker_archive(archive.as_slice()).unwrap();
                assert_eq!(store.resolve(&format!("app:v{number}")).unwrap().layers.len(), 2);
            });
        }
    });
    assert_eq!(scratch.store.list().unwrap().len(), 8);
    assert_eq!(fs::read_dir(scratch.root.join("store/layers")).unwrap().count(), 9);
    // What a killed writer left behind is swept by the next one.
    fs::create_dir_all(scratch.root.join("store/tmp/layer/x")).unwrap();
    scratch.import(&[shared]).unwrap();
    assert!(!scratch.root.join("store/tmp").exists());
}

#[test]
fn a_store_that_is_not_there_is_empty() {
    let scratch = Scratch::new();
    assert!(scratch.store.list().unwrap().is_empty());
    assert!(
        matches!(scratch.store.resolve("busybox"), Err(Error::NotFound { name }) if name == "docker.io/library/busybox:latest")
    );
    fs::write(scratch.root.join("file"), "").unwrap();
    let error = ImageStore::open(scratch.root.join("file")).unwrap_err();
    assert!(matches!(error, Error::Io { ref source, .. } if source.kind() == io::ErrorKind::NotADirectory));
}
