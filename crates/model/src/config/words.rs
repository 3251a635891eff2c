//! Choices that are written as one of a few words.

/// Gives an enum without fields its words: `as_str`, `Display`, and `FromStr` with an error that names them all.
macro_rules! words {
    ($t:ident, $error:ident, $what:literal, $($variant:ident = $word:literal),+ $(,)?) => {
        #[doc = concat!("A text that is no ", $what, ".")]
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("{}", super::error::unknown($what, .0, &[$($word),+]))]
        pub struct $error(pub String);

        impl $t {
            /// The word, as written in the configuration.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($t::$variant => $word),+
                }
            }
        }

        impl std::str::FromStr for $t {
            type Err = $error;

            fn from_str(s: &str) -> Result<Self, $error> {
                match s {
                    $($word => Ok($t::$variant),)+
                    _ => Err($error(s.to_owned())),
                }
            }
        }

        impl std::fmt::Display for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
