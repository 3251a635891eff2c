//! Where an installation of hostlet keeps its things.
//!
//! Everything is derived from one root, so that tests and two installations on
//! one machine never meet: configuration, state, lock, pins, cgroups and the
//! range of ids (and with it the loopback addresses).

use std::ops::Range;
use std::path::{Path, PathBuf};

use ipnet::Ipv6Net;

use crate::HostletId;

/// Ids are 22 bits wide: the loopback pair is derived from them.
const ID_END: u32 = 0x40_0000;
/// The system installation has the lower half of the ids, the others share the upper.
const ROOTS_FROM: u32 = 0x20_0000;
/// How many ids an installation with a root of its own has.
const ROOT_SLICE: u32 = 16_384;

/// The files and names of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `hostlet.toml`.
    pub config: PathBuf,
    /// The embedded database: definitions and history.
    pub db: PathBuf,
    /// The run directory: the lock, and the socket of hostletd.
    pub run: PathBuf,
    /// Where a bpffs has to be mounted.
    pub bpffs: PathBuf,
    /// The directory of the pins, on that bpffs.
    pub pins: PathBuf,
    /// The cgroup below the cgroup2 mount that holds one directory a hostlet.
    pub cgroup_parent: String,
    /// The ids that this installation may give out.
    pub ids: Range<u32>,
    /// The root, when it is not the system's installation.
    pub root: Option<PathBuf>,
}

impl Paths {
    /// The system's installation.
    #[must_use]
    pub fn system() -> Self {
        Self {
            config: "/etc/hostlet/hostlet.toml".into(),
            db: "/var/lib/hostlet/hostlet.db".into(),
            run: "/run/hostlet".into(),
            bpffs: "/sys/fs/bpf".into(),
            pins: "/sys/fs/bpf/hostlet".into(),
            cgroup_parent: "hostlet".into(),
            ids: 1..ROOTS_FROM,
            root: None,
        }
    }

    /// The installation below a directory that somebody named, which has to be there: a name mistyped would be an installation of
    /// its own, empty and unlike the one that was meant.
    ///
    /// # Errors
    /// It is no directory.
    pub fn below(root: &Path) -> Result<Self, NoRoot> {
        let why = match std::fs::metadata(root) {
            Ok(there) if there.is_dir() => return Ok(Self::under(root)),
            Ok(_) => "it is no directory".to_owned(),
            Err(error) => error.to_string(),
        };
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
        Err(NoRoot { root, why })
    }

    /// An installation whose files are all below `root`.
    ///
    /// The path is made absolute first, so that a relative and an absolute
    /// spelling of one directory are one installation. For that the file system is
    /// asked what the path stands for, and nothing else.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        let root = root
            .canonicalize()
            .or_else(|_| std::path::absolute(root))
            .unwrap_or_else(|_| root.to_path_buf());
        let hash = fnv1a(root.as_os_str().as_encoded_bytes());
        let slices = (ID_END - ROOTS_FROM) / ROOT_SLICE;
        let first = ROOTS_FROM + (hash % slices) * ROOT_SLICE;
        Self {
            config: root.join("hostlet.toml"),
            db: root.join("hostlet.db"),
            run: root.join("run"),
            bpffs: root.join("bpf"),
            pins: root.join("bpf/hostlet"),
            cgroup_parent: format!("hostlet-{hash:08x}"),
            ids: first..first + ROOT_SLICE,
            root: Some(root),
        }
    }

    /// The network of the IPv6 loopback addresses of its hostlets.
    #[must_use]
    pub fn loopbacks6(&self) -> Ipv6Net {
        // The ranges begin where one of their length does, but for the very first, which lacks the number 0.
        let length = (self.ids.end - self.ids.start).next_power_of_two();
        let first = HostletId(self.ids.start & !(length - 1)).loopback6();
        Ipv6Net::new_assert(first, 128 - length.trailing_zeros() as u8)
    }

    /// Where hostletd listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run.join("hostletd.sock")
    }

    /// Where programs of hostlets read what their own host name stands for: a file for each cgroup.
    #[must_use]
    pub fn names(&self) -> PathBuf {
        self.run.join("names")
    }

    /// The lock that a changing command holds.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.run.join("lock")
    }
}

/// What was named as the root of an installation and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use '{}' as --root (or HOSTLET_ROOT): {why}; make it, or name another directory", .root.display())]
pub struct NoRoot {
    /// By its whole name.
    pub root: PathBuf,
    /// Why it is none.
    pub why: String,
}

/// FNV-1a: stable between releases, which the standard library's hasher is not.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopbacks_of_all_ids_are_in_one_network() {
        let roots = ["/tmp/a", "/tmp/b", "/srv/x y"].map(|name| Paths::under(Path::new(name)));
        for paths in [Paths::system()].iter().chain(&roots) {
            let net = paths.loopbacks6();
            for id in [paths.ids.start, paths.ids.end - 1] {
                assert!(net.contains(&HostletId(id).loopback6()), "{id} {net}");
            }
            assert!(
                !net.contains(&HostletId(paths.ids.end).loopback6()),
                "{net}"
            );
        }
    }

    #[test]
    fn roots_never_use_the_ids_of_the_system() {
        let system = Paths::system();
        for name in ["/tmp/a", "/tmp/b", "/srv/x y", "relative"] {
            let other = Paths::under(Path::new(name));
            assert!(other.ids.start >= system.ids.end, "{name}");
            assert!(other.ids.end <= ID_END, "{name}");
            assert_ne!(other.cgroup_parent, system.cgroup_parent);
        }
    }

    #[test]
    fn a_root_that_is_not_there_is_refused_by_its_whole_name() {
        let said = Paths::below(Path::new("no-such-root")).unwrap_err();
        let whole = std::env::current_dir().unwrap().join("no-such-root");
        assert!(said.to_string().contains(whole.to_str().unwrap()), "{said}");
        for other in ["/etc/passwd", "", "/nowhere/below"] {
            assert!(Paths::below(Path::new(other)).is_err(), "{other}");
        }
        let here = std::env::temp_dir().canonicalize().unwrap();
        assert_eq!(Paths::below(&here).unwrap().root, Some(here));
    }

    #[test]
    fn one_directory_spelt_twice_is_one_installation() {
        let here = std::env::temp_dir();
        assert_eq!(Paths::under(&here), Paths::under(&here.join(".")));
    }
}
