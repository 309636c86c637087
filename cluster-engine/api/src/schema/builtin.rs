//! The built-in schema: every kind of Kubernetes 1.36.

use super::view::Schema;

static TABLE: Schema = Schema::from_static(include_bytes!(concat!(env!("OUT_DIR"), "/schema.bin")));

/// The built-in schema. It is part of the binary: nothing is loaded.
pub fn table() -> &'static Schema {
    &TABLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Gvk;
    use crate::schema::{Kind, ListType};

    #[test]
    fn dump() {
        for ty in table().types() {
            for f in ty.fields() {
                if f.patch_strategy().is_some() {
                    println!("PATCH {} {} {:?} key={} list={:?} {:?}", ty.name(), f.name(), f.patch_strategy(), f.merge_key(), f.shape().list_type(), f.shape().keys().collect::<Vec<_>>());
                }
                if f.tag() == 0 && f.name() != "apiVersion" && f.name() != "kind" { println!("NOTAG {} {}", ty.name(), f.name()); }
                if f.shape().kind() == Kind::Any { println!("ANY {} {}", ty.name(), f.name()); }
            }
            for f in ty.inlined() { println!("INLINE {} {} {:?}", ty.name(), f.tag(), f.shape().ty()); }
            if ty.is_proto_only() { println!("PROTOONLY {}", ty.name()); }
        }
        println!("{} types", table().len());
    }
}
