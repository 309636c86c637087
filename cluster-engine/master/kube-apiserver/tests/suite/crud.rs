//! Objects come, change and go, over HTTPS and against a genuine etcd.

use crate::support::Cluster;
use anyhow::Result;
use http::StatusCode;
use serde_json::{Value, json};

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn a_config_map_lives_its_life() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let (code, made) = admin.post(MAPS, map("a", json!({"x": "1"}))).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    assert_eq!(made["metadata"]["namespace"], "default");
    let (code, again) = admin.post(MAPS, map("a", json!({}))).await?;
    assert_eq!((code, again["message"].as_str()), (StatusCode::CONFLICT, Some("configmaps \"a\" already exists")));

    let one = format!("{MAPS}/a");
    let (_, same) = admin.put(&one, made.clone()).await?;
    assert_eq!(same["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"], "nothing changed");
    let mut changed = made.clone();
    changed["data"]["x"] = "2".into();
    let (code, changed) = admin.put(&one, changed).await?;
    assert_eq!((code, &changed["data"]["x"]), (StatusCode::OK, &json!("2")));
    assert_eq!(changed["metadata"]["uid"], made["metadata"]["uid"]);
    let (code, stale) = admin.put(&one, made).await?;
    let text = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again";
    assert_eq!((code, stale["message"].as_str()), (StatusCode::CONFLICT, Some(text)));

    let (code, patched) = admin.patch(&one, "merge-patch+json", json!({"data": {"x": null, "y": "3"}})).await?;
    assert_eq!((code, &patched["data"]), (StatusCode::OK, &json!({"y": "3"})));
    let (_, dry) = admin.patch(&format!("{one}?dryRun=All"), "merge-patch+json", json!({"data": {"z": "4"}})).await?;
    assert_eq!(dry["data"]["z"], "4");
    assert!(admin.get(&one).await?.1["data"].get("z").is_none());

    let (code, gone) = admin.delete(&one).await?;
    assert_eq!(
        (code, &gone["status"], &gone["details"]["uid"]),
        (StatusCode::OK, &json!("Success"), &patched["metadata"]["uid"])
    );
    let (code, missing) = admin.get(&one).await?;
    assert_eq!((code, missing["message"].as_str()), (StatusCode::NOT_FOUND, Some("configmaps \"a\" not found")));
    Ok(())
}

#[tokio::test]
async fn lists_come_in_pages_of_one_moment() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    for name in ["a", "b", "c", "d"] {
        let mut object = map(name, json!({}));
        object["metadata"]["labels"] = json!({"odd": (name == "a" || name == "c").to_string()});
        admin.post(MAPS, object).await?;
    }
    let names = |list: &Value| {
        list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["metadata"]["name"].as_str())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (_, odd) = admin.get(&format!("{MAPS}?labelSelector=odd%3Dtrue")).await?;
    assert_eq!(names(&odd), ["a", "c"]);
    let (_, first) = admin.get(&format!("{MAPS}?limit=3")).await?;
    assert_eq!((names(&first).len(), &first["metadata"]["remainingItemCount"]), (3, &json!(1)));
    admin.post(MAPS, map("e", json!({}))).await?;
    let token = first["metadata"]["continue"].as_str().unwrap_or_default();
    let (_, second) = admin.get(&format!("{MAPS}?limit=3&continue={token}")).await?;
    assert_eq!(names(&second), ["d"], "e came later");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let at = first["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let (_, exact) = admin.get(&format!("{MAPS}?resourceVersion={at}&resourceVersionMatch=Exact")).await?;
    assert_eq!(names(&exact), ["a", "b", "c", "d"]);
    let (code, future) = admin.get(&format!("{MAPS}?resourceVersion=1000000")).await?;
    assert_eq!(
        (code, &future["details"]["causes"][0]["reason"]),
        (StatusCode::GATEWAY_TIMEOUT, &json!("ResourceVersionTooLarge"))
    );
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let (_, table) = admin.get_as(MAPS, table).await?;
    assert_eq!((&table["kind"], &table["rows"][0]["cells"][0]), (&json!("Table"), &json!("a")));
    let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let (_, partial) = admin.get_as(MAPS, partial).await?;
    assert_eq!((&partial["kind"], partial["items"][0].get("data")), (&json!("PartialObjectMetadataList"), None));
    let (code, all) = admin.delete(&format!("{MAPS}?labelSelector=odd")).await?;
    assert_eq!((code, names(&all).len()), (StatusCode::OK, 4));
    assert_eq!(names(&admin.get(MAPS).await?.1), ["e"]);
    Ok(())
}

