//! B1, B9 on a machine with systemd: hostletd runs as its unit says, and a session belongs to logind and to hostlet at
//! once. Needs root, systemd with libpam-systemd, D-Bus, OpenSSH.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::binaries;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::people::{PLAIN, People};
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
        let files = [
            ("hostlet", binaries::hostlet()?),
            ("hostletd", binaries::hostletd()?),
            ("pam_hostlet.so", binaries::pam()?),
        ];
        let machine = Systemd::boot(&host, &people, &units, &files)?;
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
    wait::until("the addresses to be given back", || {
        stage
            .host
            .run("ip", &["-4", "-o", "address", "show", "dev", "eth0"])
            .is_ok_and(|said| said.lines().count() == 1)
    })
    .with_context(|| machine.journal().unwrap_or_default())?;
    wait::until("logind to end the session", || {
        machine
            .output("loginctl", &show)
            .is_ok_and(|said| !said.status.success())
    })?;
    assert_eq!(machine.property("hostletd.service", "NRestarts")?, "0");
    Ok(())
}
