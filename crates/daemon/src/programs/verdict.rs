//! Whom a rule gives a hostlet, and the giving.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hostlet_engine::caller_of;
use hostlet_model::config::{Per, Rule, Target, Unavailable};
use hostlet_platform::exec_watch::{Execution, interpreter};
use hostlet_platform::peer::Peer;
use hostlet_platform::proc;
use hostlet_policy::Caller;
use hostlet_policy::rules::{Occasion, decide};
use hostlet_store::SessionKind;

use super::round::{Asked, Round};
use crate::log;
use crate::sessions::{Started, made_by_rule, start_program};
use crate::shared::Shared;

/// A program that a rule gives something.
pub(super) struct Start {
    pub rule: Rule,
    caller: Caller,
    process: Arc<Peer>,
    program: String,
}

impl Start {
    /// The same with a hostlet of nothing.
    pub fn cut_off(&self) -> Self {
        let rule = Rule {
            target: Target::Pools(Vec::new()),
            unavailable: Unavailable::Strict,
            ..self.rule.clone()
        };
        Self {
            rule,
            caller: self.caller.clone(),
            process: Arc::clone(&self.process),
            program: self.program.clone(),
        }
    }

    pub fn fall_back(&self, execution: Execution, why: &str) {
        log::warning(format_args!(
            "user '{}' starts {} with the machine's addresses: {why}",
            self.caller.user, self.program
        ));
        execution.allow();
    }

    pub fn refuse(&self, execution: Execution, why: &str) {
        log::warning(format_args!(
            "user '{}' may not start {} (rule '{}'): {why}",
            self.caller.user, self.program, self.rule.name
        ));
        execution.deny();
    }
}

impl Round {
    /// Finds out what a start is to get, which may take as long as file systems and the user database take.
    pub fn decide(self: &Arc<Self>, number: u64) {
        let Some(asked) = self.look_at(number) else {
            return;
        };
        let names = self.table.names(&asked.file, &self.common.excluded.slow);
        if asked.reading || self.table.concerns(&names) {
            return self.judge(asked, names, false);
        }
        if let Some(execution) = self.answer(number) {
            execution.allow();
        }
    }

    /// Once the file was read for its sum, it is or is not known.
    fn judge(self: &Arc<Self>, asked: Asked, names: Vec<String>, read: bool) {
        let (common, number, user) = (&self.common, asked.number, asked.user);
        let excluded = common.excluded.judge(&common.shared, &names, &asked.file);
        if excluded.is_none() && !read {
            return self.read(asked, names);
        }
        let start = match asked.reading {
            true => None,
            false => self.wanted(asked.pid, &names, &asked.file),
        };
        let Some(start) = start else {
            match self.answer(number) {
                Some(execution) if asked.reading && excluded == Some(false) => {
                    execution.allow_and_ignore();
                }
                Some(execution) => execution.allow(),
                None => {}
            }
            return;
        };
        let start = Arc::new(start);
        if self.starts(number, &start) {
            let own = Arc::clone(self);
            let starting = &common.starting;
            starting.give(user, move || own.start(number, &start));
        }
    }

    /// By others than those who decide: it takes long.
    fn read(self: &Arc<Self>, asked: Asked, names: Vec<String>) {
        let own = Arc::clone(self);
        self.common.summing.give(asked.user, move || {
            let waits = || Instant::now() < asked.sum_until && own.waits(asked.number);
            own.common.excluded.sums.find_out(&asked.file, &waits);
            if own.waits(asked.number) {
                let round = Arc::clone(&own);
                let deciding = &own.common.deciding;
                deciding.give(asked.user, move || round.judge(asked, names, true));
            }
        });
    }

    /// What a rule gives this start; none if it goes on as it is.
    fn wanted(&self, pid: u32, names: &[String], file: &File) -> Option<Start> {
        let shared = &self.common.shared;
        let process = Peer::of_pid(pid).ok()?;
        if self.common.expected.meets(&process, file) {
            return None;
        }
        // Of another network, that of a container say: there hostlets of this one mean nothing.
        if proc::netns_ino(pid).ok() != proc::own_netns_ino().ok() || stays(shared, pid) {
            return None;
        }
        let mut caller = caller_of(process.uid);
        caller.units = proc::units(pid);
        let rules = &self.table.config.rules;
        let fits = |name: &String| {
            let rule = decide(rules, &caller, &Occasion::Start { program: name }).rule?;
            let place = rules.iter().position(|r| r.name == rule.name)?;
            Some((place, rule, name.clone()))
        };
        let first = names.iter().filter_map(fits).min_by_key(|fit| fit.0);
        match first {
            Some((_, rule, program)) if rule.per == Per::Program => Some(Start {
                rule: rule.clone(),
                caller,
                process: Arc::new(process),
                program,
            }),
            Some(_) => {
                self.common.expected.expect(&process, file);
                None
            }
            None => None,
        }
    }

    /// Brings it into its hostlet.
    pub fn start(&self, number: u64, start: &Start) {
        let shared = &self.common.shared;
        let process = &start.process;
        let before = proc::cgroup(process.pid);
        let file = self.look_at(number).map(|asked| asked.file);
        let started = start_program(shared, &start.rule, &start.caller, process, &start.program);
        let execution = self.answer(number);
        match (started, execution) {
            (Ok(Started::Hostlet(_)), Some(execution)) => execution.allow(),
            (Ok(Started::Machine), Some(execution)) => {
                if let Some(file) = file {
                    self.common.expected.expect(process, &file);
                }
                execution.allow();
            }
            (Err(error), Some(execution)) => match start.rule.unavailable {
                Unavailable::FallBack => start.fall_back(execution, &error.to_string()),
                _ => start.refuse(execution, &error.to_string()),
            },
            // It has its answer, which was not this.
            (Ok(Started::Hostlet(_)), None) => {
                let Some(before) = before else { return };
                if let Err(error) = shared.engine.place_back(process, &before) {
                    log::warning(format_args!("{error}"));
                }
            }
            (_, None) => {}
        }
    }
}

/// Whether a process is where no rule takes it away from. Asks for no lock of the engine: whoever starts a program may hold it.
fn stays(shared: &Shared, pid: u32) -> bool {
    shared.engine.hostlet_of(pid).is_some_and(|hostlet| {
        let kind = made_by_rule(shared, &hostlet);
        !matches!(kind, Some(SessionKind::Session | SessionKind::User))
    })
}

/// How many are remembered.
const KNOWN: usize = 1024;

/// What processes open next in the execve that was decided: the interpreter of a script, the dynamic linker of a program. Without this
/// a rule about every program would be about the linker of one that it leaves alone.
#[derive(Default)]
pub(super) struct Expected(Mutex<BTreeMap<(u32, u64), (u64, u64)>>);

impl Expected {
    /// This one goes on without a hostlet, and with it what it names.
    fn expect(&self, process: &Peer, file: &File) {
        let Some(meta) = interpreter(file).and_then(|path| fs::metadata(path).ok()) else {
            return;
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KNOWN {
            // Some of an execve that failed, mostly.
            all.clear();
        }
        let key = (process.pid, process.start_ticks);
        all.insert(key, (meta.dev(), meta.ino()));
    }

    /// Whether this is what was expected; then what that names is expected next.
    fn meets(&self, process: &Peer, file: &File) -> bool {
        let key = (process.pid, process.start_ticks);
        let expected = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.remove(&key)
        };
        let is = expected.is_some()
            && file
                .metadata()
                .is_ok_and(|m| Some((m.dev(), m.ino())) == expected);
        if is {
            self.expect(process, file);
        }
        is
    }
}
