//! A machine's people: user accounts, PAM services, name services and homes that a test
//! has to itself, in a mount namespace.
//!
//! `/etc` is a copy; `/home`, `/run`, `/dev/log` and where logs and crontabs lie are new.
//! Nothing of the machine's own is written to. Whatever shall see them runs by a
//! [`NetNs`] that [`People::on`] gives.

mod files;
mod mounts;

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::daemon::Log;
use crate::dir::TestDir;
use crate::netns::NetNs;

/// Somebody with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// The name, also that of the primary group.
    pub name: &'static str,
    /// The number, also that of the primary group.
    pub uid: u32,
    /// What they type.
    pub password: &'static str,
    /// As it is in the shadow file: made once by `openssl passwd -6`.
    hash: &'static str,
    /// A member of the group `staff` (of the system's own groups) as well?
    pub staff: bool,
}

/// Everybody. alice and bob belong to the group `staff`, carol does not.
pub const PEOPLE: [Person; 3] = [
    Person {
        name: "alice",
        uid: 1001,
        password: "word-of-alice",
        hash: "$6$hostlet$.NFa/g0vKVWwJ43d4t.X5eoSh9iWbi.luwbGnThpKXgj9ZXlDtFTeZskk1Ebhy0MylG3NfX/HhgPaHR.afhnW/",
        staff: true,
    },
    Person {
        name: "bob",
        uid: 1002,
        password: "word-of-bob",
        hash: "$6$hostlet$wU2W2tAQ34gftLaZeVnuVfld81Aemzk1/wi8SYTEo45iRYu.LT/h/dA6w.GvQMirDChLWdoAzjg3cb4DsKRkh.",
        staff: true,
    },
    Person {
        name: "carol",
        uid: 1003,
        password: "word-of-carol",
        hash: "$6$hostlet$tdkuUB4YSj06fyY7xIwNc4NeLkoFoCg08VGNUUD0.URZQUjMO5vg6sG/99XT4mgecfpUYojLwbUxlw1sNwnTT0",
        staff: false,
    },
];

/// The machine's name for its people.
pub const HOST_NAME: &str = "port";

/// What a PAM service needs so that one of the people gets in by their password.
pub const PLAIN: &str = "auth required pam_unix.so\naccount required pam_unix.so\n\
    session required pam_unix.so\n";

/// What stands before [`PLAIN`] for `su` and `su -l`: root needs no password.
pub const FROM_ROOT: &str = "auth sufficient pam_rootok.so\n";

/// A mount namespace with people. It lives as long as this value or a process in it.
#[derive(Debug)]
pub struct People {
    mounts: OwnedFd,
    names: OwnedFd,
    syslog: UnixDatagram,
    log: Log,
    dir: TestDir,
}

impl People {
    /// Makes one: all of [`PEOPLE`], the services `sshd`, `login`, `su`, `su-l`, `cron`
    /// and `other` by [`PLAIN`], host names from `/etc/hosts` alone.
    ///
    /// # Errors
    /// Without root, naming that; when the machine's `/etc` cannot be copied.
    pub fn new() -> Result<People> {
        let dir = TestDir::new("people")?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        files::write_etc(dir.path())?;
        files::make_homes(dir.path())?;
        let at = dir.path().to_owned();
        // A thread of its own: what makes the namespaces lives in them.
        let made = std::thread::spawn(move || mounts::populate(&at)).join();
        let (mounts, names, syslog) =
            made.map_err(|_| anyhow::anyhow!("the thread of the mounts panicked"))??;
        let log = Log::default();
        let (from, to) = (syslog.try_clone()?, log.clone());
        std::thread::spawn(move || {
            let mut message = [0; 4096];
            // Ended by shutdown, which reads as nothing.
            while let Ok(n @ 1..) = from.recv(&mut message) {
                to.add(Some(
                    String::from_utf8_lossy(&message[..n]).trim_end().to_owned(),
                ));
            }
            to.add(None);
        });
        Ok(People {
            mounts,
            names,
            syslog,
            log,
            dir,
        })
    }

    /// The network namespace, whose commands see these files and the name [`HOST_NAME`].
    /// They begin in `/`.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn on(&self, ns: &NetNs) -> Result<NetNs> {
        let also = [
            (&self.mounts, libc::CLONE_NEWNS),
            (&self.names, libc::CLONE_NEWUTS),
        ];
        let also = also.map(|(fd, kind)| Ok((fd.try_clone()?, kind)));
        let also = also.into_iter().collect::<std::io::Result<_>>();
        Ok(ns
            .try_clone()?
            .also_in(also.context("opening the mounts again")?))
    }

    /// What was said to syslog, by `/dev/log`, each with its priority: `<86>… sshd[12]: …`.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// A new directory of theirs that all may read, for whatever a test has to put there.
    /// It has the same path inside and outside.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where a file of their `/etc` is to be read and written from outside.
    pub fn etc(&self, name: &str) -> PathBuf {
        self.dir.path().join("etc").join(name)
    }

    /// Where a home is seen from outside.
    pub fn home(&self, person: &str) -> PathBuf {
        self.dir.path().join("home").join(person)
    }

    /// Writes a file of their `/etc`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_etc(&self, name: &str, text: &str) -> Result<()> {
        let path = self.etc(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Says what a PAM service shall do.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn pam(&self, service: &str, text: &str) -> Result<()> {
        self.write_etc(&format!("pam.d/{service}"), text)
    }

    /// Shows a directory or a file at another place too, which has to exist.
    ///
    /// # Errors
    /// When one of the two does not exist.
    pub fn bind(&self, from: &Path, at: &Path) -> Result<()> {
        self.within(|| mounts::bind(from, at))?
    }

    /// Puts an empty directory in the place of one that exists.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn empty(&self, at: &Path) -> Result<()> {
        self.within(|| mounts::empty(at, 0o755))?
    }

    /// Makes a directory, in `/run` say.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self, at: &Path, mode: u32) -> Result<()> {
        self.within(|| files::make_directory(at, mode))?
    }

    /// Lets the dynamic linker find libraries in a directory, as an installed package does.
    ///
    /// # Errors
    /// When the linker's cache cannot be made.
    pub fn libraries(&self, directory: &Path) -> Result<()> {
        let text = format!("{}\n", directory.display());
        self.write_etc("ld.so.conf.d/000-people.conf", &text)?;
        self.within(|| {
            let done = Command::new("/sbin/ldconfig").arg("-X").output();
            let done = done.context("starting ldconfig")?;
            let said = String::from_utf8_lossy(&done.stderr);
            ensure!(done.status.success(), "ldconfig: {said}");
            Ok(())
        })?
    }

    /// Does something on a thread that sees the files, in the machine's own network.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let fd = self.mounts.as_raw_fd();
        std::thread::scope(|scope| {
            let done = scope.spawn(move || -> Result<T> {
                // A thread shares its root directory with the others until it says so.
                // SAFETY: both take no pointers and move this thread alone.
                if unsafe {
                    libc::unshare(libc::CLONE_FS) != 0 || libc::setns(fd, libc::CLONE_NEWNS) != 0
                } {
                    bail!("entering the mounts: {}", std::io::Error::last_os_error());
                }
                Ok(work())
            });
            done.join()
                .map_err(|_| anyhow::anyhow!("a thread in the mounts panicked"))?
        })
    }
}

impl Drop for People {
    fn drop(&mut self) {
        let _ = self.syslog.shutdown(std::net::Shutdown::Both);
    }
}
