//! `hostlet explain`: what a call would do, and what the rules give whom.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, error::ErrorKind};
use hostlet_model::Name;

use super::read::address;
use super::wrong;

/// `hostlet explain`.
#[derive(Debug, Args)]
#[command(override_usage = "\
hostlet explain [--json] <NAME> <COMMAND>
       hostlet explain [--json] --user <USER> [--service <SERVICE> | --program <PATH> [--unit <UNIT>]...]")]
#[command(after_long_help = "\
Of a call: what would come of it, by which rule, and which promise of hostlet's that keeps (promises.md \
of the documents lists them).

With --user: which rule of the configuration decides when this user logs in, or starts a program, \
and why. Nothing is drawn and nothing is moved. The file is asked as it is now; if hostletd was not \
told of it yet, that is said.

JSON (--json): of a call {\"hostlet\", \"call\", \"verdict\", \"rule\", \"text\", \"row\"}

With --user {\"user\", \"uid\", \"groups\": [text…], \"service\" (null with --program), \
\"program\" (null with --service), \"rule\" (null: none fits), \"per\": \
\"session\"|\"user\"|\"program\"|\"none\"|null, \"pools\": [name…], \"hostlet\" (null: a new one, or \
none), \"unavailable\": \"strict\"|\"cut-off\"|\"fall-back\"|null, \"linger\" (seconds; null: as long as \
a process lives), \"excluded\" (the entry of exclude that is about the program; null: none), \
\"why\": [a line a rule…], \"notes\": [text…]}

Example:
  hostlet explain web bind 0.0.0.0:80
  hostlet explain web connect --udp 198.51.100.7:53
  hostlet explain web connect --from 192.0.2.99 198.51.100.7:80
  hostlet explain web connect --from '[::]:5555' '[2001:db8::7]:80'
  hostlet explain web socket raw
  hostlet explain --user alice --service sshd
  hostlet explain --user alice --program /usr/bin/curl")]
pub struct Explain {
    /// The hostlet
    #[arg(required_unless_present = "user")]
    pub name: Option<Name>,
    /// Instead: which rule decides for this user (name or number)
    #[arg(long, value_name = "USER", conflicts_with = "name")]
    pub user: Option<String>,
    /// When the user logs in through this PAM service; by default sshd
    #[arg(
        long,
        value_name = "SERVICE",
        requires = "user",
        conflicts_with = "program"
    )]
    pub service: Option<String>,
    /// When the user starts this program
    #[arg(long, value_name = "PATH", requires = "user")]
    pub program: Option<PathBuf>,
    /// When a process of this systemd unit starts the program; repeatable
    #[arg(long, value_name = "UNIT", requires = "program")]
    pub unit: Vec<String>,
    /// The call
    #[command(subcommand)]
    pub call: Option<ExplainCall>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

impl Explain {
    /// What clap cannot say of itself: a hostlet and a call go together.
    pub fn complete(&self) -> Result<(), clap::Error> {
        let missing = match (&self.name, &self.call) {
            (Some(name), None) => format!(
                "'hostlet explain {name}' needs a call: bind, connect, send or socket; see 'hostlet help explain'"
            ),
            (Some(_), Some(ExplainCall::Other(words))) => {
                let error = format!(
                    "'{}' is no call that is explained; bind, connect, send and socket are",
                    words
                        .first()
                        .map(|w| w.to_string_lossy())
                        .unwrap_or_default()
                );
                return Err(wrong("explain", ErrorKind::InvalidSubcommand, error));
            }
            (None, Some(_)) => {
                "a call is of a hostlet: name it before the call, and leave --user out".to_owned()
            }
            _ => return Ok(()),
        };
        Err(wrong(
            "explain",
            ErrorKind::MissingRequiredArgument,
            missing,
        ))
    }
}

/// A call to explain.
#[derive(Debug, Subcommand)]
pub enum ExplainCall {
    /// bind(2)
    #[command(override_usage = "hostlet explain <NAME> bind [--udp] [--v6only] <ADDRESS:PORT>")]
    Bind {
        /// The address and port: 0.0.0.0:80, [::]:80
        #[arg(value_name = "ADDRESS:PORT", value_parser = endpoint)]
        address: SocketAddr,
        /// On a UDP socket
        #[arg(long)]
        udp: bool,
        /// The socket has IPV6_V6ONLY
        #[arg(long)]
        v6only: bool,
    },
    /// connect(2)
    #[command(
        override_usage = "hostlet explain <NAME> connect [--udp] [--v6only] [--from <ADDR[:PORT]>] <ADDRESS:PORT>"
    )]
    Connect {
        /// The address and port
        #[arg(value_name = "ADDRESS:PORT", value_parser = endpoint)]
        address: SocketAddr,
        /// On a UDP socket
        #[arg(long)]
        udp: bool,
        /// The socket was bound to this address before, or to this address and port
        #[arg(long, value_name = "ADDR[:PORT]", value_parser = bound)]
        from: Option<Bound>,
        /// The socket has IPV6_V6ONLY
        #[arg(long)]
        v6only: bool,
    },
    /// sendto(2), sendmsg(2), sendmmsg(2)
    #[command(override_usage = "hostlet explain <NAME> send [--from <ADDR>] <ADDRESS:PORT>")]
    Send {
        /// The address and port
        #[arg(value_name = "ADDRESS:PORT", value_parser = endpoint)]
        address: SocketAddr,
        /// The socket is bound to this address, or IP_PKTINFO names it
        #[arg(long, value_name = "ADDR", value_parser = address)]
        from: Option<IpAddr>,
    },
    /// socket(2)
    #[command(override_usage = "hostlet explain <NAME> socket <KIND>")]
    Socket {
        /// The kind of socket
        kind: SocketKind,
    },
    /// None that is known
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// Kinds of sockets that `explain socket` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SocketKind {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// UDP-Lite
    Udplite,
    /// ICMP echo
    Ping,
    /// Raw IP
    Raw,
    /// AF_PACKET
    Packet,
    /// Multipath TCP
    Mptcp,
    /// SCTP
    Sctp,
    /// DCCP
    Dccp,
}

/// Where a socket was bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The address.
    pub addr: IpAddr,
    /// The port, if one was said.
    pub port: Option<u16>,
}

/// An address, with its port or without.
fn bound(text: &str) -> Result<Bound, String> {
    let without = text.parse().map(|addr| Bound { addr, port: None });
    let with = |_| {
        text.parse().map(|at: SocketAddr| Bound {
            addr: at.ip(),
            port: Some(at.port()),
        })
    };
    without.or_else(with).map_err(|_| {
        not_at(
            text,
            "write an address, or one with its port: 192.0.2.1, [2001:db8::1]:80, [::]:5555",
        )
    })
}

/// An address with its port, for explain.
fn endpoint(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        not_at(
            text,
            "write an address with its port: 192.0.2.1:80, [2001:db8::1]:80",
        )
    })
}

/// What is wrong with an address and its port: the port, where that is a number and too large, or what is said otherwise.
fn not_at(text: &str, otherwise: &str) -> String {
    match text.rsplit_once(':') {
        Some((addr, port))
            if !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && format!("{addr}:0").parse::<SocketAddr>().is_ok() =>
        {
            format!("{port} is no port: the highest is 65535")
        }
        _ => otherwise.to_owned(),
    }
}
