//! The module in real programs, without hostletd.

use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::binaries;
use hostlet_testkit::daemon::Daemon;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::people::{FROM_ROOT, PLAIN, People};
use hostlet_testkit::sshd::Sshd;

use crate::stage::Place;

/// The line of a service for the module.
fn line(root: &Path, arguments: &str) -> Result<String> {
    let module = binaries::pam()?;
    let (module, root) = (module.display(), root.display());
    Ok(format!(
        "session required {module} root={root} {arguments}\n"
    ))
}

const OPEN: &str =
    "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n";

fn both(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[&out[..], &err[..]].concat()).into_owned()
}

#[test]
fn who_logs_in_is_told_why_not() -> Result<()> {
    let (people, ns, place) = (People::new()?, NetNs::new("host")?, Place::new()?);
    let host = people.on(&ns)?;
    let module = line(place.root(), "deadline=1s")?;
    people.pam("door", &format!("{OPEN}{module}"))?;
    // alice is a person: the last rule is about her.
    let refused = host.output("pamtester", &["door", "alice", "open_session"])?;
    let said = both(&refused);
    ensure!(!refused.status.success(), "{said}");
    ensure!(said.contains("without one you are not let in"), "{said}");
    let logged = people.log().wait("alice is not let in by door")?;
    ensure!(
        logged.starts_with("<83>"),
        "not an error of LOG_AUTHPRIV: {logged}"
    );
    ensure!(
        logged.contains("pam_hostlet(door:session)") && logged.contains("rule people is strict"),
        "{logged}"
    );
    // Programs that want nothing said, and administrators.
    let quiet = host.output("pamtester", &["door", "alice", "open_session(PAM_SILENT)"])?;
    ensure!(
        !quiet.status.success() && !both(&quiet).contains("let in"),
        "{}",
        both(&quiet)
    );
    people.pam("door", &format!("{OPEN}{}", line(place.root(), "silent")?))?;
    let quiet = host.output("pamtester", &["door", "alice", "open_session"])?;
    ensure!(
        !quiet.status.success() && !both(&quiet).contains("let in"),
        "{}",
        both(&quiet)
    );
    Ok(())
}

#[test]
fn who_is_in_no_rule_gets_in_and_out() -> Result<()> {
    let (people, ns, place) = (People::new()?, NetNs::new("host")?, Place::new()?);
    let host = people.on(&ns)?;
    people.pam(
        "door",
        &format!("{OPEN}{}", line(place.root(), "debug sillent deadline=3")?),
    )?;
    for user in ["games", "daemon", "mail"] {
        host.run(
            "pamtester",
            &["door", user, "open_session", "close_session"],
        )?;
    }
    // Typing errors lock nobody out.
    people.log().wait("'sillent' is ignored")?;
    people.log().wait("deadline=3 is ignored")?;
    people
        .log()
        .wait("the session of daemon by door keeps the machine's address (rule soft falls back)")?;
    // Without root there is nothing to do, for a screen locker say.
    let as_alice = [
        "--reuid=1001",
        "--clear-groups",
        "pamtester",
        "door",
        "alice",
        "open_session",
        "close_session",
    ];
    host.run("setpriv", &as_alice)?;
    people.log().wait("only root opens and closes sessions")?;
    // In no other part does it say yes.
    let module = binaries::pam()?;
    for (kind, operation) in [("auth", "authenticate"), ("account", "acct_mgmt")] {
        people.pam("only", &format!("{kind} sufficient {}\n", module.display()))?;
        let done = host.output("pamtester", &["only", "alice", operation])?;
        ensure!(!done.status.success(), "{operation}: {}", both(&done));
    }
    Ok(())
}

