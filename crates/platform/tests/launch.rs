//! What a launched program finds: its cgroup, capabilities, descriptors, user, environment.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use common::{Sandbox, example, loader, output, run, sh, unique};
use hostlet_platform::cgroup::find_mount;

/// The numbers of the capabilities in a line of `/proc/self/status`.
fn capabilities(status: &str, set: &str) -> Vec<u8> {
    let line = status.lines().find_map(|l| l.strip_prefix(set)).unwrap();
    let bits = u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap();
    (0..64).filter(|n| bits & (1 << n) != 0).collect()
}

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
const DROPPED: [u8; 10] = [2, 12, 13, 16, 17, 19, 21, 22, 38, 39];

#[test]
fn it_is_born_in_its_cgroup() {
    let (_sandbox, cgroup) = Sandbox::with_box("born");
    let shown = output(&cgroup, &[], &["cat", "/proc/self/cgroup"]);
    let relative = cgroup.path().strip_prefix(find_mount().unwrap()).unwrap();
    assert!(
        shown.contains(&format!("0::/{}\n", relative.display())),
        "{shown}"
    );
}

#[test]
fn dangerous_capabilities_are_gone_from_every_set() {
    let (_sandbox, cgroup) = Sandbox::with_box("caps");
    let status = output(&cgroup, &[], &["cat", "/proc/self/status"]);
    for set in SETS {
        let left = capabilities(&status, set);
        assert!(DROPPED.iter().all(|c| !left.contains(c)), "{set}: {left:?}");
    }
    // And only those: a confined root may still do what a root does.
    let before = fs::read_to_string("/proc/self/status").unwrap();
    let mut expected = capabilities(&before, "CapEff");
    expected.retain(|c| !DROPPED.contains(c));
    assert_eq!(capabilities(&status, "CapEff"), expected);
    assert!(status.contains("NoNewPrivs:\t0"));
}

/// The kernel asks for no capability where it finds the way to a cgroup or a pin open.
#[test]
fn root_has_no_calls_by_which_it_could_leave() {
    let (_sandbox, cgroup) = Sandbox::with_box("calls");
    let script = "import ctypes; c = ctypes.CDLL(None, use_errno=True).syscall; \
                  print([(c(n, 0, 0, 0), ctypes.get_errno()) for n in (435, %d)])";
    let script = script.replace("%d", &libc::SYS_bpf.to_string());
    let said = output(&cgroup, &[], &["python3", "-c", &script]);
    // Without the filter they would be EINVAL: there are no arguments.
    let wanted = format!("[(-1, {}), (-1, {})]", libc::ENOSYS, libc::EPERM);
    assert_eq!(said.trim(), wanted);
    let kept = ["--keep-capability", "sys_admin"];
    let said = output(&cgroup, &kept, &["python3", "-c", &script]);
    assert_eq!(said.trim(), format!("[(-1, {0}), (-1, {0})]", libc::EINVAL));
}

