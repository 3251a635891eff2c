//! The new process between its birth and the exec.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use super::plan::{Image, Plan};
use super::user::Identity;
use super::{Child, LaunchError, birth, privileges};

/// Which step failed in the new process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Stage {
    Descriptors,
    NoNewPrivileges,
    Families,
    Bounding,
    Ambient,
    Groups,
    Group,
    User,
    Capabilities,
    Workdir,
    Signals,
    Exec,
    Interpreter,
}

impl Stage {
    const ALL: [Stage; 13] = [
        Stage::Descriptors,
        Stage::NoNewPrivileges,
        Stage::Families,
        Stage::Bounding,
        Stage::Ambient,
        Stage::Groups,
        Stage::Group,
        Stage::User,
        Stage::Capabilities,
        Stage::Workdir,
        Stage::Signals,
        Stage::Exec,
        Stage::Interpreter,
    ];

    fn what(self) -> &'static str {
        match self {
            Stage::Descriptors => "close inherited descriptors",
            Stage::NoNewPrivileges => "give up privileges of set-uid programs (no_new_privs)",
            Stage::Families => "restrict socket families (the kernel needs CONFIG_SECCOMP_FILTER)",
            Stage::Bounding => "drop capabilities from the bounding set",
            Stage::Ambient => "set the ambient capabilities",
            Stage::Groups => "set the supplementary groups",
            Stage::Group => "set the group",
            Stage::User => "set the user",
            Stage::Capabilities => "drop capabilities",
            Stage::Workdir => "enter the directory to start in",
            Stage::Signals => "restore the signal mask",
            Stage::Exec | Stage::Interpreter => "execute the program",
        }
    }
}

/// What the new process reports if it fails: a stage and an errno.
pub(super) const REPORT: usize = 8;

pub(super) fn understand(report: [u8; REPORT], plan: &Explain) -> LaunchError {
    let word = |at: usize| {
        u32::from_ne_bytes([report[at], report[at + 1], report[at + 2], report[at + 3]])
    };
    let stage = Stage::ALL.into_iter().find(|s| *s as u32 == word(0));
    in_words(stage, word(4) as i32, plan)
}

/// A step that failed, and its errno.
pub(super) fn in_words(stage: Option<Stage>, errno: i32, plan: &Explain) -> LaunchError {
    let source = io::Error::from_raw_os_error(errno);
    let program = plan.program.clone();
    match stage {
        Some(Stage::Exec) if errno == libc::ENOENT => LaunchError::NotFound { program },
        Some(Stage::Exec) => LaunchError::NotExecutable { program, source },
        Some(Stage::Interpreter) => LaunchError::NoInterpreter(program),
        Some(Stage::Workdir) => LaunchError::Workdir {
            path: plan.workdir.clone(),
            source,
        },
        other => LaunchError::Confine {
            what: other.map_or("prepare the process", Stage::what).to_owned(),
            source,
        },
    }
}

/// What is needed to put a report into words.
#[derive(Debug)]
pub(super) struct Explain {
    pub(super) program: std::ffi::OsString,
    pub(super) workdir: std::path::PathBuf,
}

/// Starts the process. It is born in the cgroup: no instruction of it runs anywhere else.
pub(super) fn spawn(plan: &Plan, cgroup: BorrowedFd<'_>) -> Result<Child, LaunchError> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|e| LaunchError::Wait(e.into()))?;
    let newborn = Newborn {
        plan,
        pipe: writer.as_raw_fd(),
    };
    let shares = stays_hidden(&plan.identity);
    // SAFETY: it makes system calls only, allocates nothing, takes no lock, and ends in an exec or an exit.
    let (pid, pidfd) = unsafe { birth::bear(cgroup, shares, run, &newborn) }
        .map_err(|source| LaunchError::Cgroup { source })?;
    let explain = Explain {
        program: plan.program.clone(),
        workdir: plan.workdir_path.clone(),
    };
    Ok(Child::new(pid, pidfd, File::from(reader), explain))
}

/// Whether nobody can trace the new process by becoming the same user: where another is changed to, the kernel goes by this switch, and
/// with 1 it lets all others of that user do so for a moment. They would write into this process's memory.
fn stays_hidden(identity: &Identity) -> bool {
    let changes = identity.uid.is_some() || identity.gid.is_some();
    let switch = || fs::read_to_string("/proc/sys/fs/suid_dumpable");
    !changes || switch().is_ok_and(|is| is.trim() != "1")
}

/// What the new process has from this one.
struct Newborn<'p> {
    plan: &'p Plan,
    /// Where it tells what fails.
    pipe: RawFd,
}

pub(super) fn errno() -> i32 {
    // SAFETY: the location is this thread's own.
    unsafe { *libc::__errno_location() }
}

/// The new process. Only async-signal-safe calls from here on.
unsafe extern "C" fn run(newborn: *const Newborn<'_>) -> ! {
    // SAFETY: it outlives this, which never returns; nobody else uses it meanwhile.
    let &Newborn { plan, pipe } = unsafe { &*newborn };
    // SAFETY: in the new process, as required.
    let (stage, errno) = match unsafe { prepare(plan) } {
        Err(stage) => (stage, errno()),
        // SAFETY: as above.
        Ok(()) => unsafe { exec(&plan.image) },
    };
    let mut report = [0; REPORT];
    report[..4].copy_from_slice(&(stage as u32).to_ne_bytes());
    report[4..].copy_from_slice(&errno.to_ne_bytes());
    // SAFETY: the buffer has the length given. There is nobody to tell about a failure here.
    unsafe {
        libc::write(pipe, report.as_ptr().cast(), REPORT);
        libc::_exit(127)
    }
}

