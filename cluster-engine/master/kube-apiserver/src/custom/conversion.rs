//! Conversion of custom objects between versions by a definition's webhook.
//!
//! Objects are stored in the version that was the storage version when they were written. A row whose definition has a webhook asks it
//! wherever an object of another version is read or written; all other rows pay nothing.

use std::sync::Arc;

use bytes::Bytes;
use drydock_api::{Status, meta};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admission::webhook::call;
use crate::cache::Entry;
use crate::row::Resource;
use crate::server::Server;
use crate::storage::bytes_form;
use crate::verbs;

/// How long a webhook may take, in seconds (upstream's default).
const SECONDS: u64 = 30;

/// A definition's webhook.
#[derive(Debug)]
pub(crate) struct Webhook {
    /// `clientConfig`.
    config: Value,
    /// The version of ConversionReview that both speak.
    review: &'static str,
}

impl Webhook {
    /// From `spec.conversion`; none when nothing is asked.
    pub(super) fn read(conversion: &Value) -> Option<Self> {
        if conversion["strategy"] != "Webhook" {
            return None;
        }
        let versions = conversion["webhook"]["conversionReviewVersions"].as_array();
        let spoken = versions.into_iter().flatten().filter_map(Value::as_str);
        let review = spoken.into_iter().find_map(|version| match version {
            "v1" => Some("apiextensions.k8s.io/v1"),
            "v1beta1" => Some("apiextensions.k8s.io/v1beta1"),
            _ => None,
        });
        Some(Self {
            config: conversion["webhook"]["clientConfig"].clone(),
            review: review.unwrap_or("apiextensions.k8s.io/v1"),
        })
    }
}

fn webhook(row: &Resource) -> Option<&'static Webhook> {
    row.custom?.webhook.as_ref()
}

/// Whether reading objects of this row may take a webhook.
pub(crate) fn is_needed(row: &Resource) -> bool {
    webhook(row).is_some()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow)]
    api_version: std::borrow::Cow<'a, str>,
}

fn is_of(bytes: &[u8], api_version: &str) -> bool {
    serde_json::from_slice::<Head<'_>>(bytes).is_ok_and(|head| head.api_version == api_version)
}

/// Stored bytes in the version of the row.
///
/// # Errors
/// 500 when the webhook fails.
pub(crate) async fn served(server: &Server, row: &Resource, bytes: Bytes) -> Result<Bytes, Status> {
    let Some(webhook) = webhook(row) else { return Ok(bytes) };
    let wanted = row.api_version();
    if is_of(&bytes, &wanted) {
        return Ok(bytes);
    }
    let object: Value = serde_json::from_slice(&bytes).map_err(Status::internal)?;
    let mut converted = convert(server, webhook, &wanted, vec![object]).await?;
    Ok(encode(row, &wanted, &converted.swap_remove(0)))
}

/// The same for the entries of a list, with one question for all.
///
/// # Errors
/// 500 when the webhook fails.
pub(crate) async fn served_all(server: &Server, row: &Resource, entries: &mut [Arc<Entry>]) -> Result<(), Status> {
    let Some(webhook) = webhook(row) else { return Ok(()) };
    let wanted = row.api_version();
    let others: Vec<usize> = (0..entries.len()).filter(|index| !is_of(&entries[*index].bytes, &wanted)).collect();
    if others.is_empty() {
        return Ok(());
    }
    let objects = others.iter().map(|index| entries[*index].value()).collect();
    let converted = convert(server, webhook, &wanted, objects).await?;
    for (index, object) in others.into_iter().zip(converted) {
        entries[index] = Arc::new(entries[index].with_bytes(encode(row, &wanted, &object)));
    }
    Ok(())
}

fn encode(row: &Resource, api_version: &str, object: &Value) -> Bytes {
    let version = meta::resource_version(object).parse().unwrap_or(0);
    bytes_form::with_version(&bytes_form::encode(object, api_version, row.kind), version)
}

/// An object of the row in its stored form.
///
/// # Errors
/// 500 when the webhook fails.
pub(crate) async fn stored(server: &Server, row: &Resource, object: &Value) -> Result<Bytes, Status> {
    let (group, version) = row.storage_version;
    match webhook(row) {
        Some(webhook) if version != row.version => {
            let wanted = meta::api_version(group, version);
            let mut object = object.clone();
            object["apiVersion"] = row.api_version().into();
            object["kind"] = row.kind.into();
            let converted = convert(server, webhook, &wanted, vec![object]).await?;
            Ok(bytes_form::encode(&converted[0], &wanted, row.kind))
        }
        _ => Ok(verbs::stored(row, object)),
    }
}

