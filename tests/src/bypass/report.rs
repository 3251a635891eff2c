//! Making attempts, judging them, and telling what came of it.

use std::fmt;

use anyhow::Result;

use super::{
    ALL, Absence, Attempt, Bench, Control, Finding, How, Layer, MAY_BE_ABSENT, Sign, Wanted, Who,
    absent, expected,
};

/// What came of one attempt by one kind of member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Stopped, as it has to be.
    Stopped(String),
    /// It works, as it has to.
    Possible(String),
    /// This machine has not what it takes.
    NotHere(&'static str),
    /// Otherwise than it has to be.
    Failed(String),
    /// Not tried.
    NotTried,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Stopped(by) if by.is_empty() => write!(f, "stopped"),
            Outcome::Stopped(by) => write!(f, "stopped ({by})"),
            Outcome::Possible(_) => write!(f, "possible"),
            Outcome::NotHere(what) => write!(f, "not here: {what}"),
            Outcome::Failed(why) => write!(f, "FAILED: {why}"),
            Outcome::NotTried => write!(f, "–"),
        }
    }
}

/// All that came of an attempt.
#[derive(Debug, Clone)]
pub struct Row {
    /// The attempt.
    pub attempt: Attempt,
    /// As an ordinary user.
    pub user: Outcome,
    /// As root.
    pub root: Outcome,
}

/// How many of each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Attempts made, each kind of member counted.
    pub attempts: usize,
    /// Stopped.
    pub stopped: usize,
    /// Possible, as the documents say.
    pub possible: usize,
    /// Otherwise.
    pub failed: usize,
    /// What could not be tried on this machine.
    pub not_here: usize,
}

impl Tally {
    /// Counts a row.
    pub fn add(&mut self, row: &Row) {
        for outcome in [&row.user, &row.root] {
            match outcome {
                Outcome::NotTried => continue,
                Outcome::Stopped(_) => self.stopped += 1,
                Outcome::NotHere(_) => self.not_here += 1,
                Outcome::Possible(_) => self.possible += 1,
                Outcome::Failed(_) => self.failed += 1,
            }
            self.attempts += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            attempts,
            stopped,
            possible,
            failed,
            not_here,
        } = self;
        write!(
            f,
            "{attempts} attempts, {stopped} stopped, {possible} possible by design, {not_here} not here, {failed} failed"
        )
    }
}

/// Makes the attempts, in a hostlet with a guard and one without, and says what came of each as it comes.
///
/// # Errors
/// When an attempt could not be made at all.
pub fn perform(attempts: &[Attempt], mut say: impl FnMut(&Row)) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut guarded = Bench::new(true)?;
    let mut unguarded = Bench::new(false)?;
    for attempt in attempts {
        let row = one(attempt, &mut guarded, &mut unguarded)?;
        tally.add(&row);
        say(&row);
    }
    if let Some(id) = guarded.late()? {
        tally.failed += 1;
        println!("{id}: a foreign packet arrived after it had been judged");
    }
    Ok(tally)
}

fn one(attempt: &Attempt, guarded: &mut Bench, unguarded: &mut Bench) -> Result<Row> {
    let mut row = Row {
        attempt: *attempt,
        user: Outcome::NotTried,
        root: Outcome::NotTried,
    };
    let outside = match attempt.how {
        How::Script(text) => Some(guarded.control(attempt, text)?),
        How::Code(_) => None,
    };
    for (who, name) in [(Who::User, "in-user"), (Who::Root, "in-root")] {
        let wanted = attempt.wanted(who);
        if wanted == Wanted::NotTried {
            continue;
        }
        let found = match attempt.how {
            How::Script(text) => guarded.script(attempt.id, text, name)?,
            How::Code(how) => how(guarded, who)?,
        };
        let outcome = match &outside {
            Some(outside) => compare(attempt, wanted, found, outside)?,
            None => judge(wanted, found),
        };
        match who {
            Who::User => row.user = outcome,
            Who::Root => row.root = outcome,
        }
    }
    // Which layer it was shows where the guard is missing.
    if let (How::Script(text), Outcome::Stopped(_)) = (attempt.how, &row.root) {
        let found = unguarded.script(attempt.id, text, "in-root")?;
        let wrong = match (attempt.layer, found.out, found.surprise) {
            (Layer::Guard, None, _) => Some("without the guard it is stopped as well".to_owned()),
            (Layer::Guard, _, _) => None,
            (_, Some(out), _) => Some(format!("it is the guard that stops it: {out}")),
            (Layer::GuardAndKernel | Layer::GuardAndHook, None, _) => None,
            (_, None, surprise) => surprise.map(|why| format!("without the guard: {why}")),
        };
        if let Some(why) = wrong {
            row.root = Outcome::Failed(why);
        }
    }
    Ok(row)
}

