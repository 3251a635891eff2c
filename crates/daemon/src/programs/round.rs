//! The watch of programs by one configuration, from its first question to its last answer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hostlet_model::config::Unavailable;
use hostlet_platform::exec_watch::{ExecWatch, Execution, starter};
use hostlet_platform::proc::Rights;
use hostlet_policy::rules::system_account;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::table::Table;
use super::verdict::Start;
use super::watches::{Far, Watches};
use super::{Common, find};
use crate::log;

/// How often it is looked whether directories came, links lead elsewhere, or replaced programs are no longer run.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// How long a program may still wait for a hostlet of nothing, when it is cut off because its deadline is over.
const CUT_OFF: Duration = Duration::from_secs(5);
/// How many may wait: each takes a descriptor, and hostletd needs some.
const MOST: usize = 4096;
/// And of one user.
const MOST_OF_ONE: usize = 1024;

/// Whose doing it is when that cannot be found out.
const NOBODY: u32 = u32::MAX;

const GOES_ON: u8 = 0;
const RETIRES: u8 = 1;
const STOPS: u8 = 2;

/// One of them.
pub(super) struct Round {
    pub common: Arc<Common>,
    pub table: Table,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    next: AtomicU64,
    state: AtomicU8,
    /// Nobody looks after deadlines any more.
    ended: AtomicBool,
    wake: OwnedFd,
}

/// What a process in execve asks.
pub(super) struct Asked {
    pub number: u64,
    pub pid: u32,
    pub file: File,
    /// Whose doing it is.
    pub user: u32,
    /// Whether only because its sum may be excluded.
    pub reading: bool,
    /// How long its sum is waited for.
    pub sum_until: Instant,
}

/// A process in execve.
struct Waiting {
    execution: Execution,
    /// Whose doing it is.
    user: u32,
    deadline: Instant,
    stage: Stage,
}

enum Stage {
    /// Nobody has found out yet whom a rule gives something.
    Deciding,
    /// Its file is read, for the sake of its sum.
    Reading,
    /// A rule gives it something.
    Starting(Arc<Start>),
    /// Nothing came of it in time, and it is cut off.
    CutOff(Arc<Start>),
}

impl Round {
    pub fn new(common: Arc<Common>, table: Table, watches: &Watches) -> io::Result<Self> {
        Ok(Self {
            common,
            table,
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            state: AtomicU8::new(GOES_ON),
            wake: watches.wake.try_clone()?,
            ended: AtomicBool::new(false),
        })
    }

    /// Asks nobody any more, and ends when all have their answer.
    pub fn retire(&self) {
        self.state.store(RETIRES, Ordering::SeqCst);
        self.wake();
    }

