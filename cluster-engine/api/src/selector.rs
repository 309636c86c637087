//! Label and field selectors with the grammar and texts of `k8s.io/apimachinery/pkg/{labels,fields}`.

mod fields;
mod labels;
mod parse;

pub use fields::{FieldSelector, FieldTerm};
pub use labels::{Operator, Requirement, Selector};