#[tokio::test]
async fn pods_get_what_admission_gives_and_go_gracefully() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let pods = "/api/v1/namespaces/default/pods";
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    admin.post("/api/v1/namespaces/default/serviceaccounts", account).await?;
    let pod = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}});
    let (code, made) = admin.post(pods, pod("p")).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    assert_eq!(made["status"]["phase"], "Pending");
    assert_eq!(made["spec"]["tolerations"][0]["tolerationSeconds"], 10);
    let volume = made["spec"]["volumes"][0]["name"].as_str().unwrap_or_default();
    assert!(volume.starts_with("kube-api-access-"), "{volume}");

    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    let (code, bound) = admin.post(&format!("{pods}/p/binding"), binding.clone()).await?;
    assert_eq!((code, &bound["status"]), (StatusCode::CREATED, &json!("Success")), "{bound}");
    assert_eq!(admin.post(&format!("{pods}/p/binding"), binding).await?.0, StatusCode::CONFLICT);
    let (_, mut bound) = admin.get(&format!("{pods}/p")).await?;
    assert_eq!(bound["metadata"]["generation"], 1, "a node is no change of what its author wrote");
    bound["spec"]["tolerations"] = json!([{"key": "own", "operator": "Exists"}]);
    let (code, kept) = admin.put(&format!("{pods}/p"), bound).await?;
    let keys: Vec<&Value> =
        kept["spec"]["tolerations"].as_array().into_iter().flatten().map(|one| &one["key"]).collect();
    assert_eq!(code, StatusCode::OK, "{kept}");
    assert_eq!(
        keys,
        ["own", "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"],
        "admission gives back what was left out"
    );
    assert_eq!(kept["metadata"]["generation"], 2);

    let (_, going) = admin.delete(&format!("{pods}/p")).await?;
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 30, "{going}");
    let (_, seen) = admin.get(&format!("{pods}/p")).await?;
    assert!(seen["metadata"]["deletionTimestamp"].is_string());
    let (code, _) = admin.delete(&format!("{pods}/p?gracePeriodSeconds=0")).await?;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(admin.get(&format!("{pods}/p")).await?.0, StatusCode::NOT_FOUND);

    let mut generated = pod("");
    generated["metadata"] = json!({"generateName": "g-"});
    let (_, generated) = admin.post(pods, generated).await?;
    assert_eq!(generated["metadata"]["name"].as_str().map(str::len), Some(7));
    let (code, elsewhere) = admin.post("/api/v1/namespaces/nowhere/pods", pod("x")).await?;
    assert_eq!(
        (code, elsewhere["message"].as_str()),
        (StatusCode::NOT_FOUND, Some("namespaces \"nowhere\" not found"))
    );
    Ok(())
}

#[tokio::test]
async fn services_get_addresses_and_deployments_scale() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let (_, kubernetes) = admin.get("/api/v1/namespaces/default/services/kubernetes").await?;
    assert_eq!(kubernetes["spec"]["clusterIP"], "10.96.0.1");
    let services = "/api/v1/namespaces/default/services";
    let service = |name: &str, address: &str| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"type": "NodePort", "clusterIP": address, "selector": {"a": "b"}, "ports": [{"port": 80}]}});
    let (code, made) = admin.post(services, service("a", "")).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    assert!(
        made["spec"]["ports"][0]["nodePort"].as_i64().is_some_and(|port| (30000..=32767).contains(&port)),
        "{made}"
    );
    let (code, taken) = admin.post(services, service("b", "10.96.0.1")).await?;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{taken}");

    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let (code, made) = admin.post(path, deployment).await?;
    assert_eq!((code, &made["metadata"]["generation"]), (StatusCode::CREATED, &json!(1)), "{made}");
    let (_, scale) = admin.get(&format!("{path}/d/scale")).await?;
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(2), &json!("a=b")));
    let (_, scale) =
        admin.patch(&format!("{path}/d/scale"), "merge-patch+json", json!({"spec": {"replicas": 5}})).await?;
    assert_eq!(scale["spec"]["replicas"], 5);
    let (_, status) = admin
        .patch(
            &format!("{path}/d/status"),
            "merge-patch+json",
            json!({"spec": {"replicas": 9}, "status": {"replicas": 4}}),
        )
        .await?;
    assert_eq!(
        (&status["spec"]["replicas"], &status["status"]["replicas"], &status["metadata"]["generation"]),
        (&json!(5), &json!(4), &json!(2))
    );
    Ok(())
}

