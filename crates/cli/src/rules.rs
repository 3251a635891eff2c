//! `hostlet explain --user`: what the rules give whom, by the same decision as hostletd's and that of the PAM module.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hostlet_engine::{Engine, caller_named, caller_of};
use hostlet_model::Name;
use hostlet_model::config::{Config, Exclude, Per, ProgramPattern, Rule, Target, Unavailable};
use hostlet_policy::Caller;
use hostlet_policy::rules::{Occasion, decide};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::args::Explain;
use crate::lent::Hostletd;
use crate::{lent, print};

/// The login that is meant where nothing is said.
const SERVICE: &str = "sshd";

/// What the rules give a user, and why.
#[derive(Debug, Serialize)]
pub struct DecisionReport {
    /// His name.
    pub user: String,
    /// His number.
    pub uid: u32,
    /// His groups, by name and by number.
    pub groups: Vec<String>,
    /// Through which PAM service he logs in.
    pub service: Option<String>,
    /// Which program he starts.
    pub program: Option<String>,
    /// The rule that decides.
    pub rule: Option<Name>,
    /// What gets a hostlet by it.
    pub per: Option<Per>,
    /// The pools that it draws from.
    pub pools: Vec<Name>,
    /// The hostlet that is joined.
    pub hostlet: Option<Name>,
    /// What becomes of it if there is no hostlet to be had.
    pub unavailable: Option<&'static str>,
    /// How many seconds the address is kept after the logout.
    pub linger: Option<u64>,
    /// The entry of the excluded programs that is about the program.
    pub excluded: Option<String>,
    /// A line a rule.
    pub why: Vec<String>,
    /// What else to know.
    pub notes: Vec<String>,
}

/// `hostlet explain --user`.
pub fn explain(engine: &Engine, a: &Explain, out: &mut dyn io::Write) -> Result<()> {
    ensure!(
        lent::is_root(),
        "explain --user tells what only root may read, the rules and what hostletd took over of them: run it as root (sudo), for your own account too"
    );
    let config = engine.config()?;
    let mut caller = caller(a.user.as_deref().unwrap_or_default())?;
    caller.units.clone_from(&a.unit);
    let mut report = match &a.program {
        Some(given) => of_program(&config, &caller, given)?,
        None => {
            let service = a.service.as_deref().unwrap_or(SERVICE);
            let asked = Occasion::Login { service };
            DecisionReport {
                service: Some(service.to_owned()),
                ..decision(&config, &caller, &asked)
            }
        }
    };
    let now = in_force(engine, &config, &caller, &report);
    report.notes.extend(now);
    report
        .notes
        .extend(report.hostlet.as_ref().and_then(|name| {
            let there = engine.hostlets().ok()?.iter().any(|d| d.name == *name);
            (!there).then(|| format!("hostlet '{name}' is not there now"))
        }));
    if a.json {
        print::json(out, &report)?;
    } else {
        print::decided(out, &report)?;
    }
    Ok(())
}

/// The user of that name, or of that number.
fn caller(user: &str) -> Result<Caller> {
    let by_number = || user.parse().ok().map(caller_of);
    caller_named(user)
        .or_else(by_number)
        .with_context(|| format!("there is no user '{user}': getent passwd lists them"))
}

fn of_program(config: &Config, caller: &Caller, given: &Path) -> Result<DecisionReport> {
    ensure!(
        given.is_absolute(),
        "'{}' is no absolute path: rules go by the path of the file, not by $PATH",
        given.display()
    );
    // Rules go by the path that the kernel names, in which there are no links.
    let file = given.canonicalize();
    let path = file.as_deref().unwrap_or(given).to_string_lossy();
    let asked = Occasion::Start { program: &path };
    let mut report = DecisionReport {
        program: Some(path.clone().into_owned()),
        ..decision(config, caller, &asked)
    };
    match &file {
        Ok(file) if file != given => report
            .notes
            .push(format!("{} is a link to {path}", given.display())),
        Ok(_) => {}
        Err(error) => report
            .notes
            .push(format!("{path} cannot be looked at: {error}")),
    }
    report.notes.extend(linked(&config.rules));
    let excluded = excluded(&config.sessions.exclude, Path::new(&*path));
    match excluded {
        Ok(entry) => report.excluded = entry.map(Exclude::to_string),
        Err(error) => report.notes.push(format!(
            "whether {path} is excluded by its checksum cannot be said: {error}"
        )),
    }
    Ok(report)
}

fn decision(config: &Config, caller: &Caller, asked: &Occasion<'_>) -> DecisionReport {
    let decided = decide(&config.rules, caller, asked);
    let target = decided.rule.map(|r| &r.target);
    let gives = |rule: &&Rule| rule.target != Target::Machine;
    DecisionReport {
        user: caller.user.clone(),
        uid: caller.uid,
        groups: caller.groups.clone(),
        service: None,
        program: None,
        rule: decided.rule.map(|r| r.name.clone()),
        per: decided.rule.map(|r| r.per),
        pools: match target {
            Some(Target::Pools(pools)) => pools.clone(),
            _ => Vec::new(),
        },
        hostlet: match target {
            Some(Target::Hostlet(name)) => Some(name.clone()),
            _ => None,
        },
        unavailable: decided.rule.filter(gives).map(|r| r.unavailable.as_str()),
        linger: decided.rule.and_then(|r| r.linger).map(|l| l.as_secs()),
        excluded: None,
        why: decided.why,
        notes: match config.rules.is_empty() {
            true => vec!["the configuration has no rules".to_owned()],
            false => Vec::new(),
        },
    }
}

