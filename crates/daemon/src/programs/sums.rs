//! Checksums of files: of those that are not too large, and not for longer than somebody waits for them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

/// How many sums are remembered.
const KNOWN: usize = 4096;
/// Files that are larger, in bytes, have no sum here. Known to users: docs/sessions.md.
const LARGEST: u64 = 1 << 30;

/// The sums that were found out.
#[derive(Default)]
pub(super) struct Sums(Mutex<BTreeMap<Stamp, [u8; 32]>>);

/// What is known of a file's sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sum {
    Is([u8; 32]),
    /// It has none: it is too large.
    Never,
    Unknown,
}

/// A file with a certain content: whoever writes to it changes this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    dev: u64,
    ino: u64,
    changed: (i64, i64),
    size: u64,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            dev: meta.dev(),
            ino: meta.ino(),
            changed: (meta.ctime(), meta.ctime_nsec()),
            size: meta.size(),
        })
    }
}

impl Sums {
    fn known(&self) -> MutexGuard<'_, BTreeMap<Stamp, [u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known without reading it.
    pub fn of(&self, file: &File) -> Sum {
        match Stamp::of(file) {
            Ok(stamp) if stamp.size > LARGEST => Sum::Never,
            Ok(stamp) => self
                .known()
                .get(&stamp)
                .copied()
                .map_or(Sum::Unknown, Sum::Is),
            Err(_) => Sum::Unknown,
        }
    }

    /// Reads it, as long as somebody waits. Afterwards the sum is known; or not, if the file cannot be read, was written to
    /// meanwhile, or nobody waits.
    pub fn find_out(&self, file: &File, waits: &dyn Fn() -> bool) {
        if self.of(file) == Sum::Unknown {
            // Whoever waits sees that it is still not known.
            let _ = self.read(file, waits);
        }
    }

    fn read(&self, file: &File, waits: &dyn Fn() -> bool) -> io::Result<()> {
        let stamp = Stamp::of(file)?;
        // What is held may be a place only, not open for reading.
        let file = File::open(own_path(file))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 17];
        let mut at = 0;
        while at <= LARGEST && waits() {
            match file.read_at(&mut buffer, at) {
                Ok(0) => {
                    // Written to meanwhile, it is neither the old one nor the new one.
                    if Stamp::of(&file)? == stamp {
                        let mut known = self.known();
                        if known.len() >= KNOWN {
                            known.clear();
                        }
                        known.insert(stamp, hash.finalize().into());
                    }
                    return Ok(());
                }
                Ok(got) => {
                    hash.update(&buffer[..got]);
                    at += got as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A way to open it once more.
pub(super) fn own_path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn file(name: &str, size: u64) -> File {
        let path = std::env::temp_dir().join(format!("hlt-{name}-{}", std::process::id()));
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true);
        let made = options.open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        made.set_len(size).unwrap();
        made
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let (sums, file) = (Sums::default(), file("large", LARGEST + 1));
        assert_eq!(sums.of(&file), Sum::Never);
        sums.find_out(&file, &|| unreachable!("it is read"));
        file.set_len(0).unwrap();
        assert_eq!(sums.of(&file), Sum::Unknown);
        sums.find_out(&file, &|| true);
        assert!(matches!(sums.of(&file), Sum::Is([0xe3, 0xb0, 0xc4, ..])));
    }

    #[test]
    fn nobody_reads_on_when_nobody_waits() {
        let (sums, file, left) = (Sums::default(), file("left", LARGEST), Cell::new(3));
        sums.find_out(&file, &|| left.replace(left.get() - 1) > 1);
        assert_eq!((left.get(), sums.of(&file)), (0, Sum::Unknown));
    }
}
