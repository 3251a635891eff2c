//! The namespaces, and what is mounted in them.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::HOST_NAME;
use super::files::make_directory;
use crate::binaries;

/// Makes the namespaces of the calling thread, and fills them.
pub(super) fn populate(dir: &Path) -> Result<(OwnedFd, OwnedFd, UnixDatagram)> {
    // SAFETY: takes no pointers; moves this thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUTS) } != 0 {
        let why = std::io::Error::last_os_error();
        bail!("these tests need root: a mount namespace cannot be made: {why}");
    }
    mount(
        "none",
        Path::new("/"),
        "",
        libc::MS_REC | libc::MS_PRIVATE,
        "",
    )?;
    // SAFETY: the pointer and the length are of the same text.
    if unsafe { libc::sethostname(HOST_NAME.as_ptr().cast(), HOST_NAME.len()) } != 0 {
        bail!("setting a name: {}", std::io::Error::last_os_error());
    }
    bind(&dir.join("etc"), Path::new("/etc"))?;
    own_homes(dir)?;
    for (at, mode) in [
        ("/run", 0o755),
        ("/var/log", 0o755),
        ("/var/spool/cron", 0o755),
    ] {
        empty(Path::new(at), mode)?;
    }
    for optional in ["/var/cache/ldconfig", "/var/mail", "/var/lib/systemd"] {
        if Path::new(optional).is_dir() {
            empty(Path::new(optional), 0o755)?;
        }
    }
    for (at, mode) in [
        ("/run/lock", 0o1777),
        ("/run/sshd", 0o755),
        ("/run/user", 0o755),
        ("/run/hostlet", 0o755),
        ("/var/spool/cron/crontabs", 0o1730),
    ] {
        make_directory(Path::new(at), mode)?;
    }
    for (name, mode) in [
        ("/run/utmp", 0o664),
        ("/var/log/wtmp", 0o664),
        ("/var/log/lastlog", 0o664),
    ] {
        fs::write(name, "")?;
        fs::set_permissions(name, fs::Permissions::from_mode(mode))?;
    }
    own_devices(dir)?;
    let syslog = UnixDatagram::bind("/dev/log").context("listening as syslog")?;
    fs::set_permissions("/dev/log", fs::Permissions::from_mode(0o666))?;
    let open = |kind: &str| -> Result<OwnedFd> {
        // `self` would name the namespaces of the process's first thread.
        let path = format!("/proc/thread-self/ns/{kind}");
        Ok(File::open(&path).context(path)?.into())
    };
    Ok((open("mnt")?, open("uts")?, syslog))
}

/// New homes, in which the programs under test stay where they are if they were built in one.
fn own_homes(dir: &Path) -> Result<()> {
    let homes = Path::new("/home");
    let built = binaries::hostlet().unwrap_or_default();
    let built = built.parent().filter(|at| at.starts_with(homes));
    let kept = dir.join("built");
    if let Some(at) = built {
        fs::create_dir(&kept)?;
        bind(at, &kept)?;
    }
    bind(&dir.join("home"), homes)?;
    if let Some(at) = built {
        fs::create_dir_all(at).with_context(|| format!("making {}", at.display()))?;
        bind(&kept, at)?;
    }
    Ok(())
}

/// A `/dev` that has room for a `log`: the usual nodes of the machine's own.
fn own_devices(dir: &Path) -> Result<()> {
    let kept = dir.join("dev");
    fs::create_dir_all(&kept)?;
    mount("/dev", &kept, "", libc::MS_BIND | libc::MS_REC, "")?;
    empty(Path::new("/dev"), 0o755)?;
    for node in [
        "null", "zero", "full", "random", "urandom", "tty", "console", "fuse",
    ] {
        let (from, at) = (kept.join(node), Path::new("/dev").join(node));
        if from.exists() {
            fs::write(&at, "")?;
            bind(&from, &at)?;
        }
    }
    for below in ["shm", "dri", "net"] {
        let (from, at) = (kept.join(below), Path::new("/dev").join(below));
        if from.is_dir() {
            make_directory(&at, 0o755)?;
            mount(text(&from)?, &at, "", libc::MS_BIND | libc::MS_REC, "")?;
        }
    }
    // Terminals of their own: those of the machine's own are its own people's.
    make_directory(Path::new("/dev/pts"), 0o755)?;
    mount(
        "devpts",
        Path::new("/dev/pts"),
        "devpts",
        0,
        "newinstance,ptmxmode=0666,mode=0620,gid=5",
    )?;
    for (to, at) in [
        ("pts/ptmx", "/dev/ptmx"),
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        symlink(to, at).with_context(|| format!("linking {at}"))?;
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("not a text: {}", path.display()))
}

pub(super) fn bind(from: &Path, at: &Path) -> Result<()> {
    mount(text(from)?, at, "", libc::MS_BIND, "")
}

pub(super) fn empty(at: &Path, mode: u32) -> Result<()> {
    mount("tmpfs", at, "tmpfs", 0, &format!("mode={mode:o}"))
}

fn mount(from: &str, at: &Path, kind: &str, flags: libc::c_ulong, data: &str) -> Result<()> {
    let (source, target) = (
        CString::new(from)?,
        CString::new(at.as_os_str().as_bytes())?,
    );
    let (kind, data) = (CString::new(kind)?, CString::new(data)?);
    let (target, kind, data) = (target.as_ptr(), kind.as_ptr(), data.as_ptr());
    // SAFETY: all strings are terminated and live through the call.
    if unsafe { libc::mount(source.as_ptr(), target, kind, flags, data.cast()) } != 0 {
        let why = std::io::Error::last_os_error();
        bail!("mounting {from} at {}: {why}", at.display());
    }
    Ok(())
}
