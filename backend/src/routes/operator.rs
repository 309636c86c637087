//! What operators see of the whole server.

use axum::Json;
use axum::extract::{Query, State};
use drydock_protocol::operator::{History, Overview};
use serde::Deserialize;

use super::App;
use crate::error::Error;
use crate::identity::Operator;
use crate::metrics::monitor::STEP;
use crate::sessions::now_millis;

/// A week: all that is kept.
const MOST_HOURS: u64 = 168;

/// GET /operator/overview
pub(super) async fn overview(_: Operator, State(app): State<App>) -> Json<Overview> {
    Json(app.monitor.overview())
}

/// `?hours=`
#[derive(Deserialize)]
pub(super) struct Span {
    #[serde(default = "day")]
    hours: u64,
}

fn day() -> u64 {
    24
}

/// GET /operator/history
pub(super) async fn history(
    _: Operator,
    State(app): State<App>,
    Query(span): Query<Span>,
) -> Result<Json<History>, Error> {
    let now = now_millis();
    let from = now.saturating_sub(span.hours.clamp(1, MOST_HOURS) * 3_600_000);
    let finest = u64::try_from(STEP.as_millis()).unwrap_or(u64::MAX);
    Ok(Json(app.store.history(from, now, finest).await?))
}
