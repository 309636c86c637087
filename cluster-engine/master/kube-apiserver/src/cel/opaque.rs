//! Values of Kubernetes' own types.

/// A CEL type that only its own functions handle: a Rust value with equality.
macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident($inner:ty), $cel:ident = $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub(super) struct $name(pub(super) $inner);

        static $cel: ::cel::common::types::Type = ::cel::common::types::Type::new_unspecified_type($text);

        impl ::cel::common::value::Val for $name {
            fn get_type(&self) -> &::cel::common::types::Type {
                &$cel
            }

            fn cel_type() -> &'static ::cel::common::types::Type {
                &$cel
            }

            fn equals(&self, other: &dyn ::cel::common::value::Val) -> bool {
                other.downcast_ref::<Self>().is_some_and(|other| other == self)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn ::cel::common::value::Val + 'v> {
                Box::new(self.clone())
            }

            fn as_any(&self) -> Option<&dyn std::any::Any> {
                Some(self)
            }
        }

        impl ::cel::common::value::StaticVal for $name {}
    };
}

pub(super) use opaque;
