//! Nodes that come and go while the cluster runs, and what can befall them: added, removed, stopped, frozen, cut off.

use std::time::{Duration, Instant};

use drydock_api::meta::ObjectMeta;
use drydock_client::Client;
use http::Method;
use serde::Deserialize;

use super::{Engine, EngineError, READY_TIME, api_error, ready};
use crate::host::{HostError, NodeRole};
use crate::native::{self, MASTER, NODE_SHELL};
use crate::pki::Authority;
use crate::spec::{MAX_WORKERS, SpecError};

/// How long a node that is asked to stop may take.
const GRACE: Duration = Duration::from_secs(5);
/// How long the API server may take to hear of a node that was removed: it, or etcd behind it, may just have been killed for the third
/// time, and then its kubelet waits 40 s before it starts it again.
const CLEAR_TIME: Duration = Duration::from_secs(90);
/// Between two tries.
const CLEAR_PAUSE: Duration = Duration::from_millis(200);
/// More than any certificate or key takes.
const LONGEST_PEM: usize = 16 * 1024;

/// What can befall a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeFault {
    /// It is switched off in good order.
    Stop,
    /// It loses its power.
    Kill,
    /// It hangs: no process of it runs, its network still takes packets.
    Freeze,
    /// Its network cable is pulled.
    CutOff,
    /// So many of a hundred packets from other nodes do not arrive.
    Loss(u8),
    /// All of that is over: it runs, connected.
    Heal,
}

/// What can befall one component of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComponentFault {
    /// It dies; its kubelet starts it again.
    Kill,
    /// It hangs until it is resumed.
    Pause,
    /// It goes on.
    Resume,
}

#[derive(Deserialize)]
struct PodList {
    items: Vec<Pod>,
}

#[derive(Deserialize)]
struct Pod {
    metadata: ObjectMeta,
}

impl ComponentFault {
    fn signal(self) -> &'static str {
        match self {
            Self::Kill => "-KILL",
            Self::Pause => "-STOP",
            Self::Resume => "-CONT",
        }
    }
}

impl Engine {
    /// Adds a worker to a running cluster and returns its name when it is Ready.
    ///
    /// # Errors
    /// When there is no such cluster, it has all the workers it may have, the host fails, or the node does not come up in
    /// time; it is removed again then.
    pub async fn add_node(&self, cluster: &str) -> Result<String, EngineError> {
        let found = self.get(cluster).await?;
        let workers: Vec<&str> = found.host.nodes.iter().map(|node| node.name.as_str()).collect();
        let number = free_number(&workers).ok_or(SpecError::Workers { workers: MAX_WORKERS + 1 })?;
        let authority = self.authority(cluster).await?;
        let node = native::joining_worker(&found.spec, &authority, number)?;
        self.host.create_node(cluster, &node).await?;
        let client = found.client().map_err(|source| api_error("connect", source))?;
        if let Err(error) = ready::nodes(&client, &[&node.name], Instant::now() + READY_TIME, false).await {
            self.host.remove_node(cluster, &node.name).await?;
            return Err(error);
        }
        Ok(node.name)
    }

    /// Removes a worker, its disk and its Node object. Its pods are made anew elsewhere by whoever owns them.
    ///
    /// # Errors
    /// When there is no such cluster or node, it is not a worker, or the host fails.
    pub async fn remove_node(&self, cluster: &str, node: &str) -> Result<(), EngineError> {
        let found = self.get(cluster).await?;
        match found.host.nodes.iter().find(|it| it.name == node).map(|it| it.role) {
            Some(NodeRole::Worker) => {}
            Some(_) => return Err(EngineError::NotAWorker { node: node.to_owned() }),
            None => return Err(HostError::NoNode { session: cluster.to_owned(), node: node.to_owned() }.into()),
        }
        self.host.remove_node(cluster, node).await?;
        let client = found.client().map_err(|source| api_error("connect", source))?;
        // The node is gone for good; an API server that is just being started again must still hear of it.
        let until = Instant::now() + CLEAR_TIME;
        loop {
            match clear_up(&client, node).await {
                Err(_) if Instant::now() < until => tokio::time::sleep(CLEAR_PAUSE).await,
                outcome => return outcome,
            }
        }
    }