    /// Ends at once; whoever waits goes on.
    pub fn stop(&self) {
        self.state.store(STOPS, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        // It fails only when it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes questions until the end. Whoever does this waits for nothing else: no file system, no user database, no lock that somebody
    /// has who does.
    pub fn work(self: &Arc<Self>, watches: &Arc<Watches>) {
        let mut look = Instant::now() + LOOK_AGAIN;
        let mut retired = false;
        loop {
            let (mounted, far) = self.wait(watches, look);
            match self.state.load(Ordering::SeqCst) {
                STOPS => break,
                RETIRES if !retired => {
                    watches.end();
                    retired = true;
                }
                _ => {}
            }
            self.take(&watches.paths, retired, Stage::Deciding);
            if let Some(contents) = &watches.contents {
                self.take(contents, retired, Stage::Reading);
            }
            for far in far {
                self.take_far(far);
            }
            self.late();
            if retired && self.waiting().is_empty() {
                break;
            }
            if !retired && (mounted || Instant::now() >= look) {
                look = Instant::now() + LOOK_AGAIN;
                self.look_again(watches);
            }
        }
        // Whoever is left goes on; and then nobody is asked.
        watches.end();
        watches.drain();
        let mut waiting = self.waiting();
        self.ended.store(true, Ordering::SeqCst);
        let left = std::mem::take(&mut *waiting);
        drop(waiting);
        drop(left);
    }

    /// By somebody who may hang.
    fn take_far(self: &Arc<Self>, far: Arc<Far>) {
        far.busy.store(true, Ordering::SeqCst);
        let own = Arc::clone(self);
        self.common.far.give(far.number, move || {
            let retired = own.state.load(Ordering::SeqCst) != GOES_ON;
            let stage = match far.reading {
                true => Stage::Reading,
                false => Stage::Deciding,
            };
            own.take(&far.watch, retired, stage);
            far.busy.store(false, Ordering::SeqCst);
            drop(far);
            own.wake();
        });
    }

    fn look_again(self: &Arc<Self>, watches: &Arc<Watches>) {
        let (own, watches) = (Arc::clone(self), Arc::downgrade(watches));
        self.common.seeing.give_if_free(super::LOOK, move || {
            if let Some(watches) = watches.upgrade() {
                own.common
                    .looking
                    .look(&watches, &own.table, Duration::ZERO);
            }
        });
        let common = Arc::clone(&self.common);
        let seeing = &self.common.seeing;
        seeing.give_if_free(super::FIND, move || find::find(&common, false));
    }

    /// Until there is something to do. Says whether mounts changed, and which of the watches that may not answer have questions.
    fn wait(&self, watches: &Watches, look: Instant) -> (bool, Vec<Arc<Far>>) {
        let first = self.waiting().values().map(|w| w.deadline).min();
        let until = first.map_or(look, |first| first.min(look));
        let wait = until.saturating_duration_since(Instant::now());
        let mut fds = vec![
            PollFd::new(&self.wake, PollFlags::IN),
            PollFd::from_borrowed_fd(watches.paths.as_fd(), PollFlags::IN),
        ];
        let contents = watches.contents.iter().map(AsFd::as_fd);
        fds.extend(contents.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let before = fds.len();
        let mounts = watches.mounts.iter().map(AsFd::as_fd);
        fds.extend(mounts.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::PRI)));
        let before_far = fds.len();
        let far = watches.far();
        let of_far = far.iter().map(|far| far.watch.as_fd());
        fds.extend(of_far.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        // A signal, or no memory: then everything is looked at, and it is tried again.
        let _ = poll(&mut fds, Timespec::try_from(wait).ok().as_ref());
        let mounts = fds.get(before..before_far).unwrap_or_default();
        let mounted = mounts.iter().any(|fd| !fd.revents().is_empty());
        let asked = fds.iter().skip(before_far).zip(&far);
        let asked = asked.filter(|(fd, _)| !fd.revents().is_empty());
        let asked = asked.map(|(_, far)| Arc::clone(far)).collect();
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
        (mounted, asked)
    }

    fn take(self: &Arc<Self>, watch: &ExecWatch, retired: bool, stage: Stage) {
        let reading = matches!(stage, Stage::Reading);
        let found = match watch.read() {
            Ok(found) => found,
            Err(error) => {
                log::warn(&format!("a program did not start: {error}"));
                return;
            }
        };
        for execution in found {
            // The next round was asked too. What hostletd itself starts nobody could decide about.
            if retired || execution.pid == 0 || execution.pid == std::process::id() {
                continue;
            }
            self.ask(execution, reading);
        }
    }

    fn ask(self: &Arc<Self>, execution: Execution, reading: bool) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let user = starter(execution.pid).unwrap_or(NOBODY);
        let waiting = Waiting {
            execution,
            user,
            deadline: Instant::now() + self.table.config.sessions.deadline,
            stage: if reading {
                Stage::Reading
            } else {
                Stage::Deciding
            },
        };
        let mut all = self.waiting();
        if self.ended.load(Ordering::SeqCst) {
            return;
        }
        let of_one = || all.values().filter(|w| w.user == user).count();
        if all.len() >= MOST || (all.len() >= MOST_OF_ONE && of_one() >= MOST_OF_ONE) {
            drop(all);
            return self.undecided(
                waiting.execution,
                reading,
                "too many programs start at once",
            );
        }
        all.insert(number, waiting);
        drop(all);
        let own = Arc::clone(self);
        let deciding = &self.common.deciding;
        deciding.give(user, move || own.decide(number));
    }

    /// What is asked; none if it has its answer.
    pub fn look_at(&self, number: u64) -> Option<Asked> {
        let all = self.waiting();
        let waiting = all.get(&number)?;
        Some(Asked {
            number,
            pid: waiting.execution.pid,
            file: waiting.execution.file.try_clone().ok()?,
            user: waiting.user,
            reading: matches!(waiting.stage, Stage::Reading),
            // A file whose sum is not known by then is not excluded by that, and there is time left for what a rule gives it.
            sum_until: waiting.deadline - self.table.config.sessions.deadline / 2,
        })
    }

    /// Whether it has no answer yet.
    pub fn waits(&self, number: u64) -> bool {
        self.waiting().contains_key(&number)
    }

    /// A rule gives it something. Not if it has its answer.
    pub fn starts(&self, number: u64, start: &Arc<Start>) -> bool {
        match self.waiting().get_mut(&number) {
            Some(waiting) => {
                waiting.stage = Stage::Starting(Arc::clone(start));
                true
            }
            None => false,
        }
    }

    /// To be answered by whoever gets it; none if somebody was quicker.
    pub fn answer(&self, number: u64) -> Option<Execution> {
        let waiting = self.waiting().remove(&number);
        if self.state.load(Ordering::SeqCst) != GOES_ON {
            self.wake();
        }
        waiting.map(|w| w.execution)
    }

    /// Answers those whose deadline is over.
    fn late(self: &Arc<Self>) {
        let now = Instant::now();
        let late: Vec<(u64, Waiting)> = {
            let mut all = self.waiting();
            let late = all.iter().filter(|(_, w)| w.deadline <= now);
            let late: Vec<u64> = late.map(|(number, _)| *number).collect();
            late.into_iter()
                .filter_map(|number| Some((number, all.remove(&number)?)))
                .collect()
        };
        for (number, waiting) in late {
            self.too_late(number, waiting);
        }
    }

    fn too_late(self: &Arc<Self>, number: u64, mut waiting: Waiting) {
        const WHY: &str = "it could not be decided in time";
        let user = waiting.user;
        let (start, again) = match &waiting.stage {
            Stage::Deciding => return self.undecided(waiting.execution, false, WHY),
            Stage::Reading => return self.undecided(waiting.execution, true, WHY),
            Stage::Starting(start) => (Arc::clone(start), false),
            Stage::CutOff(start) => (Arc::clone(start), true),
        };
        match start.rule.unavailable {
            Unavailable::FallBack => start.fall_back(waiting.execution, "no hostlet came in time"),
            Unavailable::CutOff if !again => {
                waiting.deadline = Instant::now() + CUT_OFF;
                waiting.stage = Stage::CutOff(Arc::clone(&start));
                self.waiting().insert(number, waiting);
                let own = Arc::clone(self);
                let cut = Arc::new(start.cut_off());
                // Not behind those that wait for a draw as this one did.
                let cutting = &self.common.cutting;
                cutting.give(user, move || own.start(number, &cut));
            }
            _ => start.refuse(waiting.execution, "no hostlet came in time"),
        }
    }

    /// Nobody knows whether a rule gives this one something. What the system needs goes on; others, where a rule is strict, do not.
    fn undecided(&self, execution: Execution, reading: bool, why: &str) {
        let uid = Rights::of(execution.pid).map_or(0, |rights| rights.uids[1]);
        if reading || !self.table.strict || system_account(uid) {
            return execution.allow();
        }
        let path = execution.path().unwrap_or_default();
        log::warning(format_args!(
            "user {uid} may not start {}: {why}",
            path.display()
        ));
        execution.deny();
    }
}
