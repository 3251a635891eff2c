//! What one user does, on purpose or not, must not stop the programs of others: file systems that never answer, files that take long
//! to read, draws that take long.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::stage::{Stage, USER, hostlet, rule};

/// Somebody else.
const OTHER: u32 = 4712;

/// A file system that never answers; gone when dropped, and with the test.
struct Dead {
    place: CString,
    _device: File,
}

impl Dead {
    fn mount(place: &Path) -> Result<Dead> {
        let device = File::options().read(true).write(true).open("/dev/fuse")?;
        let place = CString::new(place.as_os_str().as_encoded_bytes())?;
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other");
        let options = CString::new(options)?;
        // SAFETY: all of it is text that ends with a zero and outlives the call.
        let done = unsafe {
            libc::mount(
                c"none".as_ptr(),
                place.as_ptr(),
                c"fuse".as_ptr(),
                0,
                options.as_ptr().cast(),
            )
        };
        ensure!(done == 0, "mount: {}", std::io::Error::last_os_error());
        Ok(Dead {
            place,
            _device: device,
        })
    }
}

impl Drop for Dead {
    fn drop(&mut self) {
        // SAFETY: the path ends with a zero and outlives the call.
        unsafe { libc::umount2(self.place.as_ptr(), libc::MNT_DETACH) };
    }
}

/// From here on this thread, and what it starts, mounts for itself.
fn mount_alone() -> Result<()> {
    // SAFETY: no pointers; and texts that end with a zero.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
    };
    ensure!(
        done,
        "these tests need root: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// A rule about more users than one.
fn rules(programs: &str) -> String {
    let both = format!("who = [\"user:{USER}\", \"user:{OTHER}\"]");
    let one = format!("who = [\"user:{USER}\"]");
    format!(
        "[sessions]\ndeadline = \"8s\"\n{}",
        rule(programs, "").replace(&one, &both)
    )
}

fn as_user(stage: &Stage, user: u32, args: &[&str]) -> Command {
    let mut command = stage.host.command("setpriv");
    let id = user.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
    command.args(args);
    command
}

/// Where the other user's program is.
fn place_of_other(stage: &Stage) -> Result<Option<String>> {
    let show = stage.path("show");
    let found = hostlet(as_user(stage, OTHER, &[&show, "/proc/self/cgroup"]).output()?);
    let said = stage.daemon.as_ref().map(|daemon| daemon.log().lines());
    found.with_context(|| format!("hostletd: {}", said.unwrap_or_default().join("\n")))
}

/// Users who have the programs at a path of their own, and start one there, at the same time, when told.
fn at_own_path(stage: &Stage, place: &Path, number: usize) -> Result<Vec<Child>> {
    let script = format!(
        "mount --bind {bin} {place}; echo; read go; exec setpriv --reuid {USER} --clear-groups {place}/show /dev/null",
        bin = stage.bin.display(),
        place = place.display()
    );
    let mut all = Vec::new();
    for _ in 0..number {
        let mut command = stage.host.command("unshare");
        let piped = command.args(["-m", "sh", "-ec", &script]);
        let piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::null()).spawn()?;
        let mut said = BufReader::new(child.stdout.take().context("its output")?);
        said.read_line(&mut String::new())?;
        all.push(child);
    }
    Ok(all)
}

fn tell(children: &mut [Child]) -> Result<()> {
    for child in children {
        let mut input = child.stdin.take().context("its input")?;
        input.write_all(b"go\n")?;
    }
    Ok(())
}

