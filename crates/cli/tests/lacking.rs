//! What the machine, or whoever asks, lacks: refused with a reason and a way out, nothing changed.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use common::{HOSTLET, Machine, refused};

#[test]
fn no_ipv6_on_the_host() {
    let m = Machine::new("no-ipv6");
    m.sh("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
    refused(
        &m,
        1,
        &["create", "x", "-a", "2001:db8:1::1"],
        &["switched off", "disable_ipv6=0"],
    );
    m.ok(&["run", "-a", "10.1.0.1", "--", "true"]);
}

#[test]
fn the_limit() {
    let m = Machine::new("limit");
    fs::write(m.path("hostlet.toml"), "[limits]\nhostlets = 1\n").unwrap();
    m.ok(&["create", "one", "-a", "10.1.0.1"]);
    refused(
        &m,
        1,
        &["create", "two", "-a", "10.1.0.2"],
        &["limit of 1", "[limits]"],
    );
    m.ok(&["remove", "one"]);
}

/// Known difference `limit-of-sockets`.
#[test]
fn the_limit_of_sockets() {
    let m = Machine::new("limit-sockets");
    fs::write(m.path("hostlet.toml"), "[limits]\nsockets = 64\n").unwrap();
    let many = "import errno, socket
all, said = [], []
for port in range(1000, 1200):
    all.append(socket.socket())
    try: all[-1].bind(('10.1.0.1', port)); said.append('ok')
    except OSError as e: said.append(errno.errorcode[e.errno])
print(said.count('ok') >= 64, set(said[:64]), set(said[-64:]))";
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    assert_eq!(
        m.ok(&["enter", "web", "--", "python3", "-c", many]),
        "True {'ok'} {'ENOBUFS'}\n"
    );
    assert!(m.ok(&["events", "web", "--json"]).contains("table-full"));
    m.ok(&["remove", "web"]);
}

#[test]
fn inside_a_hostlet() {
    let m = Machine::new("within");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    for (code, words) in [
        (1, "create x -a 10.1.0.2"),
        (125, "run -a 10.1.0.2 -- true"),
        (1, "doctor"),
    ] {
        let inner = [HOSTLET].into_iter().chain(words.split(' '));
        let args: Vec<&str> = ["enter", "web", "--"].into_iter().chain(inner).collect();
        let said = m.fails(code, &args);
        assert!(
            said.contains("inside a hostlet") && said.contains("run the command outside"),
            "{words}: {said}"
        );
        assert!(!said.contains("remount"), "{words}: {said}");
    }
    m.ok(&["remove", "web"]);
}

#[test]
fn no_root() {
    let m = Machine::new("no-root");
    fs::set_permissions(&m.root.0, fs::Permissions::from_mode(0o777)).unwrap();
    let copy = m.path("hostlet-copy");
    fs::copy(HOSTLET, &copy).unwrap();
    for args in [
        &["create", "x", "-a", "10.1.0.1"][..],
        &["list"],
        &["doctor"],
        &["apply"],
        &["run", "-a", "10.1.0.1", "--", "true"],
    ] {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy)
            .args(args);
        let output = command.env("HOSTLET_ROOT", &m.root.0).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = if args[0] == "run" { 125 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(
            said.contains("only root can") && said.contains("sudo"),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn no_cgroup2() {
    let m = Machine::new("no-cgroup2");
    let script = "mount --make-rprivate / && umount -l /sys/fs/cgroup/unified 2>/dev/null || umount -l /sys/fs/cgroup; exec \"$0\" \"$@\"";
    for (code, args) in [
        (1, &["create", "x", "-a", "10.1.0.1"][..]),
        (125, &["run", "-a", "10.1.0.1", "--", "true"]),
    ] {
        let mut command = m.inside("unshare");
        let output = command
            .args(["--mount", "sh", "-c", script, HOSTLET])
            .args(args)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(
            said.contains("no cgroup2") && said.contains("mount -t cgroup2"),
            "{said}"
        );
    }
    let output = m
        .inside("unshare")
        .args(["--mount", "sh", "-c", script, HOSTLET, "doctor"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("NO   cgroup2 mounted"),
        "{output:?}"
    );
}
