//! ResourceQuota and LimitRange, and what they say.

use drydock_tests_clients::{Client, run};

const RANGE: &str = "apiVersion: v1
kind: LimitRange
metadata: {name: sizes}
spec:
  limits:
  - {type: Container, default: {cpu: 100m}, defaultRequest: {cpu: 50m}, min: {cpu: 10m}, max: {cpu: 200m}, maxLimitRequestRatio: {cpu: '4'}}
  - {type: Pod, max: {cpu: 300m}}
  - {type: PersistentVolumeClaim, min: {storage: 1Mi}, max: {storage: 1Gi}}
";

fn pod(requests: &str, limits: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: sized}}\nspec: {{containers: [{{name: a, image: drydock/demo:v1, resources: {{requests: {{cpu: {requests}}}, limits: {{cpu: {limits}}}}}}}]}}\n"
    )
}

pub(crate) fn quotas(client: &Client<'_>) {
    client.table(&[
        run("create quota few --hard=configmaps=3,services=2,services.nodeports=1,count/deployments.apps=1,pods=1,requests.cpu=1")
            .is("resourcequota/few created"),
        run("describe quota few").has("configmaps              1     3").has("services.nodeports      0     1").eventually(),
        run("create configmap one").is("configmap/one created"),
        run("create configmap two").is("configmap/two created"),
        run("create configmap three").code(1).is(
            "error: failed to create configmap: configmaps \"three\" is forbidden: exceeded quota: few, requested: configmaps=1, used: configmaps=3, limited: configmaps=3",
        ),
        run("run greedy --image=drydock/demo:v1").code(1).is(
            "Error from server (Forbidden): pods \"greedy\" is forbidden: failed quota: few: must specify requests.cpu for: greedy",
        ),
        run("create -f -").input(pod("'2'", "'2'")).code(1).has(
            "pods \"sized\" is forbidden: exceeded quota: few, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1",
        ),
        run("create -f - -o name").input(pod("100m", "100m")).is("pod/sized"),
        run("get quota few -o jsonpath={.status.used.pods}/{.status.used.requests\\.cpu}").is("1/100m").eventually(),
        run("create service loadbalancer lb --tcp=80").is("service/lb created"),
        run("create service nodeport np --tcp=80").code(1).has(
            "services \"np\" is forbidden: exceeded quota: few, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1",
        ),
        run("create deployment a --image=drydock/demo:v1").is("deployment.apps/a created"),
        run("create deployment b --image=drydock/demo:v1").code(1).has("exceeded quota: few, requested: count/deployments.apps=1"),
        run("delete service lb"),
        run("get quota few -o jsonpath={.status.used.services\\.nodeports}").is("0").eventually(),
        run("delete quota few").has("resourcequota \"few\" deleted"),
        run("delete pod,deployment,configmap --all --now"),
    ]);
}

pub(crate) fn ranges(client: &Client<'_>) {
    client.table(&[
        run("create -f -").input(RANGE).is("limitrange/sizes created"),
        run("describe limits sizes").has("Container              cpu       10m  200m  50m              100m           4"),
        run("run plain --image=drydock/demo:v1").is("pod/plain created").eventually(),
        run("get pod plain -o jsonpath={.spec.containers[0].resources}").is("{\"limits\":{\"cpu\":\"100m\"},\"requests\":{\"cpu\":\"50m\"}}"),
        run("get pod plain -o jsonpath={.metadata.annotations.kubernetes\\.io/limit-ranger}")
            .is("LimitRanger plugin set: cpu request for container plain; cpu limit for container plain"),
        run("create -f -").input(pod("5m", "'1'")).code(1).has("Error from server (Forbidden)").has(
            "pods \"sized\" is forbidden: [minimum cpu usage per Container is 10m, but request is 5m, maximum cpu usage per Container is 200m, but limit is 1, cpu max limit to request ratio per Container is 4, but provided ratio is 200.000000, maximum cpu usage per Pod is 300m, but limit is 1]",
        ),
        run("create -f -")
            .input("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: big}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}\n")
            .code(1)
            .has("persistentvolumeclaims \"big\" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"),
        run("delete pod plain --now"),
        run("delete limits sizes"),
    ]);
}
