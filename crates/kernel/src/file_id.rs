//! Which file a program is, in the words of the kernel (row B8).

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

/// A file as the kernel programs tell it from others: the device and the inode behind a process's program.
///
/// Not what `stat` says: btrfs and others show another device there than the kernel itself goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The file system's device, as the kernel writes it: 20 bits of minor number below the major.
    pub dev: u32,
    /// The inode's number.
    pub ino: u64,
}

impl FileId {
    /// That of an open file.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn of(file: &File) -> io::Result<Self> {
        let info = fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", file.as_raw_fd()))?;
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
        };
        let meta = file.metadata()?;
        // Users may mount where they like, and the names are theirs.
        let mounts = fs::read("/proc/thread-self/mountinfo")?;
        let mounts = String::from_utf8_lossy(&mounts);
        let dev = field("mnt_id:").and_then(|id| device_of(&mounts, id));
        Ok(Self {
            // A mount of another namespace is not in the list. There stat's answer is right, but for btrfs.
            dev: dev.unwrap_or_else(|| device(libc::major(meta.dev()), libc::minor(meta.dev()))),
            // The inode itself, where an overlay tells stat another number. Not shown before kernel 5.14.
            ino: field("ino:").unwrap_or_else(|| meta.ino()),
        })
    }
}

fn device(major: u32, minor: u32) -> u32 {
    (major << 20) | minor
}

/// The device of a mount, by its number.
fn device_of(mounts: &str, id: u64) -> Option<u32> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        (words.next()?.parse() == Ok(id)).then_some(())?;
        let (major, minor) = words.nth(1)?.split_once(':')?;
        Some(device(major.parse().ok()?, minor.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_on_a_plain_file_system_is_what_stat_says() {
        let file = File::open("/proc/self/status").unwrap();
        let meta = file.metadata().unwrap();
        let id = FileId::of(&file).unwrap();
        assert_eq!(id.ino, meta.ino());
        assert_eq!(
            id.dev,
            device(libc::major(meta.dev()), libc::minor(meta.dev()))
        );
    }

    #[test]
    fn the_device_is_that_of_the_mount() {
        let mounts = "22 1 259:3 / / rw - ext4 /dev/root rw\n30 22 0:26 / /x rw - btrfs none rw\n";
        assert_eq!(device_of(mounts, 30), Some(26));
        assert_eq!(device_of(mounts, 22), Some((259 << 20) | 3));
        assert_eq!(device_of(mounts, 3), None);
    }
}
