//! Being the parent: forwarding signals, following stops, taking the status.
//!
//! The program stays in the loader's process group, as it would be without the loader. What the
//! terminal sends (Ctrl-C, Ctrl-Z, a new window size) therefore reaches it by itself, and the loader's
//! own copy is dropped. What somebody sends to the loader alone is forwarded. Who signals the whole
//! group from outside reaches the program twice; no parent can tell these two apart.

use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, getpgid, getpgrp};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use super::child::{Explain, REPORT, understand};
use super::{Ending, LaunchError, SignalHold};
use crate::proc;

/// Something else to look after while waiting.
pub struct Extra<'a> {
    /// Becomes readable when there is something to do.
    pub fd: BorrowedFd<'a>,
    /// Does it. Returns false to be called no more.
    pub ready: &'a mut dyn FnMut() -> bool,
}

/// A started program.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    pidfd: OwnedFd,
    /// Carries a report if the program cannot be executed; closed by a successful exec.
    report: Option<File>,
    explain: Explain,
    cgroup: Option<String>,
    /// Whether it is stopped, as far as it was reported.
    stopped: bool,
}

impl Child {
    pub(super) fn new(pid: u32, pidfd: OwnedFd, report: File, explain: Explain) -> Child {
        Child {
            pid,
            pidfd,
            report: Some(report),
            explain,
            cgroup: proc::cgroup(pid),
            stopped: false,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it: it must not go on alone.
    pub(super) fn kill(&self) {
        self.signal(libc::SIGKILL, None);
    }

    /// Waits for the end, forwarding signals meanwhile.
    pub fn wait(
        mut self,
        hold: &SignalHold,
        extras: &mut [Extra<'_>],
    ) -> Result<Ending, LaunchError> {
        let mut watched = vec![true; extras.len()];
        loop {
            let ready = self
                .poll(hold, extras, &watched)
                .map_err(LaunchError::Wait)?;
            if ready.report {
                self.read_report()?;
            }
            if ready.signal {
                while let Some(info) = hold.next().map_err(LaunchError::Wait)? {
                    self.take(&info, hold);
                }
            }
            for (index, extra) in extras.iter_mut().enumerate() {
                if ready.extras[index] {
                    watched[index] = (extra.ready)();
                }
            }
            if ready.ended {
                // An exec that failed is told before the end that follows it.
                self.read_report()?;
                if let Some(ending) = self.ending().map_err(LaunchError::Wait)? {
                    return Ok(ending);
                }
            }
        }
    }

    fn poll(&self, hold: &SignalHold, extras: &[Extra<'_>], watched: &[bool]) -> io::Result<Ready> {
        let fd = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut fds = vec![fd(self.pidfd.as_fd()), fd(hold.fd())];
        for (extra, watched) in extras.iter().zip(watched) {
            // An empty set of events still reports errors, so leave the descriptor's place to one
            // that is watched anyway.
            fds.push(fd(if *watched { extra.fd } else { hold.fd() }));
        }
        if let Some(report) = &self.report {
            fds.push(fd(report.as_fd()));
        }
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |index: usize| fds.get(index).is_some_and(|f| !f.revents().is_empty());
        Ok(Ready {
            ended: ready(0),
            signal: ready(1),
            extras: (0..extras.len())
                .map(|n| watched[n] && ready(2 + n))
                .collect(),
            report: self.report.is_some() && ready(2 + extras.len()),
        })
    }

    /// A report means that the program was never executed; its end is taken here as well.
    fn read_report(&mut self) -> Result<(), LaunchError> {
        let Some(mut pipe) = self.report.take() else {
            return Ok(());
        };
        let mut report = [0; REPORT];
        if pipe.read_exact(&mut report).is_err() {
            return Ok(());
        }
        self.wait_id(libc::WEXITED).map_err(LaunchError::Wait)?;
        Err(understand(report, &self.explain))
    }

    /// `waitid` on this child: the reported status, if there is one.
    fn wait_id(&self, options: i32) -> io::Result<Option<(i32, i32)>> {
        loop {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            // SAFETY: the descriptor is a process's, the buffer of the right type.
            let code = unsafe {
                libc::waitid(
                    libc::P_PIDFD,
                    self.pidfd.as_raw_fd() as libc::id_t,
                    info.as_mut_ptr(),
                    options,
                )
            };
            if code == 0 {
                // SAFETY: zeroed bytes are valid, and the kernel filled them if it had something.
                let info = unsafe { info.assume_init() };
                // SAFETY: these fields are those of a SIGCHLD report, which this is.
                let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
                return Ok((pid != 0).then_some((info.si_code, status)));
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn ending(&self) -> io::Result<Option<Ending>> {
        let status = self.wait_id(libc::WEXITED | libc::WNOHANG)?;
        Ok(status.map(|(code, status)| match code {
            libc::CLD_EXITED => Ending::Exited(status),
            _ => Ending::Signaled(status),
        }))
    }

    fn take(&mut self, info: &libc::signalfd_siginfo, hold: &SignalHold) {
        match info.ssi_signo as i32 {
            libc::SIGCHLD => {
                if let Some(signal) = self.follow() {
                    self.stop_with(signal, hold);
                }
            }
            libc::SIGCONT => self.wake(hold),
            signal if self.meant_for_program(info) => self.signal(signal, Some(info)),
            _ => {}
        }
    }

    /// This process was told to continue, and the program is meant. It may have been told as well; then
    /// it must not be told twice, for it may have been stopped again since.
    fn wake(&mut self, hold: &SignalHold) {
        let new_stop = self.follow();
        if new_stop.is_some_and(|signal| self.stop_with(signal, hold)) {
            return;
        }
        if self.stopped || proc::stop_waits(self.pid) {
            self.signal(libc::SIGCONT, None);
        }
    }

    /// Takes note of the stops and continuations since the last time. Returns by which signal the
    /// program was stopped, if that is news and still so.
    fn follow(&mut self) -> Option<i32> {
        let mut news = None;
        let options = libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG;
        while let Ok(Some((code, signal))) = self.wait_id(options) {
            self.stopped = code == libc::CLD_STOPPED;
            news = self.stopped.then_some(signal);
        }
        news
    }

    /// The program was stopped: stop as well, so that the shell that started us takes over. False if
    /// there is nobody who would.
    fn stop_with(&self, signal: i32, hold: &SignalHold) -> bool {
        let job_control = matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        let terminal = File::open("/dev/tty").ok();
        // Where there is no terminal, nobody waits for a stop, and who stopped the program will
        // continue the program, not us.
        if !job_control && terminal.is_none() {
            return false;
        }
        let front = terminal.as_ref().and_then(|t| tcgetpgrp(t).ok());
        if proc::stopped(self.pid) && !hold.pending(libc::SIGCONT) {
            hold.stop_self(signal);
        }
        // A shell inside has a group of its own, and may stop without handing the terminal back. Who
        // continues us gives the terminal to our group: hand it on.
        let (Some(terminal), Some(front)) = (terminal, front) else {
            return true;
        };
        let own = getpgrp();
        let pid = Pid::from_raw(self.pid as i32);
        if front != own && getpgid(pid) == Ok(front) && tcgetpgrp(&terminal) == Ok(own) {
            // A program that ended meanwhile needs no terminal.
            let _ = tcsetpgrp(&terminal, front);
        }
        true
    }

    fn meant_for_program(&self, info: &libc::signalfd_siginfo) -> bool {
        if info.ssi_code > 0 {
            // From the kernel: the terminal tells the whole foreground group, but a hang-up only the
            // leader of the session.
            return info.ssi_signo as i32 == libc::SIGHUP && leads_session();
        }
        !self.sent_by_member_to_group(info.ssi_pid)
    }

    /// A member that signals its own process group (`kill 0`) reaches itself and us. Sending that
    /// back to it would be a second signal.
    fn sent_by_member_to_group(&self, sender: u32) -> bool {
        if sender == self.pid {
            return true;
        }
        let (Some(own), Some(theirs)) = (&self.cgroup, proc::cgroup(sender)) else {
            return false;
        };
        let member = theirs
            .strip_prefix(own.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        member && getpgid(Pid::from_raw(sender as i32)) == Ok(getpgrp())
    }

    /// Sends a signal to the program, with the value it carried. It cannot hit another process: the
    /// descriptor names this one for ever.
    fn signal(&self, signal: i32, info: Option<&libc::signalfd_siginfo>) {
        let queued = info.filter(|i| i.ssi_code == libc::SI_QUEUE).map(|i| {
            #[repr(C)]
            struct Queued {
                signo: i32,
                errno: i32,
                code: i32,
                pad: i32,
                pid: u32,
                uid: u32,
                value: u64,
                rest: [u64; 12],
            }
            Queued {
                signo: signal,
                errno: 0,
                code: libc::SI_QUEUE,
                pad: 0,
                pid: i.ssi_pid,
                uid: i.ssi_uid,
                value: i.ssi_ptr,
                rest: [0; 12],
            }
        });
        let pointer = queued.as_ref().map_or(std::ptr::null(), |q| q as *const _);
        // SAFETY: the descriptor is a process's; the structure has the layout and size of siginfo_t, or is
        // absent. A program that has ended meanwhile is no failure.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.pidfd.as_raw_fd(),
                signal,
                pointer,
                0,
            )
        };
    }
}

fn leads_session() -> bool {
    // SAFETY: no pointers.
    unsafe { libc::getsid(0) == libc::getpid() }
}

struct Ready {
    ended: bool,
    signal: bool,
    extras: Vec<bool>,
    report: bool,
}
