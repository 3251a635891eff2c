//! One installation serves one network namespace: is it this one, and is it still there?

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;

use hostlet_kernel::netns_cookie;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Error, Result};

/// Whether the calling thread is in another network namespace than that one.
pub(crate) fn differs(cookie: u64) -> Result<bool> {
    Ok(netns_cookie()? != cookie)
}

/// Fails if the namespace of that cookie lives: its hostlets must be changed from within it.
pub(crate) fn must_be_gone(cookie: u64) -> Result<()> {
    let mut seen = BTreeSet::new();
    for path in candidates() {
        let Ok(file) = File::open(&path) else {
            continue;
        };
        let fresh = file
            .metadata()
            .is_ok_and(|meta| seen.insert((meta.dev(), meta.ino())));
        if fresh && cookie_of(file) == Some(cookie) {
            return Err(Error::OtherNamespace);
        }
    }
    Ok(())
}

/// Where namespaces can be found: those of processes, and those that `ip netns` keeps.
fn candidates() -> Vec<PathBuf> {
    let list = |dir: &str| fs::read_dir(dir).into_iter().flatten().flatten();
    let processes = list("/proc")
        .filter(|e| {
            e.file_name()
                .to_string_lossy()
                .bytes()
                .all(|b| b.is_ascii_digit())
        })
        .map(|e| e.path().join("ns/net"));
    processes
        .chain(list("/run/netns").map(|e| e.path()))
        .collect()
}

/// Asks within it, on a thread that ends there: this one must stay where it is.
fn cookie_of(namespace: File) -> Option<u64> {
    let ask = move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
        netns_cookie().ok()
    };
    thread::spawn(ask).join().ok().flatten()
}
