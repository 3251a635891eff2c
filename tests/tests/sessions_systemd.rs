//! B1, B9 on a machine with systemd: hostletd runs as its unit says, and a session belongs to logind and to hostlet at
//! once. Needs root, systemd with libpam-systemd, D-Bus, OpenSSH.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::binaries;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::people::{FROM_ROOT, PLAIN, People};
use hostlet_testkit::segment::Segment;
use hostlet_testkit::sshd::Session;
use hostlet_testkit::systemd::Systemd;
use hostlet_testkit::wait;

const CONFIG: &str = "[pool.office]\ninterface = \"eth0\"\nprobe = \"off\"\n\
    ranges = [\"10.0.0.50-10.0.0.99\"]\n\
    [[rule]]\nname = \"staff\"\nwho = [\"group:staff\"]\nservices = [\"sshd\"]\n\
    per = \"session\"\npools = [\"office\"]\n";

const SSHD: &str = "Port 22\nHostKey /etc/ssh/test_host\nPidFile none\nUsePAM yes\n\
    AuthorizedKeysFile /etc/ssh/test_key.pub\nStrictModes no\nUseDNS no\nPrintMotd no\n\
    PasswordAuthentication no\n";

const SSHD_UNIT: &str = "[Unit]\nAfter=network.target hostletd.service\n\
    [Service]\nExecStart=/usr/sbin/sshd -D -e -f /etc/ssh/test_config\nKillMode=process\n\
    [Install]\nWantedBy=multi-user.target\n";

/// systemd ends a user's services before all of his are gone.
const LONG: Duration = Duration::from_secs(30);

struct Stage {
    machine: Systemd,
    people: People,
    host: NetNs,
    client: NetNs,
    _segment: Segment,
}

impl Stage {
    fn new(config: &str) -> Result<Stage> {
        let (people, segment) = (People::new()?, Segment::new()?);
        let (host, client) = (NetNs::new("host")?, NetNs::new("client")?);
        segment.plug(&host, "eth0", &["10.0.0.1/24"])?;
        segment.plug(&client, "eth0", &["10.0.0.4/24"])?;
        people.write_etc("hostlet/hostlet.toml", config)?;
        for key in ["test_host", "test_key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(people.etc("ssh").join(key))
                .status()
                .context("starting ssh-keygen: install openssh-client")?;
            ensure!(made.success(), "ssh-keygen: {made}");
        }
        people.write_etc("ssh/test_config", SSHD)?;
        people.pam(
            "sshd",
            &format!(
                "{PLAIN}session required pam_systemd.so\n\
                 session required /opt/pam_hostlet.so\n"
            ),
        )?;
        let dist = |name: &str| -> Result<String> {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../dist")
                .join(name);
            let text =
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok(text.replace("@sbindir@", "/opt"))
        };
        let units = [
            ("hostletd.service", dist("hostletd.service")?),
            ("hostletd.socket", dist("hostletd.socket")?),
            ("sshd-test.service", SSHD_UNIT.to_owned()),
        ];
        people.write_etc("ld.so.conf.d/000-hostlet.conf", "/opt\n")?;
        people.write_etc("hosts", "127.0.0.1 localhost\n10.0.0.1 port\n")?;
        people.write_etc(
            "nsswitch.conf",
            "passwd: files\ngroup: files\nshadow: files\nhosts: hostlet files\n",
        )?;
        // A user's services need not outlive his sessions.
        people.write_etc("systemd/logind.conf", "[Login]\nUserStopDelaySec=0\n")?;
        let files = [
            ("libnss_hostlet.so.2", binaries::nss()?),
            ("hostlet", binaries::hostlet()?),
            ("hostletd", binaries::hostletd()?),
            ("pam_hostlet.so", binaries::pam()?),
        ];
        let machine = Systemd::boot(&host, &people, &units, &files)?;
        machine.run("/sbin/ldconfig", &["-X"])?;
        host.wait_listening(22)?;
        Ok(Stage {
            machine,
            people,
            host,
            client,
            _segment: segment,
        })
    }

    fn login(&self, person: &str) -> Result<Session> {
        let mut ssh = self.client.command("ssh");
        ssh.args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
        ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-i"]);
        ssh.arg(self.people.etc("ssh/test_key"));
        ssh.arg(format!("{person}@10.0.0.1"));
        Session::open(person, ssh).with_context(|| self.machine.journal().unwrap_or_default())
    }

    /// Waits until the machine has no address but its own.
    fn wait_given_back(&self) -> Result<()> {
        let show = ["-4", "-o", "address", "show", "dev", "eth0"];
        wait::until_within(LONG, "the addresses to be given back", || {
            let said = self.host.run("ip", &show);
            said.is_ok_and(|said| said.lines().count() == 1)
        })
        .with_context(|| self.machine.journal().unwrap_or_default())
    }