/// Asks the webhook; as many objects come back as go in.
async fn convert(server: &Server, webhook: &Webhook, wanted: &str, objects: Vec<Value>) -> Result<Vec<Value>, Status> {
    let from = meta::gvk(&objects[0]);
    let failed = |why: String| {
        let of = format!("{}, Kind={}", from.api_version(), from.kind);
        Status::internal(format!("conversion webhook for {of} failed: {why}"))
    };
    let uid = crate::meta::new_uid();
    let review = json!({"kind": "ConversionReview", "apiVersion": webhook.review,
        "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": objects}});
    let body = serde_json::to_vec(&review).map_err(Status::internal)?;
    let answer = call::post(server, &webhook.config, body, SECONDS).await.map_err(|why| failed(why.to_string()))?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|error| failed(error.to_string()))?;
    accept(&answer, &uid, wanted, &objects).map_err(failed)
}

/// The converted objects of an answer, if it is one to the question. Pure.
fn accept(answer: &Value, uid: &str, wanted: &str, objects: &[Value]) -> Result<Vec<Value>, String> {
    let response = answer.get("response").ok_or("no response provided")?;
    if response["uid"] != uid {
        return Err(format!("expected response.uid={}, got {}", drydock_api::go_quote(uid), response["uid"]));
    }
    if response["result"]["status"] != "Success" {
        return Err(match response["result"]["message"].as_str() {
            Some(message) if !message.is_empty() => message.to_owned(),
            _ => "response.result.status was '' without a message".to_owned(),
        });
    }
    let converted = response["convertedObjects"].as_array().cloned().unwrap_or_default();
    if converted.len() != objects.len() {
        return Err(format!("webhook returned {} objects, expected {}", converted.len(), objects.len()));
    }
    converted
        .into_iter()
        .zip(objects)
        .enumerate()
        .map(|(index, (new, old))| {
            one(new, old, wanted).map_err(|why| format!("invalid converted object at index {index}: {why}"))
        })
        .collect()
}

/// A webhook may change everything but what an object is: of its metadata only labels and annotations.
fn one(mut new: Value, old: &Value, wanted: &str) -> Result<Value, String> {
    if new["apiVersion"] != wanted {
        return Err(format!(
            "invalid groupVersion (expected {wanted}, received {})",
            new["apiVersion"].as_str().unwrap_or("")
        ));
    }
    if new["kind"] != old["kind"] {
        return Err(format!("invalid kind (expected {}, received {})", old["kind"], new["kind"]));
    }
    for key in ["name", "namespace", "uid"] {
        if new["metadata"][key] != old["metadata"][key] {
            return Err(format!("metadata.{key} mismatch: {} vs. {}", new["metadata"][key], old["metadata"][key]));
        }
    }
    let mut metadata = old["metadata"].clone();
    for key in ["labels", "annotations"] {
        let given = new["metadata"][key].clone();
        if let Some(fields) = metadata.as_object_mut() {
            fields.remove(key);
            if !given.is_null() {
                fields.insert(key.to_owned(), given);
            }
        }
    }
    new["metadata"] = metadata;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_checked() {
        let old = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a", "uid": "u", "resourceVersion": "7"}, "spec": {"old": 1}});
        let answer = |object: Value| json!({"response": {"uid": "1", "result": {"status": "Success"}, "convertedObjects": [object]}});
        let good = json!({"apiVersion": "g/v2", "kind": "K", "metadata": {"name": "a", "uid": "u", "labels": {"x": "y"}, "finalizers": ["f"]}, "spec": {"new": 1}});
        let check = |answer: &Value| accept(answer, "1", "g/v2", std::slice::from_ref(&old));
        let converted = check(&answer(good.clone())).expect("accepted");
        assert_eq!(
            converted[0]["metadata"],
            json!({"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"x": "y"}})
        );
        assert_eq!(converted[0]["spec"], json!({"new": 1}));
        let mut other = good.clone();
        other["metadata"]["name"] = "b".into();
        assert!(check(&answer(other)).unwrap_err().contains("metadata.name mismatch"));
        assert!(check(&json!({"response": {"uid": "2"}})).unwrap_err().contains("expected response.uid"));
        let refusal = json!({"response": {"uid": "1", "result": {"status": "Failure", "message": "no"}}});
        assert_eq!(check(&refusal).unwrap_err(), "no");
    }
}
