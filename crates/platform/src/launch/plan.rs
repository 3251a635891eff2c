//! Everything the new process needs, made ready before it exists: between its birth and the exec it
//! must not allocate, since another thread may have held the allocator's lock.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr;

use caps::Capability;

use super::families::Refusals;
use super::user::{Identity, User};
use super::{
    ALLOWED_FAMILIES, DROPPED_CAPABILITIES, Launch, LaunchError, SignalHold, activation, families,
    signals,
};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LISTEN_PID: &str = "LISTEN_PID";
/// `LISTEN_PID=` and room for a number and the final zero.
const LISTEN_PID_ROOM: usize = 11 + 11;

/// A zero-terminated array of strings, as exec wants it.
pub(super) struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

// SAFETY: the pointers point into the owned strings, which are never changed.
unsafe impl Sync for Strings {}

impl Strings {
    fn new(owned: Vec<CString>) -> Strings {
        let pointers = owned
            .iter()
            .map(|s| s.as_ptr())
            .chain([ptr::null()])
            .collect();
        Strings {
            _owned: owned,
            pointers,
        }
    }

    pub(super) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// What is executed, with which arguments and environment.
pub(super) struct Image {
    /// The files to try to execute, in order.
    pub(super) candidates: Vec<CString>,
    pub(super) argv: Strings,
    /// For each candidate: the arguments of a shell that reads it as a script.
    pub(super) scripts: Vec<Strings>,
    pub(super) shell: CString,
    pub(super) envp: Strings,
    /// Where in the environment the process writes its own id, if anywhere.
    pub(super) listen_pid: Option<usize>,
}

/// What the new process does.
pub(super) struct Plan {
    pub(super) program: OsString,
    pub(super) workdir_path: PathBuf,
    pub(super) image: Image,
    pub(super) workdir: Option<CString>,
    pub(super) identity: Identity,
    pub(super) confine: bool,
    /// Numbers of capabilities to take away.
    pub(super) dropped: Vec<u8>,
    /// Capabilities to keep, as bits.
    pub(super) kept: u64,
    /// Whether it keeps the right to administer the machine or its network.
    pub(super) administers: bool,
    /// Descriptors to keep, sorted.
    pub(super) keep_fds: Vec<RawFd>,
    pub(super) filter: Vec<libc::sock_filter>,
    pub(super) mask: libc::sigset_t,
    pub(super) sigpipe: libc::sighandler_t,
    pub(super) sigchld: libc::sighandler_t,
}

impl Image {
    /// `passed`: whether sockets of a service manager are handed on.
    pub(super) fn new(
        program: &OsStr,
        args: &[OsString],
        mut environment: BTreeMap<OsString, OsString>,
        passed: bool,
    ) -> Result<Image, LaunchError> {
        let path = environment
            .get(OsStr::new("PATH"))
            .cloned()
            .unwrap_or(DEFAULT_PATH.into());
        // Where it is some other process's, it means nothing to the program, and stays as it is.
        if passed {
            environment.remove(OsStr::new(LISTEN_PID));
        }
        let mut strings = Vec::with_capacity(environment.len() + 1);
        for (name, value) in environment {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            strings.push(c_string(entry, "a variable of the environment")?);
        }
        let listen_pid = passed.then_some(strings.len());
        if passed {
            // The rest is overwritten by the process, which knows its id.
            let mut entry = format!("{LISTEN_PID}=").into_bytes();
            entry.resize(LISTEN_PID_ROOM, b'0');
            strings.push(c_string(entry, LISTEN_PID)?);
        }

        let name = c_string(program.as_bytes().to_vec(), "the program's name")?;
        let mut arguments = Vec::with_capacity(args.len());
        for arg in args {
            arguments.push(c_string(arg.as_bytes().to_vec(), "an argument")?);
        }
        let candidates = candidates(program, &path)?;
        let scripts = candidates
            .iter()
            .map(|file| {
                let shell = [c"sh".to_owned(), file.clone()];
                Strings::new(shell.into_iter().chain(arguments.iter().cloned()).collect())
            })
            .collect();
        Ok(Image {
            candidates,
            argv: Strings::new([name].into_iter().chain(arguments).collect()),
            scripts,
            shell: c"/bin/sh".to_owned(),
            envp: Strings::new(strings),
            listen_pid,
        })
    }
}

impl Plan {
    pub(super) fn new(launch: &Launch, hold: &SignalHold) -> Result<Plan, LaunchError> {
        let passed = activation::kept(&launch.keep_fds)?;
        let keep_fds = keep_fds(&launch.keep_fds)?;
        let kept = launch
            .keep_capabilities
            .iter()
            .map(|name| capability(name))
            .collect::<Result<Vec<_>, _>>()?;
        let identity = Identity::new(launch.user.as_deref(), launch.group.as_deref())?;
        let environment = environment(&launch.env, launch.clear_env, identity.entry.as_ref());
        let image = Image::new(&launch.program, &launch.args, environment, passed > 0)?;
        let filter = if launch.restrict_families {
            // Whoever may administer the machine needs neither of them to leave.
            let keeps = |c| kept.contains(&c);
            let confined = launch.confine && !keeps(Capability::CAP_SYS_ADMIN);
            let refused = Refusals {
                typing: families::typing_possible(),
                clone3: confined,
                bpf: confined && !keeps(Capability::CAP_BPF),
                io_uring: families::leads_out_by_io_uring(),
            };
            family_filter(&launch.allow_families, refused)
        } else {
            Vec::new()
        };
        Ok(Plan {
            program: launch.program.clone(),
            workdir_path: launch.workdir.clone().unwrap_or_default(),
            image,
            workdir: directory(launch.workdir.as_deref())?,
            identity,
            confine: launch.confine,
            dropped: DROPPED_CAPABILITIES
                .iter()
                .filter(|c| !kept.contains(c))
                .map(Capability::index)
                .collect(),
            kept: kept.iter().fold(0, |bits, c| bits | c.bitmask()),
            administers: kept.contains(&Capability::CAP_SYS_ADMIN)
                || kept.contains(&Capability::CAP_NET_ADMIN),
            keep_fds,
            filter,
            mask: hold.original_mask(),
            sigpipe: signals::sigpipe(),
            sigchld: hold.original_child(),
        })
    }
}

/// Finds what is wrong with the words for a launch, before anything is made for it. What only shows as the program's user is left.
///
/// # Errors
/// There is no such user, group, directory, capability or descriptor.
pub fn check(
    user: Option<&str>,
    group: Option<&str>,
    workdir: Option<&Path>,
    keep_capabilities: &[String],
    keep: &[RawFd],
) -> Result<(), LaunchError> {
    keep_fds(keep)?;
    for name in keep_capabilities {
        capability(name)?;
    }
    Identity::new(user, group)?;
    let Some(dir) = workdir else {
        return Ok(());
    };
    let source = match std::fs::metadata(dir) {
        Ok(there) if !there.is_dir() => io::ErrorKind::NotADirectory.into(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => error,
        _ => return Ok(()),
    };
    let path = dir.to_path_buf();
    Err(LaunchError::Workdir { path, source })
}

/// The filter for the families that everybody has, and these.
pub(super) fn family_filter(allow: &[i32], refused: Refusals) -> Vec<libc::sock_filter> {
    let mut allowed = ALLOWED_FAMILIES.to_vec();
    allowed.extend(allow);
    families::filter(&allowed, refused)
}

/// The directory to start in, for a system call.
pub(super) fn directory(workdir: Option<&Path>) -> Result<Option<CString>, LaunchError> {
    workdir
        .map(|dir| {
            c_string(
                dir.as_os_str().as_bytes().to_vec(),
                "the directory to start in",
            )
        })
        .transpose()
}

fn c_string(bytes: Vec<u8>, what: &'static str) -> Result<CString, LaunchError> {
    CString::new(bytes).map_err(|_| LaunchError::Nul(what))
}

fn capability(name: &str) -> Result<Capability, LaunchError> {
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") {
        upper
    } else {
        format!("CAP_{upper}")
    };
    full.parse()
        .map_err(|_| LaunchError::UnknownCapability(name.to_owned()))
}

/// Descriptors that this process opened itself are close-on-exec; what it inherited is not.
pub(super) fn keep_fds(asked: &[RawFd]) -> Result<Vec<RawFd>, LaunchError> {
    let mut fds: Vec<_> = asked.iter().copied().filter(|fd| *fd > 2).collect();
    fds.sort_unstable();
    fds.dedup();
    for fd in asked {
        // SAFETY: asks about a number; an unused one is an error.
        let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
        if flags < 0 || (*fd > 2 && flags & libc::FD_CLOEXEC != 0) {
            return Err(LaunchError::NotInherited(*fd));
        }
    }
    Ok(fds)
}

/// What the program finds: what this process has, unless cleared; a user's own; and what was asked for.
pub(super) fn environment(
    set: &[(OsString, OsString)],
    clear: bool,
    user: Option<&User>,
) -> BTreeMap<OsString, OsString> {
    let mut found: BTreeMap<_, _> = if clear {
        BTreeMap::new()
    } else {
        env::vars_os().collect()
    };
    if let Some(user) = user {
        let name = OsString::from_vec(user.name.clone().into_bytes());
        found.insert("HOME".into(), user.home.clone());
        found.insert("SHELL".into(), user.shell.clone());
        found.insert("USER".into(), name.clone());
        found.insert("LOGNAME".into(), name);
    }
    found.extend(set.iter().cloned());
    found
}

/// The files that a name stands for, in the order of `PATH`.
fn candidates(program: &OsStr, path: &OsStr) -> Result<Vec<CString>, LaunchError> {
    let bytes = program.as_bytes();
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    if bytes.contains(&b'/') {
        return Ok(vec![c_string(bytes.to_vec(), "the program's name")?]);
    }
    path.as_bytes()
        .split(|b| *b == b':')
        .map(|dir| {
            let mut file = dir.to_vec();
            if !file.is_empty() {
                file.push(b'/');
            }
            file.extend(bytes);
            c_string(file, "PATH or the program's name")
        })
        .collect()
}
