//! Programs that wait until somebody says that they may start.

mod common;

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use common::{in_mountns, need_root, readable, sh, unique};
use hostlet_platform::exec_watch::{ExecWatch, Execution, interpreter};
use hostlet_platform::proc;

/// A directory with programs, which goes with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        need_root();
        let dir = std::env::temp_dir().join(unique("exec-watch"));
        fs::create_dir(&dir).unwrap();
        let place = Place(dir.canonicalize().unwrap());
        place.copy("/bin/true", "yes");
        place
    }

    /// By another process: one of another test could inherit the file while it is written, and then nobody can start it.
    fn copy(&self, what: &str, name: &str) -> PathBuf {
        let path = self.0.join(name);
        sh(&format!("cp -L {what} {}", path.display()));
        path
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        sh(&format!("printf '%s' '{text}' > {}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn watch(&self) -> ExecWatch {
        let watch = ExecWatch::new().unwrap();
        watch.watch_directory(&self.0).unwrap();
        watch
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts a program without waiting for its execve; `spawn` would wait for that.
fn start(program: &Path) -> Child {
    Command::new("sh")
        .args(["-c", "exec \"$0\"", program.to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn next(watch: &ExecWatch) -> Execution {
    loop {
        readable(watch.as_fd(), "a question");
        let mut found = watch.read().unwrap();
        assert!(found.len() < 2, "{found:?}");
        if let Some(one) = found.pop() {
            return one;
        }
    }
}

fn end(mut child: Child) -> ExitStatus {
    child.wait().unwrap()
}

#[test]
fn a_program_waits_and_is_the_old_one_until_it_may_start() {
    let place = Place::new();
    let watch = place.watch();
    let program = place.0.join("yes");
    let child = start(&program);
    let one = next(&watch);
    assert_eq!(one.pid, child.id());
    assert_eq!(one.path().unwrap(), program);
    let before = fs::read_link(format!("/proc/{}/exe", child.id())).unwrap();
    assert_ne!(before, program);
    assert!(
        interpreter(&one.file).unwrap().starts_with("/lib64") || cfg!(not(target_arch = "x86_64"))
    );
    one.allow();
    assert!(end(child).success());
    assert!(watch.read().unwrap().is_empty());
}

#[test]
fn denied_it_does_not_start() {
    let place = Place::new();
    let watch = place.watch();
    let child = start(&place.0.join("yes"));
    next(&watch).deny();
    // As the shell says that it could not be executed.
    assert_eq!(end(child).code(), Some(126));
}

#[test]
fn dropped_killed_or_given_up_it_starts() {
    let place = Place::new();
    let watch = place.watch();
    let program = place.0.join("yes");
    let child = start(&program);
    drop(next(&watch));
    assert!(end(child).success());
    // The watch goes before anybody has looked.
    let child = start(&program);
    readable(watch.as_fd(), "a question");
    drop(watch);
    assert!(end(child).success());
    // The process goes that would have to be answered.
    let watch = place.watch();
    let mut child = start(&program);
    let one = next(&watch);
    child.kill().unwrap();
    child.wait().unwrap();
    one.allow();
    let child = start(&program);
    next(&watch).allow();
    assert!(end(child).success());
}

#[test]
fn a_file_that_came_a_moment_ago_is_asked_for() {
    let place = Place::new();
    let watch = place.watch();
    let elsewhere = Place::new();
    let program = place.0.join("yes");
    for _ in 0..20 {
        sh(&format!("cp {0}/yes {0}/new", elsewhere.0.display()));
        sh(&format!(
            "mv {0}/new {1}",
            elsewhere.0.display(),
            program.display()
        ));
        let child = start(&program);
        let one = next(&watch);
        assert_eq!(one.path().unwrap(), program);
        one.allow();
        assert!(end(child).success());
    }
}

#[test]
fn names_of_a_file_outside_are_not_seen_and_links_lead_to_it() {
    let place = Place::new();
    let watch = place.watch();
    let elsewhere = Place::new();
    fs::hard_link(place.0.join("yes"), elsewhere.0.join("hard")).unwrap();
    assert!(end(start(&elsewhere.0.join("hard"))).success());
    assert!(watch.read().unwrap().is_empty());
    symlink(place.0.join("yes"), elsewhere.0.join("soft")).unwrap();
    let child = start(&elsewhere.0.join("soft"));
    let one = next(&watch);
    assert_eq!(one.path().unwrap(), place.0.join("yes"));
    one.allow();
    assert!(end(child).success());
}

#[test]
fn a_script_is_asked_for_and_then_its_interpreter() {
    let place = Place::new();
    let shell = place.copy("/bin/sh", "shell");
    let script = place.script("script", &format!("#!{}\nexit 7\n", shell.display()));
    let watch = place.watch();
    let child = start(&script);
    let one = next(&watch);
    assert_eq!(one.path().unwrap(), script);
    assert_eq!(interpreter(&one.file).as_deref(), Some(shell.as_path()));
    one.allow();
    let one = next(&watch);
    assert_eq!((one.pid, one.path().unwrap()), (child.id(), shell));
    one.allow();
    assert_eq!(end(child).code(), Some(7));
}

#[test]
fn other_mount_namespaces_and_bind_mounts_are_watched_too() {
    let place = Place::new();
    let other = Place::new();
    fs::create_dir(other.0.join("bound")).unwrap();
    let watch = place.watch();
    let bound = other.0.join("bound");
    let child = in_mountns(|| {
        sh(&format!(
            "mount --bind {} {}",
            place.0.display(),
            bound.display()
        ));
        start(&bound.join("yes"))
    });
    let one = next(&watch);
    assert_eq!(one.pid, child.id());
    // As that namespace has it.
    assert!(one.path().unwrap().ends_with("bound/yes"));
    one.allow();
    assert!(end(child).success());
}

#[test]
fn a_file_system_is_watched_whole_until_a_file_is_ignored_or_changed() {
    need_root();
    in_mountns(|| {
        let place = Place::new();
        sh(&format!(
            "mount -t tmpfs -o mode=755 none {}",
            place.0.display()
        ));
        fs::create_dir(place.0.join("deep")).unwrap();
        let program = place.copy("/bin/true", "deep/yes");
        let watch = ExecWatch::new().unwrap();
        watch.watch_filesystem(&place.0).unwrap();
        let child = start(&program);
        next(&watch).allow_and_ignore();
        assert!(end(child).success());
        assert!(end(start(&program)).success());
        assert!(watch.read().unwrap().is_empty());
        // Changed, it is another program.
        sh(&format!("printf x >> {}", program.display()));
        let child = start(&program);
        next(&watch).allow();
        assert!(end(child).success());
        watch.clear().unwrap();
        assert!(end(start(&program)).success());
        assert!(watch.read().unwrap().is_empty());
        drop(watch);
        sh(&format!("umount {}", place.0.display()));
    });
}

#[test]
fn a_waiting_process_can_be_moved_and_starts_there() {
    let place = Place::new();
    let program = place.copy("/bin/cat", "show");
    let (sandbox, cgroup) = common::Sandbox::with_box("exec-watch");
    let watch = place.watch();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "exec \"$0\" /proc/self/cgroup",
        program.to_str().unwrap(),
    ]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let one = next(&watch);
    sandbox.tree.add("box", one.pid).unwrap();
    one.allow();
    let output = child.wait_with_output().unwrap();
    let own = String::from_utf8(output.stdout).unwrap();
    let path = cgroup
        .path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        own.lines()
            .any(|l| l.starts_with("0::") && l.ends_with(&path)),
        "{own}"
    );
}

#[test]
fn a_program_of_many_threads_is_asked_for_as_one_process() {
    let place = Place::new();
    let program = place.0.join("yes");
    let watch = place.watch();
    let text = "import os,sys,threading,time\n\
                e=threading.Event()\n\
                for _ in range(8): threading.Thread(target=e.wait,daemon=True).start()\n\
                threading.Thread(target=lambda: os.execv(sys.argv[1],[sys.argv[1]])).start()\n\
                e.wait()";
    let mut command = Command::new("python3");
    command.args(["-c", text, program.to_str().unwrap()]);
    let child = command.spawn().unwrap();
    let one = next(&watch);
    assert_eq!(one.pid, child.id());
    assert!(proc::Rights::of(one.pid).unwrap().threads > 8);
    one.allow();
    assert!(end(child).success());
}

#[test]
fn what_cannot_be_watched_is_said() {
    need_root();
    let watch = ExecWatch::new().unwrap();
    let error = watch.watch_directory(Path::new("/no/such")).unwrap_err();
    assert!(error.to_string().contains("/no/such"), "{error}");
    let error = watch.watch_directory(Path::new("/bin/true")).unwrap_err();
    assert!(error.to_string().contains("/bin/true"), "{error}");
}
