//! Slim types of the kinds that only controllers read.

mod apps;
mod batch;
mod endpoints;
mod raw;

pub(crate) use self::apps::*;
pub(crate) use self::batch::*;
pub(crate) use self::endpoints::*;
pub(crate) use self::raw::Raw;
