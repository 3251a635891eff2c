//! Test suites that others wrote, performed by a machine and by a hostlet: every test
//! must end the same way on both.
//!
//! The suites are what Debian packages ship, unaltered: the tests of CPython, those of
//! Go's standard library, those of libuv. They run as an ordinary user, as their
//! authors run them, unless they are told otherwise.

mod judge;
mod known;
mod outcome;
mod sources;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

pub use judge::{Terms, Verdict, judge};
pub use known::{Known, read as known};
pub use outcome::{Difference, Outcomes, differences};

use crate::dir::TestDir;
use crate::lan::Lan;

/// A suite.
#[derive(Debug)]
pub struct Suite {
    /// What it is called here.
    pub name: &'static str,
    kind: Kind,
    limit: Duration,
}

#[derive(Debug)]
enum Kind {
    /// Modules of CPython's `test`.
    Python(&'static [&'static str]),
    /// A package of Go's standard library, and which Go's.
    Go(&'static str, Go),
    /// libuv's `run-tests`.
    Libuv,
}

/// Which Go.
#[derive(Debug, Clone, Copy)]
enum Go {
    /// The one that is installed.
    Installed,
    /// One whose servers are MPTCP's unless told otherwise, where that is to be had.
    Multipath,
}

const fn suite(name: &'static str, kind: Kind, limit: u64) -> Suite {
    Suite {
        name,
        kind,
        limit: Duration::from_secs(limit),
    }
}

/// All that are known here.
pub const SUITES: &[Suite] = &[
    suite("python-socket", Kind::Python(&["test.test_socket"]), 300),
    suite("python-asyncio", Kind::Python(&["test.test_asyncio"]), 600),
    suite(
        "python-servers",
        Kind::Python(&[
            "test.test_asynchat",
            "test.test_asyncore",
            "test.test_epoll",
            "test.test_ftplib",
            "test.test_httplib",
            "test.test_httpservers",
            "test.test_imaplib",
            "test.test_poplib",
            "test.test_select",
            "test.test_selectors",
            "test.test_smtpd",
            "test.test_smtplib",
            "test.test_socketserver",
            "test.test_ssl",
            "test.test_telnetlib",
            "test.test_urllib2_localnet",
            "test.test_xmlrpc",
        ]),
        600,
    ),
    suite("go-net", Kind::Go("net", Go::Installed), 300),
    suite("go-net-http", Kind::Go("net/http", Go::Installed), 300),
    suite("go-mptcp-net", Kind::Go("net", Go::Multipath), 300),
    suite(
        "go-mptcp-net-http",
        Kind::Go("net/http", Go::Multipath),
        300,
    ),
    suite("libuv", Kind::Libuv, 900),
];

/// The suite of that name.
///
/// # Errors
/// When there is none, naming those that there are.
pub fn find(name: &str) -> Result<&'static Suite> {
    let names: Vec<&str> = SUITES.iter().map(|s| s.name).collect();
    SUITES
        .iter()
        .find(|s| s.name == name)
        .with_context(|| format!("no suite is called {name}, but {}", names.join(", ")))
}

/// A suite that is built, and where it runs.
#[derive(Debug)]
pub struct Bench {
    suite: &'static Suite,
    user: String,
    /// Where what was built is.
    _dir: TestDir,
    program: PathBuf,
    /// The directory to run in, where it is not one of its own.
    home: Option<PathBuf>,
}

impl Suite {
    /// Builds what is to be built, for this user. Fetches nothing.
    ///
    /// # Errors
    /// When a package is missing, naming it.
    pub fn prepare(&'static self, user: &str) -> Result<Bench> {
        let dir = TestDir::new(self.name)?;
        let mut home = None;
        let program = match self.kind {
            Kind::Python(_) => {
                let script = dir.path().join("python.py");
                fs::write(&script, include_str!("python.py")).context("writing the runner")?;
                script
            }
            Kind::Go(package, which) => {
                let go = match which {
                    Go::Installed => "go".into(),
                    Go::Multipath => sources::multipath_go()?,
                };
                let (built, at) = sources::go(&go, package, dir.path())?;
                home = Some(at);
                built
            }
            Kind::Libuv => sources::libuv(dir.path())?,
        };
        Ok(Bench {
            suite: self,
            user: user.into(),
            _dir: dir,
            program,
            home,
        })
    }
}

impl Bench {
    /// Can both sides run at once? Not if the tests use names that all machines share
    /// here, below `/tmp`.
    pub fn apart(&self) -> bool {
        !matches!(self.suite.kind, Kind::Libuv)
    }

