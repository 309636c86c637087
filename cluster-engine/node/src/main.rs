//! `drydock-node`: every component of a node in one static file, chosen by the name under which it runs.
//!
//! One file means that all processes of all sessions share their code pages. It wires, and does nothing else.
#![allow(clippy::print_stderr, reason = "a component that cannot start says why on stderr")]

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use drydock_component::{Shutdown, init_logging};

/// Pauses before memory is given back.
const SETTLED: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(50)];

/// What can be run, by upstream's names.
const APPLETS: [&str; 16] = [
    "kubelet",
    "kube-apiserver",
    "etcd",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "cluster-dns",
    "local-path",
    "metrics-server",
    "ingress-controller",
    "drydock-supervisor",
    "fault",
    "image-pull",
    "drydock-relay",
    "drydock-store",
    "runtime",
];

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let mut name = applet(arguments.first());
    if name.is_none() {
        // `drydock-node kubelet …` is `kubelet …`.
        name = applet(arguments.get(1));
        if name.is_some() {
            arguments.remove(0);
        }
    }
    match name {
        Some("runtime") => drydock_container_runtime::helper_main(),
        Some(name) => start(name, arguments),
        None => {
            eprintln!("drydock-node: run it as one of {}", APPLETS.join(", "));
            ExitCode::FAILURE
        }
    }
}

/// Starting takes more memory than going on: what it leaves behind is given back twice, when a cluster has come up and when it is quiet.
async fn settle() {
    for pause in SETTLED {
        tokio::time::sleep(pause).await;
        drydock_container_runtime::give_back_memory();
    }
}

fn applet(argument: Option<&OsString>) -> Option<&'static str> {
    let name = Path::new(argument?).file_name()?.to_str()?;
    APPLETS.into_iter().find(|applet| *applet == name)
}

fn start(name: &'static str, arguments: Vec<OsString>) -> ExitCode {
    init_logging(name);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(name, arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(name: &str, arguments: Vec<OsString>) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    tokio::spawn(settle());
    // Each on the heap: the stack of every component would have room for the largest of all.
    match name {
        "kubelet" => Box::pin(drydock_kubelet::run(drydock_kubelet::Options::parse_from(arguments), shutdown)).await?,
        "kube-apiserver" => {
            Box::pin(drydock_kube_apiserver::run(drydock_kube_apiserver::Options::parse_from(arguments), shutdown))
                .await?;
        }
        "etcd" => Box::pin(drydock_etcd::run(drydock_etcd::Options::parse_from(arguments), shutdown)).await?,
        "kube-controller-manager" => {
            let options = drydock_kube_controller_manager::Options::parse_from(arguments);
            Box::pin(drydock_kube_controller_manager::run(options, shutdown)).await?;
        }
        "kube-scheduler" => {
            Box::pin(drydock_kube_scheduler::run(drydock_kube_scheduler::Options::parse_from(arguments), shutdown))
                .await?;
        }
        "kube-proxy" => {
            Box::pin(drydock_kube_proxy::run(drydock_kube_proxy::Options::parse_from(arguments), shutdown)).await?
        }
        "cluster-dns" => Box::pin(drydock_dns::run(drydock_dns::Options::parse_from(arguments), shutdown)).await?,
        "local-path" => {
            Box::pin(drydock_local_path::run(drydock_local_path::Options::parse_from(arguments), shutdown)).await?
        }
        "metrics-server" => {
            Box::pin(drydock_metrics_server::run(drydock_metrics_server::Options::parse_from(arguments), shutdown))
                .await?;
        }
        "ingress-controller" => {
            Box::pin(drydock_ingress::run(drydock_ingress::Options::parse_from(arguments), shutdown)).await?
        }
        "drydock-supervisor" => {
            Box::pin(drydock_supervisor::run(drydock_supervisor::Options::parse_from(arguments), shutdown)).await?;
        }
        "fault" => drydock_fault::run(&drydock_fault::Options::parse_from(arguments))?,
        "image-pull" => {
            Box::pin(drydock_image_service::run(drydock_image_service::Options::parse_from(arguments))).await?
        }
        "drydock-relay" => {
            Box::pin(drydock_supervisor::relay::run(drydock_supervisor::relay::Options::parse_from(arguments))).await?
        }
        "drydock-store" => drydock_supervisor::store::run(drydock_supervisor::store::Options::parse_from(arguments))?,
        _ => anyhow::bail!("{name} is not an applet"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_component_has_room_for_all() {
        let bytes = size_of_val(&run("none", Vec::new()));
        assert!(bytes < 2048, "{bytes} bytes");
    }
}
