//! Custom resources come with their definition and go with it.

use std::time::{Duration, Instant};

use crate::support::{Client, Cluster};
use anyhow::Result;
use http::StatusCode;
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const THINGS: &str = "/apis/example.com/v1/namespaces/default/things";

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1, "default": 2}, "name": {"type": "string"}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}})
}

async fn until(client: &Client, path: &str, wanted: StatusCode) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (code, answer) = client.get(path).await?;
        if code == wanted {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "{path}: {answer}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_definition_brings_its_kind_and_takes_it_away() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    assert_eq!(admin.get(THINGS).await?.0, StatusCode::NOT_FOUND);
    let (code, made) = admin.post(DEFINITIONS, definition()).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    until(&admin, THINGS, StatusCode::OK).await?;

    let thing = |name: &str, spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name}, "spec": spec, "status": {"x": 1}});
    let (code, made) = admin.post(THINGS, thing("a", json!({"name": "n", "junk": 1}))).await?;
    assert_eq!(
        (code, &made["spec"], made.get("status")),
        (StatusCode::CREATED, &json!({"name": "n", "size": 2}), None),
        "{made}"
    );
    let (code, refused) =
        admin.post(&format!("{THINGS}?fieldValidation=Strict"), thing("b", json!({"junk": 1}))).await?;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("unknown field \"spec.junk\"")), "{refused}");
    let (code, refused) = admin.post(THINGS, thing("b", json!({"size": 0}))).await?;
    assert_eq!(
        (code, &refused["details"]["causes"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("spec.size"))
    );
    let (_, status) = admin
        .patch(&format!("{THINGS}/a/status"), "merge-patch+json", json!({"spec": {"size": 9}, "status": {"size": 1}}))
        .await?;
    assert_eq!(
        (&status["spec"]["size"], &status["status"], &status["metadata"]["generation"]),
        (&json!(2), &json!({"size": 1}), &json!(1))
    );
    let (_, scale) =
        admin.patch(&format!("{THINGS}/a/scale"), "merge-patch+json", json!({"spec": {"replicas": 5}})).await?;
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(5), &json!(1)));
    let (_, table) = admin.get_as(THINGS, "application/json;as=Table;v=v1;g=meta.k8s.io").await?;
    assert_eq!(table["rows"][0]["cells"], json!(["a", 5]));
    let (_, list) = admin.get("/apis/example.com/v1/things").await?;
    assert_eq!((&list["kind"], &list["items"][0]["metadata"]["name"]), (&json!("ThingList"), &json!("a")));
    let wish =
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "c"}, "spec": {"name": "x"}});
    let (code, applied) = admin.patch(&format!("{THINGS}/c?fieldManager=me"), "apply-patch+yaml", wish).await?;
    assert_eq!(
        (code, &applied["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]),
        (StatusCode::CREATED, &json!({"f:name": {}})),
        "{applied}"
    );
    let path = |how: &str| format!("{THINGS}/c?fieldManager=me&fieldValidation={how}");
    const HEAD: &str = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: c, more: x}\n";
    let (code, refused) = admin.patch_text(&path("Ignore"), "apply-patch+yaml", HEAD).await?;
    let told = "failed to create typed patch object (/c; example.com/v1, Kind=Thing): .metadata.more: field not declared in schema";
    assert_eq!((code, refused["message"].as_str()), (StatusCode::INTERNAL_SERVER_ERROR, Some(told)));
    const TWICE: &str =
        "\napiVersion: example.com/v1\nkind: Thing\nmetadata: {name: c}\nspec:\n  name: one\n  name: two\n";
    let (code, refused) = admin.patch_text(&path("Strict"), "apply-patch+yaml", TWICE).await?;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    assert!(
        refused["message"].as_str().is_some_and(|text| text.contains("line 7: key \"name\" already set in map")),
        "{refused}"
    );
    let (code, applied) = admin.patch_text(&path("Warn"), "apply-patch+yaml", TWICE).await?;
    assert_eq!((code, &applied["spec"]["name"]), (StatusCode::OK, &json!("two")), "{applied}");
    let (_, openapi) = admin.get("/openapi/v3/apis/example.com/v1").await?;
    assert!(openapi["components"]["schemas"].to_string().contains("Thing"), "{openapi}");
    let events = admin.watch(&format!("{THINGS}?watch=1"), 1).await?;
    assert_eq!(events[0]["object"]["spec"]["size"], 5);

    let (_, going) = admin.delete(&format!("{DEFINITIONS}/things.example.com")).await?;
    assert!(going["metadata"]["deletionTimestamp"].is_string(), "{going}");
    until(&admin, &format!("{DEFINITIONS}/things.example.com"), StatusCode::NOT_FOUND).await?;
    until(&admin, THINGS, StatusCode::NOT_FOUND).await?;
    admin.post(DEFINITIONS, definition()).await?;
    until(&admin, THINGS, StatusCode::OK).await?;
    assert_eq!(admin.get(THINGS).await?.1["items"], json!([]), "its objects went with it");
    Ok(())
}
