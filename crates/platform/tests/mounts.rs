//! What a launched program sees of the machine's mounts.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::{Sandbox, in_mountns, loader, output, run, sh, unique};
use hostlet_platform::cgroup::find_mount;

#[test]
fn cgroups_are_read_only_and_bpf_is_invisible() {
    let (_sandbox, cgroup) = Sandbox::with_box("mounts");
    let secret = std::env::temp_dir().join(unique("secret"));
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("file"), "x").unwrap();
    fs::create_dir(secret.join("trace")).unwrap();
    let bpf = std::env::temp_dir().join(unique("bpf"));
    fs::create_dir(&bpf).unwrap();
    let (secret_text, bpf_text) = (secret.to_str().unwrap(), bpf.to_str().unwrap());
    in_mountns(|| {
        // Two, upon each other.
        sh(&format!(
            "mount -t tracefs t {secret_text}/trace; mount -t bpf a {bpf_text}; mount -t bpf b {bpf_text}; mkdir {bpf_text}/pins"
        ));
        let root = find_mount().unwrap();
        let script = format!(
            "cat /proc/self/mountinfo
             echo $$ > {}/cgroup.procs || echo move refused
             mkdir {}/x || echo mkdir refused
             cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern || echo sysctl refused
             ls {secret_text} {bpf_text}; ls {bpf_text}/pins || echo no pins",
            root.display(),
            cgroup.path().display()
        );
        let shown = output(&cgroup, &["--hide", secret_text], &["sh", "-c", &script]);
        for text in ["move refused", "mkdir refused", "sysctl refused", "no pins"] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
        assert!(
            !shown.contains(" - bpf ") && !shown.contains("file\n"),
            "{shown}"
        );
        for line in shown.lines().filter(|l| l.contains(" - cgroup2 ")) {
            assert!(line.contains(" ro,"), "{line}");
        }
        for line in shown.lines().filter(|l| l.contains(" - sysfs ")) {
            assert!(line.contains(" ro,"), "{line}");
        }
        assert!(!shown.contains(" - tracefs "), "{shown}");
        // Who is to administer the network needs its settings.
        let options = ["--keep-capability", "net_admin"];
        let shown = output(&cgroup, &options, &["cat", "/proc/self/mountinfo"]);
        assert!(shown.contains(" - tracefs ") && !shown.contains(" /proc/sys "));
        // Nothing of it shows outside.
        sh(&format!(
            "test -d {bpf_text}/pins; test -e {secret_text}/file; test -w {}/cgroup.procs",
            root.display()
        ));
        sh(&format!(
            "umount {bpf_text}; umount {bpf_text}; umount {secret_text}/trace"
        ));
    });
    fs::remove_dir(bpf).unwrap();
    fs::remove_dir_all(secret).unwrap();
}

/// Also below `/proc/sys`, where the kernel has a place for that of `binfmt_misc`.
#[test]
fn bpf_is_invisible_wherever_it_is_mounted() {
    let (_sandbox, cgroup) = Sandbox::with_box("anywhere");
    in_mountns(|| {
        sh("for at in /mnt /proc/sys/fs/binfmt_misc; do mount -t bpf x $at; mkdir $at/pins; done");
        // Of the second, /proc/sys is not read-only.
        for options in [&[][..], &["--keep-capability", "net_admin"]] {
            let shown = output(&cgroup, options, &["cat", "/proc/self/mountinfo"]);
            assert!(!shown.contains(" - bpf "), "{options:?}: {shown}");
            assert_eq!(shown.contains(" /proc/sys "), options.is_empty(), "{shown}");
        }
        sh("test -d /mnt/pins; umount /mnt /proc/sys/fs/binfmt_misc");
    });
}

/// Where the kernel is told to let a process be traced that changes its user, that is born with memory of its own.
#[test]
fn a_user_is_changed_to_where_that_can_be_traced() {
    let (_sandbox, cgroup) = Sandbox::with_box("traced");
    let told = std::env::temp_dir().join(unique("switch"));
    fs::write(&told, "1\n").unwrap();
    in_mountns(|| {
        sh(&format!(
            "mount --bind {} /proc/sys/fs/suid_dumpable",
            told.display()
        ));
        let options = ["--user", "nobody"];
        assert_eq!(output(&cgroup, &options, &["id", "-un"]), "nobody\n");
        let missing = run(&cgroup, &options, &["/nowhere"]);
        assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    });
    fs::remove_file(told).unwrap();
}

#[test]
fn of_a_hidden_directory_only_what_is_to_be_shown_is_seen() {
    let (_sandbox, cgroup) = Sandbox::with_box("shown");
    let hidden = std::env::temp_dir().join(unique("hidden"));
    fs::create_dir_all(hidden.join("shown")).unwrap();
    fs::write(hidden.join("secret"), "x").unwrap();
    fs::write(hidden.join("shown/file"), "first").unwrap();
    let dir = hidden.to_str().unwrap();
    let script = format!(
        "ls {dir} {dir}/shown/..; cat {dir}/shown/file
         echo x > {dir}/shown/file || echo write refused
         touch {dir}/shown/new || echo touch refused
         mkdir {dir}/new || echo mkdir refused
         umount {dir}/shown || echo umount refused
         echo go; read line; cat {dir}/shown/later"
    );
    let shown_dir = format!("{dir}/shown");
    let missing = format!("{dir}/missing");
    let options = ["--hide", dir, "--show", &shown_dir, "--show", &missing];
    let mut child = loader(&cgroup, &options, &["sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        let line = line.unwrap();
        if line == "go" {
            break;
        }
        said = said + &line + "\n";
    }
    // It is the directory itself, not what was in it when the program started.
    fs::write(hidden.join("shown/later"), "later").unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    said.extend(lines.map(Result::unwrap));
    child.wait().unwrap();
    for text in [
        "write refused",
        "touch refused",
        "mkdir refused",
        "umount refused",
        "first",
        "later",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(
        !said.contains("secret") && !said.contains("missing"),
        "{said}"
    );
    fs::remove_dir_all(hidden).unwrap();
}

#[test]
fn a_user_namespace_inside_opens_nothing() {
    let (_sandbox, cgroup) = Sandbox::with_box("userns");
    let root = find_mount().unwrap();
    let root = root.display();
    let script = format!(
        "mount -o remount,bind,rw {root} 2>/dev/null && echo remounted
         umount {root} 2>/dev/null && echo unmounted
         mount -o remount,bind,rw /proc/sys 2>/dev/null && echo remounted sysctl
         mount -t cgroup2 x /mnt 2>/dev/null && echo mounted
         (echo $$ > {root}/cgroup.procs) 2>/dev/null && echo moved
         mount -t bpf x /mnt 2>/dev/null && echo bpf
         echo end"
    );
    let shown = output(&cgroup, &[], &["unshare", "-Urm", "sh", "-c", &script]);
    // A BPF file system of the namespace's own is empty; the pins are elsewhere.
    let shown = shown.replace("bpf\n", "");
    assert_eq!(shown, "end\n");
}
