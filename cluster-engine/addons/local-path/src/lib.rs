//! The provisioner of local volumes: a directory on the node that the scheduler chose.
//!
//! It does what an external provisioner does upstream: a claim of one of its classes gets a PersistentVolume that can
//! be reached from one node only, so the data survives the pod and the pod returns to its data. The kubelet makes the
//! directory when the first pod mounts it. When a released volume is to be deleted, a helper pod on its node removes
//! the directory, and then the volume goes.
//!
//! *Invariants:* [`plan`] decides and knows no API server; a directory is removed only below the base directory and
//! only for a volume that this provisioner made.

mod apply;
mod objects;
pub mod plan;
mod remove;

use std::path::PathBuf;

use clap::Parser;
use drydock_client::Client;
use drydock_component::Shutdown;
use thiserror::Error;

pub use remove::remove;

/// What StorageClasses name this provisioner by.
pub const PROVISIONER: &str = "drydock.dev/local-path";

/// The provisioner of local volumes.
#[derive(Clone, Debug, Parser)]
#[command(name = "local-path", version)]
pub struct Options {
    /// Where volumes live on each node.
    #[arg(long, value_name = "DIRECTORY", default_value = "/opt/local-path-provisioner")]
    pub base: PathBuf,
    /// The image of the pods that remove directories; the same as this program's.
    #[arg(long, default_value = "drydock/node:latest")]
    pub helper_image: String,
    /// The namespace of those pods.
    #[arg(long, default_value = "kube-system")]
    pub namespace: String,
    /// How to reach the API server; without it, as a pod in the cluster.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Remove this directory below the base and end; what helper pods run.
    #[arg(long, value_name = "NAME")]
    pub remove: Option<String>,
}

/// Why the provisioner cannot run.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server cannot be talked to with this configuration.
    #[error("cannot use the cluster's configuration")]
    Config(#[source] drydock_client::Error),
    /// A directory cannot be removed.
    #[error("cannot remove {path}")]
    Remove {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is to be removed is no directory of this provisioner.
    #[error("{0:?} is not the name of a directory directly below the base; give the name of a volume")]
    Name(String),
}

/// Runs until `shutdown`, or removes one directory and ends.
///
/// # Errors
/// When the configuration cannot be used or the directory cannot be removed.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    if let Some(name) = &options.remove {
        return remove(&options.base, name);
    }
    let client = Client::from_flag(options.kubeconfig.as_deref()).map_err(Error::Config)?;
    tracing::info!(base = %options.base.display(), "provisioning");
    tokio::select! {
        () = apply::work(client, options) => {}
        () = shutdown.wait() => {}
    }
    Ok(())
}