/// What rules list by a path that is a link, or lies behind one: no program is ever started by that.
fn linked(rules: &[Rule]) -> Vec<String> {
    let mut notes = Vec::new();
    for rule in rules {
        for listed in &rule.programs {
            let (path, rest) = match listed {
                ProgramPattern::Path(path) => (path, ""),
                ProgramPattern::Directory(dir) => (dir, "/*"),
                ProgramPattern::All => continue,
            };
            let Ok(file) = fs::canonicalize(path) else {
                continue;
            };
            if file != Path::new(path) {
                notes.push(format!(
                    "rule '{}' lists {listed}, which is {}{rest} without links: list that",
                    rule.name,
                    file.display()
                ));
            }
        }
    }
    notes
}

/// The first entry that is about this program. Its file is read only if a checksum is asked for.
fn excluded<'a>(entries: &'a [Exclude], program: &Path) -> io::Result<Option<&'a Exclude>> {
    let mut known: Option<[u8; 32]> = None;
    for entry in entries {
        // An entry may lead to its file by a link: the kernel goes by the file.
        let is =
            |p: &String| Path::new(p) == program || fs::canonicalize(p).is_ok_and(|p| p == program);
        if !entry.path.as_ref().is_none_or(is) {
            continue;
        }
        let Some(wanted) = entry.sha256 else {
            return Ok(Some(entry));
        };
        let digest = match known {
            Some(digest) => digest,
            None => *known.insert(sha256(program)?),
        };
        if digest == wanted {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

fn sha256(program: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(program)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash)?;
    Ok(hash.finalize().into())
}

/// What counts now beside the file: hostletd goes by what it took over last, of which it keeps a copy; where it does not run,
/// pam_hostlet goes by that, and nobody looks at programs.
fn in_force(
    engine: &Engine,
    file: &Config,
    caller: &Caller,
    report: &DecisionReport,
) -> Option<String> {
    let copy = engine.paths().db.with_file_name("hostletd.toml");
    let taken = match fs::read_to_string(&copy) {
        Ok(text) => Some(Config::parse(&text, &copy.display().to_string()).ok()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => return None,
    };
    let same = |last: &Config| {
        last.rules == file.rules && last.sessions == file.sessions && last.pools == file.pools
    };
    let (down, starts) = match lent::hostletd(engine) {
        // Without a file it keeps no copy.
        Hostletd::Runs if taken.as_ref().is_some_and(same) => return None,
        Hostletd::Runs if taken.is_none() && same(&Config::default()) => return None,
        Hostletd::Runs if taken.is_some() => {
            return Some(
                "hostletd still goes by what the file said before; 'hostlet reload' tells it"
                    .to_owned(),
            );
        }
        Hostletd::Runs => {
            return Some(
                "hostletd still goes by no file, for there was none; 'hostlet reload' tells it"
                    .to_owned(),
            );
        }
        Hostletd::Silent => ("hostletd does not answer", "wait until it does"),
        Hostletd::Down => ("hostletd does not run", "start as if there were no rule"),
    };
    let gives = |rule: &&Rule| rule.target != Target::Machine;
    if report.program.is_some() {
        let concerned = report.rule.is_some() && report.per != Some(Per::None);
        return concerned.then(|| format!("{down}: the program would {starts}"));
    }
    let service = report.service.as_deref().unwrap_or(SERVICE);
    let counts = taken.as_ref().unwrap_or(file);
    let decided = decide(&counts.rules, caller, &Occasion::Login { service });
    let then = match decided.rule.filter(gives).map(|r| r.unavailable) {
        Some(Unavailable::Strict | Unavailable::CutOff) => "this login would be refused now",
        None if report.rule.is_none() || report.per == Some(Per::None) => return None,
        Some(Unavailable::FallBack) | None => {
            "this login would go on with the machine's address now"
        }
    };
    let by = match same(counts) {
        true => String::new(),
        false => format!(
            ", by what hostletd took over last ({}), which is not what the file says now",
            copy.display()
        ),
    };
    Some(format!("{down}: {then}{by}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_by_path_by_checksum_and_by_both() {
        let me = std::env::current_exe().unwrap();
        let path = me.to_str().unwrap();
        let digest = sha256(&me).unwrap();
        let entry = |path: Option<&str>, sha256| Exclude {
            path: path.map(str::to_owned),
            sha256,
        };
        let other = Some([7; 32]);
        for (entry, is) in [
            (entry(Some(path), None), true),
            (entry(None, Some(digest)), true),
            (entry(Some(path), Some(digest)), true),
            (entry(Some(path), other), false),
            (entry(None, other), false),
            (entry(Some("/bin/sh"), Some(digest)), false),
        ] {
            let all = [entry];
            assert_eq!(excluded(&all, &me).unwrap().is_some(), is, "{}", all[0]);
        }
        // No file is read that nobody asks about.
        let nowhere = Path::new("/nowhere/tool");
        let by_path = [entry(Some("/nowhere/tool"), None)];
        assert!(excluded(&by_path, nowhere).unwrap().is_some());
        assert!(excluded(&[entry(None, other)], nowhere).is_err());
        assert!(sha256(Path::new("/dev/zero")).is_err());
    }
}
