//! Each verb does what its help says, on a machine of its own.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{HOSTLET, Machine, WAIT, waiting};
use serde_json::Value;

/// What a verb prints as JSON; all of its fields are in the verb's help.
fn json(m: &Machine, args: &[&str]) -> Value {
    let args = [args, &["--json"]].concat();
    let value = serde_json::from_str(&m.ok(&args)).unwrap();
    // A list is of what `show` prints, and says so.
    let verb = if args[0] == "list" { "show" } else { args[0] };
    let help = m.ok(&["help", verb]);
    fields(&value, &mut |field| {
        assert!(
            help.contains(&format!("\"{field}\"")),
            "{verb}: {field} is not in its help"
        );
    });
    value
}

fn fields(value: &Value, see: &mut dyn FnMut(&str)) {
    match value {
        Value::Array(all) => all.iter().for_each(|v| fields(v, see)),
        Value::Object(all) => {
            for (field, v) in all {
                see(field);
                fields(v, see);
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_read_as_json_has_the_documented_fields() {
    let m = Machine::new("json");
    m.ok(&["create", "web", "-a", "10.1.0.1", "-a", "2001:db8:1::1"]);
    let server = "import socket,sys\na=socket.socket(); a.bind(('0.0.0.0',8080)); a.listen()\nb=socket.socket(); b.bind(('127.0.0.1',8081)); b.listen()\n\
                  try: socket.socket().bind(('10.1.0.2',1))\nexcept OSError: pass\nprint('ready',flush=True); sys.stdin.read()";
    let mut command = m.inside(HOSTLET);
    let mut child = waiting(command.args(["enter", "web", "--", "python3", "-c", server]));

    let show = json(&m, &["show", "web"]);
    for field in [
        "name",
        "id",
        "state",
        "lifetime",
        "addresses",
        "loopback",
        "source",
        "host_loopback",
        "guard",
        "raw",
        "created",
        "uid",
        "program",
        "cgroup",
        "cgroup_id",
        "members",
    ] {
        assert!(!show[field].is_null(), "show: {field}: {show}");
    }
    assert_eq!(show["state"], "live");
    assert_eq!(show["members"], 1);
    assert_eq!(json(&m, &["list"]), Value::Array(vec![show]));

    let members = json(&m, &["members"]);
    assert_eq!(members[0]["comm"], "python3");
    let sockets = json(&m, &["sockets", "web"]);
    let find = |local: &str| {
        sockets
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["local"] == local)
            .unwrap_or_else(|| panic!("{local}: {sockets}"))
    };
    assert_eq!(find("0.0.0.0:8080")["wildcard"], true);
    assert_eq!(find("0.0.0.0:8080")["kernel_local"], "10.1.0.1:8080");
    assert_eq!(find("127.0.0.1:8081")["wildcard"], false);
    assert_eq!(find("127.0.0.1:8081")["processes"][0]["comm"], "python3");

    assert_eq!(json(&m, &["check"]), Value::Array(vec![]));
    let event: Value =
        serde_json::from_str(m.ok(&["events", "web", "--json"]).lines().next().unwrap()).unwrap();
    for (field, value) in [
        ("hostlet", "web"),
        ("program", "python3"),
        ("call", "bind"),
        ("address", "10.1.0.2"),
        ("error", "EADDRNOTAVAIL"),
    ] {
        assert_eq!(event[field], value, "{event}");
    }
    let told = json(&m, &["explain", "web", "bind", "10.1.0.2:80"]);
    assert!(
        told["verdict"].as_str().unwrap().contains("EADDRNOTAVAIL"),
        "{told}"
    );
    assert_eq!(told["row"], "A5");
    let history = json(&m, &["history", "--address", "10.1.0.1"]);
    assert_eq!(history[0]["hostlet"], "web");
    assert!(history[0]["to"].is_null());
    let doctor = json(&m, &["doctor"]);
    assert_eq!(doctor["usable"], true, "{doctor}");
    assert_eq!(doctor["installed"], true);
    m.ok(&["remove", "web", "--kill"]);
    child.wait().unwrap();
}

#[test]
fn launch_options_reach_the_program() {
    let m = Machine::new("launch");
    let run = |options: &[&str], script: &str| {
        m.ok(&[
            &["run", "-a", "10.1.0.1"][..],
            options,
            &["--", "sh", "-c", script],
        ]
        .concat())
    };
    assert_eq!(
        run(&["--user", "nobody", "--group", "65534"], "id -un"),
        "nobody\n"
    );
    assert_eq!(
        run(
            &["--workdir", "/usr", "--env", "X=a=b", "--env", "Y="],
            "pwd; echo \"$X-$Y-\""
        ),
        "/usr\na=b--\n"
    );
    let bounding = "grep CapBnd /proc/self/status";
    assert_ne!(
        run(&[], bounding),
        run(&["--keep-capability", "net_admin"], bounding)
    );
    let mut command = m.inside("sh");
    let script = format!(
        "exec 7</etc/hostname 8</etc/hostname; '{HOSTLET}' run -a 10.1.0.1 --keep-fd 7 -- sh -c 'ls /proc/$$/fd'"
    );
    let open = command.args(["-c", &script]).output().unwrap();
    let open = String::from_utf8_lossy(&open.stdout).into_owned();
    assert!(
        open.lines().any(|l| l == "7") && !open.lines().any(|l| l == "8"),
        "{open}"
    );
}

#[test]
fn socket_activation_is_refused_unless_kept_by_name() {
    let m = Machine::new("activation");
    let run = |keep: &str| {
        let script = format!(
            "exec 3</etc/hostname; export LISTEN_FDS=1 LISTEN_FDNAMES=web LISTEN_PID=$$; exec '{HOSTLET}' run -a 10.1.0.1 {keep} -- sh -c 'test $LISTEN_PID = $$ && echo mine'"
        );
        m.inside("sh").args(["-c", &script]).output().unwrap()
    };
    let refused = run("");
    assert_eq!(refused.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("--keep-fd"),
        "{refused:?}"
    );
    let kept = run("--keep-fd web");
    assert_eq!(String::from_utf8_lossy(&kept.stdout), "mine\n", "{kept:?}");
    assert!(m.names().is_empty());
}

#[test]
fn attach_takes_the_family_and_warns_of_what_stays_outside() {
    let m = Machine::new("family");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let mut command = m.inside("python3");
    let script = "import socket,subprocess,sys\ns=socket.socket(); s.bind(('10.1.0.2',8080)); s.listen()\n\
                  c=subprocess.Popen(['cat'],stdin=subprocess.PIPE)\nprint('ready',flush=True); sys.stdin.read()";
    let mut parent = waiting(command.args(["-c", script]));
    let pid = parent.id().to_string();
    let output = m.hostlet(&["attach", "web", "--pid", &pid, "--json"]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["attached"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["outside"][0]["local"], "10.1.0.2:8080", "{report}");
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        warning.contains("10.1.0.2:8080") && warning.contains("stay outside"),
        "{warning}"
    );
    // And check finds it from now on.
    assert!(
        String::from_utf8_lossy(&m.hostlet(&["check", "web"]).stdout).contains("10.1.0.2:8080")
    );
    assert_eq!(m.hostlet(&["check"]).status.code(), Some(3));
    m.ok(&["remove", "web", "--kill"]);
    parent.wait().unwrap();
}

#[test]
fn attach_puts_the_rules_on_a_cgroup_of_others() {
    let m = Machine::new("cgroup");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let mount = m.sh("awk '$9 == \"cgroup2\" || $10 == \"cgroup2\" || $8 == \"cgroup2\" {print $5; exit}' /proc/self/mountinfo");
    let dir = format!("{}/hostlet-test-{}", mount.trim(), std::process::id());
    fs::create_dir(&dir).unwrap();
    m.ok(&["attach", "web", "--cgroup", &dir]);
    let bind = format!(
        "echo $$ > '{dir}/cgroup.procs'; exec python3 -c \"import socket\ntry: socket.socket().bind(('10.1.0.2', 80))\nexcept OSError as e: print(e.errno)\nelse: print('bound')\""
    );
    assert_eq!(m.sh(&bind), "99\n");
    assert!(m.ok(&["show", "web"]).contains(&dir));
    let again = m.fails(1, &["attach", "web", "--cgroup", &dir]);
    assert!(again.contains("'web'"), "{again}");
    m.ok(&["remove", "web"]);
    assert_eq!(m.sh(&bind), "bound\n");
    fs::remove_dir(&dir).unwrap();
}

#[test]
fn a_revoked_address_takes_its_sockets_along_and_no_others() {
    let m = Machine::new("revoke");
    m.ok(&["create", "web", "-a", "10.1.0.1", "-a", "10.1.0.2"]);
    let script = "import socket,select\n\
        on=lambda a: (lambda s: (s.bind((a,8080)), s.listen(), s)[2])(socket.socket())\n\
        one,two=on('10.1.0.1'),on('10.1.0.2')\n\
        wild=socket.socket(); wild.bind(('0.0.0.0',9090)); wild.listen()\n\
        print('ready',flush=True)\n\
        input()\n\
        p=select.poll(); [p.register(s) for s in (one,two,wild)]\n\
        print(sorted([one.fileno(),two.fileno(),wild.fileno()].index(fd) for fd,_ in p.poll(0)))";
    let mut command = m.inside(HOSTLET);
    let mut child = command
        .args(["enter", "web", "--", "python3", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    // The primary goes: what was bound to it dies, the wildcard lives on.
    m.ok(&["revoke", "web", "10.1.0.1"]);
    drop(
        child
            .stdin
            .take()
            .map(|mut input| std::io::Write::write_all(&mut input, b"\n")),
    );
    assert_eq!(lines.next().unwrap().unwrap(), "[0]");
    assert!(child.wait().unwrap().success());
    m.ok(&["remove", "web"]);
}

#[test]
fn apply_prints_its_plan_and_does_it() {
    let m = Machine::new("apply");
    let declare = |text: &str| fs::write(m.path("hostlet.toml"), text).unwrap();
    declare(
        "[hostlet.web]\naddresses = [\"10.1.0.1\", \"10.1.0.7/24\"]\nassign = \"d0\"\n[hostlet.db]\naddresses = [\"10.1.0.2\"]\n",
    );
    let plan = m.ok(&["apply", "--dry-run"]);
    assert!(
        plan.contains("create web") && plan.contains("add 10.1.0.7/24 to d0"),
        "{plan}"
    );
    assert!(m.names().is_empty());
    let plan = json(&m, &["apply", "--dry-run"]);
    assert_eq!(plan["dry_run"], true);
    assert_eq!(plan["changes"].as_array().unwrap().len(), 2, "{plan}");
    m.ok(&["apply"]);
    assert_eq!(m.names(), ["db", "web"]);
    assert!(m.ok(&["apply"]).contains("as declared"));
    m.ok(&["create", "by-hand", "-a", "2001:db8:1::1"]);
    declare("[hostlet.web]\naddresses = [\"10.1.0.1\", \"10.1.0.2\"]\nsource = \"random\"\n");
    let plan = m.ok(&["apply"]);
    for line in [
        "remove db",
        "revoke 10.1.0.7 from web",
        "grant 10.1.0.2 to web",
        "update web",
    ] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    assert_eq!(m.names(), ["by-hand", "web"]);
    assert!(!m.sh("ip addr show dev d0").contains("10.1.0.7"));
    declare("");
    m.ok(&["apply"]);
    assert_eq!(m.names(), ["by-hand"]);
    m.ok(&["remove", "by-hand"]);
}

#[test]
fn start_uses_what_is_declared_and_asks_who_may() {
    let m = Machine::new("start");
    fs::write(
        m.path("hostlet.toml"),
        "[hostlet.web]\naddresses = [\"10.1.0.1\"]\nmay-start = [\"user:nobody\"]\nuser = \"nobody\"\nworkdir = \"/usr\"\nenv = { X = \"declared\" }\n",
    )
    .unwrap();
    let script = "id -un; pwd; echo $X";
    assert_eq!(
        m.ok(&["start", "web", "--", "sh", "-c", script]),
        "nobody\n/usr\ndeclared\n"
    );
    assert_eq!(m.names(), ["web"]);
    let start = |uid: &str, options: &[&str]| {
        let args = [&["start", "web"][..], options, &["--", "id", "-un"]].concat();
        m.inside(HOSTLET)
            .args(args)
            .env("SUDO_UID", uid)
            .output()
            .unwrap()
    };
    assert_eq!(start("65534", &[]).stdout, b"nobody\n");
    let refused = start("1", &[]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("may-start"),
        "{refused:?}"
    );
    let refused = start("65534", &["--user", "root"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("--user"),
        "{refused:?}"
    );
    m.ok(&["remove", "web"]);
}

#[test]
fn events_are_followed() {
    let m = Machine::new("follow");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let mut follow = m
        .inside(HOSTLET)
        .args(["events", "-f", "web"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let bind = |port: u16| {
        format!(
            "import socket\ntry: socket.socket().bind(('10.1.0.2', {port}))\nexcept OSError: pass"
        )
    };
    for port in [81, 82] {
        m.ok(&["enter", "web", "--", "python3", "-c", &bind(port)]);
        let line = lines.next().unwrap().unwrap();
        assert!(
            line.contains(&format!("10.1.0.2:{port}: EADDRNOTAVAIL (foreign-address)")),
            "{line}"
        );
    }
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert_eq!(m.ok(&["events", "--since", "1h"]).lines().count(), 2);
    assert_eq!(m.ok(&["events", "--since", "2100-01-01T00:00:00Z"]), "");
    m.ok(&["remove", "web"]);
}

#[test]
fn a_run_with_children_left_behind_is_kept_by_them() {
    let m = Machine::new("daemon");
    // A daemon that leaves its parent.
    m.ok(&[
        "run",
        "--name",
        "web",
        "-a",
        "10.1.0.1",
        "--",
        "sh",
        "-c",
        "setsid sleep 1000 >/dev/null 2>&1 </dev/null &",
    ]);
    assert_eq!(m.names(), ["web"]);
    assert_eq!(json(&m, &["members", "web"]).as_array().unwrap().len(), 1);
    let mut command = m.inside(HOSTLET);
    let mut guest = waiting(command.args([&["enter", "web", "--"][..], &WAIT].concat()));
    m.ok(&["remove", "web", "--kill"]);
    guest.wait().unwrap();
    assert!(m.names().is_empty());
}

#[test]
fn entering_is_allowed_by_list() {
    let m = Machine::new("may-enter");
    fs::write(
        m.path("hostlet.toml"),
        "[hostlet.web]\naddresses = [\"10.1.0.1\"]\nmay-enter = [\"group:65534\"]\n",
    )
    .unwrap();
    m.ok(&["apply"]);
    let enter = |uid: &str| {
        let mut command = m.inside(HOSTLET);
        command
            .args(["enter", "web", "--", "id", "-un"])
            .env("SUDO_UID", uid)
            .output()
            .unwrap()
    };
    // Root is root; who is listed enters as himself; who is not, not.
    assert_eq!(m.ok(&["enter", "web", "--", "id", "-un"]), "root\n");
    assert_eq!(enter("65534").stdout, b"nobody\n");
    let refused = enter("1");
    assert_eq!(refused.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("may-enter"),
        "{refused:?}"
    );
    m.ok(&["remove", "web"]);
}

#[test]
fn a_running_hostlet_follows_the_routes() {
    let m = Machine::new("routes");
    m.sh(
        "ip link add e0 type veth peer name e1 && ip link set e1 up && ip link set e0 up &&
         ip addr add 10.2.0.1/24 dev e0 && ip route add 10.7.0.0/16 via 10.1.0.254",
    );
    let script = "import socket,sys\nprint('ready',flush=True)\n\
        for line in sys.stdin:\n\
        \x20s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect((line.strip(),9)); print(s.getsockname()[0],flush=True)";
    let mut command = m.inside(HOSTLET);
    let mut run = command
        .args([
            "run", "-a", "10.1.0.1", "-a", "10.2.0.1", "--", "python3", "-c", script,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let mut input = run.stdin.take().unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let mut source = |to: &str| {
        writeln!(input, "{to}").unwrap();
        lines.next().unwrap().unwrap()
    };
    assert_eq!(source("10.2.0.9"), "10.2.0.1");
    assert_eq!(source("10.7.0.9"), "10.1.0.1");
    m.sh("ip route replace 10.7.0.0/16 via 10.2.0.254");
    // The loader hears of it; nothing else tells when it has.
    let deadline = Instant::now() + Duration::from_secs(10);
    while source("10.7.0.9") != "10.2.0.1" {
        assert!(Instant::now() < deadline, "the mirror does not follow");
    }
    drop(input);
    assert!(run.wait().unwrap().success());
    assert!(m.names().is_empty());
}

#[test]
fn what_was_sent_at_the_end_arrives() {
    let m = Machine::new("linger");
    // The reader of the connection starts reading when the hostlet is about to go.
    let script = "import socket,subprocess,sys,time\n\
        l=socket.socket(); l.setsockopt(socket.SOL_SOCKET,socket.SO_RCVBUF,4096); l.bind(('10.1.0.2',7000)); l.listen()\n\
        p=subprocess.Popen([sys.argv[1],'run','-a','10.1.0.1','--','python3','-c',\"import socket; s=socket.create_connection(('10.1.0.2',7000)); s.sendall(b'x'*300000)\"])\n\
        c,_=l.accept(); n=0\n\
        while True:\n\
        \x20d=c.recv(65536)\n\
        \x20if not d: break\n\
        \x20n+=len(d)\n\
        print(n,p.wait())";
    let output = m
        .inside("python3")
        .args(["-c", script, HOSTLET])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "300000 0\n",
        "{output:?}"
    );
    assert!(m.names().is_empty());
}
