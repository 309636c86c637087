//! Nodes that are to be worked on.

use drydock_tests_clients::{Client, run};

pub(crate) fn maintenance(client: &Client<'_>) {
    client.table(&[
        run("create deployment web --image=drydock/demo:v1 --replicas=2").is("deployment.apps/web created"),
        run("wait --for=jsonpath={.status.readyReplicas}=2 deployment/web --timeout=60s"),
        run("cordon worker-1").is("node/worker-1 cordoned"),
        run("get node worker-1 --no-headers").has("Ready,SchedulingDisabled"),
        run("cordon worker-1").is("node/worker-1 already cordoned"),
        run("drain worker-1 --ignore-daemonsets --force --delete-emptydir-data --timeout=90s")
            .has("node/worker-1 drained"),
        run("get pods --field-selector spec.nodeName=worker-1 -o name").is(""),
        run("wait --for=jsonpath={.status.readyReplicas}=2 deployment/web --timeout=60s"),
        run("uncordon worker-1").is("node/worker-1 uncordoned"),
        run("taint node worker-1 a=b:NoSchedule").is("node/worker-1 tainted"),
        run("taint node worker-1 a=b:NoSchedule").code(1).has("already has a taint"),
        run("get node worker-1 -o jsonpath={.spec.taints[0].key}").is("a"),
        run("taint node worker-1 a:NoSchedule-").is("node/worker-1 untainted"),
        run("taint node worker-1 a:NoSchedule-").code(1).is("error: taint \"a:NoSchedule\" not found"),
        run("describe node worker-1").has("Taints:             <none>").has("Allocated resources:"),
        run("run bare --image=drydock/demo:v1"),
        run("wait --for=condition=Ready pod/bare --timeout=60s"),
        run("taint node worker-1 worker-2 out=now:NoExecute").has("node/worker-2 tainted"),
        // Nobody makes it again.
        run("get pod bare").code(1).has("not found").eventually(),
        run("taint node worker-1 worker-2 out-").has("node/worker-1 untainted"),
        run("wait --for=jsonpath={.status.readyReplicas}=2 deployment/web --timeout=60s").since(28),
        run("run bare --image=drydock/demo:v1"),
        run("wait --for=condition=Ready pod/bare --timeout=60s"),
        run("drain worker-1 worker-2 --dry-run=server")
            .code(1)
            .has("cannot delete")
            .has("declare no controller (use --force to override)"),
        run("taint node worker-1 a=b:Never").code(1).has("unsupported taint effect"),
        run("label node worker-1 kind=small").is("node/worker-1 labeled"),
        run("get nodes -l kind=small -o name").is("node/worker-1"),
        run("label node worker-1 kind-").is("node/worker-1 unlabeled"),
        run("drain nope").code(1).has("nodes \"nope\" not found"),
        run("delete pod bare --now"),
        run("delete deployment web"),
    ]);
}
