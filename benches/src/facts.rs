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
    [
        ("processors", format!("{count} × {model}")),
        ("a virtual machine", virtual_machine.to_owned()),
        ("memory", format!("{:.0} GiB", kib / 1024.0 / 1024.0)),
        ("kernel", kernel.release().to_string_lossy().into_owned()),
        (
            "system",
            os.unwrap_or_default().trim_matches('"').to_owned(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Of each program what it says when it is asked for its version, as far as it is here.
pub fn versions() -> Vec<(String, String)> {
    let own = ("hostlet".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let asked = [
        ("nginx", "-v"),
        ("wrk", "-v"),
        ("iperf3", "--version"),
        ("pasta", "--version"),
        ("slirp4netns", "--version"),
        ("bwrap", "--version"),
    ];
    let found = asked.iter().filter_map(|(program, option)| {
        let said = Command::new(program).arg(option).output().ok()?;
        // Some say it on stderr, some with an error.
        let all = [said.stdout, said.stderr].concat();
        let text = String::from_utf8_lossy(&all).into_owned();
        let word = text
            .split_whitespace()
            .find(|word| word.chars().any(|c| c.is_ascii_digit()) && word.contains('.'))?;
        let version = word.trim_start_matches("nginx/").trim_end_matches(',');
        Some(((*program).to_owned(), version.to_owned()))
    });
    std::iter::once(own).chain(found).collect()
}
