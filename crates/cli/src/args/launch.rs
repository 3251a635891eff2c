//! Verbs that start a program.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use hostlet_model::Name;

use super::set::SpecArgs;

/// How a program is started.
#[derive(Debug, Default, Args)]
pub struct LaunchArgs {
    /// Run it as this user (name or number), with the user's groups
    #[arg(long, short = 'u', value_name = "USER")]
    pub user: Option<String>,
    /// Run it with this group (name or number)
    #[arg(long, short = 'g', value_name = "GROUP")]
    pub group: Option<String>,
    /// Start it in this directory
    #[arg(long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Set an environment variable; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub env: Vec<(String, String)>,
    /// Keep a capability that hostlet takes away by default; repeatable
    ///
    /// CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_SYS_MODULE,
    /// CAP_SYS_RAWIO, CAP_SYS_BOOT and CAP_DAC_READ_SEARCH are dropped: with some of them a
    /// member can leave its hostlet.
    #[arg(long, value_name = "CAP")]
    pub keep_capability: Vec<String>,
    /// Leave an inherited descriptor open, by number, or by its name in LISTEN_FDNAMES; repeatable
    ///
    /// A socket that comes in this way is not the hostlet's: none of its calls are checked.
    #[arg(long, value_name = "FD|NAME")]
    pub keep_fd: Vec<String>,
    /// The program and its arguments
    #[arg(value_name = "PROGRAM", required = true, num_args = 1.., trailing_var_arg = true)]
    pub program: Vec<OsString>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// `hostlet run`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The program keeps stdin, stdout, terminal, signals and exit status as if hostlet were not there. It is \
started without the capabilities that would let it out, sees cgroups read-only and no bpffs. The hostlet \
goes when the program ends; if the program leaves children behind, when the last of them ends (the next \
hostlet command cleans up, or hostletd).

With --pool, users whom the pool's may-use admits can do this too. hostlet then becomes the program: \
it cannot gain privileges any more, set-uid programs in it run without. --user, --group, \
--keep-capability, --host-loopback, --no-guard and --raw are root's to choose.

Exit status: the program's own; 126 if it cannot be executed, 127 if it is not found, 125 if hostlet failed.

Example:
  hostlet run --address 192.0.2.10 -- curl http://example.net/
  hostlet run --name web --address 192.0.2.10/24 --assign eth0 --user www-data -- ./server --port 80
  hostlet run --pool office -- firefox")]
pub struct Run {
    /// The name; by default run-PID, or one that hostletd chooses
    #[arg(long, value_name = "NAME")]
    pub name: Option<Name>,
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub launch: LaunchArgs,
}

/// `hostlet enter`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Who besides root may do this is set by may-enter in the configuration. Users who came neither \
through sudo nor a set-uid hostlet come in through hostletd, and become the program as with \
`hostlet run --pool`; what they opened with that, they may enter too.

Example:
  hostlet enter web -- ss -ltn")]
pub struct Enter {
    /// The hostlet
    pub name: Name,
    #[command(flatten)]
    pub launch: LaunchArgs,
}

/// `hostlet start`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Creates the declared hostlet if it is not there; it stays, as after `hostlet apply`, until it is declared no \
more. Options given here win over those of the configuration. Who besides root may do this is set by may-start in the configuration.

Example:
  # /etc/hostlet/hostlet.toml
  [hostlet.web]
  addresses = [\"192.0.2.10/24\"]
  assign = \"eth0\"
  may-start = [\"group:web\"]

  hostlet start web -- nginx -g 'daemon off;'")]
pub struct Start {
    /// The declared hostlet
    pub name: Name,
    #[command(flatten)]
    pub launch: LaunchArgs,
}