    /// From where somebody's connection to the client's machine comes.
    fn seen(&self, session: &mut Session) -> Result<String> {
        let listener = self.client.within(|| TcpListener::bind("10.0.0.4:0"))??;
        let port = listener.local_addr()?.port();
        session.run(&format!("bash -c 'exec 3<>/dev/tcp/10.0.0.4/{port}'"))?;
        Ok(listener.accept()?.1.ip().to_string())
    }
}

#[test]
fn a_session_is_logind_s_and_a_hostlet() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let machine = &stage.machine;
    assert_eq!(machine.property("hostletd.service", "SubState")?, "running");

    let mut alice = stage.login("alice")?;
    let cgroup = alice.run("grep ^0:: /proc/self/cgroup")?;
    ensure!(
        cgroup.starts_with("0::/user.slice/user-1001.slice/session-")
            && cgroup.trim().ends_with(".scope"),
        "{cgroup}"
    );
    let address = alice.run("echo $HOSTLET_ADDRESS")?;
    ensure!(address.trim().starts_with("10.0.0.5"), "{address}");
    assert_eq!(alice.run("echo $HOSTLET_NAME")?.trim(), "alice-1");
    assert_eq!(stage.seen(&mut alice)?, address.trim());

    let names = alice.run("getent ahostsv4 port")?;
    ensure!(
        names.starts_with(address.trim()) && names.contains("10.0.0.1"),
        "{names}"
    );

    let number = alice.run("echo $XDG_SESSION_ID")?;
    let show = [
        "show-session",
        number.trim(),
        "-p",
        "Name",
        "-p",
        "State",
        "-p",
        "Scope",
    ];
    let shown = machine.run("loginctl", &show)?;
    ensure!(
        shown.contains("Name=alice") && shown.contains("State=active"),
        "{shown}"
    );
    let mut bob = stage.login("bob")?;
    let other = bob.run("echo $HOSTLET_ADDRESS")?;
    ensure!(other != address, "{other}");
    assert_eq!(stage.seen(&mut bob)?, other.trim());
    let mut carol = stage.login("carol")?;
    assert_eq!(stage.seen(&mut carol)?, "10.0.0.1");

    let sessions = machine.run("/opt/hostlet", &["sessions"])?;
    ensure!(
        sessions.contains("alice-1") && sessions.contains("bob-1"),
        "{sessions}"
    );

    for session in [alice, bob, carol] {
        ensure!(session.end()?.success());
    }
    stage.wait_given_back()?;
    wait::until("logind to end the session", || {
        machine
            .output("loginctl", &show)
            .is_ok_and(|said| !said.status.success())
    })?;
    assert_eq!(machine.property("hostletd.service", "NRestarts")?, "0");
    Ok(())
}

/// B1, B9. No login of logind's begins with su in a session: otherwise root's would be the person's, and lose its network with his logout.
#[test]
fn su_in_a_session_of_roots_is_a_session_of_hostlet_s_alone() -> Result<()> {
    let stage = Stage::new(&CONFIG.replace("[\"sshd\"]", "[\"su-l\"]"))?;
    stage.people.pam(
        "su-l",
        &format!(
            "{FROM_ROOT}{PLAIN}session required pam_systemd.so\n\
             session required /opt/pam_hostlet.so\n"
        ),
    )?;
    let mut root = stage.login("root")?;
    let scope = root.run("grep ^0:: /proc/self/cgroup")?;
    ensure!(
        scope.starts_with("0::/user.slice/user-0.slice/session-"),
        "{scope}"
    );
    assert_eq!(stage.seen(&mut root)?, "10.0.0.1");
    let listener = stage.client.within(|| TcpListener::bind("10.0.0.4:0"))??;
    let port = listener.local_addr()?.port();
    // Something of his stays, so that there is a hostlet when root looks.
    let line = format!(
        "exec 3<>/dev/tcp/10.0.0.4/{port}; grep ^0:: /proc/self/cgroup; echo $HOSTLET_ADDRESS; \
         setsid sleep 1000 >/dev/null 2>&1 & echo $!"
    );
    stage.people.write_etc("su-test", &line)?;
    let said = root.run("su -l alice -c 'bash /etc/su-test'")?;
    let from = listener.accept()?.1.ip().to_string();
    let mut said = said.lines();
    let mut next = || said.next().map(str::trim).context("no such line");
    let (cgroup, told, sleeps) = (next()?, next()?, next()?);
    ensure!(
        from.starts_with("10.0.0.5") && told == from && cgroup != scope.trim(),
        "alice is {from}, told {told}, in {cgroup}"
    );
    assert_eq!(stage.seen(&mut root)?, "10.0.0.1");
    assert_eq!(root.run("grep ^0:: /proc/self/cgroup")?, scope);
    let shown = stage.machine.run("/opt/hostlet", &["sessions"])?;
    ensure!(shown.contains("alice-1"), "{shown}");
    root.run(&format!("kill {sleeps}"))?;
    stage.wait_given_back()?;
    assert_eq!(stage.seen(&mut root)?, "10.0.0.1");
    ensure!(root.end()?.success());
    Ok(())
}

