//! Starting the controllers.

mod health;

use std::sync::Arc;

use drydock_client::config::user_agent;
use drydock_client::{Client, Config};
use drydock_component::Shutdown;
use thiserror::Error;

use crate::Options;
use crate::context::Context;
use crate::controllers;
use crate::identity::Identities;

/// Why the controller manager could not start.
#[derive(Debug, Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error(transparent)]
    Client(#[from] drydock_client::Error),
    /// A file that a flag names cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The health port cannot be served.
    #[error("cannot serve on port {port}")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The serving certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] drydock_component::tls::TlsError),
    /// A flag's value makes no sense.
    #[error("{0}")]
    Flag(String),
}

/// Runs the controllers until `shutdown`.
///
/// # Errors
/// When a flag or file cannot be used or the health port is taken.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    if options.leader_elect {
        return Err(Error::Flag(
            "--leader-elect=true is not supported: a cluster has one controller manager".to_owned(),
        ));
    }
    if let Some(path) = &options.service_account_private_key_file {
        std::fs::metadata(path).map_err(|source| Error::File { path: path.clone(), source })?;
    }
    let mut config = Config::from_kubeconfig(&options.kubeconfig)?;
    config.user_agent = user_agent("kube-controller-manager");
    let client = Client::new(config)?;
    health::serve(&options, shutdown.clone()).await?;
    let settings = controllers::Settings::from_options(&options)?;
    let work = async {
        client.ready().await;
        let identities = Identities::new(client.clone(), options.use_service_account_credentials)?;
        let context = Arc::new(Context::new(options, identities));
        let mut tasks = controllers::start(&context, settings);
        tracing::info!(controllers = tasks.len(), "running");
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a controller ended");
            }
        }
        Ok(())
    };
    tokio::select! {
        result = work => result,
        () = shutdown.wait() => Ok(()),
    }
}
