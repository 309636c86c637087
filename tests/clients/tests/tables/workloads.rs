//! Deployments on their way.

use drydock_tests_clients::{Client, run};

use super::SHOP;

pub(crate) fn rollouts(client: &Client<'_>) {
    let done =
        || run("rollout status deployment/shop --timeout=60s").has("deployment \"shop\" successfully rolled out");
    client.table(&[
        run("apply -f -").input(SHOP),
        done(),
        run("set image deployment/shop web=drydock/demo:v2").is("deployment.apps/shop image updated"),
        done(),
        run("rollout history deployment/shop")
            .has("REVISION  CHANGE-CAUSE")
            .has("1         <none>")
            .has("2         <none>"),
        run("rollout history deployment/shop --revision=2").has("drydock/demo:v2"),
        run("rollout undo deployment/shop").is("deployment.apps/shop rolled back"),
        run("get deployment shop -o jsonpath={.spec.template.spec.containers[0].image}").is("drydock/demo:v1"),
        done(),
        run("rollout pause deployment/shop").is("deployment.apps/shop paused"),
        run("rollout pause deployment/shop").code(1).is("error: deployments.apps \"shop\" is already paused"),
        run("rollout undo deployment/shop").code(1).has("you cannot rollback a paused deployment"),
        run("set image deployment/shop web=drydock/demo:v3"),
        run("rollout status deployment/shop --timeout=1s").code(1),
        run("get deployment shop -o jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}")
            .is("DeploymentPaused")
            .eventually(),
        run("rollout resume deployment/shop").is("deployment.apps/shop resumed"),
        run("rollout restart deployment/shop").is("deployment.apps/shop restarted"),
        done(),
        run("rollout undo deployment/shop --to-revision=99")
            .code(1)
            .has("error: unable to find specified revision 99 in history"),
        run("delete deployment shop"),
    ]);
}

pub(crate) fn scaling(client: &Client<'_>) {
    client.table(&[
        run("create deployment web --image=drydock/demo:v1 --replicas=1").is("deployment.apps/web created"),
        run("wait --for=condition=Available deployment/web --timeout=60s").is("deployment.apps/web condition met"),
        run("scale deployment web --replicas=2").is("deployment.apps/web scaled"),
        run("wait --for=jsonpath={.status.readyReplicas}=2 deployment/web --timeout=60s")
            .is("deployment.apps/web condition met"),
        run("scale deployment web --current-replicas=5 --replicas=1")
            .code(1)
            .is("error: Expected replicas to be 5, was 2"),
        run("autoscale deployment web --min=1 --max=3 --cpu-percent=50")
            .is("horizontalpodautoscaler.autoscaling/web autoscaled")
            .until(33),
        run("autoscale deployment web --min=1 --max=3 --cpu=50%")
            .is("horizontalpodautoscaler.autoscaling/web autoscaled")
            .since(34),
        run("get hpa web -o jsonpath={.spec.minReplicas}/{.spec.maxReplicas}").is("1/3"),
        run("describe hpa web").has("missing request for cpu in container demo of Pod").eventually(),
        run("set resources deployment web --requests=cpu=10m"),
        // A pod that does nothing is one too many.
        run("get hpa web --no-headers").has("0%/50%").eventually(),
        run("delete hpa web"),
        run("create job once --image=drydock/demo:v1 -- true").is("job.batch/once created"),
        run("wait --for=condition=complete job/once --timeout=60s").is("job.batch/once condition met"),
        run("create cronjob often --image=drydock/demo:v1 '--schedule=*/5 * * * *' -- true")
            .is("cronjob.batch/often created"),
        run("create job now --from=cronjob/often").is("job.batch/now created"),
        run("delete hpa,deployment,cronjob,job --all").has("deleted"),
    ]);
}

const AGENT: &str = "apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: a, image: drydock/demo:v1}]}
";

pub(crate) fn daemons(client: &Client<'_>) {
    client.table(&[
        run("apply -f -").input(AGENT).is("daemonset.apps/agent created"),
        run("rollout status daemonset/agent --timeout=60s").has("daemon set \"agent\" successfully rolled out"),
        run("get daemonset agent --no-headers").has("agent   2     2     2     2     2     <none>"),
        run("get pods -l app=agent -o jsonpath={.items[*].spec.nodeName} --sort-by=.spec.nodeName").is("worker-1 worker-2"),
        run("set image daemonset/agent a=drydock/demo:v2").is("daemonset.apps/agent image updated"),
        run("rollout status daemonset/agent --timeout=60s").has("successfully rolled out"),
        run("get pods -l app=agent -o jsonpath={.items[*].spec.containers[0].image}").is("drydock/demo:v2 drydock/demo:v2").eventually(),
        run("rollout history daemonset/agent").has("1         <none>").has("2         <none>"),
        run("rollout undo daemonset/agent").is("daemonset.apps/agent rolled back"),
        run("rollout status daemonset/agent --timeout=60s").has("successfully rolled out"),
        run("patch daemonset agent -p '{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"kubernetes.io/hostname\":\"worker-1\"}}}}}'"),
        run("get pods -l app=agent -o jsonpath={.items[*].spec.nodeName}").is("worker-1").eventually(),
        run("delete daemonset agent").has("deleted"),
    ]);
}
