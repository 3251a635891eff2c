//! Programs by rule: brought into their hostlets before they run (rows A13, B2); and which files excluded programs are (row B8).
//!
//! The kernel asks before a program starts, and its process waits. One thread takes the questions, and looks after deadlines; it
//! never waits itself. Whatever asks a file system, which may be one that a user made, or the user database, is done by others: a
//! few threads find out whether a rule is about the file and the user, some more give a hostlet, for a draw may take seconds, and some
//! read files for their sums. Of each kind a user has only his share, whether what he does hangs or takes long. Each question
//! has a deadline, after which the rule's `unavailable` is the answer. So nobody waits for good: not even a command of root that
//! starts a listed program while it has the installation's lock. A hostletd that ends, or dies, answers all with yes.

mod crew;
mod excluded;
mod find;
mod round;
mod slow;
mod sums;
mod table;
mod verdict;
mod watches;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crew::Crew;
use excluded::Excluded;
use round::Round;
use table::Table;
use watches::{Looking, Watches};

use crate::log;
use crate::shared::Shared;

/// How many find out at the same time what is started, and who does; and how many on behalf of one user. Usually that takes less
/// than a millisecond; they are so many for those that hang.
const DECIDING: (usize, usize) = (64, 8);
/// How many programs are given a hostlet at the same time.
const STARTING: (usize, usize) = (128, 32);
/// How many are cut off at the same time, since they got none.
const CUTTING: (usize, usize) = (64, 16);
/// How many files are read at the same time for their sums.
const SUMMING: (usize, usize) = (16, 2);
/// How many users' programs are searched at the same time for excluded ones.
const FINDING: (usize, usize) = (16, 1);
/// What goes on beside all that: one of each of these.
const SEEING: (usize, usize) = (3, 1);
/// How many file systems that may not answer are asked at the same time what starts there.
const FAR: (usize, usize) = (64, 1);
const LOOK: u32 = 0;
const FIND: u32 = 1;
const FIND_CONTENTS: u32 = 2;
/// How long it is waited for directories when a configuration comes into force. After that they are watched when they answer.
const SETTLE: Duration = Duration::from_secs(5);

/// The watch of programs, as long as hostletd runs.
#[derive(Default)]
pub(crate) struct Programs(Mutex<Option<Running>>);

struct Running {
    /// What all rounds have in common.
    common: Arc<Common>,
    round: Option<(Arc<Round>, JoinHandle<()>)>,
    /// Rounds of earlier configurations, which answer what they were asked.
    retired: Vec<JoinHandle<()>>,
}

struct Common {
    shared: Arc<Shared>,
    deciding: Arc<Crew>,
    starting: Arc<Crew>,
    cutting: Arc<Crew>,
    summing: Arc<Crew>,
    finding: Arc<Crew>,
    seeing: Arc<Crew>,
    far: Arc<Crew>,
    looking: Looking,
    excluded: Excluded,
    /// How often it was looked for excluded programs by their content.
    searches: AtomicU64,
    expected: verdict::Expected,
}

impl Programs {
    /// From now on rules of programs hold, as the configuration of this moment has them.
    pub fn start(&self, shared: &Arc<Shared>) {
        let mut running = Running {
            common: Arc::new(Common {
                shared: Arc::clone(shared),
                deciding: Crew::new("deciding", DECIDING),
                starting: Crew::new("starting", STARTING),
                cutting: Crew::new("cutting-off", CUTTING),
                summing: Crew::new("summing", SUMMING),
                finding: Crew::new("finding", FINDING),
                seeing: Crew::new("seeing", SEEING),
                far: Crew::new("far", FAR),
                looking: Looking::new(),
                excluded: Excluded::default(),
                searches: AtomicU64::new(0),
                expected: verdict::Expected::default(),
            }),
            round: None,
            retired: Vec::new(),
        };
        running.begin();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    /// There is a new configuration. When this comes back it holds, for programs that start from then on.
    pub fn reload(&self) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.as_mut() {
            running.begin();
        }
    }

    /// Everybody who waits goes on, and nobody is asked any more.
    pub fn stop(&self) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        let common = &running.common;
        for crew in [&common.deciding, &common.starting, &common.cutting] {
            crew.end();
        }
        for crew in [
            &common.summing,
            &common.finding,
            &common.seeing,
            &common.far,
        ] {
            crew.end();
        }
        common.looking.end();
        common.excluded.slow.end();
        let mut threads = running.retired;
        if let Some((round, thread)) = running.round {
            round.stop();
            threads.push(thread);
        }
        for thread in threads {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Running {
    /// The new watch is there before the old one goes: nothing starts unseen between them.
    fn begin(&mut self) {
        let common = &self.common;
        find::find(common, false);
        let table = Table::of(common.shared.config());
        if table.sums {
            let own = Arc::clone(common);
            let seeing = &common.seeing;
            seeing.give(FIND_CONTENTS, move || find::find(&own, true));
        }
        let new = (!table.is_empty()).then(|| open(common, table));
        if let Some((old, thread)) = self.round.take() {
            old.retire();
            self.retired.push(thread);
        }
        self.retired.retain(|thread| !thread.is_finished());
        match new {
            Some(Ok(new)) => self.round = Some(new),
            Some(Err(error)) => log::warning(format_args!(
                "programs start as if there were no rules of them: {error}"
            )),
            None => {}
        }
    }
}

fn open(common: &Arc<Common>, table: Table) -> std::io::Result<(Arc<Round>, JoinHandle<()>)> {
    let watches = Watches::new(&table)?;
    common.looking.look(&watches, &table, SETTLE);
    let round = Arc::new(Round::new(Arc::clone(common), table, &watches)?);
    let own = Arc::clone(&round);
    let builder = std::thread::Builder::new().name("programs".to_owned());
    let thread = builder.spawn(move || own.work(&watches))?;
    Ok((round, thread))
}
