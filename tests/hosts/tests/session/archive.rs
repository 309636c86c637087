//! The two images of the suite as `docker save` archives, as every host takes them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest, Sha256};

/// What stands in an image.
enum Entry {
    File(PathBuf),
    Link(&'static str),
}

/// An archive of one image.
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    pub(crate) digest: String,
}

/// Writes the node image, whose node binary is this very test, and the tools image, which is busybox.
pub(crate) fn images(folder: &Path) -> [Archive; 2] {
    let test = std::env::current_exe().unwrap();
    let mut node = vec![("usr/local/bin/drydock-node".to_owned(), Entry::File(test.clone()))];
    // Where there is nothing else, as in a container, it needs its libraries.
    let libraries = Command::new("ldd").arg(&test).output().unwrap().stdout;
    for library in String::from_utf8_lossy(&libraries).split_whitespace().filter(|word| word.starts_with('/')) {
        node.push((library.trim_start_matches('/').to_owned(), Entry::File(library.into())));
    }
    let mut tools = vec![("bin/busybox".to_owned(), Entry::File("/bin/busybox".into()))];
    let names = [
        "sh", "cat", "echo", "sleep", "id", "stty", "ping", "nc", "seq", "head", "ls", "grep", "touch", "trap", "true",
        "hostname",
    ];
    tools.extend(names.map(|name| (format!("bin/{name}"), Entry::Link("busybox"))));
    [("node", node), ("tools", tools)].map(|(name, entries)| {
        let path = folder.join(format!("{name}.tar"));
        let digest = write(&path, &format!("drydock/{name}:latest"), &entries);
        Archive { path, digest }
    })
}

fn write(path: &Path, name: &str, entries: &[(String, Entry)]) -> String {
    let header = |mode, size: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(size as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header
    };
    let mut layer = tar::Builder::new(Vec::new());
    for (target, entry) in entries {
        match entry {
            Entry::File(source) => {
                let bytes = fs::read(source).unwrap();
                layer.append_data(&mut header(0o755, bytes.len()), target, bytes.as_slice()).unwrap();
            }
            Entry::Link(to) => {
                let mut header = header(0o777, 0);
                header.set_entry_type(tar::EntryType::Symlink);
                layer.append_link(&mut header, target, to).unwrap();
            }
        }
    }
    let layer = layer.into_inner().unwrap();
    let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer))]},
    });
    let config = config.to_string().into_bytes();
    let (config_name, layer_name) = (format!("{}.json", digest(&config)), format!("{}/layer.tar", digest(&layer)));
    let manifest =
        json!([{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]).to_string().into_bytes();
    let mut archive = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in [(config_name.as_str(), &config), ("manifest.json", &manifest), (layer_name.as_str(), &layer)]
    {
        archive.append_data(&mut header(0o644, bytes.len()), name, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap().flush().unwrap();
    digest(&config)
}
