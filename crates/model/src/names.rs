//! What the machine's own name stands for inside a hostlet (B12): a small text file for each cgroup, written by the engine and
//! read by the NSS module in any program.
//!
//! ```text
//! cgroup /hostlet/alice-1
//! session 192.0.2.10
//! machine 198.51.100.7
//! ```
//!
//! The lines of addresses are in the order of the answer. A reader skips what it does not know, so that a later version can say more.

use std::fmt::Write;
use std::net::IpAddr;

/// The directory of these files, for an installation in its usual place.
pub const DIRECTORY: &str = "/run/hostlet/names";

/// The most addresses that are written and read; more than a set has together with the machine's own.
pub const MAX_ADDRESSES: usize = 512;

/// The longest file that is written and read, in bytes: [`MAX_ADDRESSES`] lines and the longest path of a cgroup fit.
pub const MAX_LENGTH: usize = 64 * 1024;

/// The longest path of a cgroup that is written and read, in bytes (the kernel's `PATH_MAX`).
pub const MAX_CGROUP: usize = 4096;

/// The name of the file for a cgroup: the same length for every path, and no character that a file name cannot have.
///
/// `cgroup_path` is the path as `/proc/self/cgroup` shows it after `0::`, from the root of the cgroup2 hierarchy; slashes at its
/// end do not count. Two paths may share a file name (64-bit FNV-1a); whoever reads compares [`OwnNames::cgroup`].
pub fn file_name(cgroup_path: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in normal(cgroup_path).bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// Without slashes at the end; the root is the empty text.
fn normal(cgroup_path: &str) -> &str {
    cgroup_path.trim_end_matches('/')
}

/// Whose address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// One of the hostlet.
    Session,
    /// One of the machine outside hostlets.
    Machine,
}

/// The addresses that the machine's own name stands for in one cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnNames {
    /// The path of the cgroup, from the root of the cgroup2 hierarchy.
    pub cgroup: String,
    /// The addresses, in the order in which they are answered.
    pub addresses: Vec<(IpAddr, Whose)>,
}

impl OwnNames {
    /// The file's text. Only the first [`MAX_ADDRESSES`] addresses are in it; a path that cannot stand in a line or is longer than
    /// [`MAX_CGROUP`] gives the empty text, which stands for nothing.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if !fits(&self.cgroup) {
            return text;
        }
        let _ = writeln!(text, "cgroup {}", self.cgroup);
        for (address, whose) in self.addresses.iter().take(MAX_ADDRESSES) {
            let whose = match whose {
                Whose::Session => "session",
                Whose::Machine => "machine",
            };
            let _ = writeln!(text, "{whose} {address}");
        }
        text
    }

    /// What a file says; nothing when it does not name its cgroup. Takes anything: lines that are not understood are skipped, so is a
    /// last one without its end, and everything beyond [`MAX_LENGTH`] bytes and [`MAX_ADDRESSES`] addresses.
    pub fn parse(file: &[u8]) -> Option<OwnNames> {
        let file = &file[..file.len().min(MAX_LENGTH)];
        let whole = file.iter().rposition(|byte| *byte == b'\n')?;
        let mut cgroup = None;
        let mut addresses = Vec::new();
        for line in file[..whole].split(|byte| *byte == b'\n') {
            let Some((word, value)) = std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.split_once(' '))
            else {
                continue;
            };
            let whose = match word {
                "cgroup" if cgroup.is_none() && fits(value) => {
                    cgroup = Some(value.to_owned());
                    continue;
                }
                "session" => Whose::Session,
                "machine" => Whose::Machine,
                _ => continue,
            };
            if addresses.len() < MAX_ADDRESSES
                && let Ok(address) = value.parse::<IpAddr>()
            {
                // In the form in which it is asked for.
                addresses.push((address.to_canonical(), whose));
            }
        }
        Some(OwnNames {
            cgroup: cgroup?,
            addresses,
        })
    }

    /// Is this the file of that cgroup? Slashes at the end do not count.
    pub fn is_of(&self, cgroup_path: &str) -> bool {
        normal(&self.cgroup) == normal(cgroup_path)
    }
}

