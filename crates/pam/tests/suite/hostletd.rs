//! The module with a real hostletd, and what it leaves in the program that loads it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostlet_platform::cgroup;
use hostlet_testkit::binaries;
use hostlet_testkit::hostletd::Hostletd;
use hostlet_testkit::install::Installation;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::people::People;
use hostlet_testkit::segment::Segment;
use hostlet_wire::{Client, Session};

use crate::stage::{Place, message};

/// What a program looks like from outside: what is open, how many threads, signals, and where it is.
const LOOK: &str = r#"
at=/proc/$PPID
exec > "$1.$PAM_TYPE"
# Once it waits for this shell: while it forks, some C libraries have all its signals blocked.
until grep -q '^State:.S' $at/status; do :; done
# Names of what is open, without those of this shell's own making.
for fd in $at/fd/*; do echo "fd ${fd##*/} $(readlink "$fd")"; done
echo "threads $(ls $at/task | wc -l)"
grep -E '^(SigBlk|SigIgn|SigCgt|Umask)' $at/status
echo "cwd $(readlink $at/cwd)"
sed -n 's/^0::/cgroup /p' $at/cgroup
env | grep ^HOSTLET_
:
"#;

/// A machine with people, and a service `door` that looks at the program before and after the module.
struct Door {
    people: People,
    host: NetNs,
    _segment: Segment,
}

impl Door {
    /// The deadline is a short one where a test lets it pass.
    fn new(root: &Path, deadline: &str) -> Result<Door> {
        let (people, host) = (People::new()?, NetNs::new("host")?);
        let segment = Segment::new()?;
        segment.plug(&host, "eth0", &["192.0.2.1/24"])?;
        let look = people.path().join("look");
        fs::write(&look, LOOK)?;
        let module = binaries::pam()?;
        let (look, module, at) = (look.display(), module.display(), people.path().display());
        // The first opens what libc opens for the log.
        let text = format!(
            "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_unix.so\n\
             session required pam_exec.so /bin/sh {look} {at}/before\n\
             session required {module} root={} deadline={deadline}\n\
             session required pam_exec.so /bin/sh {look} {at}/after\n",
            root.display()
        );
        people.pam("door", &text)?;
        let host = people.on(&host)?;
        Ok(Door {
            people,
            host,
            _segment: segment,
        })
    }

    fn pass(&self, user: &str, operations: &[&str]) -> Result<Output> {
        let begun = Instant::now();
        let done = self
            .host
            .output("pamtester", &[&["door", user], operations].concat())?;
        let took = begun.elapsed();
        ensure!(took < Duration::from_secs(20), "{took:?}");
        Ok(done)
    }

    /// In and out again.
    fn through(&self, user: &str) -> Result<()> {
        let done = self.pass(user, &["open_session", "close_session"])?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure!(
            done.status.success(),
            "{said}: {:?}",
            self.people.log().lines()
        );
        Ok(())
    }

    /// What was seen: the part that the module must leave alone, and the part that it is there for.
    fn seen(&self, name: &str) -> Result<(Vec<String>, BTreeMap<String, String>)> {
        let path = self.people.path().join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let (mut alone, mut changed) = (Vec::new(), BTreeMap::new());
        for line in text.lines() {
            match line.split_once(['=', ' ']) {
                Some((name, value)) if name == "cgroup" || name.starts_with("HOSTLET_") => {
                    changed.insert(name.to_owned(), value.to_owned());
                }
                _ => alone.push(line.to_owned()),
            }
        }
        ensure!(alone.iter().any(|l| l.starts_with("fd 0 ")), "{text}");
        ensure!(alone.iter().any(|l| l.starts_with("SigIgn")), "{text}");
        Ok((alone, changed))
    }

    /// The module left nothing behind in the program.
    fn nothing_is_left(&self, kinds: &[&str]) -> Result<()> {
        for kind in kinds {
            let (before, _) = self.seen(&format!("before.{kind}"))?;
            let (after, _) = self.seen(&format!("after.{kind}"))?;
            ensure!(before == after, "{kind}: {before:#?} {after:#?}");
        }
        Ok(())
    }

    fn after_open(&self) -> Result<BTreeMap<String, String>> {
        Ok(self.seen("after.open_session")?.1)
    }
}

const BOTH: [&str; 2] = ["open_session", "close_session"];

