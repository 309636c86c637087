//! Images from a registry, the whole way: a pod's image is named, fetched outside of the nodes, and runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use drydock_tests_harness::registry::{Compression, Fault, Guard, Image, Registry, archive};
use drydock_tests_harness::{Cluster, Product, wait_for, wait_for_within};

/// A cluster whose sessions may pull from the registry.
fn cluster<'a>(product: &'a Product, name: &str, workers: &str, registry: &Registry, more: &[&str]) -> Cluster<'a> {
    let kubeconfig = product.scratch().join(format!("{name}.kubeconfig"));
    let file = kubeconfig.display().to_string();
    let line = ["cluster", "create", name, "--workers", workers, "--kubeconfig", &file, "--no-workstation"];
    let rules = registry.rules();
    product.drydock(line.into_iter().chain(rules.iter().map(String::as_str)).chain(more.iter().copied())).ok();
    Cluster::adopt(product, name, kubeconfig)
}

/// A static busybox, with which an image of one file can do something.
fn busybox(product: &Product) -> Vec<u8> {
    let mut folders: Vec<PathBuf> = std::env::var_os("DRYDOCK_BUNDLE").map(PathBuf::from).into_iter().collect();
    let unpacked = std::fs::read_dir(product.data().join("bundle")).into_iter().flatten().flatten();
    folders.extend(unpacked.map(|entry| entry.path()));
    let find = |folder: &Path| std::fs::read(folder.join("bin/busybox")).ok();
    folders.iter().find_map(|folder| find(folder)).expect("the bundle has a busybox")
}

fn image(product: &Product, text: &str) -> Image {
    let shell = archive(&[("bin/busybox", 0o755, &busybox(product))]);
    let own = archive(&[("hello", 0o644, format!("{text}\n").as_bytes())]);
    Image {
        layers: vec![(shell, Compression::Gzip), (own, Compression::Gzip)],
        config: serde_json::json!({"Entrypoint": ["/bin/busybox"], "Cmd": ["sh", "-c", "busybox cat /hello; exec busybox sleep 3600"], "Env": ["PATH=/bin"]}),
        ..Image::of_files(&[])
    }
}

fn events(cluster: &Cluster<'_>, pod: &str) -> String {
    let line = format!(
        "get events --field-selector involvedObject.name={pod} -o jsonpath='{{range .items[*]}}{{.reason}}: {{.message}}|{{end}}'"
    );
    cluster.kubectl(&line).ok()
}

#[test]
fn images_are_pulled_by_tag_and_digest_and_run() {
    let (product, registry) = (Product::new(), Registry::reachable());
    let cluster = cluster(&product, "pulls", "2", &registry, &[]);
    let digest = registry.push("team/app:v1", &image(&product, "first"));
    let name = registry.name("team/app:v1");
    cluster.kubectl(&format!("run app --image={name}")).ok();
    cluster.wait("get pod app --no-headers", |line| line.contains("1/1") && line.contains("Running"));
    cluster.wait("logs app", |text| text == "first\n");
    let id = cluster
        .kubectl(
            "get pod app -o jsonpath='{.status.containerStatuses[0].imageID} {.status.containerStatuses[0].image}'",
        )
        .ok();
    assert_eq!(id, format!("{}@{digest} {name}", registry.name("team/app")));
    let seen = wait_for("the events", || {
        let seen = events(&cluster, "app");
        if seen.contains("Pulled: Successfully pulled image") { Ok(seen) } else { Err(seen) }
    });
    for part in [
        format!("Pulling: Pulling image \"{name}\"|"),
        format!("Pulled: Successfully pulled image \"{name}\" in "),
        " including waiting). Image size: ".to_owned(),
    ] {
        assert!(seen.contains(&part), "{part} is missing in {seen}");
    }
    // What is there is not fetched again, by any name, on any node.
    let before = registry.downloads();
    let pinned = format!("{}@{digest}", registry.name("team/app"));
    cluster.kubectl(&format!("create deployment many --image={pinned} --replicas=4")).ok();
    cluster.wait("get deployment many --no-headers", |line| line.contains("4/4"));
    assert_eq!(registry.downloads(), before);
    // `Always` looks again, and follows a tag that moved.
    registry.push("team/app:v1", &image(&product, "second"));
    cluster.kubectl(&format!("run again --image={name} --image-pull-policy=Always")).ok();
    cluster.wait("get pod again --no-headers", |line| line.contains("1/1") && line.contains("Running"));
    cluster.wait("logs again", |text| text == "second\n");
    assert_eq!(registry.downloads(), before + 2, "configuration and the layer that changed");
    let listed =
        cluster.wait("get node worker-1 -o jsonpath='{.status.images[*].names}'", |text| text.contains(&pinned));
    assert!(listed.contains(&name), "{listed}");
    // An image can be a volume, too.
    let volume = format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: volume}}, spec: {{containers: [{{name: c, image: drydock/demo:v1, command: [cat, /v/hello], volumeMounts: [{{name: v, mountPath: /v}}]}}], volumes: [{{name: v, image: {{reference: '{}', pullPolicy: Always}}}}]}}}}",
        registry.name("team/data:v1")
    );
    registry.push("team/data:v1", &image(&product, "third"));
    cluster.kubectl_with("apply -f -", &volume).ok();
    cluster.wait("logs volume", |text| text == "third\n");
}

