//! The etcd applet as a program of its own, for tests and for use without a cluster.

use clap::Parser;
use drydock_component::{Shutdown, init_logging};

fn main() -> anyhow::Result<()> {
    let options = drydock_etcd::Options::parse();
    init_logging("etcd");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        Ok(drydock_etcd::run(options, shutdown).await?)
    })
}
