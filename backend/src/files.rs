//! What Drydock needs beside itself: the unpacked bundle and the data folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use drydock_image_service::Policy;
use drydock_images::ImageStore;

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// State that must survive: database, sessions, images.
    pub(crate) data: PathBuf,
    /// Node binary, web app, images, lessons, kubectl.
    pub(crate) bundle: PathBuf,
}

/// Creates the data folder and returns its full path.
///
/// # Errors
/// One sentence that says what is wrong with it.
pub(crate) fn create(data: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(data)
        .with_context(|| format!("cannot create the data folder {}; name another with --data-dir", data.display()))?;
    data.canonicalize().with_context(|| format!("cannot resolve {}", data.display()))
}

impl Files {
    /// Creates the data folder and unpacks the bundle where needed.
    ///
    /// # Errors
    /// One sentence that says what is missing.
    pub(crate) fn prepare(data: &Path, bundle: Option<&Path>) -> anyhow::Result<Files> {
        let data = create(data)?;
        let bundle = match bundle {
            Some(folder) => {
                folder.canonicalize().with_context(|| format!("there is no bundle in {}", folder.display()))?
            }
            None => drydock_bundle::unpack(&std::env::current_exe()?, &data.join("bundle"))?,
        };
        Ok(Files { data, bundle })
    }

    /// A program of the bundle, if it is there.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        Some(self.bundle.join("bin").join(name)).filter(|file| file.is_file())
    }

    /// The genuine kubectl: the one on PATH, else the bundle's.
    ///
    /// # Errors
    /// One sentence that says how to get it.
    pub(crate) fn kubectl(&self) -> anyhow::Result<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file());
        match on_path.or_else(|| self.program("kubectl")) {
            Some(file) => Ok(file.canonicalize()?),
            None => anyhow::bail!(
                "kubectl is not on PATH: install it (https://kubernetes.io/docs/tasks/tools/) and start again"
            ),
        }
    }

    /// Makes these the rules for pulling images. With `keep`, rules that are there stay unless some are given: a
    /// command beside a server does not loosen what the server was told.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn rule(&self, options: &crate::commands::pulling::Options, keep: bool) -> anyhow::Result<()> {
        let store = self.data.join("images");
        if keep && options.policy(|_| None) == Policy::default() && Policy::path(&store).exists() {
            return Ok(());
        }
        let policy = options.policy(|name| std::env::var(name).ok());
        policy.save(&store).context("cannot write the rules for pulling images")
    }

    /// The file with the rules for pulling images.
    pub(crate) fn rules(&self) -> PathBuf {
        Policy::path(&self.data.join("images"))
    }

    /// The image store, with the bundle's images in it.
    ///
    /// # Errors
    /// When an image cannot be read or written.
    pub(crate) fn images(&self) -> anyhow::Result<ImageStore> {
        let folder = self.data.join("images");
        let store = ImageStore::open(&folder)?;
        // One mark per bundle: a second start imports nothing.
        let mark = folder.join(format!(".{}", self.bundle.file_name().unwrap_or_default().to_string_lossy()));
        if mark.is_file() && self.bundle.starts_with(&self.data) {
            return Ok(store);
        }
        for entry in fs::read_dir(self.bundle.join("images")).context("the bundle has no images")? {
            let file = entry?.path();
            let reader = std::io::BufReader::new(fs::File::open(&file)?);
            store.import_docker_archive(reader).with_context(|| format!("cannot import {}", file.display()))?;
        }
        fs::write(mark, "")?;
        Ok(store)
    }
}
