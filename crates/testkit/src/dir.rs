//! A directory of one test alone.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// A new directory below the system's temporary one. Whatever a test mounted below
/// it is unmounted, and all of it removed, when this is dropped.
#[derive(Debug)]
pub struct TestDir(PathBuf);

impl TestDir {
    /// Makes one; the name helps to recognise what a killed test left.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(name: &str) -> Result<TestDir> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("hostlet-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(TestDir(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn unmount_all(&self) {
        let Ok(mounts) = std::fs::read_to_string("/proc/self/mounts") else {
            return;
        };
        let below = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|at| Path::new(at).starts_with(&self.0));
        for at in below.collect::<Vec<_>>().into_iter().rev() {
            let Ok(at) = CString::new(Path::new(at).as_os_str().as_bytes()) else {
                continue;
            };
            // SAFETY: the string is terminated and lives through the call.
            unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
        }
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        self.unmount_all();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
