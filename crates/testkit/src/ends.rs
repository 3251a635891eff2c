//! The end of processes, as an event.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::wait;

/// What tells the ends of processes, of anybody's.
#[derive(Debug)]
pub struct Ends(Vec<OwnedFd>);

impl Ends {
    /// Of these; those that are gone already have nothing more to tell.
    pub fn of(pids: &[i32]) -> Ends {
        let pids = pids.iter().filter_map(|pid| Pid::from_raw(*pid));
        let open = pids.filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Ends(open.collect())
    }

    /// Waits until all of them have ended, with all their threads: what they had open is closed.
    ///
    /// # Errors
    /// When one does not.
    pub fn wait(&self) -> Result<()> {
        let limit = Timespec::try_from(wait::patience(wait::LIMIT))?;
        for end in &self.0 {
            let mut one = [PollFd::new(end, PollFlags::IN)];
            let told = rustix::io::retry_on_intr(|| poll(&mut one, Some(&limit)));
            ensure!(told.context("poll")? > 0, "a process does not end");
        }
        Ok(())
    }
}
