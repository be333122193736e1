//! Values whose serde form is their text form: written by `Display`, read and checked by `FromStr`.

#[cfg(feature = "serde")]
pub(crate) mod de {
    use std::fmt;
    use std::marker::PhantomData;
    use std::str::FromStr;

    /// Reads a `T` from a string; `expected` says what a right one looks like.
    pub(crate) struct TextVisitor<T> {
        pub(crate) expected: &'static str,
        pub(crate) of: PhantomData<T>,
    }

    impl<T> serde::de::Visitor<'_> for TextVisitor<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expected)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
}

/// Implements serde for a type by its `Display` and `FromStr`, so that both forms are checked alike.
macro_rules! serde_as_text {
    ($type:ty, $expected:literal) => {
        #[cfg(feature = "serde")]
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(crate::text::de::TextVisitor {
                    expected: $expected,
                    of: std::marker::PhantomData,
                })
            }
        }
    };
}

pub(crate) use serde_as_text;