fn fits(cgroup: &str) -> bool {
    cgroup.starts_with('/') && cgroup.len() <= MAX_CGROUP && !cgroup.contains('\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whose() -> impl Strategy<Value = Whose> {
        prop_oneof![Just(Whose::Session), Just(Whose::Machine)]
    }

    #[test]
    fn a_file_name_is_bounded_and_stays() {
        assert_eq!(file_name("/hostlet/web"), "653d2969edb56f10");
        assert_eq!(file_name("/hostlet/web/"), file_name("/hostlet/web"));
        assert_ne!(file_name("/hostlet/web"), file_name("/hostlet/web2"));
        assert_eq!(file_name("/"), "cbf29ce484222325");
        assert_eq!(file_name(&"/x".repeat(3000)).len(), 16);
    }

    #[test]
    fn a_file_reads_as_shown() {
        let names = OwnNames {
            cgroup: "/user.slice/a b".into(),
            addresses: vec![
                ("192.0.2.10".parse().unwrap(), Whose::Session),
                ("2001:db8::7".parse().unwrap(), Whose::Machine),
            ],
        };
        assert_eq!(
            names.render(),
            "cgroup /user.slice/a b\nsession 192.0.2.10\nmachine 2001:db8::7\n"
        );
        assert!(names.is_of("/user.slice/a b/"));
        assert!(!names.is_of("/user.slice"));
    }

    #[test]
    fn what_is_unknown_or_cut_short_is_skipped() {
        let file = b"later 1\n\ncgroup /web\ncgroup /other\nsession x\n\xff\xfe 1\nsession 192.0.2.1\nnew 192.0.2.3\nsession 192.0.2.2";
        let names = OwnNames::parse(file).unwrap();
        assert_eq!(names.cgroup, "/web");
        assert_eq!(
            names.addresses,
            [("192.0.2.1".parse().unwrap(), Whose::Session)]
        );
        for nothing in [&b""[..], b"\n", b"cgroup /web", b"session 192.0.2.1\n"] {
            assert_eq!(OwnNames::parse(nothing), None);
        }
    }

    #[test]
    fn a_path_that_would_make_lines_stands_for_nothing() {
        for cgroup in ["/a\nsession 192.0.2.1", "web", ""] {
            let names = OwnNames {
                cgroup: cgroup.into(),
                addresses: Vec::new(),
            };
            assert_eq!(names.render(), "");
        }
    }

    #[test]
    fn the_longest_file_is_read_whole() {
        let longest = "abcd:abcd:abcd:abcd:abcd:abcd:abcd:abcd".parse().unwrap();
        let mut names = OwnNames {
            cgroup: "/".repeat(MAX_CGROUP),
            addresses: vec![(longest, Whose::Session); MAX_ADDRESSES + 1],
        };
        let text = names.render();
        assert!(text.len() <= MAX_LENGTH);
        names.addresses.truncate(MAX_ADDRESSES);
        assert_eq!(OwnNames::parse(text.as_bytes()), Some(names));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            cgroup in "/[^\n]{0,80}",
            mut addresses in prop::collection::vec((any::<IpAddr>(), whose()), 0..40),
        ) {
            for (address, _) in &mut addresses {
                *address = address.to_canonical();
            }
            let names = OwnNames { cgroup, addresses };
            prop_assert_eq!(OwnNames::parse(names.render().as_bytes()), Some(names));
        }

        #[test]
        fn anything_can_be_parsed(file in prop::collection::vec(any::<u8>(), 0..4096)) {
            let _ = OwnNames::parse(&file);
        }

        #[test]
        fn anything_like_a_file_can_be_parsed(
            file in "((cgroup|session|machine|x)? ?[/0-9a-f:.%é ]{0,20}\n?){0,20}"
        ) {
            if let Some(names) = OwnNames::parse(file.as_bytes()) {
                prop_assert_eq!(OwnNames::parse(names.render().as_bytes()), Some(names));
            }
        }
    }
}
