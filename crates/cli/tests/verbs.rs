//! Each verb does what its help says, on a machine of its own.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{HOSTLET, Machine, waiting};
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
    for (range, verdict, said) in [
        ("1 0", "refused (EACCES)", "is empty"),
        ("0 7", "allowed", "from 0 to 7"),
    ] {
        m.sh(&format!(
            "echo '{range}' > /proc/sys/net/ipv4/ping_group_range"
        ));
        let told = json(&m, &["explain", "web", "socket", "ping"]);
        assert_eq!(told["verdict"], verdict, "{told}");
        assert!(told["text"].as_str().unwrap().contains(said), "{told}");
    }
    let history = json(&m, &["history", "--address", "10.1.0.1"]);
    assert_eq!(history[0]["hostlet"], "web");
    assert!(history[0]["to"].is_null());
    // This machine has routes to the links of d0, and no other.
    let text = |to: &str| {
        json(&m, &["explain", "web", "connect", to])["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(
        text("8.8.8.8:80").contains("no route to 8.8.8.8"),
        "{}",
        text("8.8.8.8:80")
    );
    assert!(
        !text("10.1.0.9:80").contains("no route"),
        "{}",
        text("10.1.0.9:80")
    );
    let doctor = json(&m, &["doctor"]);
    let asks = doctor["features"].as_array().unwrap().iter();
    let mut asks = asks.filter(|f| f["name"] == "asking before programs start");
    assert_eq!(asks.next().unwrap()["needed"], false, "{doctor}");
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

/// A17.
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

/// A13: what is declared is made, and follows the list.
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
    assert_eq!(
        plan.matches("destroy open sockets on 10.1.0.7").count(),
        1,
        "{plan}"
    );
    // What it names and the machine does not have is said, and stops nothing.
    let given = fs::read_to_string(m.path("hostlet.toml")).unwrap();
    declare(&format!(
        "{given}user = \"no-such-user-here\"\nworkdir = \"/nowhere\"\nmay-start = [\"user:no-such-user-here\"]\n"
    ));
    for args in [&["apply", "--dry-run"][..], &["apply"]] {
        let output = m.hostlet(args);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        for line in [
            "warning: hostlet web: the user database does not know user:no-such-user-here",
            "warning: hostlet web: no program starts in it now: there is no user no-such-user-here",
            "warning: hostlet web: no program starts in it now: cannot start in /nowhere",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
    }
    assert_eq!(m.names(), ["by-hand", "web"]);
    assert!(!m.sh("ip addr show dev d0").contains("10.1.0.7"));
    // A lost file declares nothing less; an empty one does.
    fs::remove_file(m.path("hostlet.toml")).unwrap();
    for args in [&["apply"][..], &["apply", "--dry-run"]] {
        let said = m.fails(1, args);
        assert!(
            said.contains("hostlet.toml") && said.contains("empty file"),
            "{said}"
        );
    }
    assert_eq!(m.names(), ["by-hand", "web"]);
    declare("");
    m.ok(&["apply"]);
    assert_eq!(m.names(), ["by-hand"]);
    m.ok(&["remove", "by-hand"]);
}

/// C6: what a call will get is foretold; what it got is told, with who did it and why.
#[test]
fn every_refusal_is_foretold_and_told() {
    let m = Machine::new("told");
    m.ok(&["create", "web", "-a", "10.1.0.1", "-a", "2001:db8:1::1"]);
    let calls = [
        (
            "bind",
            "10.1.0.2:80",
            "",
            "foreign-address",
            "socket().bind(('10.1.0.2',80))",
        ),
        (
            "bind",
            "10.1.0.2:81",
            "--udp",
            "foreign-address",
            "socket(2,2).bind(('10.1.0.2',81))",
        ),
        (
            "bind",
            "[2001:db8:1::9]:82",
            "",
            "foreign-address",
            "socket(10,1).bind(('2001:db8:1::9',82))",
        ),
        (
            "connect",
            "127.255.255.255:83",
            "",
            "foreign-loopback",
            "socket().connect(('127.255.255.255',83))",
        ),
        (
            "connect",
            "127.255.255.255:84",
            "--udp",
            "foreign-loopback",
            "socket(2,2).connect(('127.255.255.255',84))",
        ),
        (
            "send",
            "127.255.255.255:85",
            "",
            "foreign-loopback",
            "socket(2,2).sendto(b'x',('127.255.255.255',85))",
        ),
        (
            "connect",
            "[2001:db8:1::9]:86",
            "--from=[::]:5586",
            "dual-stack",
            "dual(1, 5586).connect(('2001:db8:1::9',86))",
        ),
        (
            "connect",
            "[2001:db8:1::9]:87",
            "--from=[::]:5587",
            "dual-stack",
            "dual(2, 5587).connect(('2001:db8:1::9',87))",
        ),
    ];
    let script: String = calls
        .iter()
        .map(|(.., code)| {
            format!(
                "try: {code}; print('none')\nexcept OSError as e: print(errno.errorcode[e.errno])\n"
            )
        })
        .collect();
    let script = format!(
        "import errno,os\nfrom socket import socket\ndef dual(kind, port):\n s=socket(10,kind); s.setsockopt(41,26,0); s.bind(('::',port)); return s\nprint(os.getpid())\n{script}"
    );
    let nobody = ["enter", "web", "--user", "nobody", "--", "python3", "-c"];
    let said = m.ok(&[&nobody[..], &[&script]].concat());
    let mut said = said.lines();
    let pid: u64 = said.next().unwrap().parse().unwrap();
    let told = m.ok(&["events", "web", "--json"]);
    let events: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), calls.len(), "{told}");
    for (((call, to, option, reason, _), error), event) in calls.iter().zip(said).zip(&events) {
        let args = ["explain", "web", call, to, option];
        let args: Vec<&str> = args.into_iter().filter(|a| !a.is_empty()).collect();
        let foretold = json(&m, &args);
        assert_eq!(foretold["verdict"], format!("refused ({error})"), "{to}");
        assert_eq!(foretold["rule"], *reason, "{foretold}");
        assert!(foretold["row"].is_string(), "{foretold}");
        let (address, port) = to.rsplit_once(':').unwrap();
        for (field, value) in [
            ("hostlet", Value::from("web")),
            ("pid", pid.into()),
            ("program", "python3".into()),
            ("uid", 65534.into()),
            ("call", (*call).into()),
            ("address", address.trim_matches(['[', ']']).into()),
            ("port", port.parse::<u16>().unwrap().into()),
            ("reason", (*reason).into()),
            ("error", error.into()),
        ] {
            assert_eq!(event[field], value, "{to}: {field}: {event}");
        }
    }
    m.ok(&["remove", "web"]);
}
