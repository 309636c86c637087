//! Who asks.

use axum::Json;
use drydock_protocol::{Me, SignInWays};

use crate::identity::Caller;

/// GET /me
pub(super) async fn show(caller: Caller) -> Json<Me> {
    let signed_in = caller.is_signed_in();
    Json(Me {
        person: caller.person,
        name: caller.name,
        role: caller.role,
        signed_in,
        has_password: false,
        sign_in: SignInWays::default(),
    })
}