#[test]
fn private_images_need_their_secret() {
    let (product, registry) = (Product::new(), Registry::reachable());
    let cluster = cluster(&product, "secrets", "1", &registry, &[]);
    registry.push("closed/app:v1", &image(&product, "secret"));
    registry.protect("closed/app", Guard::Token, "me", "pass:word");
    let (name, host) = (registry.name("closed/app:v1"), registry.host());
    cluster.kubectl(&format!("run without --image={name}")).ok();
    cluster.wait("get pod without --no-headers", |line| {
        line.contains("ImagePullBackOff") || line.contains("ErrImagePull")
    });
    let secret = format!(
        "create secret docker-registry pull --docker-server={host} --docker-username=me --docker-password=pass:word"
    );
    cluster.kubectl(&secret).ok();
    let own =
        format!("run own --image={name} --overrides='{{\"spec\":{{\"imagePullSecrets\":[{{\"name\":\"pull\"}}]}}}}'");
    cluster.kubectl(&own).ok();
    cluster.wait("get pod own --no-headers", |line| line.contains("1/1") && line.contains("Running"));
    cluster.wait("logs own", |text| text == "secret\n");
    // By way of the service account.
    cluster.kubectl("create serviceaccount robot").ok();
    cluster.kubectl("patch serviceaccount robot -p '{\"imagePullSecrets\":[{\"name\":\"pull\"}]}'").ok();
    let account = format!(
        "run account --image={name} --image-pull-policy=Always --overrides='{{\"spec\":{{\"serviceAccountName\":\"robot\"}}}}'"
    );
    cluster.kubectl(&account).ok();
    cluster.wait("get pod account --no-headers", |line| line.contains("1/1") && line.contains("Running"));
    // The machine's store, which all sessions see, has nothing of it.
    let listed = product.drydock(["image", "list"]).ok();
    assert!(!listed.contains("closed/app"), "{listed}");
    let missing = format!(
        "run missing --image={} --overrides='{{\"spec\":{{\"imagePullSecrets\":[{{\"name\":\"nope\"}}]}}}}'",
        registry.name("closed/app:v2")
    );
    cluster.kubectl(&missing).ok();
    wait_for("the event", || {
        let seen = events(&cluster, "missing");
        let text = "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (nope); attempting to pull the image may not succeed.";
        if seen.contains(text) { Ok(()) } else { Err(seen) }
    });
}

