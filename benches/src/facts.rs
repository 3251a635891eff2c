//! The machine, and the programs that are measured with.

use std::fs;
use std::process::Command;

/// Name and value of what is worth knowing of the machine.
pub fn machine() -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let processors = read("/proc/cpuinfo");
    let model = field(&processors, "model name");
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or(0.0);
    let virtual_machine = match field(&processors, "flags").contains(" hypervisor") {
        true => "yes",
        false => "no",
    };
    let os = read("/etc/os-release");
    let os = os
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let kernel = rustix::system::uname();
    let spectre = read("/sys/devices/system/cpu/vulnerabilities/spectre_v2");
    let load = read("/proc/loadavg");
    [
        ("processors", format!("{count} × {model}")),
        ("a virtual machine", virtual_machine.to_owned()),
        ("memory", format!("{:.0} GiB", kib / 1024.0 / 1024.0)),
        ("kernel", kernel.release().to_string_lossy().into_owned()),
        (
            "system",
            os.unwrap_or_default().trim_matches('"').to_owned(),
        ),
        // Each call of a program goes through it.
        ("against Spectre v2", spectre.trim().to_owned()),
        (
            "load when it began, over 1 minute",
            load.split(' ').next().unwrap_or_default().to_owned(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Of each program what it says when it is asked for its version, as far as it is here.
pub fn versions() -> Vec<(String, String)> {
    let version = env!("CARGO_PKG_VERSION");
    let own = match commit() {
        Some(commit) => format!("{version}, commit {commit}"),
        None => version.to_owned(),
    };
    let own = ("hostlet".to_owned(), own);
    let asked = [
        ("nginx", "-v"),
        ("wrk", "-v"),
        ("iperf3", "--version"),
        ("pasta", "--version"),
        ("slirp4netns", "--version"),
        ("bwrap", "--version"),
        ("runc", "--version"),
    ];
    let found = asked.iter().filter_map(|(program, option)| {
        let version = said(program, option).or_else(|| packaged(program))?;
        Some(((*program).to_owned(), version))
    });
    std::iter::once(own).chain(found).collect()
}

/// What was measured, so that one sees how old the figures are; none outside of a repository.
fn commit() -> Option<String> {
    let mut git = Command::new("git");
    // The repository is not root's, who measures.
    git.args(["-c", "safe.directory=*", "-C", env!("CARGO_MANIFEST_DIR")]);
    let out = git
        .args(["describe", "--always", "--dirty"])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    (out.status.success() && !said.is_empty()).then_some(said)
}

/// The first word that looks like one of the first line.
fn said(program: &str, option: &str) -> Option<String> {
    let out = Command::new(program).arg(option).output().ok()?;
    // Some say it on stderr, some with an error.
    let all = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&all).into_owned();
    let numbered = |word: &&str| word.contains('.') && word.contains(|c: char| c.is_ascii_digit());
    let word = text.lines().next()?.split_whitespace().find(numbered)?;
    Some(word.rsplit('/').next().unwrap_or(word).to_owned())
}

/// What the package system says of the package that it came in.
fn packaged(program: &str) -> Option<String> {
    let ask = |words: &[&str]| {
        let out = Command::new("dpkg-query").args(words).output().ok()?;
        Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let owner = ask(&["-S", &format!("/usr/bin/{program}")])?;
    let package = owner.split(':').next()?;
    ask(&["-W", "-f", "${Version}", package]).filter(|version| !version.is_empty())
}
