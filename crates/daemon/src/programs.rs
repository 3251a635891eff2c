//! Programs by rule: brought into their hostlets before they run (rows A13, B2); and which files excluded programs are (row B8).
//!
//! The kernel asks before a program starts, and its process waits. One thread takes the questions and never waits itself: most it
//! answers at once, since no rule is about such a file. What a rule may be about goes to a few threads that know the user; what is
//! given a hostlet to some more, for a draw may take seconds. Each question has a deadline, after which the rule's `unavailable`
//! is the answer. So nobody waits for good: not even a command of root that starts a listed program while it has the
//! installation's lock. A hostletd that ends, or dies, answers all with yes.

mod crew;
mod excluded;
mod round;
mod table;
mod verdict;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crew::Crew;
use excluded::Excluded;
use round::{Round, Watches};
use table::Table;

use crate::log;
use crate::shared::Shared;

/// How many look at the same time who starts something; that takes as long as the user database takes.
const DECIDING: usize = 8;
/// How many programs are given a hostlet at the same time.
const STARTING: usize = 128;

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
    excluded: Excluded,
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
                excluded: Excluded::default(),
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
        running.common.deciding.end();
        running.common.starting.end();
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
        common.excluded.find(&common.shared, false);
        let table = Table::of(common.shared.config());
        if table.contents {
            let common = Arc::clone(common);
            let deciding = Arc::clone(&common.deciding);
            deciding.give(move || common.excluded.find(&common.shared, true));
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
    let round = Arc::new(Round::new(Arc::clone(common), table)?);
    let own = Arc::clone(&round);
    let builder = std::thread::Builder::new().name("programs".to_owned());
    let thread = builder.spawn(move || own.work(watches))?;
    Ok((round, thread))
}
