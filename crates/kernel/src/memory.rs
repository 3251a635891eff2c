//! How much memory the tables take.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use crate::install::{Kernel, TABLES};

impl Kernel {
    /// The memory of all tables in bytes, as the kernel counts it; none if it does not say.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        TABLES.iter().map(|name| self.memory_of(name)).sum()
    }

    fn memory_of(&self, table: &'static str) -> Option<u64> {
        let fd = self.map(table).ok()?.as_fd().as_raw_fd();
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("memlock:"))?;
        line.trim().parse().ok()
    }
}
