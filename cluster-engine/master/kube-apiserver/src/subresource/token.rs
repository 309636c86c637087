//! `serviceaccounts/token`: a TokenRequest is answered with a bound token.

use drydock_api::field::{FieldError, Path};
use drydock_api::meta::{self, Gvk};
use drydock_api::{Status, time};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::admission::{Attempt, Operation};
use crate::authn::service_account::{DEFAULT_SECONDS, NewToken};
use crate::exchange::Exchange;
use crate::row::Subresource;
use crate::server::Server;
use crate::verbs::get;
use crate::{body, encode};

/// Shortest life that may be asked for.
const SHORTEST: i64 = 600;
/// Longest: 2^32 seconds.
const LONGEST: i64 = 1 << 32;

/// Answers a POST of a TokenRequest.
pub(super) async fn create(server: &Server, exchange: &Exchange, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let options = exchange.write_options("CreateOptions")?;
    let mut request = body::decode(
        exchange,
        bytes,
        &Gvk::new("authentication.k8s.io", "v1", "TokenRequest"),
        options.field_validation,
    )?;
    let (namespace, name) = (exchange.info.namespace.as_str(), exchange.info.name.as_str());
    let accounts = server.rows.find("", "v1", "serviceaccounts").ok_or_else(Status::unknown_path)?;
    let account = get::newest_value(server, accounts, namespace, name).await?;
    let attempt = Attempt::new(server, exchange, accounts, Some(Subresource::Token), Operation::Create, &options)
        .of_kind(Gvk::new("authentication.k8s.io", "v1", "TokenRequest"));
    attempt.mutate(Some(&mut request)).await?;
    attempt.validate(Some(&request)).await?;
    let seconds = request.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT_SECONDS);
    let path = Path::new("spec").child("expirationSeconds");
    let mut errors = Vec::new();
    if seconds < SHORTEST {
        errors.push(FieldError::invalid(&path, seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > LONGEST {
        errors.push(FieldError::invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds"));
    }
    if !errors.is_empty() {
        return Err(Status::invalid("authentication.k8s.io", "TokenRequest", "", errors));
    }
    let asked = request.pointer("/spec/audiences").and_then(Value::as_array);
    let mut audiences: Vec<String> = asked.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    if audiences.is_empty() {
        audiences.clone_from(&server.tokens.audiences);
    }
    let reference = request.pointer("/spec/boundObjectRef").cloned().unwrap_or_default();
    let bound = bound_object(server, namespace, &account, &reference).await?;
    let node = bound.as_ref().and_then(|(_, pod)| pod.pointer("/spec/nodeName")).and_then(Value::as_str);
    let node = node.and_then(|node| server.object("/registry/minions", "", node));
    let new = NewToken {
        namespace,
        account: &account,
        bound: bound.as_ref().map(|(claim, object)| (*claim, object)),
        node: node.as_ref(),
        audiences: audiences.clone(),
        seconds,
    };
    let (token, expires) =
        server.tokens.issue(&new).ok_or_else(|| Status::internal("no key to sign ServiceAccount tokens with"))?;
    let metadata = json!({"name": name, "namespace": namespace, "creationTimestamp": exchange.now});
    request["metadata"] = metadata;
    request["spec"]["audiences"] = json!(audiences);
    request["spec"]["expirationSeconds"] = seconds.into();
    request["status"] = json!({"token": token, "expirationTimestamp": time::format_seconds(expires)});
    encode::value(exchange, StatusCode::CREATED, &request)
}

/// The object that the token is to be bound to, with the name of its claim.
async fn bound_object(
    server: &Server,
    namespace: &str,
    account: &Value,
    reference: &Value,
) -> Result<Option<(&'static str, Value)>, Status> {
    if reference.is_null() {
        return Ok(None);
    }
    let text = |key: &str| reference[key].as_str().unwrap_or("");
    let (claim, plural, namespace) = match (text("apiVersion"), text("kind")) {
        ("v1", "Pod") => ("pod", "pods", namespace),
        ("v1", "Secret") => ("secret", "secrets", namespace),
        ("v1", "Node") => ("node", "nodes", ""),
        (version, kind) => {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount to object of type {}, Kind={kind}",
                version.trim_start_matches("v1")
            )));
        }
    };
    let row = server.rows.find("", "v1", plural).ok_or_else(Status::unknown_path)?;
    let object = get::newest_value(server, row, namespace, text("name")).await?;
    if claim == "pod" && object.pointer("/spec/serviceAccountName").and_then(Value::as_str) != Some(meta::name(account))
    {
        let own = object.pointer("/spec/serviceAccountName").and_then(Value::as_str).unwrap_or("");
        return Err(Status::bad_request(format!(
            "cannot bind token for serviceaccount {} to pod running with different serviceaccount name.",
            drydock_api::go_quote(own)
        )));
    }
    let uid = text("uid");
    if !uid.is_empty() && uid != meta::uid(&object) {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(Status::conflict("", plural, text("name"), why));
    }
    Ok(Some((claim, object)))
}
