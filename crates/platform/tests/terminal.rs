//! Job control: a loader in an interactive shell on a terminal of its own.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use common::{LIMIT, Sandbox, example};
use hostlet_platform::cgroup::Cgroup;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// An interactive shell on a pseudo-terminal.
struct Terminal {
    shell: Child,
    master: File,
    seen: String,
}

impl Terminal {
    fn open() -> Terminal {
        let (mut master, mut slave) = (-1, -1);
        // SAFETY: two places for descriptors; the rest is optional.
        let code = unsafe {
            libc::openpty(
                &mut master,
                &mut slave,
                std::ptr::null_mut(),
                std::ptr::null(),
                std::ptr::null(),
            )
        };
        assert_eq!(code, 0);
        // SAFETY: openpty made both, and nobody else has them.
        let (master, slave) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        for fd in [master.as_raw_fd(), slave.as_raw_fd()] {
            // Programs that other tests start at this moment must not keep the terminal open.
            // SAFETY: no pointers.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        let stdio = || Stdio::from(slave.try_clone().unwrap());
        let mut command = Command::new("bash");
        command
            .args(["--norc", "--noprofile", "--noediting", "-i"])
            .env("PS1", "PROMPT> ")
            .env("HISTFILE", "/dev/null")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio());
        // SAFETY: both calls are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(std::io::stdin())?;
                Ok(())
            });
        }
        let shell = command.spawn().unwrap();
        let mut terminal = Terminal {
            shell,
            master,
            seen: String::new(),
        };
        terminal.expect("PROMPT> ");
        terminal
    }

    fn say(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Reads up to a text, and returns what came before it.
    fn expect(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut fds = [PollFd::from_borrowed_fd(self.master.as_fd(), PollFlags::IN)];
            let limit = Timespec::try_from(LIMIT).unwrap();
            let ready = poll(&mut fds, Some(&limit)).unwrap();
            assert_eq!(ready, 1, "waiting for {text:?}, seen {:?}", self.seen);
            let mut buffer = [0; 4096];
            let length = self
                .master
                .read(&mut buffer)
                .unwrap_or_else(|e| panic!("{e} waiting for {text:?}, seen {:?}", self.seen));
            self.seen
                .push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// The exit status of the last command, as the shell shows it.
    fn status(&mut self) -> String {
        self.expect("PROMPT> ");
        self.say("echo status=$?.\n");
        // The echo of the line itself has a `$`.
        self.expect("\nstatus=");
        self.expect(".").trim_end_matches('.').to_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The shell is this test's own child.
        self.shell.kill().unwrap();
        self.shell.wait().unwrap();
    }
}

fn line(cgroup: &Cgroup, program: &str) -> String {
    format!(
        "{} {} -- {program}\n",
        example("loader").display(),
        cgroup.path().display()
    )
}

const INTERRUPT: &str = "\x03";
const SUSPEND: &str = "\x1a";
const QUIT: &str = "\x1c";

#[test]
fn the_programs_terminal_is_the_shells() {
    let (_sandbox, cgroup) = Sandbox::with_box("tty");
    let mut terminal = Terminal::open();
    terminal.say(&line(&cgroup, "sh -c 'tty; read x; echo got $x; exit 7'"));
    terminal.expect("/dev/pts/");
    terminal.say("hello\n");
    terminal.expect("got hello");
    assert_eq!(terminal.status(), "7");
}

#[test]
fn keys_interrupt_the_program_once() {
    let (_sandbox, cgroup) = Sandbox::with_box("keys");
    let mut terminal = Terminal::open();
    for (key, status) in [(INTERRUPT, "130"), (QUIT, "131")] {
        terminal.say(&line(
            &cgroup,
            "sh -c 'ulimit -c 0; echo rea\"\"dy; exec sleep 1000'",
        ));
        terminal.expect("ready");
        terminal.say(key);
        assert_eq!(terminal.status(), status);
    }
    // A program that handles the key decides itself.
    terminal.say(&line(
        &cgroup,
        &format!("{} 2 15", example("reporter").display()),
    ));
    terminal.expect("ready");
    terminal.say(INTERRUPT);
    terminal.expect("got 2");
    terminal.say("\x04");
    assert_eq!(terminal.status(), "5");
}

#[test]
fn a_job_stops_and_continues() {
    let (_sandbox, cgroup) = Sandbox::with_box("job");
    let mut terminal = Terminal::open();
    // SIGCONT is reported, so it is known when the program runs again.
    let program = format!("{} 18", example("reporter").display());
    terminal.say(&line(&cgroup, &program));
    terminal.expect("ready");
    for _ in 0..5 {
        terminal.say(SUSPEND);
        terminal.expect("Stopped");
        // SIGTSTP, as if the loader were not there.
        assert_eq!(terminal.status(), "148");
        terminal.expect("PROMPT> ");
        terminal.say("fg\n");
        terminal.expect("got 18");
    }
    terminal.say("\x04");
    assert_eq!(terminal.status(), "5");
}

#[test]
fn a_job_that_reads_in_the_background_stops() {
    let (_sandbox, cgroup) = Sandbox::with_box("background");
    let mut terminal = Terminal::open();
    let job = line(&cgroup, "sh -c 'read x; echo got $x; exit 3'");
    terminal.say(&format!("set -b; {} &\n", job.trim_end()));
    terminal.expect("Stopped");
    terminal.say("fg\n");
    terminal.expect(" -- sh -c");
    terminal.say("it\n");
    terminal.expect("got it");
    assert_eq!(terminal.status(), "3");
}

#[test]
fn a_shell_inside_has_its_own_jobs_and_can_be_suspended() {
    let (_sandbox, cgroup) = Sandbox::with_box("inner");
    let mut terminal = Terminal::open();
    let inner = "env PS1='INNER> ' bash --norc --noprofile --noediting -i";
    terminal.say(&line(&cgroup, inner));
    terminal.expect("\nINNER> ");
    // Its own job control works.
    terminal.say(&format!("{} 2 18\n", example("reporter").display()));
    terminal.expect("ready");
    terminal.say(SUSPEND);
    terminal.expect("Stopped");
    terminal.expect("INNER> ");
    terminal.say("fg\n");
    terminal.expect("got 18");
    terminal.say(INTERRUPT);
    terminal.expect("got 2");
    terminal.say("\x04");
    terminal.expect("INNER> ");
    // It stops itself, with a signal of its own, from a process group of its own.
    terminal.say("suspend\n");
    terminal.expect("Stopped");
    terminal.expect("PROMPT> ");
    terminal.say("fg\n");
    terminal.expect(" --noediting -i\r\n");
    terminal.say("echo back-$PS1-$((40 + 2))\n");
    terminal.expect("back-INNER> -42");
    terminal.say("exit 9\n");
    assert_eq!(terminal.status(), "9");
}

#[test]
fn in_a_pipeline_every_part_gets_the_key() {
    let (_sandbox, cgroup) = Sandbox::with_box("pipe");
    let mut terminal = Terminal::open();
    let first = line(&cgroup, "sh -c 'echo rea\"\"dy; exec sleep 1000'");
    terminal.say(&format!(
        "{} | cat; echo both ended=${{PIPESTATUS[0]}},${{PIPESTATUS[1]}}.\n",
        first.trim_end()
    ));
    terminal.expect("ready");
    terminal.say(INTERRUPT);
    // The whole line is given up by the shell.
    terminal.expect("PROMPT> ");
    // Closing its output early ends the program as it would without the loader.
    let endless = line(&cgroup, "yes");
    terminal.say(&format!(
        "{} | head -1; echo ${{PIPESTATUS[0]}}\"\"=pipe\n",
        endless.trim_end()
    ));
    terminal.expect("141=pipe");
}

#[test]
fn nobody_types_for_the_user() {
    let (_sandbox, cgroup) = Sandbox::with_box("typing");
    let mut terminal = Terminal::open();
    let script = r#"perl -e 'my $c = "x"; print ioctl(STDIN, 0x5412, $c) ? "ty"."ped" : "refu"."sed", "\n"'"#;
    terminal.say(&line(&cgroup, script));
    terminal.expect("refused");
    assert_eq!(terminal.status(), "0");
}