/// What programs do with a session that is refused.
#[test]
fn su_and_sshd_do_not_let_in_whose_session_is_refused() -> Result<()> {
    let (people, ns, place) = (People::new()?, NetNs::new("host")?, Place::new()?);
    ns.ip(["link set lo up"])?;
    let host = people.on(&ns)?;
    let module = line(place.root(), "deadline=1s")?;
    for service in ["su", "su-l"] {
        people.pam(service, &format!("{FROM_ROOT}{PLAIN}{module}"))?;
    }
    for arguments in [
        ["-l", "alice", "-c", "echo in"],
        ["-m", "alice", "-c", "echo in"],
    ] {
        let refused = host.output("su", &arguments)?;
        let said = both(&refused);
        ensure!(
            refused.status.code() == Some(1) && !said.contains("in\n"),
            "{said}"
        );
        ensure!(said.contains("without one you are not let in"), "{said}");
    }
    people.pam("sshd", &format!("{PLAIN}{module}"))?;
    let sshd = Sshd::start(&host, "")?;
    let refused = sshd
        .client(&host, "alice", "127.0.0.1")
        .arg("echo in")
        .output()?;
    let said = both(&refused);
    ensure!(
        refused.status.code() == Some(254) && !said.contains("in\n"),
        "{}: {said}",
        refused.status
    );
    ensure!(said.contains("without one you are not let in"), "{said}");
    // It goes on for others.
    place.write("hostletd.toml", "")?;
    let done = sshd
        .client(&host, "alice", "127.0.0.1")
        .arg("echo in")
        .output()?;
    ensure!(
        done.status.success() && both(&done).contains("in"),
        "{}",
        both(&done)
    );
    sshd.log()
        .wait("pam_open_session")
        .context("sshd does not say so")?;
    Ok(())
}

/// The same of those that need a terminal, or a clock.
#[test]
fn login_and_cron_do_not_let_in_whose_session_is_refused() -> Result<()> {
    let (people, ns, place) = (People::new()?, NetNs::new("host")?, Place::new()?);
    let host = people.on(&ns)?;
    let module = line(place.root(), "deadline=1s")?;
    people.pam("login", &format!("{PLAIN}{module}"))?;
    let by_terminal = |user: &str| -> Result<String> {
        // In the place of the shell, as getty does it: one that is a shell's job stops for the terminal.
        let command = format!("exec login -f {user} TERM=dumb");
        let mut script = host.command("script");
        script.args(["-qec", &command, "/dev/null"]);
        let mut child = script
            .env("TERM", "dumb")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("no input")?;
        let mut output = child.stdout.take().context("no output")?;
        // The shell hears it when it asks, if there is one; what comes before, login may throw away.
        let (mut said, mut heard, mut part) = (Vec::new(), false, [0; 1024]);
        loop {
            let count = output.read(&mut part)?;
            if count == 0 {
                break;
            }
            said.extend_from_slice(&part[..count]);
            if !heard && said.windows(2).any(|w| w == b"$ ") {
                heard = true;
                let _ = input.write_all(b"echo one''two; exit\n");
            }
        }
        let mut done = child.wait_with_output()?;
        drop(input);
        done.stdout = said;
        Ok(both(&done))
    };
    let said = by_terminal("alice")?;
    ensure!(
        !said.contains("onetwo") && said.contains("without one you are not let in"),
        "{said}"
    );
    place.write("hostletd.toml", "")?;
    let said = by_terminal("alice")?;
    ensure!(said.contains("onetwo"), "{said}");

    // cron logs it, and does not run the job.
    place.write("hostletd.toml", crate::stage::RULES)?;
    people.pam("cron", &format!("{PLAIN}{module}"))?;
    let group = std::fs::read_to_string(people.etc("group"))?;
    let group = group.lines().find_map(|l| l.strip_prefix("crontab:x:"));
    let group = group.and_then(|l| l.split(':').next()?.parse().ok());
    let group: u32 = group.context("no group crontab: install cron")?;
    people.within(|| -> Result<()> {
        let path = "/var/spool/cron/crontabs/alice";
        std::fs::write(path, "@reboot touch /home/alice/ran\n")?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(chown(path, Some(1001), Some(group))?)
    })??;
    let mut command = host.command("cron");
    // Everything to the log: begin, end, failure.
    command.args(["-f", "-L", "15"]);
    let _cron = Daemon::start("cron", command)?;
    people.log().wait("alice is not let in by cron")?;
    // It says so with a priority of its own, after which that process ends.
    people.log().wait("<75>")?;
    ensure!(!people.home("alice").join("ran").exists(), "the job ran");
    Ok(())
}
