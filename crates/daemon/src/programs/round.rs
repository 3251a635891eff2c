//! The watch of programs by one configuration, from its first question to its last answer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hostlet_model::config::Unavailable;
use hostlet_platform::exec_watch::{ExecWatch, Execution};
use hostlet_platform::mounts::MOUNTINFO;
use hostlet_platform::proc::Rights;
use hostlet_policy::rules::system_account;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::Common;
use super::table::Table;
use super::verdict::Start;
use crate::log;

/// How often it is looked whether directories came, links lead elsewhere, or replaced programs are no longer run.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// How long a program may still wait for a hostlet of nothing, when it is cut off because its deadline is over.
const CUT_OFF: Duration = Duration::from_secs(5);
/// How many may wait: each takes a descriptor, and hostletd needs some.
const MOST: usize = 4096;

const GOES_ON: u8 = 0;
const RETIRES: u8 = 1;
const STOPS: u8 = 2;

/// What asks. Whoever has it must read it: questions that nobody reads are starts that nobody answers.
pub(super) struct Watches {
    paths: ExecWatch,
    /// For programs that are excluded for their content: here a file that was found not to be one is not asked for again. With the
    /// other watch that would be wrong, since a file may be renamed to a path that is listed.
    contents: Option<ExecWatch>,
    /// Tells of mounts that come.
    mounts: Option<File>,
}

impl Watches {
    pub fn new(table: &Table) -> io::Result<Self> {
        let watches = Self {
            paths: ExecWatch::new()?,
            contents: table.contents.then(ExecWatch::new).transpose()?,
            mounts: (table.all || table.contents)
                .then(|| File::open(MOUNTINFO))
                .transpose()?,
        };
        watches.look(table);
        Ok(watches)
    }

    /// Watches what is there now.
    fn look(&self, table: &Table) {
        let say = |point: PathBuf, error: io::Error| {
            let point = point.display();
            log::warn(&format!(
                "programs in {point} start without a rule: {error}"
            ));
        };
        for place in table.places() {
            match self.paths.watch_directory(&place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => say(place, error),
                _ => {}
            }
        }
        let whole = table.all.then_some(&self.paths);
        for watch in whole.into_iter().chain(&self.contents) {
            match watch.watch_filesystems() {
                Ok(failed) => failed.into_iter().for_each(|(point, e)| say(point, e)),
                Err(error) => say(MOUNTINFO.into(), error),
            }
        }
    }

    fn clear(&self) {
        for watch in std::iter::once(&self.paths).chain(&self.contents) {
            if let Err(error) = watch.clear() {
                log::warn(&error.to_string());
            }
        }
    }
}

/// One of them.
pub(super) struct Round {
    pub common: Arc<Common>,
    pub table: Table,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    next: AtomicU64,
    state: AtomicU8,
    wake: OwnedFd,
}

/// A process in execve.
struct Waiting {
    execution: Execution,
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
    pub fn new(common: Arc<Common>, table: Table) -> io::Result<Self> {
        Ok(Self {
            common,
            table,
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            state: AtomicU8::new(GOES_ON),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
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

    /// Takes questions until the end.
    pub fn work(self: &Arc<Self>, watches: Watches) {
        let mut look = Instant::now() + LOOK_AGAIN;
        let mut retired = false;
        loop {
            let mounted = self.wait(&watches, look);
            match self.state.load(Ordering::SeqCst) {
                STOPS => break,
                RETIRES if !retired => {
                    watches.clear();
                    retired = true;
                }
                _ => {}
            }
            self.take(&watches.paths, retired, Stage::Deciding);
            if let Some(contents) = &watches.contents {
                self.take(contents, retired, Stage::Reading);
            }
            self.late();
            if retired && self.waiting().is_empty() {
                break;
            }
            if !retired && (mounted || Instant::now() >= look) {
                watches.look(&self.table);
                look = Instant::now() + LOOK_AGAIN;
                let common = Arc::clone(&self.common);
                let deciding = &self.common.deciding;
                deciding.give(move || common.excluded.find(&common.shared, false));
            }
        }
        // Whoever is left goes on; and then nobody is asked, for the watches end.
        self.waiting().clear();
    }

    /// Until there is something to do. Says whether mounts changed.
    fn wait(&self, watches: &Watches, look: Instant) -> bool {
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
        // A signal, or no memory: then everything is looked at, and it is tried again.
        let _ = poll(&mut fds, Timespec::try_from(wait).ok().as_ref());
        let mounted = fds.get(before).is_some_and(|fd| !fd.revents().is_empty());
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
        mounted
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
            let names = self.table.names(&execution);
            if !reading && !self.table.concerns(&names) {
                continue;
            }
            self.ask(execution, names, reading);
        }
    }

    fn ask(self: &Arc<Self>, execution: Execution, names: Vec<String>, reading: bool) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let wait = self.table.config.sessions.deadline;
        let waiting = Waiting {
            execution,
            deadline: Instant::now() + wait,
            stage: if reading {
                Stage::Reading
            } else {
                Stage::Deciding
            },
        };
        let mut all = self.waiting();
        if all.len() >= MOST {
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
        self.common
            .deciding
            .give(move || own.decide(number, &names, reading));
    }

    /// The process that waits, and its file; none if it has its answer.
    pub fn look_at(&self, number: u64) -> Option<(u32, File)> {
        let all = self.waiting();
        let execution = &all.get(&number)?.execution;
        Some((execution.pid, execution.file.try_clone().ok()?))
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
                self.common.deciding.give(move || own.start(number, &cut));
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
