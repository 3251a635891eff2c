//! Sockets that a service manager passed (`LISTEN_FDS`).

use std::env;
use std::os::fd::RawFd;

use super::LaunchError;

const FIRST: RawFd = 3;

/// A descriptor passed by a service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenFd {
    /// The descriptor.
    pub fd: RawFd,
    /// Its name; `unknown` if it has none, as systemd says.
    pub name: String,
}

/// The descriptors that were passed to this process, by the `LISTEN_*` variables.
pub fn listen_fds() -> Vec<ListenFd> {
    let var = |name| env::var(name).unwrap_or_default();
    if var("LISTEN_PID").parse() != Ok(std::process::id()) {
        return Vec::new();
    }
    let count: RawFd = var("LISTEN_FDS").parse().unwrap_or(0);
    let names = var("LISTEN_FDNAMES");
    let mut names = names.split(':').filter(|n| !n.is_empty());
    // The kernel's own limit on descriptors; a nonsense number must not cost memory.
    (0..count.clamp(0, 1 << 20))
        .map(|n| ListenFd {
            fd: FIRST + n,
            name: names.next().unwrap_or("unknown").to_owned(),
        })
        .collect()
}

/// How many passed sockets the program gets. They are all kept, or none is there: with some of them
/// missing the numbers would lie.
pub(super) fn kept(keep: &[RawFd]) -> Result<usize, LaunchError> {
    let passed = listen_fds();
    let missing: Vec<_> = passed
        .iter()
        .filter(|p| !keep.contains(&p.fd))
        .map(|p| format!("{} {}", p.fd, p.name))
        .collect();
    if missing.is_empty() {
        Ok(passed.len())
    } else {
        Err(LaunchError::Activation(missing.join(", ")))
    }
}
