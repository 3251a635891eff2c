//! Generated cases: scripts made by chance, performed by machines and by hostlets.

mod judge;
mod known;
mod less;
mod make;
mod past;
mod places;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use hostlet_testkit::oracle::{Arena, Script};

use crate::Summary;
use judge::Judged;

/// More divergences than this in a run tell nothing new.
const ENOUGH: usize = 20;

/// One case in so many, and a few where there are few, may be one that proves nothing: machines answer now so, now otherwise,
/// or both sides differ once and not again. One in 10,000 is, on a busy machine.
const SELDOM: usize = 1000;

/// How many of them that is.
fn some(summary: &Summary) -> usize {
    2 + summary.cases / SELDOM
}

/// Which cases to perform.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many.
    pub cases: u64,
    /// Where chance begins.
    pub seed: u64,
    /// The first of them.
    pub first: u64,
    /// How many at a time.
    pub jobs: usize,
}

#[derive(Default)]
struct Total {
    summary: Summary,
    /// Cases in which machines themselves answered now so, now otherwise.
    voids: usize,
    steps: usize,
    /// Steps that a known difference kept from being compared, and the cases that have such.
    uncompared: (usize, usize),
    known: BTreeMap<&'static str, usize>,
}

/// The script of a case, for people.
pub fn script(seed: u64, case: u64) -> String {
    make::script(seed, case)
}

/// The known differences that generated cases may show.
pub fn ids() -> impl Iterator<Item = &'static str> {
    known::ids()
}

/// Performs a script; what both sides answer, as a named case, and what explains it.
///
/// # Errors
/// When it is no script, or machines or hostlets cannot be made.
pub fn explain(text: &str) -> Result<String> {
    let script = Script::parse(text)?;
    let traces = Arena::new(&script.set, &script.options)?.perform(&script)?;
    let found = judge::first(&traces).map(|at| known::explain(&script, at, &traces));
    let why = match found {
        None => "same",
        Some(None) => "differs",
        Some(Some(id)) => id,
    };
    Ok(format!("{}\n{why}", judge::as_case(&script, &traces, "it")))
}

/// Makes and performs cases; prints what differs as a named case that shows it.
///
/// # Errors
/// When machines or hostlets cannot be made.
pub fn run(settings: Settings) -> Result<Summary> {
    let begin = Instant::now();
    let total = Mutex::new(Total::default());
    let idle = Mutex::new(BTreeMap::<String, Vec<Arena>>::new());
    let next = AtomicU64::new(settings.first);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..settings.jobs.max(1))
            .map(|_| scope.spawn(|| work(settings, &next, &idle, &total)))
            .collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow!("a worker panicked"))??;
        }
        anyhow::Ok(())
    })?;
    let total = total.into_inner().map_err(|_| anyhow!("poisoned"))?;
    let took = begin.elapsed();
    for (id, often) in &total.known {
        println!("known: {often} × {id}");
    }
    println!(
        "seed {}: {} steps, {} of them in {} cases not compared for a known difference, {} void cases, {:.1} s",
        settings.seed,
        total.steps,
        total.uncompared.0,
        total.uncompared.1,
        total.voids,
        took.as_secs_f64(),
    );
    // What machines themselves do not do the same way twice proves nothing.
    ensure!(
        total.voids <= some(&total.summary),
        "{} of {} cases were void: machines did not do the same twice",
        total.voids,
        total.summary.cases,
    );
    ensure!(
        total.summary.once <= some(&total.summary),
        "{}: more than one in {SELDOM} that differ, and then do not: a machine with so little time that calls run out of theirs, or \
         a difference that shows seldom; the steps are above",
        total.summary,
    );
    Ok(total.summary)
}

fn work(
    settings: Settings,
    next: &AtomicU64,
    idle: &Mutex<BTreeMap<String, Vec<Arena>>>,
    total: &Mutex<Total>,
) -> Result<()> {
    let lock = |what| anyhow!("{what}: poisoned");
    loop {
        let case = next.fetch_add(1, Ordering::Relaxed);
        if case >= settings.first + settings.cases {
            return Ok(());
        }
        if total.lock().map_err(|_| lock("total"))?.summary.divergences >= ENOUGH {
            return Ok(());
        }
        let text = make::script(settings.seed, case);
        let script = Script::parse(&text).with_context(|| text.clone())?;
        let kept = idle
            .lock()
            .map_err(|_| lock("arenas"))?
            .get_mut(&script.set)
            .and_then(Vec::pop);
        let mut arena = match kept {
            Some(arena) => arena,
            None => Arena::new(&script.set, &[])?,
        };
        let done = one(&mut arena, settings.seed, case, &script);
        let mut total = total.lock().map_err(|_| lock("total"))?;
        total.summary.cases += 1;
        total.steps += script.steps.len();
        match done {
            Ok(judged) => {
                total.add(settings.seed, case, &judged);
                let mut idle = idle.lock().map_err(|_| lock("arenas"))?;
                idle.entry(script.set.clone()).or_default().push(arena);
            }
            // The arena is not used any more.
            Err(why) => {
                println!("seed {} case {case}: {why:#}\n{text}\n", settings.seed);
                total.summary.divergences += 1;
            }
        }
    }
}

/// Performs a case; prints the smallest script that differs as it does.
fn one(arena: &mut Arena, seed: u64, case: u64, script: &Script) -> Result<Judged> {
    let judged = judge::judge(arena, script)?;
    if let Some((script, traces)) = &judged.differs {
        let (small, traces) = judge::shrink(arena, script, traces.clone())?;
        let name = format!("found_{seed:x}_{case}");
        println!(
            "seed {seed} case {case} differs:\n{}\n",
            judge::as_case(&small, &traces, &name)
        );
    }
    Ok(judged)
}

impl Total {
    fn add(&mut self, seed: u64, case: u64, judged: &Judged) {
        for id in &judged.known {
            *self.known.entry(id).or_default() += 1;
        }
        if judged.differs.is_some() {
            self.summary.divergences += 1;
        } else {
            self.summary.known += usize::from(!judged.known.is_empty());
        }
        self.voids += usize::from(judged.voids > 0);
        self.uncompared.0 += judged.uncompared;
        self.uncompared.1 += usize::from(judged.uncompared > 0);
        self.summary.once += usize::from(!judged.once.is_empty());
        for step in &judged.once {
            println!("seed {seed} case {case} differed once and not again: {step}");
        }
    }
}
