//! The named cases: a name, the row of the requirements that it proves, a script.
//!
//! What the machines answer is part of the script, so that a case also says what is
//! promised. The program `conformance` performs them all on machines that stay; as a
//! test of this library each has machines of its own. Tests need root, and fail without it.

/// A script with its name, and what it proves.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Unique within its file.
    pub name: &'static str,
    /// The row of the requirements.
    pub row: &'static str,
    /// Lines that the oracle reads.
    pub script: &'static str,
}

/// The cases of a file: data of the library, and tests of it.
macro_rules! cases {
    ($($(#[$note:meta])* $name:ident: $row:literal, $script:literal;)*) => {
        pub(super) const CASES: &[super::Case] = &[$(super::Case {
            name: stringify!($name),
            row: $row,
            script: $script,
        },)*];
        $(
            $(#[$note])*
            #[cfg(test)]
            #[test]
            fn $name() -> anyhow::Result<()> {
                hostlet_testkit::oracle::compare($row, $script)
            }
        )*
    };
}

/// The files, and all of their cases by the name of the file.
macro_rules! files {
    ($($file:ident)*) => {
        $(mod $file;)*

        /// All cases, by the file that they are in.
        pub const ALL: &[(&str, &[Case])] = &[$((stringify!($file), $file::CASES),)*];
    };
}

files! {
    abroad
    bind
    bypass
    chance
    chance_last
    chance_more
    device
    disconnected
    echo
    ending
    families
    fastopen
    found
    handed
    held
    hostports
    known
    limits
    listening
    loopback
    loopback_rest
    loopback_rest_shared
    matrices
    multicast
    neighbours
    packets
    protocols
    readiness
    reconnect
    replies
    restart
    segments
    sharing
    silent
    source
    udplite
    uring
    users
    wild_connect
    wildcard
}
