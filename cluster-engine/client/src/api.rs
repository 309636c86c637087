//! Typed calls: get, list, watch, create, replace, patch, delete.

use std::marker::PhantomData;

use bytes::Bytes;
use http::{Method, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::object::{Object, Resource};
use crate::watch::Watcher;
use crate::{Client, Error, Result, lenient};

const JSON: &str = "application/json";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// Calls on one resource, in one namespace or in all.
pub struct Api<K> {
    client: Client,
    resource: Resource,
    namespace: String,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Api<K> {
    fn clone(&self) -> Self {
        Api {
            client: self.client.clone(),
            resource: self.resource.clone(),
            namespace: self.namespace.clone(),
            kind: PhantomData,
        }
    }
}

/// Which objects a list or watch is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Label selector in its text form.
    pub label_selector: Option<String>,
    /// Field selector in its text form.
    pub field_selector: Option<String>,
    /// Ask for metadata only (PartialObjectMetadata).
    pub metadata_only: bool,
    /// Page size of a list; 0 means all at once.
    pub limit: u32,
    /// `resourceVersion` of a list; "0" means that the server's cache will do.
    pub resource_version: Option<String>,
}

impl ListOptions {
    /// Objects that match a label selector.
    pub fn labels(selector: impl Into<String>) -> ListOptions {
        ListOptions { label_selector: Some(selector.into()), ..ListOptions::default() }
    }

    /// Objects that match a field selector.
    pub fn fields(selector: impl Into<String>) -> ListOptions {
        ListOptions { field_selector: Some(selector.into()), ..ListOptions::default() }
    }

    fn query(&self) -> Query {
        let mut query = Query::default();
        query.optional("labelSelector", self.label_selector.as_deref());
        query.optional("fieldSelector", self.field_selector.as_deref());
        query
    }
}

/// A list as the server answers it.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "K: DeserializeOwned")]
pub struct List<K> {
    /// The list's own metadata.
    #[serde(default)]
    pub metadata: ListMetadata,
    /// The objects.
    #[serde(default = "Vec::new", deserialize_with = "null_is_empty")]
    pub items: Vec<K>,
}

/// Metadata of a list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListMetadata {
    /// The state that the list shows; a watch continues from here.
    pub resource_version: String,
    /// Where the next page begins; empty on the last one.
    #[serde(rename = "continue")]
    pub continue_token: String,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>, K: Deserialize<'de>>(d: D) -> Result<Vec<K>, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// How a patch is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patch {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own merge that knows list keys.
    Strategic,
    /// Server-side apply.
    Apply {
        /// Who applies.
        manager: String,
        /// Take fields over from other managers.
        force: bool,
    },
}

impl Patch {
    fn content_type(&self) -> &'static str {
        match self {
            Patch::Json => "application/json-patch+json",
            Patch::Merge => "application/merge-patch+json",
            Patch::Strategic => "application/strategic-merge-patch+json",
            Patch::Apply { .. } => "application/apply-patch+yaml",
        }
    }
}

/// What becomes of dependents when their owner is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Propagation {
    /// The garbage collector deletes them afterwards.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

/// How a delete is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds; 0 deletes at once.
    pub grace_period_seconds: Option<i64>,
    /// What becomes of dependents.
    pub propagation: Option<Propagation>,
    /// Delete only the object with this uid.
    pub uid: Option<String>,
    /// Delete only this state of the object.
    pub resource_version: Option<String>,
}

impl DeleteOptions {
    /// Delete only the object with this uid, so that a namesake made since survives.
    pub fn of_uid(uid: impl Into<String>) -> DeleteOptions {
        DeleteOptions { uid: Some(uid.into()), ..DeleteOptions::default() }
    }

    /// At once, without grace.
    pub fn now() -> DeleteOptions {
        DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() }
    }

    fn body(&self) -> Bytes {
        let mut body = serde_json::json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if let Some(seconds) = self.grace_period_seconds {
            body["gracePeriodSeconds"] = seconds.into();
        }
        if let Some(propagation) = self.propagation {
            body["propagationPolicy"] = format!("{propagation:?}").into();
        }
        if let Some(uid) = &self.uid {
            body["preconditions"]["uid"] = uid.as_str().into();
        }
        if let Some(resource_version) = &self.resource_version {
            body["preconditions"]["resourceVersion"] = resource_version.as_str().into();
        }
        body.to_string().into()
    }
}

/// How a write is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Who writes, for managedFields; the server takes the user agent's name otherwise.
    pub field_manager: Option<String>,
    /// Check everything, store nothing.
    pub dry_run: bool,
}

/// The part of a URL after `?`.
#[derive(Default)]
struct Query(String);

