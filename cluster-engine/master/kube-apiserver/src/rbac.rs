//! rbac.
