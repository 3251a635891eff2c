//! The mount table of the calling thread.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Where the calling thread's mount table is read. `/proc/self` would be the main thread's, which
/// may live in another mount namespace.
pub const MOUNTINFO: &str = "/proc/thread-self/mountinfo";

/// One line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The file system's directory that is visible here; `/` for the whole of it.
    pub root: PathBuf,
    /// Where it is visible.
    pub point: PathBuf,
    /// The per-mount options, such as `rw,nosuid`.
    pub options: String,
    /// The file system's type, such as `cgroup2`.
    pub kind: String,
}

impl Mount {
    /// Whether the mount (not the file system behind it) refuses writes.
    pub fn read_only(&self) -> bool {
        self.options.split(',').any(|o| o == "ro")
    }
}

/// Every mount the calling thread sees, in the order in which they were made.
pub fn mounts() -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read(MOUNTINFO)?))
}

/// Lines that are not understood are left out: the kernel only ever adds optional fields.
pub(crate) fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|b| *b == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    // 36 35 98:0 /root /point rw,noatime optional:1 ... - type source superoptions
    let mut fields = line.split(|b| *b == b' ');
    let root = fields.nth(3)?;
    let point = fields.next()?;
    let options = fields.next()?;
    let kind = fields.skip_while(|f| *f != b"-").nth(1)?;
    Some(Mount {
        root: unescape(root),
        point: unescape(point),
        options: String::from_utf8_lossy(options).into_owned(),
        kind: String::from_utf8_lossy(kind).into_owned(),
    })
}

/// The kernel writes space, tab, newline and backslash as `\ooo`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = (byte == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u8::from_str_radix(d, 8).ok());
        match octal {
            Some(value) => {
                out.push(value);
                rest = &tail[3..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_fields_and_escapes_are_read() {
        let text = b"41 31 0:38 / /sys/fs/cgroup/uni\\040fied ro,relatime shared:4 master:1 - cgroup2 cgroup2 rw\n\
                     42 31 0:39 /a /b rw - tmpfs x rw\nnonsense\n";
        let found = parse(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].point, PathBuf::from("/sys/fs/cgroup/uni fied"));
        assert_eq!(found[0].kind, "cgroup2");
        assert!(found[0].read_only());
        assert_eq!(found[1].root, PathBuf::from("/a"));
        assert!(!found[1].read_only());
    }
}
