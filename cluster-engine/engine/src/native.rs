//! The `native` distribution: which nodes, files and static pods make up a cluster of Drydock's own components.
//!
//! Pure: from a [`ClusterSpec`] and fresh certificates to the [`NodeSpec`]s that a host runs. The layout is
//! kubeadm's, so what a learner finds under /etc/kubernetes here is what they find at work.

pub mod addons;
mod manifests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::host::{NodeBind, NodeFile, NodeRole, NodeSpec, SessionNetwork};
use crate::kubeconfig::Kubeconfig;
use crate::pki::{Authority, Identity, PkiError, Purpose, Subject, signing_key};
use crate::spec::ClusterSpec;

/// The image of every component.
pub const NODE_IMAGE: &str = "drydock/node:latest";
/// Every session's pod network.
pub const POD_CIDR: &str = "10.244.0.0/16";
/// Every session's service network.
pub const SERVICE_CIDR: &str = "10.96.0.0/12";
/// The address of the `kubernetes` Service.
pub const KUBERNETES_SERVICE_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The address of the cluster DNS Service.
pub const DNS_SERVICE_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The DNS domain of Services.
pub const CLUSTER_DOMAIN: &str = "cluster.local";
/// The name of the one control-plane node.
pub const MASTER: &str = "master";
/// The name of the learner's shell.
pub const WORKSTATION: &str = "workstation";
/// Where the API server's audit log is on the master.
pub const AUDIT_LOG: &str = "/var/log/kubernetes/audit/audit.log";

/// Where [`ClusterSpec::node_shell`] is on a node.
pub const NODE_SHELL: &str = "/usr/local/bin/busybox";

const MASTER_IP: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 2);
const WORKSTATION_IP: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 250);
const API_SERVER_PORT: u16 = 6443;

/// A planned cluster: what the host shall run and what the engine keeps.
pub struct Plan {
    /// The nodes, master first.
    pub nodes: Vec<NodeSpec>,
    /// The CA's certificate, PEM.
    pub ca: String,
    /// The administrator's identity.
    pub admin: Identity,
}

/// The network of every session.
pub fn network() -> SessionNetwork {
    SessionNetwork {
        gateway: Ipv4Addr::new(10, 20, 0, 1),
        prefix: 24,
        api_server: SocketAddr::from((MASTER_IP, API_SERVER_PORT)),
    }
}

/// The name of the worker with the given number, counted from 1.
pub fn worker_name(number: u16) -> String {
    format!("worker-{number}")
}

/// Plans a cluster with fresh certificates.
///
/// # Errors
/// When a certificate cannot be made.
pub fn plan(spec: &ClusterSpec) -> Result<Plan, PkiError> {
    let ca = Authority::new("kubernetes")?;
    let admin = ca.issue(&Subject::client("kubernetes-admin", Some("system:masters")))?;
    let mut nodes = vec![master(spec, &ca)?];
    for number in 1..=spec.workers {
        nodes.push(worker(spec, &ca, number)?);
    }
    if let Some(workstation) = &spec.workstation {
        let kubeconfig = kubeconfig(&ca, "kubernetes-admin", &admin);
        nodes.push(NodeSpec {
            name: WORKSTATION.to_owned(),
            role: NodeRole::Workstation,
            ip: WORKSTATION_IP,
            argv: vec!["pause".to_owned()],
            env: environment(&[
                ("HOME", "/root"),
                ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                ("LANG", "C.UTF-8"),
                ("TERM", "xterm-256color"),
                ("KUBECONFIG", "/root/.kube/config"),
                ("EDITOR", "nano"),
            ]),
            image: Some(workstation.image.clone()),
            files: vec![file("/root/.kube/config", 0o600, kubeconfig), file("/etc/hosts", 0o644, hosts(spec))],
            binds: vec![bind(&workstation.kubectl, "/usr/local/bin/kubectl")],
            limits: spec.limits,
        });
    }
    Ok(Plan { nodes, ca: ca.certificate.clone(), admin })
}

