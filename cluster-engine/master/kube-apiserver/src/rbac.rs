//! Role-based access control: who may do what, and the roles that every cluster has from the start.
//!
//! [`Authorizer`] holds slim copies of the four RBAC kinds, fed from the watch cache, and answers requests, rule reviews and
//! escalation checks with upstream's texts. [`bootstrap`] is upstream's default policy as data.

mod authorizer;
pub(crate) mod bootstrap;
pub(crate) mod escalation;
pub(crate) mod policy;

pub(crate) use authorizer::{Authorizer, RbacKind, forbidden_message};
