//! Which files the rules are about, and which of their names a file has.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostlet_model::config::{Config, Per, ProgramPattern, Unavailable};
use hostlet_platform::exec_watch::Execution;

/// Stands before a path that means another file here than where the program is started. No pattern of a path fits it.
const ELSEWHERE: &str = "elsewhere:";

/// What the configuration has on programs.
pub(super) struct Table {
    pub config: Arc<Config>,
    patterns: Vec<ProgramPattern>,
    /// Single programs: of rules, and those that are excluded by a path.
    paths: BTreeSet<PathBuf>,
    /// Directories whose files rules list.
    directories: BTreeSet<PathBuf>,
    /// Whether a rule lists every program.
    pub all: bool,
    /// Whether programs are excluded for their content alone.
    pub contents: bool,
    /// Whether something may not start if it cannot be decided in time.
    pub strict: bool,
}

impl Table {
    pub fn of(config: Arc<Config>) -> Self {
        let mut table = Self {
            patterns: Vec::new(),
            paths: BTreeSet::new(),
            directories: BTreeSet::new(),
            all: false,
            contents: false,
            strict: false,
            config: Arc::clone(&config),
        };
        // Those without a hostlet matter only for what others would give.
        let gives = config.rules.iter().any(|rule| rule.per == Per::Program);
        let rules = config.rules.iter().filter(|rule| !rule.programs.is_empty());
        for rule in rules.filter(|_| gives) {
            table.strict |= rule.per == Per::Program && rule.unavailable != Unavailable::FallBack;
            for pattern in &rule.programs {
                match pattern {
                    ProgramPattern::Path(path) => drop(table.paths.insert(path.into())),
                    ProgramPattern::Directory(dir) => drop(table.directories.insert(dir.into())),
                    ProgramPattern::All => table.all = true,
                }
                table.patterns.push(pattern.clone());
            }
        }
        for exclude in &config.sessions.exclude {
            match &exclude.path {
                Some(path) => drop(table.paths.insert(path.into())),
                None => table.contents = true,
            }
        }
        table
    }

    /// Whether nothing is to be watched.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.directories.is_empty() && !self.all && !self.contents
    }

    /// The directories in which the programs lie now, links followed; those that are there.
    pub fn places(&self) -> BTreeSet<PathBuf> {
        let of_path = |path: &PathBuf| match path.canonicalize() {
            Ok(real) => real.parent().map(Path::to_owned),
            // It may come.
            Err(_) => path.parent()?.canonicalize().ok(),
        };
        let singles = self.paths.iter().filter_map(of_path);
        let directories = self
            .directories
            .iter()
            .filter_map(|d| d.canonicalize().ok());
        // Where a link lies another file may be put in its place.
        let links = self
            .paths
            .iter()
            .filter_map(|p| p.parent()?.canonicalize().ok());
        singles.chain(directories).chain(links).collect()
    }

    /// The names by which rules may know a file that is started, its own path first.
    ///
    /// That path is how the process's mount namespace has it, which a user can make for himself: it counts only if it is the
    /// same file here. A file that is listed is found by being that one, however it is called there.
    pub fn names(&self, execution: &Execution) -> Vec<String> {
        let (Ok(path), Ok(meta)) = (execution.path(), execution.file.metadata()) else {
            return Vec::new();
        };
        let same = |path: &Path| {
            fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (meta.dev(), meta.ino()))
        };
        let known = same(&path);
        // One of several names of a file is not the others; where it has one only, a link to it was followed.
        let named = |listed: &Path| {
            same(listed)
                && (!known || meta.nlink() == 1 || listed.canonicalize().is_ok_and(|p| p == path))
        };
        let text = path.to_string_lossy();
        let mut names = vec![match known {
            true => text.into_owned(),
            false => format!("{ELSEWHERE}{text}"),
        }];
        let last = path.file_name().unwrap_or(OsStr::new(""));
        let singles = self.paths.iter().cloned();
        let inside = self.directories.iter().map(|dir| dir.join(last));
        for listed in singles.chain(inside) {
            if listed != path && named(&listed) {
                names.push(listed.to_string_lossy().into_owned());
            }
        }
        names
    }

    /// Whether a rule or an exclusion is about one of these names.
    pub fn concerns(&self, names: &[String]) -> bool {
        names.iter().any(|name| {
            self.paths.contains(Path::new(name)) || self.patterns.iter().any(|p| p.matches(name))
        })
    }
}
