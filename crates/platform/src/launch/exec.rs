//! Becoming a program, in a process that is in its cgroup already and has no privileges.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use super::child::{self, Explain, Stage};
use super::families::{self, Refusals};
use super::plan::{self, Image};
use super::{LaunchError, activation, signals};
use crate::proc;

/// What to become, and how.
#[derive(Debug)]
pub struct Exec {
    /// A path, or a name to look up in the program's own `PATH`.
    pub program: OsString,
    /// Its arguments, without its name.
    pub args: Vec<OsString>,
    /// Variables to set.
    pub env: Vec<(OsString, OsString)>,
    /// Start from an empty environment.
    pub clear_env: bool,
    /// Where it starts; the present directory if none.
    pub workdir: Option<PathBuf>,
    /// Descriptors that it inherits besides 0, 1 and 2.
    pub keep_fds: Vec<RawFd>,
    /// Refuse socket families other than [`super::ALLOWED_FAMILIES`] and `allow_families`, and typing into
    /// the terminal.
    pub restrict_families: bool,
    /// Further families to allow.
    pub allow_families: Vec<i32>,
}

impl Exec {
    /// With restricted families, and everything else as this process has it.
    pub fn new(program: impl Into<OsString>) -> Exec {
        Exec {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            clear_env: false,
            workdir: None,
            keep_fds: Vec::new(),
            restrict_families: true,
            allow_families: Vec::new(),
        }
    }
}

/// Becomes the program: same process, same cgroup, same user, same signal mask and dispositions as this process
/// was started with. It gets `no_new_privs`, so that no set-uid program gives it what it has not, and
/// the filter of socket families.
///
/// Returns only when that fails; the process then should end: it keeps what was changed until then
/// (its directory, `no_new_privs`, the filter, and that descriptors close with an exec). Where other threads
/// run, they end with the exec.
pub fn exec(what: Exec) -> LaunchError {
    match attempt(&what) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn attempt(what: &Exec) -> Result<std::convert::Infallible, LaunchError> {
    let passed = activation::kept(&what.keep_fds)?;
    let keep_fds = plan::keep_fds(&what.keep_fds)?;
    let environment = plan::environment(&what.env, what.clear_env, None);
    let image = Image::new(&what.program, &what.args, environment, passed > 0)?;
    let workdir = plan::directory(what.workdir.as_deref())?;
    let filter = if what.restrict_families {
        // A user's process has no rights to cgroups and pins that these calls would turn to account.
        let refused = Refusals {
            typing: families::typing_possible(),
            io_uring: families::leads_out_by_io_uring(),
            ..Refusals::default()
        };
        plan::family_filter(&what.allow_families, refused)
    } else {
        Vec::new()
    };
    let explain = Explain {
        program: what.program.clone(),
        workdir: what.workdir.clone().unwrap_or_default(),
    };
    let prepare = || -> Result<(), Stage> {
        child::close_others(&keep_fds)?;
        proc::give_up_new_privileges().map_err(|_| Stage::NoNewPrivileges)?;
        child::install_filter(&filter)?;
        if let Some(dir) = &workdir {
            // SAFETY: the path is zero-terminated.
            let code = unsafe { libc::chdir(dir.as_ptr()) };
            child::check(code.into(), Stage::Workdir)?;
        }
        Ok(())
    };
    prepare().map_err(|stage| child::in_words(Some(stage), child::errno(), &explain))?;
    // SAFETY: the image is this function's own. The dispositions are SIG_DFL or SIG_IGN; ours comes
    // back when the exec fails, since the message about it may go to a closed pipe.
    let (stage, errno) = unsafe {
        child::write_listen_pid(&image);
        let ours = libc::signal(libc::SIGPIPE, signals::sigpipe());
        let failure = child::exec(&image);
        libc::signal(libc::SIGPIPE, ours);
        failure
    };
    Err(child::in_words(Some(stage), errno, &explain))
}
