//! Programs in a hostlet, over time: attached, left behind, moved to other routes, ending.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{HOSTLET, Machine, WAIT, waiting};
use serde_json::Value;

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
    // To another hostlet they go as well, and it is said from where.
    m.ok(&["create", "db", "-a", "10.1.0.3/24", "--assign", "d0"]);
    let output = m.hostlet(&["attach", "db", "--pid", &pid]);
    assert!(output.status.success(), "{output:?}");
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        warning.contains("no member of hostlet 'web' any more, but of 'db': ")
            && warning.contains(&pid),
        "{warning}"
    );
    let again = m.hostlet(&["attach", "db", "--pid", &pid]);
    let warning = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!warning.contains("no member"), "{warning}");
    m.ok(&["remove", "web"]);
    m.ok(&["remove", "db", "--kill"]);
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
    assert_eq!(m.ok(&["members", "web"]).lines().count() - 1, 1);
    let mut command = m.inside(HOSTLET);
    let mut guest = waiting(command.args([&["enter", "web", "--"][..], &WAIT].concat()));
    m.ok(&["remove", "web", "--kill"]);
    guest.wait().unwrap();
    assert!(m.names().is_empty());
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
    let deadline = Instant::now() + Duration::from_secs(30);
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

/// Whoever writes there grants himself addresses; root inside is the same user as root outside.
#[test]
fn root_inside_cannot_change_the_installation() {
    let m = Machine::new("installation");
    let root = m.root.0.display().to_string();
    let declared = "[hostlet.web]\naddresses = [\"10.1.0.1\"]\n";
    fs::write(m.path("hostlet.toml"), declared).unwrap();
    for dir in ["run", "work", "work/deep"] {
        fs::create_dir_all(m.path(dir)).unwrap();
    }
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let tries = "
        try() { if (eval \"$1\") 2>/dev/null; then echo \"went: $1\"; fi; }
        try 'echo x >> hostlet.toml'
        try 'echo x >> hostlet.db'
        try 'echo x > hostlet.db-wal'
        try 'echo x > hostlet.db-journal'
        try 'echo x > new'
        try 'mv hostlet.toml old'
        try 'rm hostlet.db'
        try 'mv ../$(basename $PWD) ../elsewhere'
        try 'echo x > run/new'
        try ': < run/lock'
        try 'mkdir bpf/new'
        echo done";
    let db = fs::read(m.path("hostlet.db")).unwrap();
    // By the path, and from a directory that was there before the program was.
    for from in ["/", &root, &format!("{root}/run"), &format!("{root}/work")] {
        for verb in [
            &["run", "-a", "10.1.0.2", "--"][..],
            &["enter", "web", "--"],
            &["start", "web", "--"],
        ] {
            let there = match from.strip_prefix(&root) {
                Some("") => String::new(),
                Some(_) => "cd ..;".to_owned(),
                None => format!("cd '{root}';"),
            };
            let output = m
                .inside(HOSTLET)
                .current_dir(from)
                .args(verb)
                .args(["sh", "-c", &format!("{there} {tries}")])
                .output()
                .unwrap();
            let shown = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(shown, "done\n", "{verb:?} from {from}: {output:?}");
        }
    }
    assert_eq!(
        fs::read_to_string(m.path("hostlet.toml")).unwrap(),
        declared
    );
    assert!(fs::read(m.path("hostlet.db")).unwrap().len() >= db.len());
    // What it starts in, it may write.
    let work = m.path("work/deep").display().to_string();
    m.ok(&[
        "run",
        "-a",
        "10.1.0.2",
        "--workdir",
        &work,
        "--",
        "sh",
        "-c",
        "echo x > ../here",
    ]);
    assert_eq!(fs::read_to_string(m.path("work/here")).unwrap(), "x\n");
    let output = m
        .inside(HOSTLET)
        .current_dir(&work)
        .args([
            "run",
            "-a",
            "10.1.0.2",
            "--",
            "sh",
            "-c",
            "echo x > here && pwd",
        ])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{work}\n"),
        "{output:?}"
    );
    m.ok(&["remove", "web"]);
}
