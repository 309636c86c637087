//! Static pod manifests and the kubelet's configuration, as kubeadm would write them.

use std::net::Ipv4Addr;

use super::{AUDIT_LOG, CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE_IMAGE, POD_CIDR, SERVICE_CIDR};
use crate::host::SessionNetwork;

/// After this many seconds without a heartbeat a node counts as lost. Upstream's 50 s would make a lesson wait.
const NODE_MONITOR_GRACE_SECONDS: u32 = 12;
/// How long pods stay bound to a lost node. Upstream's default is 300 s, for the same reason shorter here.
const TOLERATION_SECONDS: u32 = 10;

/// One static pod of the control plane.
struct StaticPod<'a> {
    name: &'a str,
    tier: &'a str,
    priority: &'a str,
    privileged: bool,
    cpu: &'a str,
    memory: &'a str,
    command: Vec<String>,
    /// Volume name, host path, hostPath type, read-only.
    mounts: &'a [(&'a str, &'a str, &'a str, bool)],
}

impl StaticPod<'_> {
    fn render(&self) -> String {
        use std::fmt::Write as _;
        let StaticPod { name, tier, priority, cpu, memory, .. } = self;
        let mut text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: kube-system\n  labels:\n    component: {name}\n    \
             tier: {tier}\nspec:\n  hostNetwork: true\n  priorityClassName: {priority}\n  priority: 2000001000\n  \
             terminationGracePeriodSeconds: 5\n  tolerations:\n  - operator: Exists\n  containers:\n  - name: {name}\n    \
             image: {NODE_IMAGE}\n    imagePullPolicy: IfNotPresent\n    command:\n"
        );
        // Writing to a String cannot fail.
        for argument in &self.command {
            let _ = writeln!(text, "    - {argument}");
        }
        let _ = write!(text, "    resources:\n      requests:\n        cpu: {cpu}\n        memory: {memory}\n");
        if self.privileged {
            text.push_str("    securityContext:\n      privileged: true\n");
        }
        text.push_str("    volumeMounts:\n");
        for (volume, path, _, read_only) in self.mounts {
            let _ = write!(text, "    - name: {volume}\n      mountPath: {path}\n      readOnly: {read_only}\n");
        }
        text.push_str("  volumes:\n");
        for (volume, path, kind, _) in self.mounts {
            let _ = write!(text, "  - name: {volume}\n    hostPath:\n      path: {path}\n      type: {kind}\n");
        }
        text
    }
}

fn command(program: &str, flags: &[&str]) -> Vec<String> {
    std::iter::once(program).chain(flags.iter().copied()).map(str::to_owned).collect()
}

/// etcd's manifest.
pub(super) fn etcd() -> String {
    StaticPod {
        name: "etcd",
        tier: "control-plane",
        priority: "system-node-critical",
        privileged: false,
        cpu: "10m",
        memory: "16Mi",
        command: command(
            "etcd",
            &[
                "--name=master",
                "--data-dir=/var/lib/etcd",
                "--listen-client-urls=https://127.0.0.1:2379",
                "--advertise-client-urls=https://127.0.0.1:2379",
                "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
                "--key-file=/etc/kubernetes/pki/etcd/server.key",
                "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
                "--client-cert-auth=true",
                "--listen-metrics-urls=http://127.0.0.1:2381",
            ],
        ),
        mounts: &[
            ("etcd-data", "/var/lib/etcd", "DirectoryOrCreate", false),
            ("etcd-certs", "/etc/kubernetes/pki/etcd", "Directory", true),
        ],
    }
    .render()
}