pub(super) fn check(code: libc::c_long, stage: Stage) -> Result<(), Stage> {
    if code < 0 { Err(stage) } else { Ok(()) }
}

unsafe fn prepare(plan: &Plan) -> Result<(), Stage> {
    close_others(&plan.keep_fds)?;
    // Before CAP_SYS_ADMIN goes: with it, no_new_privs is not needed.
    install_filter(&plan.filter)?;
    if plan.confine {
        privileges::drop_bounding(&plan.dropped)?;
    }
    privileges::become_user(plan)?;
    if let Some(dir) = &plan.workdir {
        // SAFETY: the path is zero-terminated.
        check(unsafe { libc::chdir(dir.as_ptr()) }.into(), Stage::Workdir)?;
    }
    // SAFETY: nobody else uses it: this process's parent waits until the exec.
    unsafe { write_listen_pid(&plan.image) };
    // SAFETY: both are SIG_DFL or SIG_IGN.
    unsafe {
        libc::signal(libc::SIGPIPE, plan.sigpipe);
        libc::signal(libc::SIGCHLD, plan.sigchld);
    }
    // SAFETY: the mask was read from the kernel.
    let code = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &plan.mask, ptr::null_mut()) };
    check(code.into(), Stage::Signals)
}

/// Refuses socket families, from now on and in all children. An empty filter refuses nothing.
pub(super) fn install_filter(filter: &[libc::sock_filter]) -> Result<(), Stage> {
    if filter.is_empty() {
        return Ok(());
    }
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the program outlives the call, which copies it.
    let code = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &program,
        )
    };
    check(code, Stage::Families)
}

/// Marks everything from 3 on to be closed by exec, except what is kept.
pub(super) fn close_others(keep: &[RawFd]) -> Result<(), Stage> {
    let mut from = 3u32;
    let range = |from: u32, to: u32| {
        if from > to {
            return 0;
        }
        // SAFETY: no pointers; only flags of descriptors change, of this process alone.
        unsafe { libc::syscall(libc::SYS_close_range, from, to, libc::CLOSE_RANGE_CLOEXEC) }
    };
    for fd in keep {
        let fd = *fd as u32;
        check(range(from, fd.wrapping_sub(1)), Stage::Descriptors)?;
        from = fd + 1;
    }
    check(range(from, u32::MAX), Stage::Descriptors)
}

/// Writes this process's id behind `LISTEN_PID=`, if there is such an entry.
///
/// # Safety
/// Nobody may use the image's environment at the same time.
pub(super) unsafe fn write_listen_pid(image: &Image) {
    let Some(index) = image.listen_pid else {
        return;
    };
    // SAFETY: reads no memory but this process's own id.
    let mut pid = unsafe { libc::syscall(libc::SYS_getpid) } as u32;
    let mut digits = [0u8; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (pid % 10) as u8;
        pid /= 10;
        if pid == 0 {
            break;
        }
    }
    // SAFETY: the entry was made with room for ten digits and a zero behind the prefix, and nobody
    // else uses it meanwhile.
    unsafe {
        let entry = *image.envp.as_ptr().add(index);
        let value = entry.cast_mut().cast::<u8>().add("LISTEN_PID=".len());
        ptr::copy_nonoverlapping(digits.as_ptr().add(at), value, digits.len() - at);
        *value.add(digits.len() - at) = 0;
    }
}

/// Tries the candidates, as execvp does. Returns only on failure.
///
/// # Safety
/// This process, with whatever other threads do in it, is to end here if it works.
pub(super) unsafe fn exec(image: &Image) -> (Stage, i32) {
    let mut worst = (Stage::Exec, libc::ENOENT);
    let searching = image.candidates.len() > 1;
    for (file, script) in image.candidates.iter().zip(&image.scripts) {
        // SAFETY: all strings and arrays are zero-terminated.
        unsafe { libc::execve(file.as_ptr(), image.argv.as_ptr(), image.envp.as_ptr()) };
        match errno() {
            libc::ENOEXEC => {
                // A script without an interpreter line is the shell's.
                // SAFETY: as above.
                unsafe { libc::execve(image.shell.as_ptr(), script.as_ptr(), image.envp.as_ptr()) };
                return (Stage::Exec, errno());
            }
            libc::ENOENT => {
                if exists(file) {
                    worst = (Stage::Interpreter, libc::ENOENT);
                }
            }
            libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT if searching => {}
            // A directory of PATH that one may not enter has no programs, as for a shell.
            libc::EACCES if searching && !exists(file) => {}
            libc::EACCES => worst = (Stage::Exec, libc::EACCES),
            other => return (Stage::Exec, other),
        }
    }
    worst
}

fn exists(file: &CStr) -> bool {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the path is zero-terminated, the buffer of the right type.
    unsafe { libc::stat(file.as_ptr(), stat.as_mut_ptr()) == 0 }
}