/// What came of it beside what comes of it outside.
fn compare(
    attempt: &Attempt,
    wanted: Wanted,
    found: Finding,
    outside: &Finding,
) -> Result<Outcome> {
    let works = outside.out.is_some();
    let missing = absent::missing(attempt.id, outside)?;
    Ok(match (attempt.control, missing) {
        (Control::Never(_), _) if works => Outcome::Failed("it works outside".into()),
        // What is forbidden to all but root, or to members, is not forbidden to root outside.
        (Control::Works, Some(absence))
            if found.out.is_none()
                && (!works
                    || wanted == Wanted::Possible
                    || matches!(absence.sign, Sign::NoIoUring)) =>
        {
            Outcome::NotHere(absence.what)
        }
        (Control::Works, None) if !works => Outcome::Failed(format!(
            "it does not work outside either ({}): it proves nothing",
            outside.refused
        )),
        _ if wanted == Wanted::Stopped && attempt.layer == Layer::Hook => {
            match (expected::untold(&found, outside), judge(wanted, found)) {
                (Some(step), Outcome::Stopped(_)) => {
                    Outcome::Failed(format!("no hook told that it refused {step}"))
                }
                (_, outcome) => outcome,
            }
        }
        _ => judge(wanted, found),
    })
}

fn judge(wanted: Wanted, found: Finding) -> Outcome {
    match (wanted, found.out) {
        (Wanted::Stopped, Some(out)) => Outcome::Failed(format!("it got out: {out}")),
        (Wanted::Stopped | Wanted::Possible, _) if found.surprise.is_some() => {
            Outcome::Failed(found.surprise.unwrap_or_default())
        }
        (Wanted::Stopped, None) => Outcome::Stopped(found.refused),
        (Wanted::Possible, Some(out)) => Outcome::Possible(out),
        (_, None) => Outcome::Failed(format!(
            "documented as possible, but stopped: {}",
            found.refused
        )),
        (Wanted::NotTried, Some(_)) => Outcome::NotTried,
    }
}

/// The table of the threat model: what is documented of all attempts.
///
/// # Errors
/// When a script cannot be read.
pub fn table() -> Result<String> {
    let mut text = String::from(
        "| id | attempt | ordinary user | root | layer | refused with | what remains |\n|---|---|---|---|---|---|---|\n",
    );
    for attempt in ALL.iter().flat_map(|(_, attempts)| attempts.iter()) {
        let cell = |wanted| match wanted {
            Wanted::Stopped => "stopped",
            Wanted::Possible => "possible",
            Wanted::NotTried => "–",
        };
        let refusals = match attempt.how {
            How::Script(text) => expected::refusals(text)?,
            How::Code(_) => String::new(),
        };
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {refusals} | {} |\n",
            attempt.id,
            attempt.what,
            cell(attempt.user),
            cell(attempt.root),
            attempt.layer.name(),
            attempt.remains,
        ));
    }
    Ok(text)
}

/// The threat model's other table: what cannot be tried everywhere.
pub fn absent_table() -> String {
    let mut text = String::from(
        "| id | what may be missing | why | how it is recognised |\n|---|---|---|---|\n",
    );
    for Absence {
        id,
        what,
        why,
        sign,
    } in MAY_BE_ABSENT
    {
        let sign = sign.text();
        text.push_str(&format!("| `{id}` | {what} | {why} | {sign} |\n"));
    }
    text
}
