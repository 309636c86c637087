//! temp
use drydock_api::Status; use serde_json::Value; use super::Attempt; use crate::row::Resource;
pub(super) fn conditions(_: &Attempt<'_>, _: &[Value], _: Option<&Value>, _: &'static Resource) -> Result<bool, String> { Ok(true) }
pub(super) fn mutate(_: &Attempt<'_>, _: Option<&mut Value>) -> Result<(), Status> { Ok(()) }
pub(super) fn validate(_: &Attempt<'_>, _: Option<&Value>) -> Result<(), Status> { Ok(()) }
