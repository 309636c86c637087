//! The API server over Debian's etcd on loopback, for trying things by hand with kubectl: prints the kubeconfig's path and waits.

#![allow(clippy::print_stdout, reason = "a tool for people")]

#[path = "../tests/suite/support.rs"]
mod support;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    drydock_component::init_logging("kube-apiserver");
    let extra: Vec<String> = std::env::args().skip(1).collect();
    let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
    let Some(cluster) = support::Cluster::start(&extra).await? else { anyhow::bail!("no /usr/bin/etcd") };
    println!("export KUBECONFIG={}", cluster.path("kubeconfig").display());
    drydock_component::Shutdown::on_signals()?.wait().await;
    Ok(())
}
