//! The schema of every built-in kind of Kubernetes 1.36, and of custom kinds, in one compact form.
//!
//! A [`Schema`] is a block of bytes that is read in place: nothing is parsed or allocated at start, and the built-in one is shared by all processes
//! of the machine because it lies in the binary. [`Type`], [`Field`] and [`Shape`] are small copyable views into it. `build.rs` makes the built-in
//! block out of the sources of `k8s-openapi` and `k8s-pb`; a custom resource's block is made at run time with [`Builder`] and may point into the
//! built-in one (for `metadata`).

mod builtin;
mod describe;
mod format;
mod structural;
mod view;

pub use builtin::table;
pub use describe::Descriptions;
pub use format::{Builder, FieldDef, ItemsDef, Kind, ListType, ShapeDef, TypeDef, field_flag, shape_flag, type_flag};
pub use structural::{StructuralError, from_structural};
pub use view::{Field, Schema, Shape, Type};
