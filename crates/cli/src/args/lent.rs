//! Verbs that read what hostletd lends, and to whom.

use clap::Args;
use hostlet_model::Name;

/// `hostlet pools`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Root sees all pools, others those that they may use. An address that somebody else was found using \
is set aside for a while; it is listed with the one who answered.

JSON (--json): [{\"name\", \"interface\", \"kind\": \"static\"|\"dhcp\", \
\"families\": [\"ipv4\"|\"ipv6\"…], \"ranges\": [text…], \"size\" (a number as text; null: the DHCP \
server knows), \"held\": count, \"lent\": [{\"family\", \"size\", \"held\"}], \"asides\": [{\"address\", \"until\" (RFC 3339), \"why\"}], \
\"may_use\": [who…]}]

Example:
  hostlet pools")]
pub struct Pools {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet leases`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Root sees all leases, others their own. Those of the past are in `hostlet history`.

JSON (--json): [{\"address\", \"prefix\", \"pool\", \"interface\", \"hostlet\", \"user\", \"uid\", \
\"program\": [word…], \"holder\" (its number in DHCP), \"since\" (RFC 3339), \
\"state\": \"claimed\"|\"held\"; and of a DHCP lease, else null: \"hardware\", \"server\", \"renew\", \
\"rebind\", \"expires\"}]

Example:
  hostlet leases --pool office")]
pub struct Leases {
    /// Only from this pool
    #[arg(long, value_name = "POOL")]
    pub pool: Option<Name>,
    /// Only of this user (name or number)
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet sessions`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The logins that came through pam_hostlet. Root sees all, others their own. A session that is \
logged out stays listed as long as processes of it live: \"ended\", or \"cut-off\" once its linger \
is over.

JSON (--json): [{\"number\", \"hostlet\" (null: the machine's address), \"user\", \"uid\", \"service\", \
\"tty\", \"remote\" (null: not told), \"since\" (RFC 3339), \"leader\" (pid), \"rule\" (null: none), \
\"state\": \"open\"|\"ended\"|\"cut-off\", \"addresses\": [address…], \"programs\": [name…]}]

Example:
  hostlet sessions
  hostlet sessions --user alice --json")]
pub struct Sessions {
    /// Only of this user (name or number)
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
