//! Which host runs nodes, and on which of them a cluster is.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use drydock_engine::host::HostError;
use drydock_engine::{Cluster, Engine, EngineError};
use drydock_host_docker::{Docker, Settings};
use drydock_host_embedded::{Embedded, preflight};

use super::{Common, HostChoice, pulling};
use crate::files::Files;

/// The volume with images and programs that all sessions in Docker share.
const STORE: &str = "drydock-store";

impl Common {
    /// The engine that new clusters are made with, under these rules for fetching images (see [`Files::rule`]). What is
    /// missing for them is told before anything is unpacked to disk.
    ///
    /// # Errors
    /// One sentence that says what this machine lacks.
    pub(super) async fn engine(&self, rules: &pulling::Options, keep: bool) -> anyhow::Result<(Files, Engine)> {
        let embedded = || {
            preflight::rights()?;
            let data = crate::files::create(&self.data()?)?;
            anyhow::Ok(preflight::machine(&data)?)
        };
        let docker = match self.host {
            HostChoice::Embedded => {
                embedded()?;
                false
            }
            HostChoice::Docker => {
                drydock_host_docker::preflight().await?;
                true
            }
            HostChoice::Auto => match (embedded(), drydock_host_docker::preflight()) {
                (Ok(()), _) => {
                    eprintln!("Nodes run embedded: this machine has all they need");
                    false
                }
                (Err(lacks), docker) => match docker.await {
                    Ok(()) => {
                        eprintln!("Nodes run in Docker, since they cannot run embedded: {lacks}");
                        true
                    }
                    Err(error) => bail!("nodes can run neither embedded ({lacks}) nor in Docker ({error})"),
                },
            },
        };
        let files = self.files()?;
        files.rule(rules, keep)?;
        if !docker {
            let engine = self.embedded(&files)?;
            return Ok((files, engine));
        }
        let host = self::docker(&files)?;
        host.prepare().await?;
        Ok((files, Engine::new(Arc::new(host))))
    }

    /// The engines on whose hosts this data folder's clusters may be. They can look at and end what is there, which must
    /// work on a full disk too.
    ///
    /// # Errors
    /// One sentence that says why there is none.
    pub(super) async fn engines(&self) -> anyhow::Result<Vec<Engine>> {
        let docker = self.uses_docker()?;
        let embedded = match self.host {
            HostChoice::Embedded => true,
            HostChoice::Docker => false,
            // Who has no rights to namespaces has clusters in Docker only.
            HostChoice::Auto => preflight::rights().is_ok() || !docker,
        };
        let mut engines = Vec::new();
        if embedded {
            preflight::rights()?;
            engines.push(self.embedded(&self.files()?)?);
        }
        if docker {
            match drydock_host_docker::preflight().await {
                Ok(()) => engines.push(self.docker(&self.files()?)?),
                Err(error) if engines.is_empty() => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "clusters in Docker are left out"),
            }
        }
        Ok(engines)
    }

    /// The engine that has a cluster, and the cluster.
    ///
    /// # Errors
    /// When there is no such cluster, or one sentence on what is missing.
    pub(super) async fn find(&self, cluster: &str) -> anyhow::Result<(Engine, Cluster)> {
        let no_session = || EngineError::Host(HostError::NoSession { session: cluster.to_owned() });
        for engine in self.engines().await? {
            match engine.get(cluster).await {
                Ok(found) => return Ok((engine, found)),
                Err(EngineError::Host(HostError::NoSession { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(no_session().into())
    }

    /// Whether sessions of this data folder may be in Docker.
    pub(super) fn uses_docker(&self) -> anyhow::Result<bool> {
        Ok(self.host == HostChoice::Docker || self.host == HostChoice::Auto && Docker::was_used(&self.data()?))
    }

    fn embedded(&self, files: &Files) -> anyhow::Result<Engine> {
        files.images()?;
        Ok(Engine::new(Arc::new(Embedded::new(&files.data)?)))
    }

    fn docker(&self, files: &Files) -> anyhow::Result<Engine> {
        Ok(Engine::new(Arc::new(docker(files)?)))
    }
}

/// The Docker host of a data folder.
///
/// # Errors
/// When the bundle cannot be read or there is no way to Docker.
pub(super) fn docker(files: &Files) -> anyhow::Result<Docker> {
    let folder = files.bundle.join("images");
    let mut image_archives: Vec<PathBuf> = std::fs::read_dir(&folder)
        .context("the bundle has no images")?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    image_archives.sort();
    let rules = files.rules();
    let settings = Settings {
        node_archive: folder.join("node.tar"),
        image_archives,
        image_rules: rules.is_file().then_some(rules),
        store: STORE.to_owned(),
    };
    Ok(Docker::new(&files.data, settings)?)
}
