//! What the suite has to know of Docker itself: what there is in it, and how to leave it as it was.

use bollard::Docker;
use bollard::models::MountType;
use bollard::query_parameters::{
    ListContainersOptions, ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptions, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptionsBuilder,
};
use futures_util::StreamExt;

use crate::lab::{Bench, Lab};

/// The volume of the suite's own images.
pub(crate) const STORE: &str = "drydock-store-session-test";

fn client() -> Docker {
    Docker::connect_with_defaults().unwrap()
}

/// Everything that is ours and that a session could leave behind. What carries the store stays.
pub(crate) async fn objects() -> Vec<String> {
    let client = client();
    let all = ListContainersOptionsBuilder::default().all(true).build();
    let containers = client.list_containers(Some(all)).await.unwrap();
    let volumes = client.list_volumes(None::<ListVolumesOptions>).await.unwrap().volumes.unwrap_or_default();
    let networks = client.list_networks(None::<ListNetworksOptions>).await.unwrap();
    let mut names: Vec<_> =
        containers.into_iter().map(|it| format!("container {}", it.names.unwrap_or_default().join(" "))).collect();
    names.extend(volumes.into_iter().map(|it| format!("volume {}", it.name)));
    names.extend(networks.into_iter().map(|it| format!("network {}", it.name.unwrap_or_default())));
    names.retain(|name| name.contains("drydock") || name.starts_with("volume"));
    names
}

/// Removes what a run that was broken off left behind.
async fn sweep() {
    let client = client();
    for object in objects().await.iter().filter(|name| name.contains(crate::lab::SESSION)) {
        let (kind, name) = object.split_once(' ').unwrap();
        let name = name.trim_start_matches('/');
        match kind {
            "container" => {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                client.remove_container(name, Some(options)).await.unwrap();
            }
            "volume" => {
                client.remove_volume(name, None::<bollard::query_parameters::RemoveVolumeOptions>).await.unwrap()
            }
            _ => client.remove_network(name).await.unwrap(),
        }
    }
}

/// Fills the store with a first session.
pub(crate) async fn prepare(bench: &Bench) {
    sweep().await;
    let lab = bench.lab();
    lab.session().await;
    lab.host.create_node(crate::lab::SESSION, &Lab::node(2, "")).await.unwrap();
    lab.end().await;
}

/// Removes the volume and the node image of the suite.
pub(crate) async fn clean(bench: &Bench) {
    let client = client();
    let force = RemoveVolumeOptionsBuilder::default().force(true).build();
    client.remove_volume(STORE, Some(force)).await.unwrap();
    let tag = format!("drydock/node:{}", &bench.archives[0].digest[..12]);
    client.remove_image(&tag, None::<RemoveImageOptions>, None).await.unwrap();
}

/// Containers have exactly the rights that they need, and no directory of the machine.
pub(crate) async fn check_rights() {
    let client = client();
    let mut seen = 0;
    for container in client.list_containers(None::<ListContainersOptions>).await.unwrap() {
        if !container.names.iter().flatten().any(|name| name.contains(crate::lab::SESSION)) {
            continue;
        }
        let config = client.inspect_container(&container.id.unwrap(), None).await.unwrap().host_config.unwrap();
        assert_eq!(config.privileged, Some(false));
        let mut added = config.cap_add.unwrap_or_default();
        added.sort();
        assert!(added.iter().map(|name| name.trim_start_matches("CAP_")).eq(["NET_ADMIN", "SYS_ADMIN"]), "{added:?}");
        assert!(!config.security_opt.unwrap_or_default().contains(&"seccomp=unconfined".to_owned()));
        assert!(config.binds.is_none() && config.devices.unwrap_or_default().is_empty());
        assert!(config.mounts.unwrap_or_default().iter().all(|mount| mount.typ == Some(MountType::VOLUME)));
        seen += 1;
    }
    // The gateway and two nodes.
    assert_eq!(seen, 3);
}

/// What the containers of the suite's sessions said.
pub(crate) async fn show_logs() {
    let client = client();
    let all = ListContainersOptionsBuilder::default().all(true).build();
    for container in client.list_containers(Some(all)).await.unwrap() {
        let names = container.names.unwrap_or_default().join(" ");
        if !names.contains(crate::lab::SESSION) {
            continue;
        }
        println!("--- {names}");
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
        let mut lines = client.logs(&container.id.unwrap_or_default(), Some(options));
        while let Some(Ok(line)) = lines.next().await {
            print!("{line}");
        }
    }
}
