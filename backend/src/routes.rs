//! HTTP: the API under /api/v1, health, metrics and the web app.

mod accounts;
mod assets;
mod classes;
mod events;
mod files;
mod guests;
mod join;
mod lessons;
pub(crate) mod metrics;
mod nodes;
mod objects;
mod oidc;
mod openapi;
mod operator;
mod origin;
mod previews;
mod request_id;
mod sessions;
mod terminal;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::routing::{any, delete, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;

pub(crate) use assets::Assets;
pub(crate) use objects::yaml;

use crate::access;
use crate::classroom::Classroom;
use crate::deeds;
use crate::error::Error;
use crate::identity::{self, Identity};
use crate::lessons::Library;
use crate::metrics::monitor::Monitor;
use crate::preview::{self, Previews};
use crate::sessions::Sessions;
use crate::store::Store;

/// No request of the API is larger than this.
const BODY_LIMIT: usize = 64 * 1024;
/// But a file may be larger, and the editor's text with what JSON adds to it.
const FILE_BODY_LIMIT: usize = drydock_protocol::file::FILE_LIMIT as usize;

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct App {
    /// Sessions.
    pub(crate) sessions: Arc<Sessions>,
    /// Database.
    pub(crate) store: Store,
    /// Lessons.
    pub(crate) library: Arc<Library>,
    /// Classes.
    pub(crate) classroom: Arc<Classroom>,
    /// What tells people apart.
    pub(crate) identity: Arc<Identity>,
    /// The web app.
    pub(crate) assets: Arc<Assets>,
    /// What sessions serve.
    pub(crate) previews: Arc<Previews>,
    /// How the whole server is.
    pub(crate) monitor: Arc<Monitor>,
    /// What /metrics wants to be shown.
    pub(crate) metrics_token: Option<Arc<str>>,
}

/// Every route of the server.
pub(crate) fn router(app: App) -> Router {
    // A file says itself that it is too large, hence the extractor's limit and not the layer's.
    let files = Router::new()
        .route("/sessions/{id}/files/{*path}", get(files::read).put(files::write))
        .route("/sessions/{id}/manifest", post(files::manifest))
        .layer(DefaultBodyLimit::max(FILE_BODY_LIMIT));
    // A learner's manifests may be as large as the API server takes them.
    let kube = Router::new()
        .route("/sessions/{id}/kube", any(previews::kube))
        .route("/sessions/{id}/kube/{*path}", any(previews::kube));
    let api = Router::new()
        .route("/lessons", get(lessons::list))
        .route("/lessons/{slug}", get(lessons::show))
        .route("/lessons/{slug}/files/{name}", get(lessons::file))
        .route("/sessions", get(sessions::list).post(sessions::create))
        .route("/sessions/{id}", get(sessions::show).merge(delete(sessions::end)))
        .route("/sessions/{id}/extend", post(sessions::extend))
        .route("/sessions/{id}/reset", post(sessions::reset))
        .route("/sessions/{id}/wake", post(sessions::wake))
        .route("/sessions/{id}/manifests.yaml", get(sessions::manifests))
        .route("/sessions/{id}/answers", post(sessions::answer))
        .route("/sessions/{id}/nodes", post(nodes::add))
        .route("/sessions/{id}/nodes/{node}", delete(nodes::remove))
        .route("/sessions/{id}/nodes/{node}/stop", post(nodes::stop))
        .route("/sessions/{id}/nodes/{node}/start", post(nodes::start))
        .route("/sessions/{id}/faults", post(nodes::cause))
        .route("/sessions/{id}/faults/heal", post(nodes::heal))
        .route("/sessions/{id}/objects/{kind}", get(objects::show))
        .route("/sessions/{id}/logs", get(objects::logs))
        .route("/sessions/{id}/events", get(events::stream))
        .route("/sessions/{id}/terminals/{terminal}", get(terminal::open))
        .route("/sessions/{id}/files", get(files::list))
        .route("/sessions/{id}/invites", get(guests::list).post(guests::create))
        .route("/sessions/{id}/invites/{may}", delete(guests::revoke))
        .route("/sessions/{id}/guests", post(guests::redeem))
        .route("/me", get(accounts::me))
        .route("/sign-in", post(accounts::sign_in))
        .route("/sign-out", post(accounts::sign_out))
        .route("/setup", post(accounts::setup))
        .route("/password", post(accounts::password))
        .route("/accounts", get(accounts::list))
        .route("/accounts/links", post(accounts::link))
        .route("/accounts/{person}", delete(accounts::remove))
        .route("/deeds", get(accounts::deeds))
        .route("/deeds.csv", get(accounts::deeds_csv))
        .route("/sessions/{id}/class", post(join::act))
        .route("/classes", get(classes::list).post(classes::create))
        .route("/classes/{class}", get(classes::show).merge(delete(classes::remove)))
        .route("/classes/{class}/actions", post(classes::act))
        .route("/classes/{class}/events", get(classes::stream))
        .route("/classes/{class}/posts", post(classes::post))
        .route("/classes/{class}/posts/{post}", delete(classes::take_back))
        .route("/classes/{class}/progress.csv", get(classes::progress))
        .route("/classes/{class}/learners/{learner}", delete(classes::remove_learner))
        .route("/classes/{class}/learners/{learner}/hand", delete(classes::lower_hand))
        .route("/classes/{class}/learners/{learner}/joint", post(classes::ask_joint).delete(classes::end_joint))
        .route("/classes/{class}/learners/{learner}/terminal", get(classes::watch))
        .route("/join/{code}", get(join::look).post(join::join))
        .route("/sessions/{id}/ports", get(previews::list))
        .route("/sessions/{id}/preview", get(previews::open))
        .route("/sessions/{id}/kubeconfig", get(previews::kubeconfig).delete(previews::revoke))
        .route("/operator/overview", get(operator::overview))
        .route("/operator/history", get(operator::history))
        .route("/openapi.json", get(openapi::document))
        .fallback(|| async {
            Error::NotFound("There is no such address in the API; see /api/v1/openapi.json.".to_owned())
        })
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .merge(files)
        .merge(kube)
        // The last is the first to see a request.
        .layer(middleware::from_fn_with_state(app.clone(), access::guard))
        .layer(middleware::from_fn_with_state(app.clone(), deeds::record))
        .layer(middleware::from_fn_with_state(app.clone(), origin::same_site))
        .layer(middleware::from_fn_with_state(app.clone(), identity::know));
    let auth = Router::new()
        .route(drydock_protocol::path::OIDC_START, get(oidc::start))
        .route(crate::identity::oidc::CALLBACK, get(oidc::callback))
        .layer(middleware::from_fn_with_state(app.clone(), identity::know));
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Router::new()
        .nest(drydock_protocol::path::PREFIX, api)
        .merge(auth)
        .route("/healthz", get(health))
        .route("/metrics", get(metrics::guarded))
        .fallback(assets::serve)
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(middleware::from_fn_with_state(app.clone(), preview::by_host))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn(metrics::count))
        .layer(middleware::from_fn(request_id::name))
        .with_state(app)
}

async fn health(axum::extract::State(app): axum::extract::State<App>) -> (StatusCode, &'static str) {
    if app.store.is_alive().await {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
    }
}

#[cfg(test)]
mod tests;
