//! Subresources: what stands behind the name of an object in the URL.

mod binding;
pub(crate) mod component_status;
mod connect;
mod eviction;
mod log;
mod proxy;
mod scale;
mod token;

use std::sync::Arc;

use drydock_api::Status;
use drydock_component::serve::Body;
use http::{Method, Response};
use hyper::body::Incoming;

use crate::exchange::Exchange;
use crate::row::{Resource, Subresource};
use crate::server::Server;
use crate::{body, verbs};

pub(crate) use binding::bind;
pub(crate) use connect::escape;
pub(crate) use proxy::endpoint;
pub(crate) use scale::{scale_of, set_replicas};

/// Answers a request for a subresource.
pub(crate) async fn serve(
    server: &Arc<Server>,
    exchange: &Arc<Exchange>,
    row: &'static Resource,
    subresource: Subresource,
    method: &Method,
    incoming: Incoming,
    upgrade: Option<hyper::upgrade::OnUpgrade>,
) -> Result<Response<Body>, Status> {
    use Subresource as S;
    let verb = exchange.info.verb;
    let wrong = || Err(Status::method_not_supported(row.group, row.plural, method.as_str()));
    match (subresource, verb) {
        (S::Proxy, _) => return proxy::serve(server, exchange, row, method, incoming, upgrade).await,
        (S::Log, "get") => return log::get(server, exchange, upgrade).await,
        (S::Exec | S::Attach | S::PortForward, "get" | "create") => {
            return connect::serve(server, exchange, row, subresource, method, upgrade).await;
        }
        (S::Status | S::Approval | S::EphemeralContainers | S::Resize, "get") => {
            return verbs::get::get(server, exchange, row).await;
        }
        (S::Scale { .. }, "get") => return scale::get(server, exchange, row, subresource).await,
        _ => {}
    }
    let allowed = match subresource {
        S::Status | S::Scale { .. } | S::Approval | S::EphemeralContainers | S::Resize => {
            matches!(verb, "update" | "patch")
        }
        S::Finalize => verb == "update",
        S::Binding | S::Eviction | S::Token => verb == "create",
        _ => false,
    };
    if !allowed {
        return wrong();
    }
    let bytes = body::read(incoming).await?;
    match (subresource, verb) {
        (S::Scale { .. }, _) => scale::change(server, exchange, row, subresource, &bytes).await,
        (S::Binding, _) => binding::create(server, exchange, &bytes).await,
        (S::Eviction, _) => eviction::create(server, exchange, &bytes).await,
        (S::Token, _) => token::create(server, exchange, &bytes).await,
        (_, "patch") => verbs::patch::patch(server, exchange, row, Some(subresource), &bytes).await,
        _ => verbs::update::update(server, exchange, row, Some(subresource), &bytes).await,
    }
}
