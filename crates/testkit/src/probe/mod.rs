//! The probe: one line in is one call, one line out is what came of it.
//!
//! `a = socket tcp4` → `ok`; `bind a 10.0.0.9:80` → `EADDRNOTAVAIL`; `name a` →
//! `0.0.0.0:80`. What differs from run to run without meaning anything is shown
//! as `*`: ports that the kernel chose. A program that forks, execs or hands its
//! sockets to others is played by children, whose lines start with `/child `.
//!
//! Every call that may wait does so for [`PATIENCE_MS`] at most (or what `patience MS`
//! said) and then says `EAGAIN` (or `EINPROGRESS` for connect), so that a script always
//! ends. `reset` forgets everything, for the next script.

mod address;
mod breakout;
mod chain;
mod children;
mod errno;
mod escape;
mod held;
mod io;
mod knock;
mod message;
mod options;
mod quarrel;
mod ready;
mod sockets;
mod uring;

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use children::Child;
pub use errno::errno_name;

/// How long a waiting call waits, unless told otherwise.
pub const PATIENCE_MS: u32 = 2000;

/// What a program and its children keep to; a probe plays one program at a time.
static PATIENCE: AtomicU32 = AtomicU32::new(PATIENCE_MS);

/// How long a waiting call waits.
pub(crate) fn patience_ms() -> i32 {
    i32::try_from(PATIENCE.load(Ordering::Relaxed)).unwrap_or(i32::MAX)
}

/// The same for sockets.
pub(crate) fn patience() -> libc::timeval {
    let ms = i64::from(patience_ms());
    libc::timeval {
        tv_sec: ms / 1000,
        tv_usec: ms % 1000 * 1000,
    }
}

/// What the kernel or the reader of the line objects to.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A call failed with this errno.
    Errno(i32),
    /// The socket was not made, because an earlier call failed.
    Nobody,
    /// The line makes no sense.
    Usage(String),
}

type Outcome = Result<String, Trouble>;

impl From<std::io::Error> for Trouble {
    fn from(e: std::io::Error) -> Trouble {
        match e.raw_os_error() {
            Some(errno) => Trouble::Errno(errno),
            None => Trouble::Usage(e.to_string()),
        }
    }
}

pub(crate) fn usage<T>(text: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Usage(text.into()))
}

/// The answer of a raw call, or its errno.
pub(crate) fn check(answer: libc::c_int) -> Result<libc::c_int, Trouble> {
    if answer < 0 {
        Err(std::io::Error::last_os_error().into())
    } else {
        Ok(answer)
    }
}

/// As [`check`], for calls that answer with a length.
pub(crate) fn check_len(answer: libc::ssize_t) -> Result<usize, Trouble> {
    usize::try_from(answer).map_err(|_| std::io::Error::last_os_error().into())
}

/// One program: its open sockets by name and its children.
#[derive(Default)]
pub(crate) struct Actor {
    sockets: HashMap<String, OwnedFd>,
    children: HashMap<String, Child>,
}

impl Actor {
    /// Performs one line and says what came of it.
    fn perform(&mut self, line: &str) -> String {
        let outcome = match line.strip_prefix('/') {
            Some(rest) => match rest.split_once(' ') {
                Some((child, rest)) => self.forward(child, rest),
                None => usage("a child's line is `/child op`"),
            },
            None => self.parse(line),
        };
        // A ring that an earlier op used ends in its own time, and interrupts what waits then. A connect that was interrupted
        // goes on, and the next one waits for it; one of a ring's would be another.
        if matches!(outcome, Err(Trouble::Errno(libc::EINTR))) && !line.contains("uring-connect") {
            return self.perform(line);
        }
        match outcome {
            Ok(text) => text,
            Err(Trouble::Errno(errno)) => errno_name(errno),
            Err(Trouble::Nobody) => "no-socket".into(),
            Err(Trouble::Usage(text)) => format!("usage: {text}: in `{line}`"),
        }
    }

    fn parse(&mut self, line: &str) -> Outcome {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (target, words) = match words[..] {
            [target, "=", ref rest @ ..] => (Some(target), rest),
            ref all => (None, all),
        };
        let Some((&op, args)) = words.split_first() else {
            return usage("an empty line");
        };
        if let Some(target) = target {
            let (fd, text) = self.make(op, args)?;
            self.sockets.insert(target.into(), fd);
            return Ok(text);
        }
        match op {
            "fork" | "exec" | "exec-as" | "give" | "exit" | "kill" | "hand" => {
                self.children_op(op, args)
            }
            "close" => match args {
                [name] => self.sockets.remove(*name).map_or_else(
                    || Err(Trouble::Nobody),
                    |fd| {
                        drop(fd);
                        Ok("ok".into())
                    },
                ),
                _ => usage("close SOCKET"),
            },
            "reset" => {
                self.reset();
                Ok("ok".into())
            }
            // Of sockets that are made from now on.
            "patience" => match args {
                [ms] => match ms.parse() {
                    Ok(ms) => {
                        PATIENCE.store(ms, Ordering::Relaxed);
                        Ok("ok".into())
                    }
                    Err(_) => usage("patience MS"),
                },
                _ => usage("patience MS"),
            },
            "become" | "steal" | "setns" | "unshare" | "write" | "status" | "storm" => {
                escape::perform(op, args)
            }
            "escape" | "chain" | "links" | "catch" | "openable" | "command" | "call" => {
                breakout::perform(op, args)
            }
            "which" => self.on_sockets(op, args),
            "quarrel" => quarrel::start(args),
            _ => match args.split_first() {
                Some((name, args)) => self.on_socket(op, self.socket(name)?, args),
                None => usage(format!("unknown op {op}")),
            },
        }
    }
}

/// Runs a probe on standard input and output, or on the socket that a parent
/// probe gave it.
pub fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--child") {
        return children::main_after_exec(args);
    }
    let mut actor = Actor::default();
    let mut out = std::io::stdout();
    let mut say = |text: &str| writeln!(out, "{text}").and_then(|()| out.flush()).is_ok();
    // The reader waits for this line: from here on sockets are made where they shall be.
    if !say("ready") {
        return ExitCode::FAILURE;
    }
    let mut status = ExitCode::SUCCESS;
    for line in std::io::stdin().lock().lines() {
        match line {
            Ok(line) if line == "quit" => break,
            Ok(line) if say(&actor.perform(&line)) => {}
            _ => {
                status = ExitCode::FAILURE;
                break;
            }
        }
    }
    actor.end_children();
    status
}
