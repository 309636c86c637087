//! etcdctl at a session's etcd, in the way of a kubeadm cluster: through the etcd pod's port, with the certificates that lie on the master.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use drydock_tests_clients::{Tool, run};
use drydock_tests_harness::{Cluster, Follow, Product, wait_for, wait_for_within};

/// Where Debian's etcd-client lies, which `cargo xtask test` installs.
const ETCDCTL: &str = "/usr/bin/etcdctl";
/// On the master, as root: what kubeadm's documentation does for a restored etcd. The API server must not see the state change under it.
const SWITCH: &str = "cd /host/etc/kubernetes && mv manifests/kube-apiserver.yaml . \
    && while [ -n \"$(pidof kube-apiserver)\" ]; do sleep 0.1; done \
    && sed -i s#/var/lib/etcd#/var/lib/etcd-restored# manifests/etcd.yaml \
    && while ! [ -d /host/var/lib/etcd-restored/member/log ]; do sleep 0.1; done \
    && mv kube-apiserver.yaml manifests/";

/// A pod with the master's files and processes.
fn on_the_master(cluster: &Cluster<'_>) -> String {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: on-the-master}\nspec:\n  nodeName: master\n  hostPID: true\n  tolerations: [{operator: Exists}]\n  containers:\n  - name: shell\n    image: drydock/demo:v1\n    command: [sleep, '100000']\n    securityContext: {privileged: true}\n    volumeMounts: [{name: host, mountPath: /host}]\n  volumes: [{name: host, hostPath: {path: /}}]\n";
    cluster.kubectl_with("apply -f -", pod).ok();
    cluster.kubectl("wait --for=condition=Ready pod/on-the-master --timeout=60s").ok();
    "on-the-master".to_owned()
}

#[test]
fn a_snapshot_is_saved_judged_and_restored() {
    assert!(Path::new(ETCDCTL).is_file(), "{ETCDCTL} is missing: apt-get install etcd-client");
    let product = Product::new();
    let cluster = Cluster::create(&product, "etcdctl", 1);
    let pod = on_the_master(&cluster);
    let folder = cluster.scratch();
    for file in ["ca.crt", "server.crt", "server.key"] {
        let text = cluster.kubectl(&format!("exec {pod} -- cat /host/etc/kubernetes/pki/etcd/{file}")).ok();
        std::fs::write(folder.join(file), text).expect("a file");
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let forward = Follow::start(
        cluster.kubectl_command(&format!("port-forward --namespace kube-system pod/etcd-master {port}:2379")),
    );
    forward.wait_text("Forwarding from");
    let command = |words: &[String]| {
        let mut command = Command::new(ETCDCTL);
        command.env("ETCDCTL_API", "3").current_dir(folder).args(words);
        let endpoint = format!("https://127.0.0.1:{port}");
        command.env("ETCDCTL_ENDPOINTS", endpoint).env("ETCDCTL_CACERT", folder.join("ca.crt"));
        command.env("ETCDCTL_CERT", folder.join("server.crt")).env("ETCDCTL_KEY", folder.join("server.key"));
        command
    };
    let etcdctl = Tool::new("etcdctl", &command);
    cluster.kubectl("create configmap saved --from-literal=a=b").ok();
    cluster.kubectl("create deployment web --image=drydock/demo:v1").ok();
    cluster.kubectl("rollout status deployment/web --timeout=60s").ok();
    let words = |line: &str| drydock_tests_harness::words(line);
    let watch = Follow::start(command(&words("watch --prefix /registry/configmaps/default/ -w fields")));
    etcdctl.table(&[
        run("endpoint health").has("is healthy: successfully committed proposal"),
        run("endpoint status -w table").has("3.6.").has("true").has("IS LEADER"),
        run("member list").has("started, master"),
        run("get --prefix --keys-only /registry/configmaps/default/")
            .is("/registry/configmaps/default/kube-root-ca.crt\n\n/registry/configmaps/default/saved"),
        run("get --prefix --keys-only --limit=3 /registry").has("/registry/"),
        run("get /registry/configmaps/default/saved").has("saved"),
        run("get --prefix --keys-only /registry/namespaces/ -w fields").has("\"Count\" : 4"),
        run("snapshot save backup.db").has("Snapshot saved at backup.db"),
        run("snapshot status backup.db -w table").has("TOTAL KEYS"),
    ]);
    // Nobody without a certificate gets in.
    let mut stranger = Command::new(ETCDCTL);
    stranger.env("ETCDCTL_API", "3").args([
        "--endpoints",
        &format!("https://127.0.0.1:{port}"),
        "--insecure-skip-tls-verify",
    ]);
    stranger.args(["--dial-timeout=1s", "--command-timeout=2s", "get", "a"]);
    assert!(!stranger.output().expect("etcdctl runs").status.success(), "certificates are asked for");

    cluster.kubectl("delete configmap saved").ok();
    cluster.kubectl("create configmap later").ok();
    cluster.kubectl("delete deployment web").ok();
    watch.wait("the deletion and the creation", |seen| {
        seen.contains("\"Type\" : DELETE") && seen.contains("\"Key\" : \"/registry/configmaps/default/later\"")
    });
    drop(watch);
    let revision = etcdctl.step(&run("get / -w fields"));
    let revision =
        revision.lines().find_map(|line| line.strip_prefix("\"Revision\" : ")).expect("a revision").to_owned();
    etcdctl.table(&[
        run(format!("compaction {revision}")).is(&format!("compacted revision {revision}")),
        run("get --rev=2 /registry/namespaces/default").code(1).has("required revision has been compacted"),
        run("defrag").has("Finished defragmenting etcd member"),
        run("snapshot restore backup.db --data-dir restored"),
        run("snapshot restore backup.db --data-dir restored").code(1).has("data-dir \"restored\" exists"),
    ]);
    drop(forward);

    cluster.kubectl(&format!("cp {}/restored {pod}:/host/var/lib/etcd-restored", folder.display())).ok();
    // The server that answers goes away with the command's first words: it must not be a part of it.
    let script = format!("({SWITCH}) >/dev/null 2>&1 &");
    cluster.kubectl_command("exec").args([&pod, "--", "sh", "-c", &script]).status().expect("kubectl runs");
    wait_for_within(Duration::from_secs(90), "the saved state", || {
        let outcome = cluster.kubectl("get configmaps,deployments -o name --request-timeout=2s");
        let back = "configmap/kube-root-ca.crt\nconfigmap/saved\ndeployment.apps/web\n";
        if outcome.code == 0 && outcome.stdout == back { Ok(()) } else { Err(format!("{outcome:?}")) }
    });
    // And everybody goes on from there.
    wait_for_within(Duration::from_secs(60), "the deployment's pod", || {
        let pods = cluster.kubectl("get pods -l app=web --no-headers").stdout;
        if pods.lines().count() == 1 && pods.contains("1/1") { Ok(()) } else { Err(pods) }
    });
    wait_for("a new deployment", || {
        let outcome = cluster.kubectl("create deployment after --image=drydock/demo:v1");
        if outcome.code == 0 { Ok(()) } else { Err(outcome.stderr) }
    });
    cluster.kubectl("rollout status deployment/after --timeout=60s").ok();
    wait_for("nodes that are Ready", || {
        let nodes = cluster.kubectl("get nodes --no-headers").stdout;
        if nodes.matches(" Ready ").count() == 2 { Ok(()) } else { Err(nodes) }
    });
}