fn config(unavailable: &str) -> String {
    format!(
        "[pool.office]\ninterface = \"eth0\"\nranges = [\"192.0.2.100-192.0.2.100\"]\nprobe = \"off\"\n\n\
         [[rule]]\nname = \"people\"\nper = \"session\"\npools = [\"office\"]\nunavailable = \"{unavailable}\"\n"
    )
}

struct House {
    daemon: Hostletd,
    install: Installation,
    door: Door,
}

impl House {
    fn new(unavailable: &str, deadline: &str) -> Result<House> {
        let install = Installation::new()?;
        fs::write(install.root().join("hostlet.toml"), config(unavailable))?;
        let door = Door::new(install.root(), deadline)?;
        let daemon = Hostletd::start(&install, &door.host)?;
        Ok(House {
            daemon,
            install,
            door,
        })
    }

    fn client(&self) -> Result<Client> {
        let socket = self.install.root().join("run/hostletd.sock");
        Ok(Client::connect(&socket, Duration::from_secs(20))?)
    }

    fn sessions(&self) -> Result<Vec<Session>> {
        Ok(self.client()?.sessions()?)
    }

    /// Nobody is in, and nothing is lent.
    fn is_empty(&self) -> Result<()> {
        let mut left = String::new();
        let waited = hostlet_testkit::wait::until("sessions and leases to end", || {
            let now = self.client().map(|mut c| (c.sessions(), c.leases()));
            left = format!("{now:?}");
            matches!(now, Ok((Ok(sessions), Ok(leases))) if sessions.is_empty() && leases.is_empty())
        });
        waited.with_context(|| format!("{left}\n{}", self.daemon.log().lines().join("\n")))
    }
}

#[test]
fn a_session_is_in_its_hostlet_until_it_is_closed() -> Result<()> {
    let house = House::new("strict", "30s")?;
    for _ in 0..3 {
        house.door.through("alice")?;
        house.door.nothing_is_left(&BOTH)?;
        let seen = house.door.after_open()?;
        let name = seen.get("HOSTLET_NAME").context("no name")?;
        ensure!(
            seen.get("HOSTLET_ADDRESS").map(String::as_str) == Some("192.0.2.100"),
            "{seen:?}"
        );
        let cgroup = seen.get("cgroup").context("no cgroup")?;
        ensure!(
            cgroup.ends_with(&format!("/{name}")) && cgroup.contains("/hostlet-"),
            "{seen:?}"
        );
        let before = house.door.seen("before.open_session")?.1;
        ensure!(
            before.len() == 1 && before.get("cgroup") != Some(cgroup),
            "{before:?}"
        );
        house.is_empty()?;
    }
    let text = "the session of alice is in hostlet alice";
    let logged = house.door.people.log().wait(text)?;
    ensure!(logged.contains("192.0.2.100, by rule people"), "{logged}");
    // The rule is about persons.
    house.door.through("mail")?;
    ensure!(
        house.door.after_open()?.len() == 1,
        "{:?}",
        house.door.after_open()?
    );
    house.is_empty()
}

#[test]
fn nothing_to_be_had() -> Result<()> {
    for (unavailable, let_in) in [("strict", false), ("fall-back", true), ("cut-off", true)] {
        let house = House::new(unavailable, "30s")?;
        // The only address is another's.
        let mut other = house.install.command(
            &house.door.host,
            &["run", "--pool", "office", "--name", "other", "--", "cat"],
        );
        let mut other = other
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()?;
        hostlet_testkit::wait::until("the address to be lent", || {
            house
                .client()
                .is_ok_and(|mut c| c.leases().is_ok_and(|l| l.len() == 1))
        })?;
        let done = house
            .door
            .pass("alice", &["open_session", "close_session"])?;
        let said =
            String::from_utf8_lossy(&[&done.stdout[..], &done.stderr[..]].concat()).into_owned();
        ensure!(
            done.status.success() == let_in,
            "{unavailable}: {said}: {:?}\n{}",
            house.door.people.log().lines(),
            house.daemon.log().lines().join("\n")
        );
        house
            .door
            .nothing_is_left(if let_in { &BOTH } else { &BOTH[..1] })?;
        let seen = house.door.after_open()?;
        match unavailable {
            "strict" => {
                ensure!(
                    said.contains("without one you are not let in") && said.contains("office"),
                    "{said}"
                );
                ensure!(seen.len() == 1, "{seen:?}");
            }
            "fall-back" => {
                ensure!(seen.len() == 1, "{seen:?}");
                house
                    .door
                    .people
                    .log()
                    .wait("falls back to the machine's address, by rule people: ")?;
            }
            _ => {
                ensure!(seen.contains_key("HOSTLET_NAME"), "{seen:?}");
                ensure!(
                    seen.get("HOSTLET_ADDRESS").is_some_and(String::is_empty),
                    "{seen:?}"
                );
            }
        }
        drop(other.stdin.take());
        other.wait()?;
        house.is_empty()?;
    }
    Ok(())
}

