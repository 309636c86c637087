//! Kinds that are asked, not kept: access reviews, token reviews, Bindings.

use std::collections::BTreeMap;

use drydock_api::field::{FieldError, Path};
use drydock_api::{Status, meta};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::authn::AUTHENTICATED;
use crate::authorize::{Attributes, Authorize as _, Decision, UserInfo};
use crate::encode;
use crate::exchange::Exchange;
use crate::row::{Hook, Resource};
use crate::server::Server;

/// Answers the create of a kind that is not stored.
pub(crate) async fn create(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    mut review: Value,
) -> Result<Response<Body>, Status> {
    let context = exchange.context(row, None);
    let errors = (row.validate)(&review, &context);
    if !errors.is_empty() {
        return Err(Status::invalid(row.group, row.kind, meta::name(&review), errors));
    }
    match row.hook {
        Hook::Binding => return crate::subresource::bind(server, exchange, &review).await,
        Hook::TokenReview => token(server, &mut review),
        Hook::SelfSubjectReview => review["status"] = json!({"userInfo": user_value(&exchange.user)}),
        Hook::SubjectAccessReview => access(server, row, &mut review, None, "")?,
        Hook::LocalSubjectAccessReview => access(server, row, &mut review, None, &exchange.info.namespace)?,
        Hook::SelfSubjectAccessReview => access(server, row, &mut review, Some(&exchange.user), "")?,
        Hook::SelfSubjectRulesReview => rules(server, &exchange.user, &mut review)?,
        _ => return Err(Status::method_not_supported(row.group, row.plural, "POST")),
    }
    if !review["metadata"].is_object() {
        review["metadata"] = json!({"creationTimestamp": null});
    }
    let bytes = serde_json::to_vec(&review).map_err(Status::internal)?;
    encode::object(exchange, row, StatusCode::CREATED, bytes.into())
}

fn user_value(user: &UserInfo) -> Value {
    let mut value = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        value["uid"] = user.uid.clone().into();
    }
    if !user.extra.is_empty() {
        value["extra"] = json!(user.extra);
    }
    value
}

fn token(server: &Server, review: &mut Value) {
    let spec = &review["spec"];
    let wanted: Vec<String> =
        spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let found = server.tokens.authenticate(spec["token"].as_str().unwrap_or(""), &wanted);
    review["status"] = match found {
        Ok(mut verified) => {
            verified.user.groups.push(AUTHENTICATED.to_owned());
            json!({"authenticated": true, "user": user_value(&verified.user), "audiences": verified.audiences})
        }
        Err(error) => json!({"user": {}, "error": format!("[invalid bearer token, {error}]")}),
    };
}

/// The access reviews; `own` is the asker for the self review, `namespace` the request's for the local one.
fn access(
    server: &Server,
    row: &Resource,
    review: &mut Value,
    own: Option<&UserInfo>,
    namespace: &str,
) -> Result<(), Status> {
    let spec = review["spec"].clone();
    let local = row.hook == Hook::LocalSubjectAccessReview;
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or("").to_owned();
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let mut errors = Vec::new();
    if resource.is_null() == path.is_null() {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(FieldError::invalid(&Path::new("spec.resourceAttributes"), resource.clone(), why));
    }
    let user = match own {
        Some(own) => own.clone(),
        None => {
            let groups: Vec<String> =
                spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            let extra: BTreeMap<String, Vec<String>> =
                serde_json::from_value(spec["extra"].clone()).unwrap_or_default();
            UserInfo { name: text(&spec, "user"), uid: text(&spec, "uid"), groups, extra }
        }
    };
    if own.is_none() && user.name.is_empty() && user.groups.is_empty() {
        errors.push(FieldError::invalid(
            &Path::new("spec.user"),
            "",
            "at least one of user or group must be specified",
        ));
    }
    if local && text(resource, "namespace") != namespace {
        let path = Path::new("spec.resourceAttributes.namespace");
        errors.push(FieldError::invalid(
            &path,
            text(resource, "namespace"),
            format!("must match metadata.namespace: {namespace}"),
        ));
    }
    if local && !path.is_null() {
        errors.push(FieldError::invalid(
            &Path::new("spec.nonResourceAttributes"),
            path.clone(),
            "disallowed on this kind of request",
        ));
    }
    if !errors.is_empty() {
        return Err(Status::invalid(row.group, row.kind, "", errors));
    }
    let get = |key: &str| resource[key].as_str().unwrap_or("");
    let attributes = if path.is_null() {
        Attributes {
            user: &user,
            verb: get("verb"),
            group: get("group"),
            resource: get("resource"),
            subresource: get("subresource"),
            name: get("name"),
            namespace: get("namespace"),
            path: "",
        }
    } else {
        let get = |key: &str| path[key].as_str().unwrap_or("");
        Attributes {
            user: &user,
            verb: get("verb"),
            group: "",
            resource: "",
            subresource: "",
            name: "",
            namespace: "",
            path: get("path"),
        }
    };
    review["status"] = match server.chain.authorize(&attributes) {
        Decision::Allow(reason) if reason.is_empty() => json!({"allowed": true}),
        Decision::Allow(reason) => json!({"allowed": true, "reason": reason}),
        Decision::NoOpinion(reason) if reason.is_empty() => json!({"allowed": false}),
        Decision::NoOpinion(reason) => json!({"allowed": false, "reason": reason}),
    };
    Ok(())
}

fn rules(server: &Server, user: &UserInfo, review: &mut Value) -> Result<(), Status> {
    let namespace = review.pointer("/spec/namespace").and_then(Value::as_str).unwrap_or("").to_owned();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    let mut found = server.rbac.rules_for(user, &namespace);
    if user.in_group("system:masters") {
        resources.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        paths.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    for rule in std::mem::take(&mut found.rules) {
        let value = rule.to_value();
        if rule.non_resource_urls.is_empty() {
            resources.push(value);
        } else {
            paths.push(value);
        }
    }
    review["status"] =
        json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": !found.errors.is_empty()});
    if !found.errors.is_empty() {
        review["status"]["evaluationError"] = found.errors.join(", ").into();
    }
    Ok(())
}
