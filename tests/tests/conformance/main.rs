//! The semantics, against the oracle: the same script on real machines (network
//! namespaces that have exactly the addresses) and on one machine with hostlets.
//!
//! The cases are data: a name, the row of the requirements that it proves, a script.
//! What the machines answer is part of the script, so that a case also says what is
//! promised. They need root, and fail without it.

/// Makes a test of each case.
macro_rules! cases {
    ($($(#[$note:meta])* $name:ident: $row:literal, $script:literal;)*) => {
        $(
            $(#[$note])*
            #[test]
            fn $name() -> anyhow::Result<()> {
                hostlet_testkit::oracle::compare($row, $script)
            }
        )*
    };
}

mod bind;
mod bypass;
mod ending;
mod loopback;
mod multicast;
mod neighbours;
mod protocols;
mod readiness;
mod replies;
mod sharing;
mod source;
mod wildcard;
