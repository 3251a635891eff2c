//! What a program finds that an unprivileged process became.

mod common;

use std::process::{Command, Output, Stdio};

use common::{Public, Sandbox};

fn run(command: &mut Command, args: &[&str]) -> Output {
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

/// The output of a program that must succeed, run by nobody.
fn output(public: &Public, args: &[&str]) -> String {
    let done = run(&mut public.nobody("become"), args);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{:?}: {said}", done.status);
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn it_stays_the_same_process_in_the_same_cgroup_and_cannot_gain_anything() {
    let public = Public::with(&["become"]);
    let (sandbox, cgroup) = Sandbox::with_box("exec");
    let mut command = public.nobody("become");
    let script = "read line; echo $$; id -u; id -G; cat /proc/self/cgroup /proc/self/status";
    let mut child = command
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    sandbox.tree.add("box", child.id()).unwrap();
    assert_eq!(sandbox.tree.members("box", false).unwrap(), [child.id()]);
    drop(child.stdin.take());
    let pid = child.id();
    let shown = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(
        shown.starts_with(&format!("{pid}\n65534\n65534 7 8\n")),
        "{shown}"
    );
    let name = cgroup.path().file_name().unwrap().to_str().unwrap();
    assert!(shown.contains(&format!("/{name}\n")), "{shown}");
    assert!(shown.contains("NoNewPrivs:\t1"), "{shown}");
    assert!(shown.contains("Seccomp:\t2"), "{shown}");
    for set in ["CapPrm", "CapEff", "CapAmb"] {
        assert!(
            shown.contains(&format!("{set}:\t0000000000000000")),
            "{shown}"
        );
    }
    // A set-uid program stays what its caller is.
    let id = public.dir.join("id");
    common::sh(&format!("cp /usr/bin/id {0}; chmod 4755 {0}", id.display()));
    assert_eq!(
        output(&public, &["--", id.to_str().unwrap(), "-u"]),
        "65534\n"
    );
}

#[test]
fn families_that_nothing_confines_are_refused() {
    let public = Public::with(&["become", "sockets"]);
    let sockets = public.dir.join("sockets");
    let sockets = sockets.to_str().unwrap();
    let (vsock, unix) = (libc::AF_VSOCK, libc::AF_UNIX);
    let ask = format!("{vsock}:1:0");
    let (allowed, inet) = (format!("{unix}:1:0"), format!("{}:1:0", libc::AF_INET));
    let refused = format!("{}\nok\nok\n", libc::EAFNOSUPPORT);
    assert_eq!(
        output(&public, &["--", sockets, &ask, &allowed, &inet]),
        refused
    );
    // Here it is the kernel that answers.
    let kernel = common::sh(&format!(
        "setpriv --reuid=65534 {sockets} {}:3:0",
        libc::AF_PACKET
    ));
    assert_eq!(kernel.trim(), libc::EPERM.to_string());
    let packet = libc::AF_PACKET.to_string();
    let ask = format!("{packet}:3:0");
    assert_eq!(
        output(&public, &["--", sockets, &ask]).trim(),
        libc::EAFNOSUPPORT.to_string()
    );
    for options in [&["--open"][..], &["--allow-family", &packet]] {
        let args = [options, &["--", sockets, &ask]].concat();
        assert_eq!(output(&public, &args), kernel);
    }
}

#[test]
fn program_environment_directory_and_descriptors_are_as_asked() {
    let public = Public::with(&["become"]);
    let shown = output(
        &public,
        &[
            "--env",
            "A=b",
            "--workdir",
            "/usr",
            "--",
            "sh",
            "-c",
            "echo $A $PWD $0 $1",
            "x",
            "y",
        ],
    );
    assert_eq!(shown, "b /usr x y\n");
    assert_eq!(
        output(&public, &["--clear-env", "--env", "A=b", "--", "env"]),
        "A=b\n"
    );
    // The program is looked up in its own PATH; a script without an interpreter is the shell's.
    let dir = public.dir.display();
    common::sh(&format!(
        "echo 'echo script $1' > {dir}/greet; chmod 755 {dir}/greet"
    ));
    let path = format!("PATH=/nowhere:{dir}:/bin");
    assert_eq!(
        output(&public, &["--env", &path, "--", "greet", "z"]),
        "script z\n"
    );

    let list = "ls /proc/self/fd | tr '\\n' ' '";
    let program = public.dir.join("become");
    let run = |options: &str| {
        common::sh(&format!(
            "setpriv --reuid=65534 {} {options} -- sh -c \"{list}\" 4</dev/null 7</dev/null",
            program.display()
        ))
    };
    assert_eq!(run("").trim(), "0 1 2 3");
    assert_eq!(run("--keep-fd 7").trim(), "0 1 2 3 7");
}

#[test]
fn signals_are_as_they_were() {
    let public = Public::with(&["become"]);
    let state = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let plain = public.dir.join("become");
    let plain = plain.display();
    for before in ["", "trap '' PIPE USR1 CHLD; "] {
        let direct = common::sh(&format!("{before}{state}"));
        let same = common::sh(&format!("{before}setpriv --reuid=65534 {plain} -- {state}"));
        assert_eq!(direct, same, "{before}");
    }
}

#[test]
fn what_cannot_be_executed_has_the_status_of_a_shell() {
    let public = Public::with(&["become"]);
    let dir = public.dir.display();
    common::sh(&format!(
        "echo '#!/nowhere' > {dir}/lost; chmod 755 {dir}/lost; echo > {dir}/data; chmod 600 {dir}/data"
    ));
    for (args, code, text) in [
        (
            &["--", "no-such-program"][..],
            127,
            "no such program in PATH",
        ),
        (&["--", "/no/such"], 127, "no such program"),
        (&["--", "/etc/passwd"], 126, "chmod +x"),
        (&["--", "/etc"], 126, "it is a directory"),
        (&["--", &format!("{dir}/lost")], 126, "interpreter"),
        (&["--", &format!("{dir}/data")], 126, "cannot be executed"),
        (
            &["--workdir", "/no/such", "--", "true"],
            125,
            "cannot start in /no/such",
        ),
        (&["--keep-fd", "77", "--", "true"], 125, "descriptor 77"),
    ] {
        let done = run(&mut public.nobody("become"), args);
        assert_eq!(done.status.code(), Some(code), "{args:?}");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains(text), "{said}");
    }
}
