//! Layers and `docker save` archives, the same bytes for the same content.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::tools;

/// What an image says of the programs in it.
#[derive(Default)]
pub(super) struct ImageConfig {
    /// Command line when a container names none.
    pub(super) cmd: Vec<String>,
    /// `NAME=value`.
    pub(super) env: Vec<String>,
    /// Folder in which the command starts.
    pub(super) working_dir: String,
    /// e.g. `8080/tcp`.
    pub(super) exposed_ports: Vec<String>,
}

/// A layer being written; everything in it belongs to root.
pub(super) struct Layer {
    path: PathBuf,
    tar: tar::Builder<BufWriter<File>>,
    directories: BTreeSet<String>,
}

impl Layer {
    /// A layer that is written to `path`.
    pub(super) fn new(path: &Path) -> anyhow::Result<Layer> {
        let tar = tar::Builder::new(BufWriter::new(File::create(path)?));
        Ok(Layer { path: path.to_owned(), tar, directories: BTreeSet::new() })
    }

    /// Adds a folder and those above it.
    pub(super) fn directory(&mut self, path: &str, mode: u32) -> anyhow::Result<()> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent, 0o755)?;
        }
        if !path.is_empty() && self.directories.insert(path.to_owned()) {
            let mut header = header(tar::EntryType::Directory, mode);
            self.tar.append_data(&mut header, format!("{path}/"), std::io::empty())?;
        }
        Ok(())
    }

    /// Adds a file.
    pub(super) fn file(&mut self, path: &str, mode: u32, contents: &[u8]) -> anyhow::Result<()> {
        self.parent(path)?;
        let mut header = header(tar::EntryType::Regular, mode);
        header.set_size(contents.len() as u64);
        Ok(self.tar.append_data(&mut header, path, contents)?)
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) -> anyhow::Result<()> {
        self.parent(path)?;
        let mut header = header(tar::EntryType::Symlink, 0o777);
        Ok(self.tar.append_link(&mut header, path, target)?)
    }

    /// Adds a hard link to a file that is in the layer already.
    pub(super) fn hard_link(&mut self, path: &str, target: &str) -> anyhow::Result<()> {
        self.parent(path)?;
        let mut header = header(tar::EntryType::Link, 0o644);
        Ok(self.tar.append_link(&mut header, path, target)?)
    }

    /// Adds everything below a folder of this machine at `at`.
    pub(super) fn folder(&mut self, from: &Path, at: &Path) -> anyhow::Result<()> {
        let mut entries: Vec<_> = fs::read_dir(from)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = at.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.folder(&entry.path(), &path)?;
            } else {
                let executable = std::os::unix::fs::PermissionsExt::mode(&entry.metadata()?.permissions()) & 0o111 != 0;
                let mode = if executable { 0o755 } else { 0o644 };
                self.file(&path.to_string_lossy(), mode, &fs::read(entry.path())?)?;
            }
        }
        Ok(())
    }

    fn parent(&mut self, path: &str) -> anyhow::Result<()> {
        match path.rsplit_once('/') {
            Some((parent, _)) => self.directory(parent, 0o755),
            None => Ok(()),
        }
    }

    /// Ends the layer and returns its file.
    pub(super) fn finish(self) -> anyhow::Result<PathBuf> {
        let writer = self.tar.into_inner()?;
        writer.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        Ok(self.path)
    }
}

fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

/// Writes the archive of one image; layers bottom first. The layer files are removed.
pub(super) fn write(output: &Path, name: &str, config: &ImageConfig, layers: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let digests: Vec<_> =
        layers.iter().map(|layer| tools::sha256(File::open(layer)?)).collect::<std::io::Result<_>>()?;
    let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    let ports: serde_json::Map<_, _> = config.exposed_ports.iter().map(|port| (port.clone(), json!({}))).collect();
    let description = json!({
        "architecture": architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Cmd": config.cmd, "Env": config.env, "WorkingDir": config.working_dir, "ExposedPorts": ports},
        "rootfs": {"type": "layers", "diff_ids": digests.iter().map(|digest| format!("sha256:{digest}")).collect::<Vec<_>>()},
        "history": digests.iter().map(|_| json!({"created_by": "cargo xtask images"})).collect::<Vec<_>>(),
    })
    .to_string();
    let description_name = format!("{}.json", tools::sha256(description.as_bytes())?);
    let layer_names: Vec<_> = digests.iter().map(|digest| format!("{digest}/layer.tar")).collect();
    let manifest = json!([{"Config": description_name, "RepoTags": [name], "Layers": layer_names}]).to_string();
    let partial = output.with_extension("partial");
    let mut tar = tar::Builder::new(BufWriter::new(File::create(&partial)?));
    for (name, contents) in [(description_name.as_str(), &description), ("manifest.json", &manifest)] {
        let mut header = header(tar::EntryType::Regular, 0o644);
        header.set_size(contents.len() as u64);
        tar.append_data(&mut header, name, contents.as_bytes())?;
    }
    for (name, layer) in layer_names.iter().zip(layers) {
        let file = File::open(layer)?;
        let mut header = header(tar::EntryType::Regular, 0o644);
        header.set_size(file.metadata()?.len());
        tar.append_data(&mut header, name, file)?;
    }
    tar.into_inner()?.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&partial, output)?;
    for layer in layers {
        fs::remove_file(layer)?;
    }
    Ok(output.to_owned())
}