impl Query {
    fn push(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(key);
        self.0.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.0.push(char::from(byte));
            } else {
                self.0.push_str(&format!("%{byte:02X}"));
            }
        }
    }

    fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.push(key, value);
        }
    }
}

impl<K: Object> Api<K> {
    /// Calls over all namespaces, or on a resource that has none.
    pub fn all(client: Client) -> Api<K> {
        Api { client, resource: K::resource(), namespace: String::new(), kind: PhantomData }
    }

    /// Calls in one namespace.
    pub fn namespaced(client: Client, namespace: &str) -> Api<K> {
        Api { namespace: namespace.to_owned(), ..Api::all(client) }
    }

    /// Calls on a resource known at run time only; `namespace` may be empty.
    pub fn of(client: Client, resource: Resource, namespace: &str) -> Api<K> {
        Api { client, resource, namespace: namespace.to_owned(), kind: PhantomData }
    }

    /// The client behind.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn path(&self, name: &str, subresource: &str) -> String {
        self.resource.path(&self.namespace, name, subresource)
    }

    /// One object.
    ///
    /// # Errors
    /// When the server is not reached or refuses, 404 included.
    pub async fn get(&self, name: &str) -> Result<K> {
        self.get_as(name).await
    }

    /// One object as another type, `serde_json::Value` for all of it.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn get_as<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.client.get(&self.path(name, "")).await
    }

    /// One object, or `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Api::get`], but for 404.
    pub async fn get_opt(&self, name: &str) -> Result<Option<K>> {
        match self.get(name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects; several pages if `options.limit` is set.
    ///
    /// # Errors
    /// When the server is not reached or refuses.
    pub async fn list(&self, options: &ListOptions) -> Result<List<K>> {
        let accept = if options.metadata_only { PARTIAL_LIST } else { JSON };
        let mut whole: Option<List<K>> = None;
        let mut next = String::new();
        loop {
            let mut query = options.query();
            if options.limit > 0 {
                query.push("limit", &options.limit.to_string());
            }
            if next.is_empty() {
                query.optional("resourceVersion", options.resource_version.as_deref());
            } else {
                query.push("continue", &next);
            }
            let path = self.path("", "") + &query.0;
            let headers = [(header::ACCEPT, accept)];
            let response = self.client.request_with(Method::GET, &path, None, &headers, Bytes::new()).await?;
            let page: List<K> = lenient::list(&response.body).map_err(|error| Error::Decode {
                what: format!("a list of {}", K::PLURAL),
                reason: error.to_string(),
            })?;
            next.clone_from(&page.metadata.continue_token);
            let whole = match &mut whole {
                None => whole.insert(page),
                Some(whole) => {
                    whole.metadata = page.metadata;
                    whole.items.extend(page.items);
                    whole
                }
            };
            if next.is_empty() {
                return Ok(List { metadata: whole.metadata.clone(), items: std::mem::take(&mut whole.items) });
            }
        }
    }

    /// Watches from `resource_version` for `seconds`, bookmarks included.
    ///
    /// # Errors
    /// When the server is not reached or refuses (410 if `resource_version` is too old).
    pub async fn watch(&self, options: &ListOptions, resource_version: &str, seconds: u32) -> Result<Watcher<K>> {
        let accept = if options.metadata_only { PARTIAL } else { JSON };
        let mut query = options.query();
        query.push("watch", "true");
        query.push("allowWatchBookmarks", "true");
        query.push("resourceVersion", resource_version);
        query.push("timeoutSeconds", &seconds.to_string());
        let response = self.client.stream(Method::GET, &(self.path("", "") + &query.0), accept).await?;
        Ok(Watcher::new(response.into_body()))
    }

    /// Creates an object; the server's version of it comes back.
    ///
    /// # Errors
    /// When the server is not reached or refuses.
    pub async fn create(&self, object: &impl Serialize) -> Result<K> {
        self.write(Method::POST, &self.path("", ""), JSON, object, Query::default()).await
    }

    /// As [`Api::create`], with options.
    ///
    /// # Errors
    /// As [`Api::create`].
    pub async fn create_with(&self, object: &impl Serialize, options: &WriteOptions) -> Result<K> {
        self.write(Method::POST, &self.path("", ""), JSON, object, write_query(options)).await
    }

    /// Replaces an object; with a resourceVersion in it, only if it is still that state.
    ///
    /// # Errors
    /// When the server is not reached or refuses.
    pub async fn replace(&self, name: &str, object: &impl Serialize) -> Result<K> {
        self.write(Method::PUT, &self.path(name, ""), JSON, object, Query::default()).await
    }

    /// Replaces an object's status.
    ///
    /// # Errors
    /// As [`Api::replace`].
    pub async fn replace_status(&self, name: &str, object: &impl Serialize) -> Result<K> {
        self.write(Method::PUT, &self.path(name, "status"), JSON, object, Query::default()).await
    }

    /// Patches an object.
    ///
    /// # Errors
    /// When the server is not reached or refuses.
    pub async fn patch(&self, name: &str, patch: Patch, body: &impl Serialize) -> Result<K> {
        self.patch_subresource(name, "", patch, body).await
    }

    /// Patches an object's status.
    ///
    /// # Errors
    /// As [`Api::patch`].
    pub async fn patch_status(&self, name: &str, patch: Patch, body: &impl Serialize) -> Result<K> {
        self.patch_subresource(name, "status", patch, body).await
    }

    async fn patch_subresource(&self, name: &str, subresource: &str, patch: Patch, body: &impl Serialize) -> Result<K> {
        let mut query = Query::default();
        if let Patch::Apply { manager, force } = &patch {
            query.push("fieldManager", manager);
            query.push("force", if *force { "true" } else { "false" });
        }
        self.write(Method::PATCH, &self.path(name, subresource), patch.content_type(), body, query).await
    }

    /// Deletes an object; it may linger while it has finalizers or a grace period.
    ///
    /// # Errors
    /// When the server is not reached or refuses, 404 included.
    pub async fn delete(&self, name: &str, options: &DeleteOptions) -> Result<()> {
        self.client.request(Method::DELETE, &self.path(name, ""), JSON, options.body()).await.map(drop)
    }

    /// Deletes all objects that match.
    ///
    /// # Errors
    /// When the server is not reached or refuses (405 where the resource has no such verb).
    pub async fn delete_collection(&self, options: &DeleteOptions, which: &ListOptions) -> Result<()> {
        let path = self.path("", "") + &which.query().0;
        self.client.request(Method::DELETE, &path, JSON, options.body()).await.map(drop)
    }

    /// POSTs to a subresource (`binding`, `token`, `eviction` …).
    ///
    /// # Errors
    /// When the server is not reached or refuses, or the answer is not a `T`.
    pub async fn create_subresource<T: DeserializeOwned>(
        &self,
        name: &str,
        subresource: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.write(Method::POST, &self.path(name, subresource), JSON, body, Query::default()).await
    }

    /// PUTs a subresource (`finalize`, `scale`, `approval` …).
    ///
    /// # Errors
    /// As [`Api::create_subresource`].
    pub async fn replace_subresource<T: DeserializeOwned>(
        &self,
        name: &str,
        subresource: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.write(Method::PUT, &self.path(name, subresource), JSON, body, Query::default()).await
    }

    /// GETs a subresource (`scale` …).
    ///
    /// # Errors
    /// As [`Api::create_subresource`].
    pub async fn get_subresource<T: DeserializeOwned>(&self, name: &str, subresource: &str) -> Result<T> {
        self.client.get(&self.path(name, subresource)).await
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: &impl Serialize,
        query: Query,
    ) -> Result<T> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::Decode { what: "the object to send".to_owned(), reason: error.to_string() })?;
        self.client.request(method, &(path.to_owned() + &query.0), content_type, body).await?.json()
    }
}

