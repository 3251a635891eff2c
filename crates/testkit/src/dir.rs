//! A directory of one test alone.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

use crate::sweep;

/// A new directory below the system's temporary one. Whatever a test mounted below
/// it is unmounted, and all of it removed, when this is dropped.
#[derive(Debug)]
pub struct TestDir {
    path: PathBuf,
    /// Tells [`sweep`] that it is in use, whatever namespace of processes this one is in.
    _lock: File,
}

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
        let lock = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        flock(&lock, FlockOperation::LockShared).context("locking a test's directory")?;
        Ok(TestDir { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        sweep::unmount_below(&self.path);
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
