//! Real servers, as a distribution ships them.

pub mod ask;
pub mod dhcp;
mod diary;
pub mod machines;
pub mod recipe;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::dir::TestDir;
use crate::netns::NetNs;

/// Debian's default site: `listen 80 default_server; listen [::]:80 default_server;`.
const DEFAULT_SITE: &str = "/etc/nginx/sites-available/default";

/// nginx with the distribution's default site. Only where it writes is its own, and
/// every answer has the header `X-Server` with its name.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    dir: TestDir,
}

impl Nginx {
    /// Starts it. `prepare` makes the command that shall become nginx's parent: a
    /// command in a namespace, or `hostlet run … --`.
    ///
    /// # Errors
    /// When nginx is not installed, or ends before it listens.
    pub fn start(name: &str, prepare: impl FnOnce(&Path) -> Command) -> Result<Nginx> {
        if !Path::new(DEFAULT_SITE).exists() {
            bail!("{DEFAULT_SITE} is missing: install nginx");
        }
        let dir = TestDir::new(&format!("nginx-{name}"))?;
        let at = dir.path().display();
        let config = dir.path().join("nginx.conf");
        let text = format!(
            "worker_processes 2;\ndaemon off;\npid {at}/pid;\nerror_log {at}/error.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{\n  include /etc/nginx/mime.types;\n  access_log {at}/access.log;\n  \
             add_header X-Server {name} always;\n  include {DEFAULT_SITE};\n}}\n"
        );
        fs::write(&config, text).context("writing nginx's configuration")?;
        let mut command = prepare(Path::new("nginx"));
        command
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(dir.path().join("error.log"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        // nginx writes its pid when all its sockets listen.
        let pid = dir.path().join("pid");
        let mut ended = false;
        let waited = crate::wait::until("nginx to listen", || {
            ended = matches!(child.try_wait(), Ok(Some(_)));
            ended || fs::metadata(&pid).is_ok_and(|m| m.len() > 0)
        });
        if ended || waited.is_err() {
            let _ = child.kill();
            let done = child.wait_with_output()?;
            bail!(
                "nginx {name}: {}: {}",
                done.status,
                String::from_utf8_lossy(&done.stderr)
            );
        }
        Ok(Nginx { child, dir })
    }

    /// The pid of nginx itself.
    pub fn pid(&self) -> Result<i32> {
        let text = fs::read_to_string(self.dir.path().join("pid")).context("nginx's pid")?;
        text.trim().parse().context("nginx's pid")
    }

    /// Its access log.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    /// Ends it as a service manager does and gives the status of what was started.
    pub fn stop(mut self) -> Result<std::process::ExitStatus> {
        self.terminate();
        self.child.wait().context("waiting for nginx")
    }

    fn terminate(&self) {
        if let Ok(pid) = self.pid() {
            // SAFETY: takes no pointers; the pid is that of the nginx that we started.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.terminate();
        let ended = crate::wait::until("nginx to end", || {
            matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
        });
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What a web server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The header `X-Server`; empty without one.
    pub server: String,
    /// The address that curl connected from.
    pub source: String,
}

/// Fetches `http://HOST/`. None: the connection was refused.
///
/// # Errors
/// On any other failure, with curl's words.
pub fn fetch(ns: &NetNs, host: &str) -> Result<Option<Answer>> {
    fetch_with(ns.command("curl"), host)
}

/// As [`fetch`], with a command that ends in `curl`.
pub fn fetch_with(mut curl: Command, host: &str) -> Result<Option<Answer>> {
    let done = curl
        .args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "8",
        ])
        .args([
            "--output",
            "/dev/null",
            "--write-out",
            "%header{x-server} %{local_ip}",
        ])
        .arg(format!("http://{host}/"))
        .stdin(Stdio::null())
        .output()
        .context("starting curl")?;
    // 7: could not connect.
    if done.status.code() == Some(7) {
        return Ok(None);
    }
    if !done.status.success() {
        bail!(
            "curl {host}: {}: {}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
    }
    let text = String::from_utf8_lossy(&done.stdout);
    let (server, source) = text.split_once(' ').context("curl's output")?;
    Ok(Some(Answer {
        server: server.into(),
        source: source.into(),
    }))
}
