//! Pod templates, shared by pods and all workloads: defaults, validation and what may change.

pub(super) mod defaults;
