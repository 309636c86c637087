//! Other servers behind ours: one that answers for a group of its own, and one that converts custom objects.

use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Client, Cluster};
use anyhow::Result;
use base64::Engine as _;
use drydock_component::serve::{self, Peer};
use drydock_component::{Shutdown, tls};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Asks until the answer is as wanted.
async fn until(client: &Client, path: &str, wanted: impl Fn(StatusCode, &Value) -> bool) -> Result<Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (code, answer) = client.get(path).await?;
        if wanted(code, &answer) {
            return Ok(answer);
        }
        assert!(Instant::now() < deadline, "{path}: {code} {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An address of this machine that endpoints may have.
fn own_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect("192.0.2.1:9")?;
    Ok(socket.local_addr()?.ip())
}

fn answer(value: &Value) -> Response<serve::Body> {
    let mut response = Response::new(serve::full(value.to_string()));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

/// Whether the aggregated server's v2 document is another by now, and how often it need not be sent.
static CHANGED: AtomicBool = AtomicBool::new(false);
static SPARED: AtomicUsize = AtomicUsize::new(0);

/// Serves the group `wardle.example.com/v1`: tells who asked, if the front proxy vouches for it.
async fn wardle(request: Request<Incoming>, peer: Peer) -> Response<serve::Body> {
    if peer.cert.is_none() {
        return serve::text(StatusCode::UNAUTHORIZED, "no certificate");
    }
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    match request.uri().path() {
        "/apis/wardle.example.com/v1" => {
            answer(&json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "wardle.example.com/v1",
            "resources": [{"name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder", "verbs": ["get", "list"]}]}))
        }
        "/openapi/v2" => {
            let changed = CHANGED.load(Ordering::SeqCst);
            let (etag, name) = if changed { ("\"two\"", "Flounder") } else { ("\"one\"", "Flunder") };
            if header("if-none-match") == etag {
                SPARED.fetch_add(1, Ordering::SeqCst);
                return serve::text(StatusCode::NOT_MODIFIED, "");
            }
            let kind = json!([{"group": "wardle.example.com", "version": "v1", "kind": "Flunder"}]);
            let mut response = answer(&json!({"swagger": "2.0",
                "paths": {
                    "/apis/wardle.example.com/v1/namespaces/{namespace}/flunders": {"get": {"operationId": "listFlunders",
                        "parameters": [{"$ref": "#/parameters/pretty"}],
                        "responses": {"200": {"description": "OK", "schema": {"$ref": format!("#/definitions/{name}")}}}}},
                    "/apis/apps/v1/deployments": {"get": {"operationId": "mine"}}},
                "parameters": {"pretty": {"name": "pretty", "in": "query", "type": "string"}},
                "definitions": {
                    name: {"type": "object", "x-kubernetes-group-version-kind": kind,
                        "properties": {"metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}}},
                    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"type": "object", "description": "another"}}}));
            response.headers_mut().insert("etag", http::HeaderValue::from_static(etag));
            response
        }
        "/apis/wardle.example.com/v1/namespaces/default/flunders" => {
            answer(&json!({"kind": "FlunderList", "apiVersion": "wardle.example.com/v1",
            "metadata": {}, "items": [], "user": header("x-remote-user"), "group": header("x-remote-group"), "authorization": header("authorization")}))
        }
        _ => serve::text(StatusCode::NOT_FOUND, "404 page not found"),
    }
}