    /// Lets something befall a node, or makes all well again.
    ///
    /// # Errors
    /// When there is no such cluster or node, it does not run and so cannot lose packets, or the host fails.
    pub async fn fault_node(&self, cluster: &str, node: &str, fault: NodeFault) -> Result<(), EngineError> {
        let host = &self.host;
        match fault {
            NodeFault::Stop => host.stop_node(cluster, node, GRACE).await?,
            NodeFault::Kill => host.stop_node(cluster, node, Duration::ZERO).await?,
            NodeFault::Freeze => host.pause_node(cluster, node).await?,
            NodeFault::CutOff => host.detach_node(cluster, node).await?,
            NodeFault::Loss(percent) => self.lose_packets(cluster, node, percent).await?,
            NodeFault::Heal => {
                host.start_node(cluster, node).await?;
                host.resume_node(cluster, node).await?;
                host.attach_node(cluster, node).await?;
                // The workstation has nothing that could have been told to lose packets.
                let found = host.session(cluster).await?;
                if found.nodes.iter().any(|it| it.name == node && native::is_kubernetes_node(it.role)) {
                    self.lose_packets(cluster, node, 0).await?;
                }
            }
        }
        Ok(())
    }

    /// Makes each write of the cluster's etcd take longer by `delay`; zero heals it. It holds until it is healed.
    ///
    /// # Errors
    /// When there is no such cluster, its master does not run, or the host fails.
    pub async fn slow_writes(&self, cluster: &str, delay: Duration) -> Result<(), EngineError> {
        self.fault(cluster, MASTER, &["writes", &format!("{}us", delay.as_micros())]).await
    }

    async fn lose_packets(&self, cluster: &str, node: &str, percent: u8) -> Result<(), EngineError> {
        let gateway = native::network().gateway.to_string();
        self.fault(cluster, node, &["loss", &percent.to_string(), "--except", &gateway]).await
    }

    /// Lets the node do a fault to itself, see the crate `drydock-fault`.
    async fn fault(&self, cluster: &str, node: &str, fault: &[&str]) -> Result<(), EngineError> {
        let argv: Vec<String> = ["drydock-node", "fault"].iter().chain(fault).map(|word| (*word).to_owned()).collect();
        let output = self.host.exec(cluster, node, &argv).await?;
        if output.code == 0 {
            return Ok(());
        }
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(HostError::Failed { action: format!("the fault on {node}"), reason }.into())
    }

    /// Lets something befall one component of a node, named as its process is: `etcd`, `kube-scheduler`, `kube-proxy` …
    ///
    /// # Errors
    /// When there is no such cluster, node or process.
    pub async fn fault_component(
        &self,
        cluster: &str,
        node: &str,
        component: &str,
        fault: ComponentFault,
    ) -> Result<(), EngineError> {
        let no_component = || EngineError::NoComponent { node: node.to_owned(), component: component.to_owned() };
        if component.starts_with('-') {
            return Err(no_component());
        }
        let argv = [NODE_SHELL, "killall", fault.signal(), component].map(str::to_owned);
        // A process with the node's own number 1 is the node: it is out of its own processes' reach.
        if component == "kubelet" {
            return Err(EngineError::KubeletIsTheNode);
        }
        let output = self.host.exec(cluster, node, &argv).await?;
        if output.code == 0 { Ok(()) } else { Err(no_component()) }
    }

    /// The cluster's authority, from where kubeadm keeps it too: the master's disk.
    async fn authority(&self, cluster: &str) -> Result<Authority, EngineError> {
        let read = async |file: &str| {
            let path = format!("/etc/kubernetes/pki/{file}");
            let bytes = self.host.read_file(cluster, MASTER, &path, 0, LONGEST_PEM).await?;
            Ok::<_, EngineError>(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Authority::load(read("ca.crt").await?, read("ca.key").await?)?)
    }
}

/// Removes a lost node's Node object and its pods.
async fn clear_up(client: &Client, node: &str) -> Result<(), EngineError> {
    let delete = async |path: &str| match client.request(Method::DELETE, path, "application/json", String::new()).await
    {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(source) => Err(api_error("clear up after the node", source)),
    };
    delete(&format!("/api/v1/nodes/{node}")).await?;
    // Nobody is left who could tell that they have ended; upstream's clean-up would take a minute to be sure of it.
    let of_node = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{node}");
    let pods: PodList = client.get(&of_node).await.map_err(|source| api_error("list the node's pods", source))?;
    for pod in pods.items {
        let (namespace, name) = (pod.metadata.namespace, pod.metadata.name);
        delete(&format!("/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds=0")).await?;
    }
    Ok(())
}

/// The lowest worker number that is not taken.
fn free_number(nodes: &[&str]) -> Option<u16> {
    (1..=MAX_WORKERS).find(|number| !nodes.contains(&native::worker_name(*number).as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_worker_takes_the_lowest_free_number() {
        assert_eq!(free_number(&["master", "worker-1", "worker-2", "workstation"]), Some(3));
        assert_eq!(free_number(&["master", "worker-2"]), Some(1));
        let all: Vec<String> = (1..=MAX_WORKERS).map(native::worker_name).collect();
        assert_eq!(free_number(&all.iter().map(String::as_str).collect::<Vec<_>>()), None);
    }
}