/// The API server's manifest.
pub(super) fn kube_apiserver(advertise: Ipv4Addr) -> String {
    let mut flags = command(
        "kube-apiserver",
        &[
            "--secure-port=6443",
            "--etcd-servers=https://127.0.0.1:2379",
            "--etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt",
            "--etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "--etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key",
            "--client-ca-file=/etc/kubernetes/pki/ca.crt",
            "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt",
            "--tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
            "--service-account-key-file=/etc/kubernetes/pki/sa.pub",
            "--service-account-signing-key-file=/etc/kubernetes/pki/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--kubelet-client-certificate=/etc/kubernetes/pki/apiserver-kubelet-client.crt",
            "--kubelet-client-key=/etc/kubernetes/pki/apiserver-kubelet-client.key",
            "--kubelet-certificate-authority=/etc/kubernetes/pki/ca.crt",
            "--requestheader-client-ca-file=/etc/kubernetes/pki/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--proxy-client-cert-file=/etc/kubernetes/pki/front-proxy-client.crt",
            "--proxy-client-key-file=/etc/kubernetes/pki/front-proxy-client.key",
            "--allow-privileged=true",
        ],
    );
    flags.extend([
        format!("--advertise-address={advertise}"),
        format!("--service-cluster-ip-range={SERVICE_CIDR}"),
        format!("--audit-log-path={AUDIT_LOG}"),
        format!("--default-not-ready-toleration-seconds={TOLERATION_SECONDS}"),
        format!("--default-unreachable-toleration-seconds={TOLERATION_SECONDS}"),
    ]);
    StaticPod {
        name: "kube-apiserver",
        tier: "control-plane",
        priority: "system-node-critical",
        privileged: false,
        cpu: "20m",
        memory: "32Mi",
        command: flags,
        mounts: &[
            ("k8s-certs", "/etc/kubernetes/pki", "Directory", true),
            ("audit", "/var/log/kubernetes/audit", "DirectoryOrCreate", false),
        ],
    }
    .render()
}

/// The controller manager's manifest.
pub(super) fn kube_controller_manager(network: &SessionNetwork) -> String {
    let mut flags = command(
        "kube-controller-manager",
        &[
            "--kubeconfig=/etc/kubernetes/controller-manager.conf",
            "--bind-address=127.0.0.1",
            "--allocate-node-cidrs=true",
            "--root-ca-file=/etc/kubernetes/pki/ca.crt",
            "--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt",
            "--cluster-signing-key-file=/etc/kubernetes/pki/ca.key",
            "--service-account-private-key-file=/etc/kubernetes/pki/sa.key",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
        ],
    );
    flags.extend([
        format!("--cluster-cidr={POD_CIDR}"),
        format!("--service-cluster-ip-range={SERVICE_CIDR}"),
        format!("--load-balancer-cidr={}", network.load_balancers()),
        format!("--node-monitor-grace-period={NODE_MONITOR_GRACE_SECONDS}s"),
    ]);
    StaticPod {
        name: "kube-controller-manager",
        tier: "control-plane",
        priority: "system-node-critical",
        privileged: false,
        cpu: "20m",
        memory: "16Mi",
        command: flags,
        mounts: &[
            ("k8s-certs", "/etc/kubernetes/pki", "Directory", true),
            ("kubeconfig", "/etc/kubernetes/controller-manager.conf", "File", true),
        ],
    }
    .render()
}

/// The scheduler's manifest.
pub(super) fn kube_scheduler() -> String {
    StaticPod {
        name: "kube-scheduler",
        tier: "control-plane",
        priority: "system-node-critical",
        privileged: false,
        cpu: "10m",
        memory: "16Mi",
        command: command(
            "kube-scheduler",
            &["--kubeconfig=/etc/kubernetes/scheduler.conf", "--bind-address=127.0.0.1", "--leader-elect=false"],
        ),
        mounts: &[("kubeconfig", "/etc/kubernetes/scheduler.conf", "File", true)],
    }
    .render()
}

/// kube-proxy's manifest for one node.
pub(super) fn kube_proxy(node: &str) -> String {
    let mut flags = command("kube-proxy", &["--kubeconfig=/etc/kubernetes/kube-proxy.conf"]);
    flags.extend([format!("--cluster-cidr={POD_CIDR}"), format!("--hostname-override={node}")]);
    StaticPod {
        name: "kube-proxy",
        tier: "node",
        priority: "system-node-critical",
        privileged: true,
        cpu: "10m",
        memory: "8Mi",
        command: flags,
        mounts: &[("kubeconfig", "/etc/kubernetes/kube-proxy.conf", "File", true)],
    }
    .render()
}

/// The kubelet's configuration file.
pub(super) fn kubelet_configuration() -> String {
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nstaticPodPath: /etc/kubernetes/manifests\n\
         clusterDNS:\n- {DNS_SERVICE_IP}\nclusterDomain: {CLUSTER_DOMAIN}\n\
         authentication:\n  anonymous:\n    enabled: false\n  webhook:\n    enabled: true\n  x509:\n    clientCAFile: /etc/kubernetes/pki/ca.crt\n\
         authorization:\n  mode: Webhook\n\
         tlsCertFile: /var/lib/kubelet/pki/kubelet.crt\ntlsPrivateKeyFile: /var/lib/kubelet/pki/kubelet.key\n\
         nodeLeaseDurationSeconds: 8\nmaxPods: 110\npodPidsLimit: 512\n"
    )
}
