//! Suites that are built from what Debian ships as source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Where `scripts/suites` puts the source of libuv.
const LIBUV: &str = "HOSTLET_LIBUV_SOURCE";

/// Where it has put a Go of 1.24 or newer, the program.
const MULTIPATH_GO: &str = "HOSTLET_MULTIPATH_GO";

/// libuv's own sources for Linux, beside those in `src/` itself.
const LIBUV_UNIX: &str = "async core dl fs getaddrinfo getnameinfo loop loop-watcher pipe poll process \
    random-devurandom random-getrandom random-sysctl-linux signal stream tcp thread tty udp proctitle \
    procfs-exepath linux linux-core linux-inotify linux-syscalls epoll";

/// A Go whose servers are MPTCP's unless told otherwise.
pub(super) fn multipath_go() -> Result<PathBuf> {
    given(MULTIPATH_GO, "Go 1.24")
}

/// The tests of a package of this Go's standard library, and the directory to run them in.
pub(super) fn go(go: &Path, package: &str, dir: &Path) -> Result<(PathBuf, PathBuf)> {
    let root = finish(
        Command::new(go).args(["env", "GOROOT"]),
        "go: install golang-go",
    )?;
    let home = Path::new(root.trim()).join("src").join(package);
    let home = home
        .canonicalize()
        .with_context(|| format!("{} is missing: install golang-src", home.display()))?;
    let program = dir.join("go.test");
    // The names are not asked of the network: nothing outside the standard library is used.
    finish(
        Command::new(go)
            .args(["test", "-c", "-o"])
            .arg(&program)
            .arg(package)
            .env("TMPDIR", dir)
            .env("GOCACHE", dir.join("gocache"))
            .env("GOPATH", dir.join("gopath"))
            .env("GOPROXY", "off")
            .env("GOFLAGS", "-mod=mod")
            .current_dir("/"),
        "go: install golang-go",
    )?;
    Ok((program, home))
}

/// libuv's `run-tests`.
pub(super) fn libuv(dir: &Path) -> Result<PathBuf> {
    let source = libuv_source()?;
    let program = dir.join("run-tests");
    let named = |below: &str, good: &dyn Fn(&str) -> bool| -> Result<Vec<PathBuf>> {
        let at = source.join(below);
        let entries =
            std::fs::read_dir(&at).with_context(|| format!("reading {}", at.display()))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
            if name.strip_suffix(".c").is_some_and(good) {
                files.push(path);
            }
        }
        Ok(files)
    };
    let mut files = named("src", &|_| true)?;
    files.extend(named("src/unix", &|name| {
        LIBUV_UNIX.split_whitespace().any(|n| n == name)
    })?);
    files.extend(named("test", &|name| {
        name.starts_with("test-")
            || [
                "blackhole-server",
                "echo-server",
                "run-tests",
                "runner",
                "runner-unix",
            ]
            .contains(&name)
    })?);
    let mut command = Command::new("cc");
    command.env("TMPDIR", dir);
    // Some tests contain a file of the library; it is the same.
    command.args(["-O1", "-w", "-Wl,-z,muldefs", "-D_GNU_SOURCE"]);
    command.args(["-D_FILE_OFFSET_BITS=64", "-D_LARGEFILE_SOURCE"]);
    for include in ["include", "src", "test"] {
        command.arg("-I").arg(source.join(include));
    }
    command.args(files).arg("-o").arg(&program);
    command.args(["-lpthread", "-ldl", "-lrt"]);
    finish(&mut command, "cc: install build-essential")?;
    Ok(program)
}

/// The files that its tests read, where they look for them.
pub(super) fn libuv_fixtures(room: &Path) -> Result<()> {
    let from = libuv_source()?.join("test/fixtures");
    let to = room.join("test");
    std::fs::create_dir_all(&to).context("making a place for fixtures")?;
    finish(
        Command::new("cp").arg("-r").args([&from, &to]),
        "cp: install coreutils",
    )?;
    Ok(())
}

fn libuv_source() -> Result<PathBuf> {
    given(LIBUV, "the source of libuv")
}

/// What `scripts/suites` has fetched.
fn given(variable: &str, what: &str) -> Result<PathBuf> {
    match std::env::var_os(variable) {
        Some(place) => Ok(place.into()),
        None => bail!("{variable} does not say where {what} is: run scripts/suites"),
    }
}

/// Runs it to its end; gives what it printed.
fn finish(command: &mut Command, what: &str) -> Result<String> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {what}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{command:?}: {}: {said}", done.status);
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