#[test]
fn a_file_system_that_never_answers_stops_only_who_is_about_it() -> Result<()> {
    mount_alone()?;
    let stage = Stage::new(|bin| {
        rules(&format!(
            "{bin}/show\", \"{bin}/dead/*\", \"{bin}/dead/in/show"
        ))
    })?;
    let place = stage.bin.join("dead");
    fs::create_dir(&place)?;
    let mut hanging = at_own_path(&stage, &place, 20)?;
    let dead = Dead::mount(&place)?;
    tell(&mut hanging)?;
    for _ in 0..10 {
        ensure!(place_of_other(&stage)?.is_some());
    }
    // Nor does a new configuration wait for it, which looks into it, and watches it as a whole.
    let sum = format!("[sessions]\nexclude = [\"sha256:{}\"]", "ab".repeat(32));
    let (bin, dead_place) = (stage.bin.display(), place.display());
    let new = rules(&format!("{bin}/*\", \"{dead_place}/in/show"));
    stage.configure(&new.replace("[sessions]", &sum))?;
    stage.reload()?;
    ensure!(place_of_other(&stage)?.is_some());
    for mut child in hanging {
        let status = child.wait()?;
        ensure!(!status.success(), "{status}");
    }
    ensure!(place_of_other(&stage)?.is_some());
    let log = stage.daemon.as_ref().context("hostletd")?.log().clone();
    log.wait("its file system does not answer")?;
    drop(dead);
    Ok(())
}

#[test]
fn who_starts_large_files_does_not_keep_others_waiting() -> Result<()> {
    let excluded = format!("exclude = [\"sha256:{}\"]", "ab".repeat(32));
    let mut stage = Stage::new(|bin| {
        rules(&format!("{bin}/show")).replace("[sessions]", &format!("[sessions]\n{excluded}"))
    })?;
    // Read to its end it takes seconds; the last one is not read at all.
    for (number, size) in [1_u64 << 30; 8].into_iter().chain([1 << 42]).enumerate() {
        let path = stage.path(&format!("large{number}"));
        stage.sh(&format!("cp {} {path}", stage.path("other")))?;
        File::options().write(true).open(&path)?.set_len(size)?;
    }
    let mut large = Vec::new();
    for number in 0..9 {
        let path = stage.path(&format!("large{number}"));
        let quiet = as_user(&stage, USER, &[&path])
            .stderr(Stdio::null())
            .spawn()?;
        large.push(quiet);
    }
    for _ in 0..5 {
        ensure!(place_of_other(&stage)?.is_some());
    }
    for mut child in large {
        ensure!(child.wait()?.success());
    }
    ensure!(place_of_other(&stage)?.is_some());
    stage.daemon.take().context("hostletd")?.stop()
}

#[test]
fn who_waits_for_many_addresses_does_not_keep_others_waiting() -> Result<()> {
    let silent = "[pool.silent]\ninterface = \"eth0\"\ndhcp = [\"ipv4\"]\ntimeout = \"60s\"\n";
    let stage = Stage::new(|bin| {
        let other = rule(&format!("{bin}/other"), "").replace("tools", "more");
        let other = other.replace("office", "silent");
        format!("{silent}{}{other}", rules(&format!("{bin}/show")))
    })?;
    ensure!(place_of_other(&stage)?.is_some());
    let mut waiting = Vec::new();
    for _ in 0..150 {
        let mut command = stage.user(&stage.path("other"));
        let quiet = command.arg("/dev/null").stderr(Stdio::null());
        waiting.push(quiet.spawn()?);
    }
    ensure!(place_of_other(&stage)?.is_some());
    // Not because those who waited had their answers.
    ensure!(waiting[20].try_wait()?.is_none());
    for mut child in waiting {
        ensure!(!child.wait()?.success(), "there is no server");
    }
    Ok(())
}

#[test]
fn a_directory_that_is_not_there_is_told_of() -> Result<()> {
    let stage = Stage::new(|bin| rule(&format!("{bin}/none/*"), ""))?;
    let log = stage.daemon.as_ref().context("hostletd")?.log().clone();
    let none = stage.bin.join("none");
    let said = format!("rule 'tools': what is in {}", none.display());
    let line = log.wait(&said)?;
    ensure!(line.contains("does not exist"), "{line}");
    stage.reload()?;
    // Once for each configuration.
    ensure!(log.count(&said) <= 2);
    Ok(())
}
