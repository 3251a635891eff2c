//! What the store's tests share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};

use hostlet_model::{HostletId, HostletSpec, Lifetime, Name, SetEntry};
use hostlet_store::{Definition, State, Store};
use jiff::Timestamp;

/// A directory of this test alone, removed at the end.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new(test: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("hostlet-store-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        Dir(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn db(&self) -> PathBuf {
        self.0.join("hostlet.db")
    }

    /// Mounts a small tmpfs here, visible to this thread alone.
    pub fn mount_small(&self) {
        // SAFETY: takes no pointers; unshares this thread's own mount namespace.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNS) };
        assert_eq!(
            done,
            0,
            "this test needs root: unshare: {}",
            std::io::Error::last_os_error()
        );
        mount("none", Path::new("/"), libc::MS_REC | libc::MS_PRIVATE, "");
        mount("tmpfs", self.path(), 0, "size=256k");
    }

    /// Makes what `mount_small` mounted read-only, or writable again.
    pub fn remount(&self, read_only: bool) {
        let flag = if read_only { libc::MS_RDONLY } else { 0 };
        mount("tmpfs", self.path(), libc::MS_REMOUNT | flag, "size=256k");
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let path = c(self.0.to_str().expect("a path in UTF-8"));
        // SAFETY: the string is terminated and lives through the call; where nothing is mounted it fails.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn c(text: &str) -> std::ffi::CString {
    std::ffi::CString::new(text).expect("no zero byte")
}

fn mount(what: &str, at: &Path, flags: libc::c_ulong, options: &str) {
    let (kind, at_c) = (c(what), c(at.to_str().expect("a path in UTF-8")));
    let options = c(options);
    // SAFETY: all strings are terminated and live through the call.
    let done = unsafe {
        libc::mount(
            kind.as_ptr(),
            at_c.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    assert_eq!(
        done,
        0,
        "mount {what} at {}: {}",
        at.display(),
        std::io::Error::last_os_error()
    );
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

pub fn entry(address: &str, assigned: bool) -> SetEntry {
    SetEntry {
        owned: address.parse().expect("an address"),
        onlink: 24,
        ifindex: 2,
        interface: "eth0".into(),
        assigned,
    }
}

pub fn definition(id: u32, called: &str, addresses: &[&str]) -> Definition {
    let specs = addresses
        .iter()
        .map(|a| a.parse().expect("an address"))
        .collect();
    Definition {
        id: HostletId(id),
        name: name(called),
        spec: HostletSpec::new(name(called), specs),
        entries: addresses.iter().map(|a| entry(a, true)).collect(),
        lifetime: Lifetime::Run {
            pid: 77,
            start_ticks: 123_456,
        },
        boot_id: "boot-1".into(),
        state: State::Pending,
        created: at(0),
        program: vec!["/usr/bin/curl".into(), "http://a b/".into()],
        uid: 1000,
        user: "alice".into(),
    }
}

/// What must hold at every moment: no damage, and the open history is exactly
/// what the live hostlets hold.
pub fn assert_whole(store: &Store) {
    store.verify().expect("no damage");
    let mut held: Vec<(String, String)> = Vec::new();
    for d in store.all().expect("the hostlets") {
        assert_eq!(
            d.entries.len(),
            d.spec.addresses.len(),
            "{} has all its entries",
            d.name
        );
        if d.state == State::Live {
            held.extend(
                d.entries
                    .iter()
                    .map(|e| (d.name.to_string(), e.owned.to_string())),
            );
        }
    }
    let mut open: Vec<(String, String)> = store
        .history(&Default::default())
        .expect("the history")
        .into_iter()
        .filter(|h| h.to.is_none())
        .map(|h| (h.hostlet.to_string(), h.address.to_string()))
        .collect();
    held.sort();
    open.sort();
    assert_eq!(open, held);
}

/// Takes away what versions 8 and 9 of the file brought.
pub const BEFORE_8: &str = "
    ALTER TABLE history DROP COLUMN id;
    CREATE INDEX history_gained ON history (gained);
    DROP INDEX hostlet_standing; DROP INDEX hostlet_changing; DROP INDEX hostlet_run; DROP INDEX hostlet_follows;
    DROP INDEX entry_first; ALTER TABLE entry DROP COLUMN first; ALTER TABLE entry DROP COLUMN last;
    ALTER TABLE hostlet DROP COLUMN follows;";