#[test]
fn what_cannot_be_pulled_says_why_and_is_tried_again() {
    let (product, registry) = (Product::new(), Registry::reachable());
    let cluster = cluster(&product, "wrong", "1", &registry, &[]);
    let name = registry.name("team/app:no");
    cluster.kubectl(&format!("run wrong --image={name}")).ok();
    let reason = format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{name}\": failed to resolve reference \"{name}\": {name}: not found"
    );
    cluster.wait(
        "get pod wrong -o jsonpath='{.status.containerStatuses[0].state.waiting.reason}: {.status.containerStatuses[0].state.waiting.message}'",
        |text| text == format!("ImagePullBackOff: Back-off pulling image \"{name}\": ErrImagePull: {reason}"),
    );
    wait_for("the events", || {
        let seen = events(&cluster, "wrong");
        let parts = [
            format!("Pulling: Pulling image \"{name}\"|"),
            format!("Failed: Failed to pull image \"{name}\": {reason}|"),
            "Failed: Error: ErrImagePull|".to_owned(),
            format!("BackOff: Back-off pulling image \"{name}\"|"),
            "Failed: Error: ImagePullBackOff|".to_owned(),
        ];
        if parts.iter().all(|part| seen.contains(part)) { Ok(()) } else { Err(seen) }
    });
    // What comes later is found.
    registry.push("team/app:no", &image(&product, "late"));
    wait_for_within(std::time::Duration::from_secs(40), "the pod", || {
        let line = cluster.kubectl("get pod wrong --no-headers").ok();
        if line.contains("Running") { Ok(()) } else { Err(line) }
    });
    cluster.kubectl(&format!("run never --image={} --image-pull-policy=Never", registry.name("team/other:v1"))).ok();
    cluster.wait("get pod never --no-headers", |line| line.contains("ErrImageNeverPull"));
    // The machine's own network is none of a learner's business.
    cluster.kubectl("run inside --image=10.255.255.1:5000/x:v1").ok();
    cluster.wait("get pod inside -o jsonpath='{.status.containerStatuses[0].state.waiting.message}'", |text| {
        text.contains("the address is not allowed: 10.255.255.1 is at a private")
    });
}

#[test]
fn many_nodes_share_one_download_and_a_pod_that_goes_does_not_wait() {
    let (product, registry) = (Product::new(), Registry::reachable());
    let cluster = cluster(&product, "shares", "3", &registry, &[]);
    registry.push("team/app:v1", &image(&product, "shared"));
    registry.fail(Fault::Held);
    let name = registry.name("team/app:v1");
    cluster.kubectl(&format!("create deployment many --image={name} --replicas=6")).ok();
    wait_for("six pods that pull", || {
        let line = "get events --field-selector reason=Pulling --no-headers";
        let seen = cluster.kubectl(line).ok();
        if seen.lines().count() >= 6 { Ok(()) } else { Err(seen) }
    });
    cluster.kubectl(&format!("run leaving --image={name}")).ok();
    cluster.wait("get pod leaving --no-headers", |line| line.contains("ContainerCreating"));
    cluster.kubectl("delete pod leaving --timeout=10s").ok();
    registry.release();
    cluster.wait("get deployment many --no-headers", |line| line.contains("6/6"));
    // What the machine has of other images is not fetched at all.
    let mut fetched = registry.requests();
    fetched.retain(|request| request.starts_with("GET") && request.contains("/blobs/"));
    let different: BTreeSet<&String> = fetched.iter().collect();
    assert!(!fetched.is_empty() && fetched.len() == different.len(), "{fetched:?}");
}

#[test]
fn the_operator_can_forbid_it() {
    let (product, registry) = (Product::new(), Registry::reachable());
    let cluster = cluster(&product, "denied", "1", &registry, &["--image-pull=deny"]);
    registry.push("team/app:v1", &image(&product, "x"));
    cluster.kubectl(&format!("run app --image={}", registry.name("team/app:v1"))).ok();
    cluster.wait("get pod app -o jsonpath='{.status.containerStatuses[0].state.waiting.message}'", |text| {
        text.contains("rpc error: code = PermissionDenied desc = pulling images is switched off on this machine")
    });
    assert!(registry.requests().is_empty());
    // Images of the machine are there all the same.
    cluster.kubectl("run demo --image=drydock/demo:v1").ok();
    cluster.wait("get pod demo --no-headers", |line| line.contains("1/1") && line.contains("Running"));
}
