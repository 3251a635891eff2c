//! Verbs that read.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, error::ErrorKind};
use clap_complete::Shell;
use hostlet_model::Name;

use super::wrong;

/// `hostlet list`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
An address that somebody removed from its interface is marked (gone): see `hostlet check`.

JSON (--json): an array of objects as `hostlet show --json` prints one.

Example:
  hostlet list")]
pub struct List {
    /// Only this hostlet
    pub name: Option<Name>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet show`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A hostlet that lost its lease and was cut off has its loopback and nothing else; one that has \
fallen back uses this machine's addresses until it ends.

JSON (--json): {\"name\", \"id\", \"state\": \"live\"|\"cut-off\"|\"fallen-back\"|\"pending\"|\"removing\"|\"stale\", \
\"fallen_back\": bool, \"lifetime\": \
\"run\"|\"kept\"|\"declared\", \"addresses\": [{\"address\", \"interface\", \"onlink\", \"assigned\", \"missing\"}], \
\"loopback\": [address…], \"further_loopback\": {address: what stands for it}, \"source\", \"host_loopback\": [ADDR:PORT…], \"guard\", \"raw\", \"created\" (RFC 3339), \
\"uid\", \"user\", \"program\": [word…], \"cgroup\", \"cgroup_id\" (null: not there), \"attached_cgroups\": [DIR…], \
\"members\": count}

Example:
  hostlet show web")]
pub struct Show {
    /// The hostlet
    pub name: Name,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet members`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Read from the kernel's cgroups, so that nobody is missing and nobody stale.

JSON (--json): [{\"hostlet\", \"pid\", \"uid\", \"comm\", \"command\": [word…]}]

Example:
  hostlet members web")]
pub struct Members {
    /// Only this hostlet
    pub name: Option<Name>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet sockets`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Local and peer are given as the program sees them: a wildcard socket shows as 0.0.0.0 or [::], the \
hostlet's loopback as 127.0.0.1 or [::1]. The kernel's own view is in the JSON and in --kernel.

JSON (--json): [{\"hostlet\", \"protocol\", \"state\", \"local\", \"remote\", \"kernel_local\", \"kernel_remote\", \
\"wildcard\", \"uid\", \"inode\", \"cookie\", \"processes\": [{\"pid\", \"comm\"}]}]

Example:
  hostlet sockets web")]
pub struct Sockets {
    /// Only this hostlet
    pub name: Option<Name>,
    /// Show the addresses that the kernel works with
    #[arg(long)]
    pub kernel: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet check`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Looks at every socket that a member has open: one whose local address is outside the set (where the \
kernel part replaces the source of its packets, that counts, as `hostlet sockets` shows it), one that was \
made in another cgroup (inherited, passed in, socket activation) and so is not checked by the kernel, and \
raw or packet sockets. And at every address: one that somebody removed from its interface is told.

The connection by which a user logged in, which sshd accepted before the session began, is a note \
(\"login\" in the JSON) and no finding, where the session's FROM is the address that it comes from.

Exit status: 0 all is well, 3 something was found, 1 the check could not be made.

JSON (--json): [{\"hostlet\", \"reason\": \"foreign-address\"|\"foreign-cgroup\"|\"raw\"|\"packet\"|\"login\"| \
\"address-gone\" (no socket: \"local\" is the address, the others are empty), \
\"text\", \"protocol\", \"state\", \"local\", \"remote\", \"inode\", \"processes\": [{\"pid\", \"comm\"}]}]

Example:
  hostlet check || echo 'somebody is outside'")]
pub struct Check {
    /// Only this hostlet
    pub name: Option<Name>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet events`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
JSON (--json): one object a line: {\"seq\", \"time\" (RFC 3339), \"hostlet\", \"pid\", \"program\", \"uid\", \"call\", \
\"protocol\", \"address\", \"port\", \"other\", \"reason\", \"error\", \"more\", \
\"holder\" (who has the port now, for port-held)}; and, where earlier ones are lost, {\"lost\" (how many), \
\"until\" (when the next one was that is kept)}

Kept are the last 4,096 of all hostlets together, and how many more there were is told. Whoever needs all has \
'hostlet events -f' running into a log.

Told is what hostlet's kernel programs refuse and drop. Not told: what the kernel refuses for want of a \
capability (raw sockets, SO_MARK), and what the launcher's filter refuses (packet, vsock and other \
families).

Example:
  hostlet events --since 10m
  hostlet events -f --json")]
pub struct Events {
    /// Go on and print events as they come
    #[arg(short, long)]
    pub follow: bool,
    /// Only those after TIME: a moment (2026-01-31T12:00:00Z), or how long ago (90s, 10m, 2h, 3d)
    #[arg(long, value_name = "TIME", value_parser = crate::when::parse)]
    pub since: Option<jiff::Timestamp>,
    /// Only this hostlet
    pub name: Option<Name>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet history`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
PROGRAM and USER are of the `run` or the session that the hostlet was made for. One that `create` or `apply` made has no \
program, and who made it as its user: what `enter` and `start` bring into it later is not in the history.

JSON (--json): [{\"hostlet\", \"address\", \"from\", \"to\" (null: still), \"program\": [word…], \"uid\", \"user\"}]

Example:
  hostlet history --address 192.0.2.10 --since 7d
  hostlet history web")]
pub struct History {
    /// Only this hostlet, also one that is gone
    pub name: Option<Name>,
    /// The same
    #[arg(long, value_name = "NAME", conflicts_with = "name", hide = true)]
    pub hostlet: Option<Name>,
    /// Only this address, or a prefix that has it
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub address: Option<IpAddr>,
    /// Only what this user started (name or number)
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Only what was held after TIME
    #[arg(long, value_name = "TIME", value_parser = crate::when::parse)]
    pub since: Option<jiff::Timestamp>,
    /// Only what was held before TIME
    #[arg(long, value_name = "TIME", value_parser = crate::when::parse)]
    pub until: Option<jiff::Timestamp>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl History {
    /// What clap cannot say of itself: one time is before the other.
    pub fn complete(&self) -> Result<(), clap::Error> {
        match (self.since, self.until) {
            (Some(since), Some(until)) if since > until => Err(wrong(
                "history",
                ErrorKind::ValueValidation,
                format!(
                    "--since ({since:.0}) is later than --until ({until:.0}), so nothing is between them: exchange the two"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// `hostlet doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status: 0 if everything needed is there, 1 if not.

JSON (--json): {\"usable\": bool, \"features\": [{\"name\", \"present\": true|false|null, \"needed\", \"costs\"}], \
\"limits\": {\"hostlets\", \"hostlets_used\", \"sockets\", \"further_loopbacks\", \
\"further_loopbacks_used\", \"further_loopbacks_each\", \"memory_bytes\" (null: unknown)}, \"installed\": bool}

Example:
  hostlet doctor")]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet completions`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  hostlet completions bash > /usr/share/bash-completion/completions/hostlet")]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

/// `hostlet man`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Writes hostlet.1 and one page a verb, hostlet-run.1 and so on.

Example:
  hostlet man /usr/share/man/man1")]
pub struct Man {
    /// Where to; it is made if it is not there
    pub dir: PathBuf,
}

/// A single address, without anything.
pub fn address(word: &str) -> Result<IpAddr, &'static str> {
    let wanted = "an IPv4 or IPv6 address is wanted, such as 192.0.2.10 or 2001:db8::10";
    word.parse().map_err(|_| wanted)
}
