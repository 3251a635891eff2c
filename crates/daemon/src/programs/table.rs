//! Which files the rules are about, and which of their names a file has.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostlet_model::config::{Config, Per, ProgramPattern, Unavailable};
use hostlet_platform::exec_watch::path_of;

use super::slow::{Known, Slow};

/// Stands before a path that means another file here than where the program is started. No pattern of a path fits it.
const ELSEWHERE: &str = "elsewhere:";

/// What the configuration has on programs.
pub(super) struct Table {
    pub config: Arc<Config>,
    patterns: Vec<ProgramPattern>,
    /// Single programs: of rules, and those that are excluded by a path; with who says so.
    pub paths: BTreeMap<PathBuf, String>,
    /// Directories whose files rules list.
    pub directories: BTreeMap<PathBuf, String>,
    /// Whether a rule lists every program.
    pub all: bool,
    /// Whether programs are excluded for their content alone.
    pub contents: bool,
    /// Whether a checksum is among what is excluded.
    pub sums: bool,
    /// Whether something may not start if it cannot be decided in time.
    pub strict: bool,
}

impl Table {
    pub fn of(config: Arc<Config>) -> Self {
        let mut table = Self {
            patterns: Vec::new(),
            paths: BTreeMap::new(),
            directories: BTreeMap::new(),
            all: false,
            contents: false,
            sums: false,
            strict: false,
            config: Arc::clone(&config),
        };
        // Those without a hostlet matter only for what others would give.
        let gives = config.rules.iter().any(|rule| rule.per == Per::Program);
        let rules = config.rules.iter().filter(|rule| !rule.programs.is_empty());
        for rule in rules.filter(|_| gives) {
            table.strict |= rule.per == Per::Program && rule.unavailable != Unavailable::FallBack;
            let who = || format!("rule '{}'", rule.name);
            for pattern in &rule.programs {
                match pattern {
                    ProgramPattern::Path(path) => {
                        table.paths.entry(path.into()).or_insert_with(who);
                    }
                    ProgramPattern::Directory(dir) => {
                        table.directories.entry(dir.into()).or_insert_with(who);
                    }
                    ProgramPattern::All => table.all = true,
                }
                table.patterns.push(pattern.clone());
            }
        }
        for exclude in &config.sessions.exclude {
            table.sums |= exclude.sha256.is_some();
            match &exclude.path {
                Some(path) => {
                    let who = || "'exclude' of [sessions]".to_owned();
                    table.paths.entry(path.into()).or_insert_with(who);
                }
                None => table.contents = true,
            }
        }
        table
    }

    /// Whether nothing is to be watched.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.directories.is_empty() && !self.all && !self.contents
    }

    /// The names by which rules may know a file that is started, its own path first. Asks file systems, which may not answer.
    ///
    /// That path is how the process's mount namespace has it, which a user can make for himself: it counts only if it is the
    /// same file here. A file that is listed is found by being that one, however it is called there.
    pub fn names(&self, file: &File, slow: &Slow) -> Vec<String> {
        let (Ok(path), Some(own)) = (path_of(file), Known::of(file)) else {
            return Vec::new();
        };
        let text = path.to_string_lossy().into_owned();
        // Where nothing depends on it, nobody waits for a path that a user chose.
        let matters = self.all || own.links > 1 || self.lists(&text);
        let known = !matters || Known::at(&path, false).is_ok_and(|at| at.file == own.file);
        // One of several names of a file is not the others; where it has one only, a link to it was followed.
        let named = |place: &Path, listed: &Path| {
            slow.look(place, listed)
                .is_some_and(|at| at.file == own.file)
                && (!known || own.links == 1 || listed.canonicalize().is_ok_and(|p| p == path))
        };
        let mut names = vec![match known {
            true => text,
            false => format!("{ELSEWHERE}{text}"),
        }];
        let last = path.file_name().unwrap_or(OsStr::new(""));
        let singles = self.paths.keys().map(|path| (path, path.clone()));
        let directories = self.directories.keys();
        let inside = directories.map(|dir| (dir, dir.join(last)));
        for (place, listed) in singles.chain(inside) {
            if listed != path && named(place, &listed) {
                names.push(listed.to_string_lossy().into_owned());
            }
        }
        names
    }

    /// Whether a path itself is listed, by more than a rule about all.
    fn lists(&self, path: &str) -> bool {
        let single = |p: &ProgramPattern| *p != ProgramPattern::All && p.matches(path);
        self.paths.contains_key(Path::new(path)) || self.patterns.iter().any(single)
    }

    /// Whether a rule or an exclusion is about one of these names.
    pub fn concerns(&self, names: &[String]) -> bool {
        names.iter().any(|name| {
            self.paths.contains_key(Path::new(name))
                || self.patterns.iter().any(|p| p.matches(name))
        })
    }
}