#[test]
fn hostletd_restarts_below_sessions() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let mut alice = stage.login("alice")?;
    let address = alice.run("echo $HOSTLET_ADDRESS")?;
    stage
        .machine
        .run("systemctl", &["restart", "hostletd.service"])?;
    assert_eq!(stage.seen(&mut alice)?, address.trim());
    let mut bob = stage.login("bob")?;
    let other = stage.seen(&mut bob)?;
    ensure!(other != address.trim() && other != "10.0.0.1", "{other}");
    // Without hostletd a session goes on, ends, and is seen to have ended by the next one.
    stage.machine.run(
        "systemctl",
        &["stop", "hostletd.socket", "hostletd.service"],
    )?;
    assert_eq!(stage.seen(&mut bob)?, other);
    ensure!(alice.end()?.success());
    stage
        .machine
        .run("systemctl", &["start", "hostletd.service"])?;
    ensure!(bob.end()?.success());
    stage.wait_given_back()
}

#[test]
fn a_session_ends_with_the_last_process_of_its_scope() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let mut alice = stage.login("alice")?;
    let address = stage.seen(&mut alice)?;
    alice.run("setsid sleep 1000 >/dev/null 2>&1 & echo $!")?;
    let number = alice.run("echo $XDG_SESSION_ID")?;
    ensure!(alice.end()?.success());
    let state = ["show-session", number.trim(), "--value", "-p", "State"];
    wait::until("logind to see the logout", || {
        let said = stage.machine.run("loginctl", &state);
        said.is_ok_and(|said| said.trim() == "closing")
    })?;
    let shown = stage.machine.run("/opt/hostlet", &["list"])?;
    ensure!(shown.contains("alice-1"), "{shown}");
    let there = stage.host.run("ip", &["-4", "-o", "address"])?;
    ensure!(there.contains(&address), "{there}");
    // Of a session that has logged out already, `terminate-session` does nothing.
    stage
        .machine
        .run("loginctl", &["kill-session", number.trim()])?;
    stage.wait_given_back()
}

#[test]
fn all_logins_of_a_user_share_the_slice_of_logind() -> Result<()> {
    let stage = Stage::new(&CONFIG.replace("per = \"session\"", "per = \"user\""))?;
    let mut first = stage.login("alice")?;
    let mut second = stage.login("alice")?;
    let address = stage.seen(&mut first)?;
    ensure!(address.starts_with("10.0.0.5"), "{address}");
    assert_eq!(stage.seen(&mut second)?, address);
    // The user's own service manager belongs to the user too.
    let manager = second.run("systemctl --user show -p ControlGroup --value")?;
    ensure!(
        manager.starts_with("/user.slice/user-1001.slice/"),
        "{manager}"
    );
    ensure!(first.end()?.success());
    assert_eq!(stage.seen(&mut second)?, address);
    ensure!(second.end()?.success());
    stage.wait_given_back()
}

/// Only a directory is watched: a watch of file systems would be one of those of the machine that runs the test.
#[test]
fn the_unit_may_bring_programs_into_hostlets() -> Result<()> {
    let rule = "[[rule]]\nname = \"tool\"\nwho = [\"user:carol\"]\nper = \"program\"\n\
        programs = [\"/home/carol/tool\"]\npools = [\"office\"]\n";
    let stage = Stage::new(&format!("{CONFIG}{rule}"))?;
    let mut carol = stage.login("carol")?;
    // In a home, which the unit must not hide from hostletd.
    carol.run("cp /usr/bin/bash /home/carol/tool")?;
    let listener = stage.client.within(|| TcpListener::bind("10.0.0.4:0"))??;
    let port = listener.local_addr()?.port();
    for (program, machines) in [("/home/carol/tool", false), ("bash", true)] {
        carol.run(&format!("{program} -c 'exec 3<>/dev/tcp/10.0.0.4/{port}'"))?;
        let from = listener.accept()?.1.ip().to_string();
        ensure!(
            (from == "10.0.0.1") == machines,
            "{program}: {from}\n{}",
            stage.machine.journal()?
        );
    }
    ensure!(carol.end()?.success());
    stage.wait_given_back()
}
