//! Looking for excluded programs: those that lie there, and those that processes run though they were replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use hostlet_engine::FileId;
use hostlet_model::config::Exclude;
use hostlet_platform::exec_watch::starter;
use hostlet_platform::proc;

use super::Common;
use super::excluded::{hold, running};

/// How long those that run are looked for by their content. Those that start are found anyway.
const CONTENTS: Duration = Duration::from_secs(600);
/// How long it is looked otherwise: no file is read but those that are excluded by a path.
const PATHS: Duration = Duration::from_secs(5);
/// On whose behalf it is looked at the paths of the configuration: no user's.
const NOBODYS: u32 = u32::MAX;

/// What one search has in common.
struct Search {
    common: Arc<Common>,
    excludes: Vec<Exclude>,
    contents: bool,
    number: u64,
    over: AtomicBool,
}

type Found = Sender<(FileId, File, Exclude)>;

/// Finds out anew. Without `contents` only by paths; those that are known by their content stay known. Waits no longer than it must:
/// programs of each user are looked at by a thread of their own, since his file systems may not answer.
pub(super) fn find(common: &Arc<Common>, contents: bool) {
    let number = match contents {
        // One that goes on for an earlier configuration ends.
        true => common.searches.fetch_add(1, Ordering::SeqCst) + 1,
        false => common.searches.load(Ordering::SeqCst),
    };
    let search = Arc::new(Search {
        common: Arc::clone(common),
        excludes: common.shared.config().sessions.exclude.clone(),
        contents,
        number,
        over: AtomicBool::new(false),
    });
    let before = common.excluded.files();
    let (tell, told) = channel();
    let mut all = contents || search.excludes.iter().all(|e| e.path.is_some());
    let (own, found) = (Arc::clone(&search), tell.clone());
    all &= common
        .finding
        .give_if_free(NOBODYS, move || own.places(&found));
    for (user, pids) in search.processes() {
        let (own, found) = (Arc::clone(&search), tell.clone());
        let free = common
            .finding
            .give_if_free(user, move || own.programs(&pids, &found));
        all &= free;
    }
    drop(tell);
    let until = Instant::now() + if contents { CONTENTS } else { PATHS };
    let mut files = BTreeMap::new();
    loop {
        match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((id, file, exclude)) => drop(files.insert(id, (file, exclude))),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                all = false;
                break;
            }
        }
    }
    all &= search.goes_on();
    search.over.store(true, Ordering::SeqCst);
    common.excluded.found(&common.shared, files, &before, all);
}

impl Search {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
            && (!self.contents || self.common.searches.load(Ordering::SeqCst) == self.number)
    }

    /// What lies at the paths of the configuration.
    fn places(&self, found: &Found) {
        let excluded = &self.common.excluded;
        for exclude in &self.excludes {
            let Some(path) = &exclude.path else { continue };
            let Ok(file) = hold(Path::new(path)) else {
                continue;
            };
            let is_file = file.metadata().is_ok_and(|m| m.is_file());
            let names = std::slice::from_ref(path);
            if is_file
                && excluded.fits_read(exclude, names, &file, &|| self.goes_on())
                && let Ok(id) = FileId::of(&file)
            {
                let _ = found.send((id, file, exclude.clone()));
            }
        }
    }

    /// Those that it is to be looked for among the programs that run.
    fn looked(&self) -> impl Iterator<Item = &Exclude> {
        let all = self.excludes.iter();
        all.filter(|e| self.contents || e.path.is_some())
    }

    /// The processes, by the user whose doing they are.
    fn processes(&self) -> BTreeMap<u32, Vec<u32>> {
        let mut users: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        if self.looked().next().is_none() {
            return users;
        }
        let own = proc::own_netns_ino().ok();
        for pid in proc::all().unwrap_or_default() {
            // Those of other networks are in no hostlet.
            if proc::netns_ino(pid).ok() == own
                && let Some(user) = starter(pid)
            {
                users.entry(user).or_default().push(pid);
            }
        }
        users
    }

    /// What these processes run.
    fn programs(&self, pids: &[u32], found: &Found) {
        let excluded = &self.common.excluded;
        let paths: Vec<&str> = self.looked().filter_map(|e| e.path.as_deref()).collect();
        let mut seen = BTreeSet::new();
        for pid in pids {
            if !self.goes_on() {
                return;
            }
            let Ok(file) = hold(Path::new(&format!("/proc/{pid}/exe"))) else {
                continue;
            };
            let names = running(*pid, &file, &paths, &excluded.slow);
            if names.is_empty() && !self.contents {
                continue;
            }
            let Ok(id) = FileId::of(&file) else { continue };
            if !seen.insert((id, names.clone())) {
                continue;
            }
            let fits = |e: &&Exclude| excluded.fits_read(e, &names, &file, &|| self.goes_on());
            let Some(exclude) = self.looked().find(fits).cloned() else {
                continue;
            };
            let _ = found.send((id, file, exclude));
        }
    }
}
