//! A test's directory goes with all that was mounted below it.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::dir::TestDir;

/// From here on this thread, and what it starts, mounts for itself.
fn mount_alone() -> Result<()> {
    // SAFETY: takes no pointers; moves this thread alone.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    ensure!(
        done == 0,
        "these tests need root: {}",
        std::io::Error::last_os_error()
    );
    mount(&["--make-rprivate", "/"])
}

fn mount(args: &[&str]) -> Result<()> {
    let done = Command::new("mount").args(args).status()?;
    ensure!(done.success(), "mount {args:?}: {done}");
    Ok(())
}

#[test]
fn it_goes_with_what_a_thread_mounted_for_itself() -> Result<()> {
    let test = || -> Result<()> {
        mount_alone()?;
        let dir = TestDir::new("mounted")?;
        let path = dir.path().to_owned();
        let at = path.join("below");
        std::fs::create_dir(&at)?;
        let at = at.to_str().context("a path that is text")?;
        mount(&["-t", "tmpfs", "none", at])?;
        drop(dir);
        ensure!(!path.exists(), "{} is there", path.display());
        Ok(())
    };
    // Never the process's first thread, whose mounts are easily found.
    let done = std::thread::spawn(test).join();
    done.map_err(|_| anyhow::anyhow!("the thread panicked"))?
}
