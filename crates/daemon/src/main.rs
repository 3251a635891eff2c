//! The `hostletd` command.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{CommandFactory, Parser};
use hostlet_daemon::{Clock, Daemon};
use hostlet_engine::Paths;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Lend addresses to hostlets, from pools and by DHCP, and keep what was lent.
///
/// Runs in the foreground. 'hostlet run --pool POOL -- PROGRAM' asks it for addresses. When it ends, or
/// is killed, hostlets and their addresses stay; the next one takes over.
#[derive(Debug, Parser)]
#[command(
    name = "hostletd",
    version,
    max_term_width = 100,
    after_long_help = "\
Signals:
  HUP         read the configuration anew; also: hostlet reload
  TERM, INT   end; holders keep their addresses

Files:
  /etc/hostlet/hostlet.toml      pools, in sections [pool.NAME]
  /run/hostlet/hostletd.sock     the socket; its language is Varlink, interface io.hostlet
  /var/lib/hostlet/hostlet.db    who holds what

Exit status: 0 ended by a signal, 1 failed, 2 wrong usage"
)]
struct Cli {
    /// Keep everything of this installation below DIR, by default that of HOSTLET_ROOT in the environment; see hostlet(1)
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Print the man page, for packages
    #[arg(long, hide = true)]
    man: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostletd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    if cli.man {
        let page = clap_mangen::Man::new(Cli::command()).section("8");
        return page
            .render(&mut std::io::stdout())
            .context("cannot print the man page");
    }
    if !rustix::process::geteuid().is_root() {
        bail!(
            "only root can run hostletd: use sudo, or start the service with 'systemctl start hostletd'"
        );
    }
    let named = cli.root.clone();
    let paths = match named.or_else(|| std::env::var_os("HOSTLET_ROOT").map(PathBuf::from)) {
        Some(root) => Paths::below(&root)?,
        None => Paths::system(),
    };
    // Whoever started it through sudo does not ask for anything here: callers do, and hostletd knows who they are.
    // SAFETY: no other thread runs yet, so nobody reads the environment meanwhile.
    #[expect(clippy::disallowed_methods, reason = "no thread runs yet")]
    unsafe {
        std::env::remove_var("SUDO_UID");
    }
    // Before any thread: all of them leave these signals to this one.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot catch signals")?;
    let given = ListenFd::from_env()
        .take_unix_listener(0)
        .context("the socket passed by the service manager is no unix stream socket")?;
    let socket = paths.socket();
    let daemon = Daemon::start(paths, Arc::new(Clock::new()), given)?;
    eprintln!("hostletd: ready on {}", socket.display());
    tell(&[NotifyState::Ready]);
    for signal in signals.forever() {
        if signal == SIGHUP {
            if let Ok(now) = NotifyState::monotonic_usec_now() {
                tell(&[NotifyState::Reloading, now]);
            }
            daemon.reload();
            tell(&[NotifyState::Ready]);
        } else {
            break;
        }
    }
    tell(&[NotifyState::Stopping]);
    daemon.stop();
    Ok(())
}

/// Tells the service manager; without one there is nobody to tell.
fn tell(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(false, state);
}