#[test]
fn hostletd_stops_at_login_and_at_logout() -> Result<()> {
    let mut house = House::new("strict", "3s")?;
    // hostletd does nothing while somebody logs in: refused in time.
    house.daemon.signal(19)?;
    let refused = house.door.pass("alice", &["open_session"])?;
    ensure!(!refused.status.success(), "let in");
    house
        .door
        .people
        .log()
        .wait("did not answer Login within the 3s")?;
    house.door.nothing_is_left(&BOTH[..1])?;
    house.daemon.signal(18)?;
    // What it found then is taken back.
    house.is_empty()?;
    house.door.through("alice")?;
    // It stops while a session is open: the logout is not held up, and the address comes back.
    let people = house.door.people.path();
    fs::write(
        people.join("stop"),
        format!(
            "[ \"$PAM_TYPE\" = close_session ] && kill -STOP {}\n:\n",
            house.daemon.pid()
        ),
    )?;
    let line = format!(
        "session required pam_exec.so /bin/sh {}/stop\n",
        people.display()
    );
    let before = fs::read_to_string(house.door.people.etc("pam.d/door"))?;
    house.door.people.pam("door", &format!("{line}{before}"))?;
    house.door.through("alice")?;
    house
        .door
        .people
        .log()
        .wait("is closed, which ends with its last process")?;
    house.door.nothing_is_left(&BOTH)?;
    house.daemon.signal(18)?;
    house.is_empty()?;
    ensure!(house.sessions()?.is_empty(), "sessions");
    Ok(())
}

/// hostletd moved the process, and could not say so any more. The kernel knows.
#[test]
fn whoever_is_in_is_in() -> Result<()> {
    let place = Place::new()?;
    let door = Door::new(place.root(), "1s")?;
    let parent = hostlet_model::Paths::under(place.root()).cgroup_parent;
    let parent = cgroup::find_mount()?.join(parent);
    let own = parent.join("alice-1");
    fs::create_dir_all(&own)?;
    let (listener, members) = (place.listen()?, own.join("cgroup.procs"));
    let server = std::thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        message(&mut stream);
        let given = "{\"parameters\": {\"decision\": \"hostlet\", \"session\": 3, \"name\": \"alice-1\", \"addresses\": [\"192.0.2.100\", \"2001:db8::1\"], \"rule\": \"people\"}}\0";
        std::io::Write::write_all(&mut stream, given.as_bytes())?;
        message(&mut stream);
        let pid = rustix::net::sockopt::socket_peercred(&stream)?.pid;
        fs::write(members, pid.as_raw_nonzero().to_string())?;
        // No answer, until the caller has had enough.
        let _ = stream.read(&mut [0])?;
        Ok(())
    });
    let done = door.pass("alice", &["open_session"])?;
    server
        .join()
        .map_err(|_| anyhow::anyhow!("the server panicked"))??;
    ensure!(done.status.success(), "{:?}", door.people.log().lines());
    let seen = door.after_open()?;
    ensure!(
        seen.get("HOSTLET_ADDRESS").map(String::as_str) == Some("192.0.2.100 2001:db8::1"),
        "{seen:?}"
    );
    door.nothing_is_left(&BOTH[..1])?;
    hostlet_testkit::wait::until("the cgroup to be empty", || {
        fs::remove_dir(&own).is_ok() && fs::remove_dir(&parent).is_ok()
    })
}

#[test]
fn nothing_is_left_where_hostletd_fails() -> Result<()> {
    let place = Place::new()?;
    let door = Door::new(place.root(), "1s")?;
    // Not there; then it takes callers and says nothing.
    door.through("daemon")?;
    door.nothing_is_left(&BOTH)?;
    let listener = place.listen()?;
    door.through("daemon")?;
    door.nothing_is_left(&BOTH)?;
    door.people.log().wait("did not answer Login")?;
    drop(listener);
    Ok(())
}
