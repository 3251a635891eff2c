//! A server program as data: what its configuration says, how it is started in the foreground,
//! how it tells that it is ready, where it writes its log.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use super::diary::Diary;
use super::machines::{MACHINES, Machines};
use crate::daemon::{Daemon, Log};
use crate::dir::TestDir;
use crate::ends::Ends;

/// How a program runs. In all texts `@dir@` stands for the directory that is its own, `@who@` for
/// the mark and the machine's name, `@number@` for the machine's number, from 1 on.
#[derive(Debug)]
pub struct Recipe {
    /// Its name.
    pub name: &'static str,
    /// Started as this user, whom its package made; none: as root.
    pub user: Option<&'static str>,
    /// Files in its directory: name and text.
    pub files: &'static [(&'static str, &'static str)],
    /// Commands to run once before the first start, as the same user.
    pub setup: &'static [&'static [&'static str]],
    /// The program and its arguments.
    pub command: &'static [&'static str],
    /// When it is ready.
    pub ready: Ready,
    /// The file with its pid, if it goes to the background.
    pub pid: Option<&'static str>,
    /// Its log, if it writes one beside its standard output and error.
    pub log: Option<&'static str>,
}

/// When a program is ready.
#[derive(Debug, Clone, Copy)]
pub enum Ready {
    /// When it says this on its standard output or error.
    Says(&'static str),
    /// When this appears in a file of its directory, and was not there before the start.
    Writes(&'static str, &'static str),
    /// When this file of its directory is not empty.
    Makes(&'static str),
}

/// Fill the words in.
fn fill(text: &str, words: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (word, meaning) in words {
        text = text.replace(word, meaning);
    }
    text
}

/// A program on a machine, running or not.
#[derive(Debug)]
pub struct Server<'a> {
    machines: &'a Machines,
    recipe: &'static Recipe,
    machine: &'static str,
    words: Vec<(String, String)>,
    dir: Rc<TestDir>,
    heard: Rc<RefCell<Vec<Log>>>,
    daemon: Option<Daemon>,
}

impl Drop for Server<'_> {
    /// It runs until the scenario ends: what others write when it goes is no part of that.
    fn drop(&mut self) {
        self.machines.keep(self.daemon.take());
    }
}

impl std::fmt::Debug for Machines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.confined() { "hostlets" } else { "real" })
    }
}

