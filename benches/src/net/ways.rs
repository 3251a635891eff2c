//! The ways to give a program addresses of its own, and what is to be known of each.

use crate::report::IDLE;

/// One way. Each is on a machine of its own, so that none is in another's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The program on the machine itself: no isolation.
    Native,
    /// The same on another machine: what differs is noise.
    NativeAgain,
    /// A hostlet.
    Hostlet,
    /// The program on the machine itself, with programs that do nothing wherever hostlet has one.
    Idle,
    /// A network namespace behind a veth pair, to which the machine routes.
    Routed,
    /// A network namespace behind a veth pair, on a bridge with the machine's interface.
    Bridged,
    /// A network namespace with an interface of the kind macvlan on the machine's.
    Macvlan,
    /// A network namespace whose packets pasta translates to sockets.
    Pasta,
    /// A network namespace whose packets slirp4netns translates to sockets.
    Slirp,
    /// A library that is loaded before the C library: bench/preload.c.
    Preload,
    /// A supervisor of the program's calls: bench/notify.c.
    Notify,
}

impl Way {
    /// In the order of the page.
    pub const ALL: [Self; 11] = [
        Self::Native,
        Self::Hostlet,
        Self::Idle,
        Self::NativeAgain,
        Self::Preload,
        Self::Notify,
        Self::Macvlan,
        Self::Bridged,
        Self::Routed,
        Self::Pasta,
        Self::Slirp,
    ];

    /// As tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::NativeAgain => "native again",
            Self::Hostlet => "hostlet",
            Self::Idle => IDLE,
            Self::Routed => "namespace, routed",
            Self::Bridged => "namespace, bridge",
            Self::Macvlan => "namespace, macvlan",
            Self::Pasta => "pasta",
            Self::Slirp => "slirp4netns",
            Self::Preload => "preloaded library",
            Self::Notify => "seccomp supervisor",
        }
    }

    /// Whether it is one of those by which hostlet is judged, and not an alternative to it.
    pub fn judges(self) -> bool {
        matches!(
            self,
            Self::Native | Self::Hostlet | Self::Idle | Self::NativeAgain
        )
    }

    /// Whether a wildcard server in it has both addresses, or the first alone.
    pub fn has_both(self) -> bool {
        !matches!(self, Self::Preload | Self::Notify)
    }
}