#[tokio::test]
async fn discovery_and_openapi_are_there() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let (_, core) = admin.get("/api/v1").await?;
    let names: Vec<_> =
        core["resources"].as_array().into_iter().flatten().filter_map(|resource| resource["name"].as_str()).collect();
    assert!(names.contains(&"pods/exec") && names.contains(&"namespaces/finalize"), "{names:?}");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let (_, groups) = admin.get_as("/apis", accept).await?;
    assert_eq!(
        (&groups["kind"], &groups["apiVersion"]),
        (&json!("APIGroupDiscoveryList"), &json!("apidiscovery.k8s.io/v2"))
    );
    let (_, index) = admin.get("/openapi/v3").await?;
    let address = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap_or_default().to_owned();
    assert!(address.contains("?hash="), "{index}");
    assert_eq!(admin.get(&address).await?.0, StatusCode::OK);
    let (_, version) = admin.get("/version").await?;
    assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("36")));
    let (code, nothing) = admin.get("/apis/no.such.group/v1/things").await?;
    assert_eq!(
        (code, nothing["message"].as_str()),
        (StatusCode::NOT_FOUND, Some("the server could not find the requested resource"))
    );
    Ok(())
}

#[tokio::test]
async fn fields_belong_to_those_who_set_them() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let path = |manager: &str| format!("{MAPS}/a?fieldManager={manager}");
    let apply = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    let (code, made) = admin.patch(&path("one"), "apply-patch+yaml", apply(json!({"x": "1", "y": "1"}))).await?;
    assert_eq!(
        (code, &made["metadata"]["managedFields"][0]["operation"]),
        (StatusCode::CREATED, &json!("Apply")),
        "{made}"
    );
    let (code, conflict) = admin.patch(&path("two"), "apply-patch+yaml", apply(json!({"x": "2"}))).await?;
    assert_eq!(
        (code, &conflict["details"]["causes"][0]["field"]),
        (StatusCode::CONFLICT, &json!(".data.x")),
        "{conflict}"
    );
    let (code, forced) =
        admin.patch(&format!("{}&force=true", path("two")), "apply-patch+yaml", apply(json!({"x": "2"}))).await?;
    assert_eq!((code, &forced["data"]), (StatusCode::OK, &json!({"x": "2", "y": "1"})));
    let (_, less) = admin.patch(&path("one"), "apply-patch+yaml", apply(json!({}))).await?;
    assert_eq!(less["data"], json!({"x": "2"}), "y belonged to nobody else");
    let (_, same) = admin.patch(&path("one"), "apply-patch+yaml", apply(json!({}))).await?;
    assert_eq!(same["metadata"]["resourceVersion"], less["metadata"]["resourceVersion"]);
    let (code, unnamed) = admin.patch(&format!("{MAPS}/a"), "apply-patch+yaml", apply(json!({}))).await?;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{unnamed}");
    Ok(())
}

/// Typed clients of upstream's library send options in the group of what they delete, as protobuf.
#[tokio::test]
async fn options_of_a_deletion_come_in_any_group_and_form() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let lease =
        |name: &str| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}});
    for name in ["a", "b", "c"] {
        admin.post(leases, lease(name)).await?;
    }
    // Unknown{typeMeta{apiVersion, kind}, raw: {dryRun: "All"}}
    let options = |api_version: &str, raw: &[u8]| {
        let field = |tag: u8, bytes: &[u8]| [&[tag << 3 | 2, bytes.len() as u8], bytes].concat();
        let meta = [field(1, api_version.as_bytes()), field(2, b"DeleteOptions")].concat();
        [b"k8s\0".to_vec(), field(1, &meta), field(2, raw)].concat()
    };
    let protobuf = "application/vnd.kubernetes.protobuf";
    let dry_run = options("coordination.k8s.io/v1", b"\x2a\x03All");
    assert_eq!(admin.delete_with(&format!("{leases}/a"), protobuf, dry_run).await?.0, 200);
    assert_eq!(admin.get(&format!("{leases}/a")).await?.0, 200, "a dry run deletes nothing");
    let (code, status) =
        admin.delete_with(&format!("{leases}/a"), protobuf, options("coordination.k8s.io/v1", b"")).await?;
    assert_eq!(code, 200, "{status}");
    let json = br#"{"kind": "DeleteOptions", "apiVersion": "example.com/v1"}"#.to_vec();
    assert_eq!(admin.delete_with(&format!("{leases}/b"), "application/json", json).await?.0, 200);
    assert_eq!(admin.delete_with(leases, protobuf, options("coordination.k8s.io/v1", b"")).await?.0, 200);
    assert_eq!(admin.get(leases).await?.1["items"], json!([]));
    let wrong = br#"{"kind": "Lease", "apiVersion": "coordination.k8s.io/v1"}"#.to_vec();
    assert_eq!(admin.delete_with(&format!("{leases}/b"), "application/json", wrong).await?.0, 400);
    Ok(())
}
