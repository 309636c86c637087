//! The pages, one module each.

mod catalogue;
mod join;
mod not_found;
mod session;
mod waiting;

pub(crate) use catalogue::Catalogue;
pub(crate) use join::JoinPage;
pub(crate) use not_found::NotFound;
pub(crate) use session::SessionPage;