fn write_query(options: &WriteOptions) -> Query {
    let mut query = Query::default();
    query.optional("fieldManager", options.field_manager.as_deref());
    if options.dry_run {
        query.push("dryRun", "All");
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        let options = ListOptions { limit: 5, ..ListOptions::labels("app in (a,b),!x") };
        assert_eq!(options.query().0, "?labelSelector=app%20in%20%28a%2Cb%29%2C%21x");
    }

    #[test]
    fn delete_options_say_only_what_is_set() {
        let read = |options: DeleteOptions| serde_json::from_slice::<serde_json::Value>(&options.body()).unwrap();
        assert_eq!(read(DeleteOptions::default()), serde_json::json!({"kind": "DeleteOptions", "apiVersion": "v1"}));
        let options = DeleteOptions { propagation: Some(Propagation::Orphan), ..DeleteOptions::of_uid("u") };
        let body = read(options);
        assert_eq!(body["propagationPolicy"], "Orphan");
        assert_eq!(body["preconditions"]["uid"], "u");
    }

    #[test]
    fn null_items_are_an_empty_list() {
        let list: List<crate::PartialObject> =
            serde_json::from_str(r#"{"metadata":{"resourceVersion":"3"},"items":null}"#).unwrap();
        assert!(list.items.is_empty());
        assert_eq!(list.metadata.resource_version, "3");
    }
}