#[tokio::test]
async fn a_group_of_another_server_is_passed_on() -> Result<()> {
    let flags = ["--proxy-client-cert-file={folder}/admin.crt", "--proxy-client-key-file={folder}/admin.key"];
    let Some(cluster) = Cluster::start(&flags).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let services = until(&admin, "/apis/apiregistration.k8s.io/v1/apiservices", |_, list| {
        list["items"].as_array().is_some_and(|items| items.len() > 10)
    })
    .await?;
    let local = services["items"].as_array().into_iter().flatten().find(|item| item["metadata"]["name"] == "v1.apps");
    assert_eq!(local.map(|item| item["status"]["conditions"][0]["reason"].clone()), Some(json!("Local")));

    let host = own_address()?;
    let listener = TcpListener::bind((host, 0)).await?;
    let port = listener.local_addr()?.port();
    let ca = cluster.path("ca.crt");
    let config = tls::server_config(&cluster.path("server.crt"), &cluster.path("server.key"), Some(&ca))?;
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(serve::https(listener, config, wardle, shutdown));

    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.wardle.example.com"},
        "spec": {"group": "wardle.example.com", "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 200, "insecureSkipTLSVerify": true,
            "service": {"namespace": "default", "name": "wardle", "port": 443}}});
    let (code, made) = admin.post("/apis/apiregistration.k8s.io/v1/apiservices", service).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    let own = "/apis/apiregistration.k8s.io/v1/apiservices/v1.wardle.example.com";
    let reason = |answer: &Value| answer["status"]["conditions"][0]["reason"].as_str().unwrap_or("").to_owned();
    let missing = until(&admin, own, |_, answer| reason(answer) == "ServiceNotFound").await?;
    assert_eq!(missing["status"]["conditions"][0]["message"], "service/wardle in \"default\" is not present");
    let flunders = "/apis/wardle.example.com/v1/namespaces/default/flunders";
    let (code, _) = admin.get(flunders).await?;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);

    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "wardle"}, "spec": {"ports": [{"name": "https", "port": 443, "targetPort": port}]}});
    assert_eq!(admin.post("/api/v1/namespaces/default/services", service).await?.0, StatusCode::CREATED);
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "wardle-1", "labels": {"kubernetes.io/service-name": "wardle"}},
        "ports": [{"name": "https", "port": port}], "endpoints": [{"addresses": [host.to_string()]}]});
    let (code, made) = admin.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    until(&admin, own, |_, answer| reason(answer) == "Passed").await?;

    let (code, list) = admin.get(flunders).await?;
    assert_eq!(
        (code, &list["user"], &list["group"]),
        (StatusCode::OK, &json!("kubernetes-admin"), &json!("system:masters"))
    );
    let (code, refused) = cluster.client("jane").get(flunders).await?;
    assert_eq!(code, StatusCode::FORBIDDEN, "{refused}");
    let (_, groups) = admin.get("/apis").await?;
    assert!(groups.to_string().contains("wardle.example.com/v1"), "{groups}");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let (_, aggregated) = admin.get_as("/apis", accept).await?;
    assert!(aggregated.to_string().contains("flunders"), "{aggregated}");

    let (_, swagger) = admin.get("/openapi/v2").await?;
    let reference = &swagger["definitions"]["Flunder"]["properties"]["metadata"]["$ref"];
    assert_eq!(reference, "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2");
    let definitions = &swagger["definitions"];
    assert_eq!(definitions["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2"]["description"], "another");
    assert!(definitions["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["name"].is_object());
    let path = &swagger["paths"]["/apis/wardle.example.com/v1/namespaces/{namespace}/flunders"]["get"];
    assert_eq!(path["parameters"][0]["$ref"], "#/parameters/pretty");
    assert_eq!(swagger["parameters"]["pretty"]["in"], "query");
    assert_ne!(swagger["paths"]["/apis/apps/v1/deployments"]["get"]["operationId"], "mine");
    // A look at an unchanged server does not fetch its document again.
    let before = SPARED.load(Ordering::SeqCst);
    let label = |turn: &str| json!({"metadata": {"labels": {"turn": turn}}});
    assert_eq!(admin.patch(own, "merge-patch+json", label("one")).await?.0, StatusCode::OK);
    let deadline = Instant::now() + Duration::from_secs(20);
    while SPARED.load(Ordering::SeqCst) == before {
        assert!(Instant::now() < deadline, "not asked again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    CHANGED.store(true, Ordering::SeqCst);
    assert_eq!(admin.patch(own, "merge-patch+json", label("two")).await?.0, StatusCode::OK);
    let has = |name: &'static str| move |_, swagger: &Value| swagger["definitions"][name].is_object();
    let swagger = until(&admin, "/openapi/v2", has("Flounder")).await?;
    assert!(!swagger["definitions"]["Flunder"].is_object());
    let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let (_, text) = admin.get_as("/openapi/v2", protobuf).await?;
    assert!(text.as_str().is_some_and(|text| text.contains("Flounder") && text.contains("listFlunders")));

    assert_eq!(admin.delete(own).await?.0, StatusCode::OK);
    until(&admin, flunders, |code, _| code == StatusCode::NOT_FOUND).await?;
    until(&admin, "/openapi/v2", |_, swagger| !swagger["definitions"]["Flounder"].is_object()).await?;
    trigger.shut_down();
    Ok(())
}

/// Moves `spec.host` and `spec.port` of v1 to `spec.hostPort` of v2 and back.
async fn converter(request: Request<Incoming>, _: Peer) -> Response<serve::Body> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let wanted = review["request"]["desiredAPIVersion"].clone();
    let convert = |object: &Value| {
        let mut object = object.clone();
        object["apiVersion"] = wanted.clone();
        object["spec"] = if wanted == "example.com/v2" {
            let part = |key: &str| object["spec"][key].as_str().unwrap_or("").to_owned();
            json!({"hostPort": format!("{}:{}", part("host"), part("port"))})
        } else {
            let (host, port) =
                object["spec"]["hostPort"].as_str().and_then(|text| text.split_once(':')).unwrap_or(("", ""));
            json!({"host": host, "port": port})
        };
        object
    };
    let objects: Vec<Value> = review["request"]["objects"].as_array().into_iter().flatten().map(convert).collect();
    answer(&json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1",
        "response": {"uid": review["request"]["uid"], "result": {"status": "Success"}, "convertedObjects": objects}}))
}