impl<'a> Server<'a> {
    /// Makes its directory and what is in it.
    pub(super) fn prepare(
        machines: &'a Machines,
        recipe: &'static Recipe,
        machine: &'static str,
        mut words: Vec<(String, String)>,
    ) -> Result<Server<'a>> {
        let who = format!("{}{machine}", super::ask::MARK);
        let dir = TestDir::new(&format!("{}-{who}", recipe.name))?;
        let at = dir.path().display().to_string();
        let number = MACHINES.iter().position(|(name, _)| *name == machine);
        let number = (number.context("a machine")? + 1).to_string();
        let own = [("@dir@", at), ("@who@", who), ("@number@", number)];
        words.extend(own.map(|(word, meaning)| (word.to_owned(), meaning)));
        let server = Server {
            machines,
            recipe,
            machine,
            words,
            dir: Rc::new(dir),
            heard: Rc::default(),
            daemon: None,
        };
        server.own(server.dir.path(), 0o755)?;
        for (name, text) in recipe.files {
            server.write(name, text)?;
        }
        for words in recipe.setup {
            let (program, args) = words.split_first().context("no command")?;
            let program = fill(program, &server.words);
            let mut command = machines.command_as(machine, recipe.user, &program)?;
            let args = args.iter().map(|arg| fill(arg, &server.words));
            let done = command.args(args).output();
            let done = done.with_context(|| format!("starting {program}"))?;
            let said = String::from_utf8_lossy(&done.stderr);
            ensure!(done.status.success(), "{words:?}: {said}");
        }
        Ok(server)
    }

    fn own(&self, path: &Path, mode: u32) -> Result<()> {
        if let Some(user) = self.recipe.user {
            let (uid, gid) = account(user)?;
            chown(path, Some(uid), Some(gid)).context("chown")?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).context("chmod")
    }

    /// Writes a file of its directory anew, with the words filled in.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context("making a directory")?;
            self.own(parent, 0o755)?;
        }
        let text = fill(text.trim_end(), &self.words) + "\n";
        fs::write(&path, text).context("writing a file")?;
        // A program that logs in its user's name must find what it reads, and may want it private.
        self.own(&path, if name.ends_with("key") { 0o600 } else { 0o644 })
    }

    /// The name of its machine.
    pub fn machine(&self) -> &'static str {
        self.machine
    }

    /// Starts it (again), and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready, with what it said.
    pub fn again(&mut self) -> Result<()> {
        let recipe = self.recipe;
        let (program, args) = recipe.command.split_first().context("no command")?;
        let program = self.fill(program);
        let mut command = self
            .machines
            .command_as(self.machine, recipe.user, &program)?;
        command.args(args.iter().map(|arg| fill(arg, &self.words)));
        // Some end all of their process group with themselves.
        command.process_group(0);
        if let Ready::Makes(file) = recipe.ready {
            let _ = fs::remove_file(self.path(file));
        }
        let before = match recipe.ready {
            Ready::Writes(file, _) => self.read(file).len(),
            _ => 0,
        };
        let name = format!("{} on {}", recipe.name, self.machine);
        let mut daemon = Daemon::start(&name, command)?;
        self.heard.borrow_mut().push(daemon.log().clone());
        if let Ready::Says(text) = recipe.ready {
            let ready = daemon.log().wait(text);
            ready.with_context(|| format!("{name} does not become ready: {}", self.tail()))?;
        } else {
            let mut ended = false;
            let waited = crate::wait::until("it to become ready", || {
                ended = recipe.pid.is_none() && !daemon.runs();
                ended
                    || match recipe.ready {
                        Ready::Writes(file, text) => self
                            .read(file)
                            .get(before..)
                            .is_some_and(|new| new.contains(text)),
                        Ready::Makes(file) => {
                            fs::metadata(self.path(file)).is_ok_and(|m| m.len() > 0)
                        }
                        Ready::Says(_) => true,
                    }
            });
            let failed = ended || waited.is_err();
            ensure!(!failed, "{name} does not become ready: {}", self.tail());
        }
        self.daemon = Some(daemon);
        Ok(())
    }

    /// What it said last.
    fn tail(&self) -> String {
        let said = self.diary().read();
        said[said.len().saturating_sub(20)..].join("\n")
    }

    /// A file of its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What is in a file of its directory; nothing when it is not there.
    pub fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The texts of its recipe with the words filled in.
    pub fn fill(&self, text: &str) -> String {
        fill(text, &self.words)
    }

    /// Waits until a file of its directory contains the text so many times.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait(&self, file: &str, text: &str, times: usize) -> Result<()> {
        let what = format!("{times} '{text}' in {file} of {}", self.recipe.name);
        crate::wait::until(&what, || self.read(file).matches(text).count() >= times)
            .with_context(|| self.tail())
    }

    /// What it says since its last start.
    ///
    /// # Errors
    /// When it was never started.
    pub fn said(&self) -> Result<Log> {
        self.heard.borrow().last().cloned().context("never started")
    }

    /// A pid that it wrote into a file.
    ///
    /// # Errors
    /// When there is none.
    pub fn pid_in(&self, file: &str) -> Result<i32> {
        let text = self.read(file);
        let first = text.lines().next().unwrap_or_default();
        first
            .trim()
            .parse()
            .with_context(|| format!("a pid in {file}"))
    }

    /// Its processes, the first one first. The loader of a hostlet is none of them.
    ///
    /// # Errors
    /// When it does not run.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let started = self.daemon.as_ref().context("it does not run")?.pid();
        let mut all = match self.recipe.pid {
            Some(file) => vec![self.pid_in(file)?],
            None => vec![i32::try_from(started).context("a pid")?],
        };
        let mut next = 0;
        while let Some(pid) = all.get(next) {
            all.extend(children(*pid));
            next += 1;
        }
        let loaded = self.machines.confined() && self.machine != "host";
        if loaded && self.recipe.pid.is_none() {
            all.remove(0);
        }
        Ok(all)
    }

    /// Ends it as a service manager does.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.end_by(libc::SIGTERM)
    }

    /// Ends it by a signal to its first process, and waits for all of them: as long as one has them
    /// open, its sockets are there.
    ///
    /// # Errors
    /// When they do not end.
    pub fn end_by(&mut self, signal: i32) -> Result<ExitStatus> {
        let all = Ends::of(&self.processes()?);
        self.signal(signal)?;
        all.wait().with_context(|| self.tail())?;
        self.ended()
    }

    /// Waits until what was started has ended.
    ///
    /// # Errors
    /// When it does not.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        let daemon = self.daemon.as_mut().context("it does not run")?;
        crate::wait::until("a program to end", || !daemon.runs()).with_context(|| self.tail())?;
        let mut daemon = self.daemon.take().context("it does not run")?;
        daemon.stop()
    }

    /// Sends its first process a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let first = self.processes()?.first().copied();
        send(first.context("it does not run")?, signal)
    }

    /// Kills all its processes at once: none gets the chance to do anything.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let all = self.processes()?;
        let ends = Ends::of(&all);
        for pid in &all {
            send(*pid, libc::SIGSTOP)?;
        }
        for pid in all {
            send(pid, libc::SIGKILL)?;
        }
        ends.wait().with_context(|| self.tail())?;
        self.ended().map(drop)
    }

    pub(super) fn diary(&self) -> Diary {
        let name = format!("{} on {}", self.recipe.name, self.machine);
        Diary::new(name, &self.dir, &self.heard, self.recipe.log)
    }
}

/// Sends a process of a test a signal.
///
/// # Errors
/// When it is gone.
pub fn send(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: takes no pointers; the process is one that the test started.
    let done = unsafe { libc::kill(pid, signal) };
    let why = std::io::Error::last_os_error();
    ensure!(done == 0, "sending {pid} signal {signal}: {why}");
    Ok(())
}

fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let text = text.unwrap_or_default();
    text.split_whitespace()
        .filter_map(|w| w.parse().ok())
        .collect()
}

pub(super) fn account(user: &str) -> Result<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let line = accounts
        .lines()
        .find(|line| line.split(':').next() == Some(user))
        .with_context(|| format!("there is no user {user}: is the program's package installed?"))?;
    let mut ids = line.split(':').skip(2).map(str::parse::<u32>);
    let mut id = || {
        ids.next()
            .context("a line of /etc/passwd")?
            .context("an id")
    };
    Ok((id()?, id()?))
}
