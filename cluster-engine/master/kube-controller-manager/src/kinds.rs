//! Slim types of the kinds that only controllers read.

mod apps;
mod autoscaling;
mod batch;
mod certificates;
mod endpoints;
mod policy;
mod quota;
mod raw;
mod storage;

pub(crate) use self::apps::*;
pub(crate) use self::autoscaling::*;
pub(crate) use self::batch::*;
pub(crate) use self::certificates::*;
pub(crate) use self::endpoints::*;
pub(crate) use self::policy::*;
pub(crate) use self::quota::*;
pub(crate) use self::raw::Raw;
pub(crate) use self::storage::*;