#[tokio::test]
async fn a_webhook_converts_between_versions() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let config = tls::server_config(&cluster.path("server.crt"), &cluster.path("server.key"), None)?;
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(serve::https(listener, config, converter, shutdown));
    let bundle = base64::engine::general_purpose::STANDARD.encode(std::fs::read(cluster.path("ca.crt"))?);
    let version = |name: &str, storage: bool, fields: &[&str]| {
        let properties: serde_json::Map<_, _> =
            fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect();
        let selectable: Vec<Value> = fields.iter().map(|field| json!({"jsonPath": format!(".spec.{field}")})).collect();
        json!({"name": name, "served": true, "storage": storage, "selectableFields": selectable, "schema": {"openAPIV3Schema": {"type": "object",
            "properties": {"spec": {"type": "object", "properties": properties}}}}})
    };
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "hosts.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "hosts", "kind": "Host"},
            "versions": [version("v1", true, &["host", "port"]), version("v2", false, &["hostPort"])],
            "conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
                "clientConfig": {"url": format!("https://localhost:{port}/convert"), "caBundle": bundle}}}}});
    let (code, made) = admin.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    let (old, new) = ["v1", "v2"].map(|version| format!("/apis/example.com/{version}/namespaces/default/hosts")).into();
    until(&admin, &old, |code, _| code == StatusCode::OK).await?;
    let object = |version: &str, name: &str, spec: Value| json!({"apiVersion": format!("example.com/{version}"), "kind": "Host", "metadata": {"name": name}, "spec": spec});
    let (code, made) = admin.post(&old, object("v1", "a", json!({"host": "h", "port": "1"}))).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    let (code, made) = admin.post(&new, object("v2", "b", json!({"hostPort": "i:2"}))).await?;
    assert_eq!((code, &made["spec"]["hostPort"]), (StatusCode::CREATED, &json!("i:2")), "{made}");
    assert_eq!(admin.get(&format!("{new}/a")).await?.1["spec"], json!({"hostPort": "h:1"}));
    assert_eq!(admin.get(&format!("{old}/b")).await?.1["spec"], json!({"host": "i", "port": "2"}));
    let (_, list) = admin.get(&new).await?;
    let specs: Vec<&Value> =
        list["items"].as_array().into_iter().flatten().map(|item| &item["spec"]["hostPort"]).collect();
    assert_eq!(specs, ["h:1", "i:2"]);
    let (code, patched) =
        admin.patch(&format!("{new}/a"), "merge-patch+json", json!({"spec": {"hostPort": "k:3"}})).await?;
    assert_eq!((code, &patched["spec"]["hostPort"]), (StatusCode::OK, &json!("k:3")), "{patched}");
    assert_eq!(admin.get(&format!("{old}/a")).await?.1["spec"], json!({"host": "k", "port": "3"}));
    let events = admin.watch(&format!("{new}?watch=true&resourceVersion=0"), 2).await?;
    assert_eq!(events[0]["object"]["spec"], json!({"hostPort": "k:3"}));
    let selected = format!("{new}?fieldSelector=spec.hostPort%3Dk:3");
    for list in [selected.clone(), format!("{selected}&limit=1&resourceVersion=0&resourceVersionMatch=NotOlderThan")] {
        let (_, list) = admin.get(&list).await?;
        assert_eq!(list["items"][0]["metadata"]["name"], "a", "fields are those of the version that is read: {list}");
        assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    }
    let (_, page) = admin.get(&format!("{new}?limit=1")).await?;
    let (token, at) = (&page["metadata"]["continue"], &page["metadata"]["resourceVersion"]);
    assert!(token.is_string(), "{page}");
    let past = format!(
        "{new}?fieldSelector=spec.hostPort%3Di:2&resourceVersionMatch=Exact&resourceVersion={}",
        at.as_str().unwrap_or("")
    );
    assert_eq!(admin.get(&past).await?.1["items"][0]["metadata"]["name"], "b");
    let events = admin.watch(&format!("{selected}&watch=true"), 1).await?;
    assert_eq!(events[0]["object"]["metadata"]["name"], "a");
    let (_, openapi) = admin.get("/openapi/v3/apis/example.com/v2").await?;
    assert_eq!(
        openapi["components"]["schemas"]["com.example.v2.Host"]["x-kubernetes-selectable-fields"],
        json!([{"fieldPath": "spec.hostPort"}])
    );
    assert_eq!(admin.delete(&format!("{new}/b")).await?.0, StatusCode::OK);
    trigger.shut_down();
    Ok(())
}

#[tokio::test]
async fn old_clients_read_openapi_as_protobuf() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let (code, text) =
        admin.get_as("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf").await?;
    assert_eq!(code, StatusCode::OK);
    assert!(text.as_str().is_some_and(|text| text.contains("io.k8s.api.apps.v1.Deployment")));
    let (_, json) = admin.get("/openapi/v2").await?;
    assert_eq!(json["swagger"], "2.0");
    Ok(())
}
