//! Asking the API server about callers of one's own: who a token belongs to, and what its holder may do.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Client;

/// Somebody, as the API server knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    /// The name.
    #[serde(rename = "username")]
    pub name: String,
    /// The groups.
    pub groups: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenReview {
    status: TokenStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenStatus {
    authenticated: bool,
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessReview {
    status: AccessStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessStatus {
    allowed: bool,
}

impl Client {
    /// Whose a bearer token is; `None` if it is nobody's or the server does not say (TokenReview).
    pub async fn user_of_token(&self, token: &str) -> Option<User> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
        let review: TokenReview = self.review("/apis/authentication.k8s.io/v1/tokenreviews", &review).await?;
        Some(review.status.user).filter(|user| review.status.authenticated && !user.name.is_empty())
    }

    /// Whether a user may do what `spec` says in its `resourceAttributes` or `nonResourceAttributes`; `None` if the server
    /// does not say (SubjectAccessReview).
    pub async fn is_allowed(&self, user: &User, mut spec: Value) -> Option<bool> {
        spec["user"] = user.name.as_str().into();
        spec["groups"] = json!(user.groups);
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec});
        let review: AccessReview = self.review("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await?;
        Some(review.status.allowed)
    }

    async fn review<T: serde::de::DeserializeOwned>(&self, path: &str, body: &Value) -> Option<T> {
        let answer = self.request(Method::POST, path, "application/json", body.to_string()).await;
        answer.and_then(|answer| answer.json()).inspect_err(|error| tracing::warn!(%error, path, "no review")).ok()
    }
}