fn master(spec: &ClusterSpec, ca: &Authority) -> Result<NodeSpec, PkiError> {
    let etcd_ca = Authority::new("etcd-ca")?;
    let front_proxy_ca = Authority::new("front-proxy-ca")?;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let api_server = ca.issue(&Subject {
        common_name: "kube-apiserver",
        organization: None,
        dns_names: &[
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            MASTER,
        ],
        addresses: &[IpAddr::V4(KUBERNETES_SERVICE_IP), IpAddr::V4(MASTER_IP), loopback],
        purpose: Purpose::Server,
    })?;
    let etcd_server = etcd_ca.issue(&Subject {
        common_name: MASTER,
        organization: None,
        dns_names: &["localhost", MASTER],
        addresses: &[loopback, IpAddr::V4(MASTER_IP)],
        purpose: Purpose::Both,
    })?;
    let etcd_client = etcd_ca.issue(&Subject::client("kube-apiserver-etcd-client", None))?;
    let kubelet_client = ca.issue(&Subject::client("kube-apiserver-kubelet-client", Some("system:masters")))?;
    let front_proxy_client = front_proxy_ca.issue(&Subject::client("front-proxy-client", None))?;
    let controller_manager = ca.issue(&Subject::client("system:kube-controller-manager", None))?;
    let scheduler = ca.issue(&Subject::client("system:kube-scheduler", None))?;
    let (service_account_key, service_account_public) = signing_key()?;

    let pki = "/etc/kubernetes/pki";
    let mut files = vec![
        file(format!("{pki}/ca.key"), 0o600, &ca.key),
        file(format!("{pki}/sa.key"), 0o600, service_account_key),
        file(format!("{pki}/sa.pub"), 0o644, service_account_public),
        file(format!("{pki}/front-proxy-ca.crt"), 0o644, &front_proxy_ca.certificate),
        file(format!("{pki}/etcd/ca.crt"), 0o644, &etcd_ca.certificate),
    ];
    for (name, identity) in [
        ("apiserver", &api_server),
        ("apiserver-kubelet-client", &kubelet_client),
        ("apiserver-etcd-client", &etcd_client),
        ("front-proxy-client", &front_proxy_client),
        ("etcd/server", &etcd_server),
    ] {
        files.push(file(format!("{pki}/{name}.crt"), 0o644, &identity.certificate));
        files.push(file(format!("{pki}/{name}.key"), 0o600, &identity.key));
    }
    for (name, user, identity) in [
        ("controller-manager", "system:kube-controller-manager", &controller_manager),
        ("scheduler", "system:kube-scheduler", &scheduler),
    ] {
        files.push(file(format!("/etc/kubernetes/{name}.conf"), 0o600, kubeconfig(ca, user, identity)));
    }
    for (name, manifest) in [
        ("etcd", manifests::etcd()),
        ("kube-apiserver", manifests::kube_apiserver(MASTER_IP)),
        ("kube-controller-manager", manifests::kube_controller_manager(&network())),
        ("kube-scheduler", manifests::kube_scheduler()),
    ] {
        files.push(file(format!("/etc/kubernetes/manifests/{name}.yaml"), 0o600, manifest));
    }
    kubernetes_node(spec, ca, MASTER, MASTER_IP, NodeRole::ControlPlane, files)
}

fn worker(spec: &ClusterSpec, ca: &Authority, number: u16) -> Result<NodeSpec, PkiError> {
    kubernetes_node(spec, ca, &worker_name(number), worker_ip(number), NodeRole::Worker, Vec::new())
}

/// Plans one more worker for a cluster that runs.
///
/// # Errors
/// When a certificate cannot be made.
pub fn joining_worker(spec: &ClusterSpec, ca: &Authority, number: u16) -> Result<NodeSpec, PkiError> {
    let spec = ClusterSpec { workers: spec.workers.max(number), ..spec.clone() };
    worker(&spec, ca, number)
}

