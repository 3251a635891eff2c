//! The command line, as clap sees it. Nothing here acts.

mod explain;
mod launch;
mod lent;
mod read;
mod set;

pub use explain::{Explain, ExplainCall, SocketKind};
pub use launch::{Enter, LaunchArgs, Run, Start};
pub use lent::{Leases, Pools, Sessions};
pub use read::{Check, Completions, Doctor, Events, History, List, Man, Members, Show, Sockets};
pub use set::{Apply, Attach, Create, Grant, Reload, Remove, Revoke, SpecArgs};

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

/// Give unmodified programs network addresses of their own, and only those.
///
/// A hostlet is a private host inside this one: a name, a set of IPv4 and IPv6
/// addresses, a loopback address of its own, and the processes that live in it.
/// The kernel enforces it; no process is in the path of a call or a packet.
#[derive(Debug, Parser)]
#[command(
    name = "hostlet",
    version,
    propagate_version = true,
    disable_help_subcommand = false,
    arg_required_else_help = false,
    subcommand_required = true,
    max_term_width = 100,
    after_long_help = MAIN_AFTER
)]
pub struct Cli {
    /// Keep everything of this installation below DIR: configuration, state, lock, pins, cgroups.
    ///
    /// The directory has to be there. HOSTLET_ROOT in the environment does the same. Two installations never meet. One
    /// installation serves one network namespace.
    // Not by clap's `env`: it would be in the usage of every mistake.
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,

    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

impl Cli {
    /// The directory of an installation other than the system's, if one is named.
    #[must_use]
    pub fn root(&self) -> Option<PathBuf> {
        let named = self.root.clone();
        named.or_else(|| std::env::var_os("HOSTLET_ROOT").map(PathBuf::from))
    }
}

const MAIN_AFTER: &str = "\
Example:
  hostlet run --address 192.0.2.10 --assign eth0 -- nginx -g 'daemon off;'
  hostlet run --pool office -- firefox

Exit status:
  run, enter, start   the program's own; 126 if it cannot be executed, 127 if it is not found,
                      125 if hostlet itself failed
  check               0 if all is well, 3 if a socket lies outside policy or an address is gone,
                      1 if it could not be made, 2 wrong usage
  every other verb    0 done, 1 failed or refused, 2 wrong usage

Files:
  /etc/hostlet/hostlet.toml      declared hostlets, pools, rules and limits
  /var/lib/hostlet/hostlet.db    definitions and history
  /run/hostlet/                  the lock; hostletd's socket
  /sys/fs/bpf/hostlet/           the kernel part";

/// Nouns read, verbs change.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a program in a hostlet that lives as long as the program
    Run(Run),
    /// Make a hostlet that stays until it is removed
    Create(Create),
    /// Remove a hostlet and everything hostlet added for it
    Remove(Remove),
    /// Start a program in a hostlet that exists
    Enter(Enter),
    /// Make running processes members of a hostlet
    Attach(Attach),
    /// Add an address to a hostlet, running or not
    Grant(Grant),
    /// Take an address away; its open sockets die at once
    Revoke(Revoke),
    /// Start a program in a hostlet that the configuration declares
    Start(Start),
    /// Make the declared hostlets exist as the configuration says
    Apply(Apply),
    /// Have hostletd take over the configuration as it is now
    Reload(Reload),
    /// The hostlets that there are
    List(List),
    /// One hostlet in full
    Show(Show),
    /// Which processes belong to which hostlet
    Members(Members),
    /// The sockets of the members
    Sockets(Sockets),
    /// Find sockets of members that lie outside policy
    Check(Check),
    /// Say what a call in a hostlet would do, or what the rules give a user, and why
    Explain(Explain),
    /// Refusals and drops, as the kernel recorded them
    Events(Events),
    /// Who had which address, from when to when, running what
    History(History),
    /// The pools that hostletd lends addresses from
    Pools(Pools),
    /// Who has been lent which address, and until when
    Leases(Leases),
    /// Who is logged in, since when, from where, with which address and programs
    Sessions(Sessions),
    /// What this kernel and system offer, what is missing, what that costs
    Doctor(Doctor),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write the man pages to a directory
    Man(Man),
}

impl Verb {
    /// What the definition of the command line cannot say.
    ///
    /// # Errors
    /// The usage is wrong.
    pub fn complete(&self) -> Result<(), clap::Error> {
        match self {
            Self::Explain(a) => a.complete(),
            Self::History(a) => a.complete(),
            _ => Ok(()),
        }
    }

    /// Whether it does nothing but look at what the engine remembers.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::List(_)
                | Self::Show(_)
                | Self::Members(_)
                | Self::Sockets(_)
                | Self::Check(_)
                | Self::Explain(_)
                | Self::Events(_)
                | Self::History(_)
                | Self::Doctor(_)
        )
    }

    /// Whether a failure of hostlet's own is 125, because the other codes are the program's.
    #[must_use]
    pub fn runs_a_program(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Enter(_) | Self::Start(_))
    }
}

/// A mistake, with the usage of this verb.
fn wrong(verb: &str, kind: ErrorKind, text: String) -> clap::Error {
    let mut top = Cli::command();
    top.build();
    match top.find_subcommand_mut(verb) {
        Some(verb) => verb.error(kind, text),
        None => top.error(kind, text),
    }
}
