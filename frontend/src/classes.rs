//! The recurring looks that `build.rs` composes with tailwind-rs.

#![allow(dead_code, unreachable_pub, reason = "generated; not every look need be in use")]

include!(concat!(env!("OUT_DIR"), "/classes.rs"));