    /// Runs the whole suite, or the tests of these names, in `in` of the Lan. What it
    /// prints goes to the file.
    ///
    /// # Errors
    /// When it cannot be started, does not end, or says nothing of any test.
    pub fn perform(&self, lan: &Lan, only: &[&str], log: &Path) -> Result<Outcomes> {
        let room = TestDir::new("room")?;
        let room = room.path();
        fs::create_dir_all(room.join("tmp")).context("making a place to run in")?;
        if let Kind::Libuv = self.suite.kind {
            sources::libuv_fixtures(room)?;
        }
        let owned = Command::new("chown")
            .args(["-R", &format!("{}:", self.user)])
            .arg(room)
            .status()
            .context("starting chown")?;
        ensure!(owned.success(), "chown: {owned}");

        let listed = room.join("outcomes");
        let mut command = self.command(lan, room)?;
        command.args(self.arguments(&listed, only));
        command
            .current_dir(self.home.as_deref().unwrap_or(room))
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", room)
            // As a login has them, and `hostlet run --user`.
            .env("USER", &self.user)
            .env("LOGNAME", &self.user)
            .env("SHELL", "/usr/sbin/nologin")
            .env("TMPDIR", room.join("tmp"))
            .env("LANG", "C.UTF-8")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(File::create(log).context("making the log")?)
            .stderr(File::options().append(true).open(log)?);
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let mut ended = None;
        let waited = crate::wait::until_within(self.suite.limit, self.suite.name, || {
            ended = child.try_wait().ok().flatten();
            ended.is_some()
        });
        if waited.is_err() {
            // With all that the tests have started, which may well outlive them.
            if let Some(install) = lan.install() {
                install.run(lan.host(), &["remove", "in", "--kill"])?;
            } else if let Ok(group) = i32::try_from(child.id()) {
                // SAFETY: takes no pointers; the group is that of the child, not waited for.
                unsafe { libc::kill(-group, libc::SIGKILL) };
            }
            child.wait().context("waiting for the suite")?;
        }
        waited?;
        let printed = fs::read(log).context("reading the log")?;
        let printed = String::from_utf8_lossy(&printed);
        let outcomes = match self.suite.kind {
            Kind::Python(_) => {
                let lines = fs::read_to_string(&listed).unwrap_or_default();
                outcome::tabbed(&lines)
            }
            Kind::Go(..) => outcome::go(&printed),
            Kind::Libuv => outcome::tap(&printed),
        };
        if outcomes.is_empty() {
            let tail: Vec<&str> = printed.lines().rev().take(20).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            bail!(
                "{}: no test was run ({ended:?}): {}",
                self.suite.name,
                tail.join("\n")
            );
        }
        Ok(outcomes)
    }

    /// The program as the user in `in`.
    fn command(&self, lan: &Lan, room: &Path) -> Result<Command> {
        let program: &OsStr = match self.suite.kind {
            Kind::Python(_) => "python3".as_ref(),
            _ => self.program.as_ref(),
        };
        if lan.install().is_some() {
            let home = format!("HOME={}", room.display());
            let options = ["--user", &self.user, "--env", &home];
            return lan.program("in", &options, program);
        }
        let mut command = lan.program("in", &[], "setpriv")?;
        command
            .args(["--reuid", &self.user, "--regid", &group(&self.user)?])
            .args(["--init-groups", "--"])
            .arg(program);
        Ok(command)
    }

    fn arguments(&self, listed: &Path, only: &[&str]) -> Vec<OsString> {
        match self.suite.kind {
            Kind::Python(modules) => {
                let tests = if only.is_empty() { modules } else { only };
                let mut args: Vec<OsString> =
                    vec!["-I".into(), self.program.clone().into(), listed.into()];
                args.extend(tests.iter().map(Into::into));
                args
            }
            Kind::Go(..) => {
                let mut args: Vec<OsString> = vec!["-test.v".into(), "-test.short".into()];
                if !only.is_empty() {
                    // Of a subtest, the test it belongs to.
                    let tests: Vec<&str> = only
                        .iter()
                        .filter_map(|name| name.split('/').next())
                        .collect();
                    args.push(format!("-test.run=^({})$", tests.join("|")).into());
                }
                args
            }
            // One or all.
            Kind::Libuv => only.iter().take(1).map(Into::into).collect(),
        }
    }

    /// The names of the tests to run once more for these differences, in as many runs
    /// as it takes.
    pub fn again<'a>(&self, differing: &[&'a str]) -> Vec<Vec<&'a str>> {
        match self.suite.kind {
            Kind::Libuv => differing.iter().map(|one| vec![*one]).collect(),
            _ => vec![differing.to_vec()],
        }
    }
}

/// The number of the user's own group.
fn group(user: &str) -> Result<String> {
    let asked = Command::new("id").args(["-g", user]).output();
    let asked = asked.context("starting id")?;
    ensure!(asked.status.success(), "there is no user {user}");
    Ok(String::from_utf8_lossy(&asked.stdout).trim().to_owned())
}