/// What master and workers have in common: kubelet, kube-proxy and their credentials.
fn kubernetes_node(
    spec: &ClusterSpec,
    ca: &Authority,
    name: &str,
    ip: Ipv4Addr,
    role: NodeRole,
    mut files: Vec<NodeFile>,
) -> Result<NodeSpec, PkiError> {
    let user = format!("system:node:{name}");
    let kubelet = ca.issue(&Subject::client(&user, Some("system:nodes")))?;
    let serving = ca.issue(&Subject {
        common_name: &user,
        organization: Some("system:nodes"),
        dns_names: &[name],
        addresses: &[IpAddr::V4(ip)],
        purpose: Purpose::Server,
    })?;
    let proxy = ca.issue(&Subject::client("system:kube-proxy", None))?;
    files.extend([
        file("/etc/kubernetes/pki/ca.crt", 0o644, &ca.certificate),
        file("/etc/kubernetes/kubelet.conf", 0o600, kubeconfig(ca, &user, &kubelet)),
        file("/etc/kubernetes/kube-proxy.conf", 0o600, kubeconfig(ca, "system:kube-proxy", &proxy)),
        file("/var/lib/kubelet/pki/kubelet.crt", 0o644, &serving.certificate),
        file("/var/lib/kubelet/pki/kubelet.key", 0o600, &serving.key),
        file("/var/lib/kubelet/config.yaml", 0o600, manifests::kubelet_configuration()),
        file("/etc/kubernetes/manifests/kube-proxy.yaml", 0o600, manifests::kube_proxy(name)),
        file("/etc/hosts", 0o644, hosts(spec)),
        file("/etc/hostname", 0o644, format!("{name}\n")),
        file("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        file("/etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n"),
        file("/etc/os-release", 0o644, os_release()),
    ]);
    let mut argv = vec![
        "kubelet".to_owned(),
        "--config=/var/lib/kubelet/config.yaml".to_owned(),
        "--kubeconfig=/etc/kubernetes/kubelet.conf".to_owned(),
        format!("--node-ip={ip}"),
        format!("--hostname-override={name}"),
    ];
    if role == NodeRole::ControlPlane {
        argv.push("--register-with-taints=node-role.kubernetes.io/control-plane=:NoSchedule".to_owned());
    }
    Ok(NodeSpec {
        name: name.to_owned(),
        role,
        ip,
        argv,
        env: environment(&[("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")]),
        image: None,
        files,
        binds: spec.node_shell.iter().map(|shell| bind(shell, NODE_SHELL)).collect(),
        limits: spec.limits,
    })
}

/// Whether a node of this role registers with the API server.
pub fn is_kubernetes_node(role: NodeRole) -> bool {
    matches!(role, NodeRole::ControlPlane | NodeRole::Worker)
}

fn worker_ip(number: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(MASTER_IP) + u32::from(number))
}

fn kubeconfig(ca: &Authority, user: &str, identity: &Identity) -> String {
    let server = format!("https://{MASTER_IP}:{API_SERVER_PORT}");
    Kubeconfig { cluster: "kubernetes", server: &server, ca: &ca.certificate, user, identity }.render()
}

fn hosts(spec: &ClusterSpec) -> String {
    use std::fmt::Write as _;
    let mut text = format!("127.0.0.1 localhost\n::1 localhost\n{MASTER_IP} {MASTER}\n");
    for number in 1..=spec.workers {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {}", worker_ip(number), worker_name(number));
    }
    let _ = writeln!(text, "{WORKSTATION_IP} {WORKSTATION}");
    text
}

fn os_release() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("NAME=Drydock\nID=drydock\nVERSION_ID={version}\nPRETTY_NAME=\"Drydock {version}\"\n")
}

fn file(path: impl Into<String>, mode: u32, contents: impl Into<String>) -> NodeFile {
    NodeFile { path: path.into(), mode, contents: contents.into() }
}

fn bind(source: &Path, target: &str) -> NodeBind {
    NodeBind { source: source.to_string_lossy().into_owned(), target: target.to_owned() }
}

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests;