#[test]
fn a_capability_is_kept_by_name() {
    let (_sandbox, cgroup) = Sandbox::with_box("keepcap");
    let options = [
        "--keep-capability",
        "net_raw",
        "--keep-capability",
        "CAP_NET_ADMIN",
    ];
    let status = output(&cgroup, &options, &["cat", "/proc/self/status"]);
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        let left = capabilities(&status, set);
        assert!(left.contains(&13) && left.contains(&12) && !left.contains(&21));
    }
    let refused = run(&cgroup, &["--keep-capability", "fly"], &["true"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no capability fly"));
}

#[test]
fn a_user_gets_its_groups_its_environment_and_only_named_capabilities() {
    let (_sandbox, cgroup) = Sandbox::with_box("user");
    let script = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME; cat /proc/self/status";
    let shown = output(&cgroup, &["--user", "daemon"], &["sh", "-c", script]);
    let expected = sh(
        "id -u daemon; id -g daemon; id -G daemon; echo $(getent passwd daemon | cut -d: -f6) daemon daemon",
    );
    assert!(shown.starts_with(&expected), "{shown}");
    assert!(capabilities(&shown, "CapPrm").is_empty());
    assert!(capabilities(&shown, "CapAmb").is_empty());

    let options = ["--user", "daemon", "--keep-capability", "net_bind_service"];
    let status = output(&cgroup, &options, &["cat", "/proc/self/status"]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(capabilities(&status, set), [10], "{set}");
    }

    let options = ["--user", "daemon", "--group", "mail", "--env", "HOME=/x"];
    let shown = output(&cgroup, &options, &["sh", "-c", "id -gn; echo $HOME"]);
    assert_eq!(shown, "mail\n/x\n");
    let options = ["--user", "54321", "--group", "54322"];
    let shown = output(&cgroup, &options, &["sh", "-c", "id -u; id -G"]);
    assert_eq!(shown, "54321\n54322\n");

    for (options, text) in [
        (["--user", "nobody-knows"], "no user nobody-knows"),
        (["--group", "nobody-knows"], "no group nobody-knows"),
        (["--user", "54321"], "name a group as well"),
    ] {
        let refused = run(&cgroup, &options, &["true"]);
        assert_eq!(refused.status.code(), Some(125));
        let text_shown = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(text_shown.contains(text), "{text_shown}");
    }
}

#[test]
fn inherited_descriptors_are_closed_unless_kept() {
    let (_sandbox, cgroup) = Sandbox::with_box("fds");
    let loader = example("loader");
    let (loader, dir) = (loader.display(), cgroup.path().display());
    let list = "ls /proc/self/fd | tr '\\n' ' '";
    // `ls` has one more descriptor of its own: the directory, at the lowest free number.
    let shown = sh(&format!(
        "{loader} {dir} -- sh -c \"{list}\" 4</dev/null 7</dev/null 9</dev/null"
    ));
    assert_eq!(shown.trim(), "0 1 2 3");
    let shown = sh(&format!(
        "{loader} {dir} --keep-fd 7 --keep-fd 4 -- sh -c \"{list}\" 4</dev/null 7</dev/null 9</dev/null"
    ));
    assert_eq!(shown.trim(), "0 1 2 3 4 7");
    // Neither one that is not there, nor one that the loader opened for itself.
    for fd in ["3", "4", "200"] {
        let refused = run(&cgroup, &["--keep-fd", fd], &["true"]);
        assert_eq!(refused.status.code(), Some(125), "{fd}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("not passed"));
    }
}

#[test]
fn activation_sockets_are_refused_unless_kept() {
    let (_sandbox, cgroup) = Sandbox::with_box("listen");
    let script = |options: &str| {
        format!(
            "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:admin exec {} {} {options} -- \
             sh -c 'test $LISTEN_PID = $$ && echo $LISTEN_FDS $LISTEN_FDNAMES && ls -l /proc/self/fd/3' \
             3</dev/null 4</dev/null",
            example("loader").display(),
            cgroup.path().display()
        )
    };
    let attempt = |options| {
        Command::new("sh")
            .args(["-c", &script(options)])
            .output()
            .unwrap()
    };
    for options in ["", "--keep-fd 3"] {
        let refused = attempt(options);
        assert_eq!(refused.status.code(), Some(125));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("4 admin"));
    }
    let kept = attempt("--keep-fd 3 --keep-fd 4");
    assert!(
        kept.status.success(),
        "{}",
        String::from_utf8_lossy(&kept.stderr)
    );
    assert!(String::from_utf8_lossy(&kept.stdout).starts_with("2 web:admin\n"));
    // Variables meant for some other process are none of our business.
    let mut stale = loader(&cgroup, &[], &["sh", "-c", "echo $LISTEN_PID"]);
    let stale = stale
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDS", "1")
        .output()
        .unwrap();
    assert_eq!(stale.stdout, b"1\n");
}

#[test]
fn other_socket_families_do_not_exist() {
    let (_sandbox, cgroup) = Sandbox::with_box("families");
    let sockets = example("sockets");
    let sockets = sockets.to_str().unwrap();
    let none = libc::EAFNOSUPPORT.to_string();
    let (vsock, packet, inet) = ("40:1:0", "17:3:768", "2:1:0");
    let list = [
        sockets, "1:1:0", inet, "10:2:0", "16:3:0", packet, vsock, "0:1:0", "99:1:0",
    ];
    let shown = output(&cgroup, &[], &list);
    let expected = format!("ok\nok\nok\nok\n{none}\n{none}\n{none}\n{none}\n");
    assert_eq!(shown, expected);
    // The capability gone as well, raw sockets are refused where the family is allowed.
    let shown = output(
        &cgroup,
        &["--allow-family", "17"],
        &[sockets, packet, "2:3:1"],
    );
    assert_eq!(shown, format!("{0}\n{0}\n", libc::EPERM));
    let options = ["--allow-family", "17", "--keep-capability", "net_raw"];
    assert_eq!(output(&cgroup, &options, &[sockets, packet]), "ok\n");
    assert_eq!(output(&cgroup, &["--open"], &[sockets, packet]), "ok\n");
}

#[test]
fn statuses_are_the_programs_own() {
    let (_sandbox, cgroup) = Sandbox::with_box("status");
    for code in [0, 1, 42, 125, 255] {
        let ended = run(&cgroup, &[], &["sh", "-c", &format!("exit {code}")]);
        assert_eq!(ended.status.code(), Some(code));
    }
    for signal in [
        libc::SIGTERM,
        libc::SIGKILL,
        libc::SIGSEGV,
        libc::SIGINT,
        libc::SIGUSR1,
    ] {
        let ended = run(&cgroup, &[], &["sh", "-c", &format!("kill -{signal} $$")]);
        assert_eq!(ended.status.signal(), Some(signal), "{signal}");
    }
}

#[test]
fn missing_and_unusable_programs_give_127_and_126() {
    let (_sandbox, cgroup) = Sandbox::with_box("exec");
    let dir = std::env::temp_dir().join(unique("exec"));
    fs::create_dir(&dir).unwrap();
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let file = |name: &str, text: &str, mode: &str| {
        fs::write(at(name), text).unwrap();
        sh(&format!("chmod {mode} {}", at(name)));
    };
    file("plain", "exit 3", "644");
    file("orphan", "#!/no/such/interpreter\n", "755");
    file("script", "echo \"$0 $1\"; exit 3\n", "755");
    file("empty", "", "755");
    let path = format!("PATH={}:/nowhere:/bin:/usr/bin", dir.display());
    let options = ["--env", path.as_str()];
    for (program, code) in [
        ("no-such-program".to_owned(), 127),
        (at("no-such-program"), 127),
        (String::new(), 127),
        (at("plain"), 126),
        ("plain".to_owned(), 126),
        (at("orphan"), 126),
        (at("plain/below"), 126),
        (dir.to_str().unwrap().to_owned(), 126),
        (at("empty"), 0),
        ("true".to_owned(), 0),
        (at("script"), 3),
    ] {
        let ended = run(&cgroup, &options, &[&program]);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{program}: {said}");
        assert!(code < 126 || said.contains(&program), "{said}");
    }
    // Read by the shell, since it names no interpreter.
    let ended = run(&cgroup, &options, &["script", "one"]);
    assert_eq!(ended.stdout, format!("{} one\n", at("script")).as_bytes());
    // A later directory may have what an earlier one only has unusable.
    fs::write(at("true"), "").unwrap();
    assert!(run(&cgroup, &options, &["true"]).status.success());
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn environment_and_directory_are_as_asked() {
    let (_sandbox, cgroup) = Sandbox::with_box("env");
    let shown = output(
        &cgroup,
        &[
            "--clear-env",
            "--env",
            "A=1",
            "--env",
            "B=x=y",
            "--workdir",
            "/usr",
        ],
        &["/bin/sh", "-c", "/usr/bin/env | sort | grep -v '^_='; pwd"],
    );
    assert_eq!(shown, "A=1\nB=x=y\nPWD=/usr\n/usr\n");
    let refused = run(&cgroup, &["--workdir", "/no/such"], &["true"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("/no/such"));
    // The directory is entered as the user.
    let dir = std::env::temp_dir().join(unique("closed"));
    fs::create_dir(&dir).unwrap();
    sh(&format!("chmod 700 {}", dir.display()));
    let options = ["--user", "daemon", "--workdir", dir.to_str().unwrap()];
    let refused = run(&cgroup, &options, &["true"]);
    assert_eq!(refused.status.code(), Some(125));
    fs::remove_dir(dir).unwrap();
}

#[test]
fn standard_streams_are_the_loaders() {
    let (_sandbox, cgroup) = Sandbox::with_box("stdio");
    let mut child = loader(&cgroup, &[], &["sh", "-c", "cat; echo oops >&2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"hello").unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        (ended.stdout, ended.stderr),
        (b"hello".to_vec(), b"oops\n".to_vec())
    );
}

#[test]
fn a_removed_cgroup_is_said_to_be_gone() {
    let (sandbox, cgroup) = Sandbox::with_box("gone");
    let fd = cgroup.try_clone_fd().unwrap();
    sandbox.tree.remove("box").unwrap();
    let launch = hostlet_platform::launch::Launch::new("true", fd);
    let error = hostlet_platform::launch::run_to_end(launch).unwrap_err();
    assert!(error.to_string().contains("removed meanwhile"), "{error}");
    assert_eq!(error.exit_code(), 125);
}
