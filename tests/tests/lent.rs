//! Hostlets as hostletd makes them: of addresses that are lent, and in others' names. They need root.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostlet_engine::{Engine, Paths, Stamp};
use hostlet_model::{AddressSpec, HostletSpec, Lifetime, Name, Owned};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::binaries;
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::lan::Lan;
use hostlet_testkit::netns::NetNs;

/// A machine with hostlets, and the engine as hostletd has it.
struct Stage {
    agents: BTreeMap<String, Agent>,
    lan: Lan,
}

impl Stage {
    fn new() -> Result<Stage> {
        let lan = Lan::hostlets("two", &[])?;
        let mut agents = BTreeMap::new();
        for actor in ["host", "peer"] {
            agents.insert(actor.to_owned(), lan.start(actor)?);
        }
        Ok(Stage { agents, lan })
    }

    fn engine<T: Send>(&self, work: impl FnOnce(&Engine) -> T + Send) -> Result<T> {
        let root = self.lan.install().context("hostlets")?.root().to_owned();
        let work = || work(&Engine::new(Paths::under(&root), |_| {}));
        self.lan.host().within(work)
    }

    /// Lends these to `in`, and starts a probe there.
    fn lend(&mut self, lifetime: &Lifetime, addresses: &[&str]) -> Result<()> {
        let spec = spec("in", addresses)?;
        self.engine(|e| e.lend(&spec, lifetime, &by()))??;
        self.enter("in")
    }

    fn enter(&mut self, actor: &str) -> Result<()> {
        let install = self.lan.install().context("hostlets")?;
        let probe = install.probe(self.lan.host(), &["enter", "in"])?;
        self.agents
            .insert(actor.into(), Agent::start(actor, probe)?);
        Ok(())
    }

    fn replace(&self, lost: &[&str], gained: &[&str]) -> Result<()> {
        let (lost, gained) = (owned(lost)?, wishes(gained)?);
        Ok(self.engine(|e| e.replace(&name("in"), &lost, &gained))??)
    }

    fn fall_back(&self, lost: &[&str]) -> Result<()> {
        let lost = owned(lost)?;
        Ok(self.engine(|e| e.fall_back(&name("in"), &lost))??)
    }

    fn shown(&self) -> Result<serde_json::Value> {
        let install = self.lan.install().context("hostlets")?;
        install.json(self.lan.host(), &["show", "in"])
    }

    /// Lines of `ACTOR OP… => ANSWER`; without an answer the call must succeed.
    fn play(&mut self, script: &str) -> Result<()> {
        for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (call, wanted) = match line.split_once(" => ") {
                Some((call, wanted)) => (call, Some(wanted)),
                None => (line, None),
            };
            let (actor, op) = call.split_once(' ').context(line.to_owned())?;
            let agent = self.agents.get_mut(actor).context(actor.to_owned())?;
            let got = agent.ask(op)?;
            let fits = wanted.map_or(!got.starts_with('E'), |wanted| got == wanted);
            ensure!(fits, "`{line}`: {got}");
        }
        Ok(())
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn owned(texts: &[&str]) -> Result<Vec<Owned>> {
    Ok(texts.iter().map(|a| a.parse()).collect::<Result<_, _>>()?)
}

fn wishes(texts: &[&str]) -> Result<Vec<AddressSpec>> {
    Ok(texts.iter().map(|a| a.parse()).collect::<Result<_, _>>()?)
}

fn spec(of: &str, addresses: &[&str]) -> Result<HostletSpec> {
    Ok(HostletSpec::new(name(of), wishes(addresses)?))
}

fn by() -> Stamp {
    Stamp {
        program: vec!["sleep".into(), "9".into()],
        uid: 4711,
        user: "alice".into(),
    }
}

/// As long as a process lives.
fn while_lives(pid: u32) -> Result<Lifetime> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(')').next().context("fields")?;
    let start_ticks = fields.split_whitespace().nth(19).context("its start")?;
    Ok(Lifetime::Run {
        pid,
        start_ticks: start_ticks.parse()?,
    })
}

/// A process that waits until it is killed.
fn waiting() -> Result<Child> {
    Ok(Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?)
}

/// B3, B13: it is made in the caller's name, lives as long as he or a member does, and goes then.
#[test]
fn a_lent_hostlet_is_its_callers() -> Result<()> {
    let mut s = Stage::new()?;
    let mut caller = waiting()?;
    s.lend(&while_lives(caller.id())?, &["10.0.0.5"])?;
    let shown = s.shown()?;
    ensure!(shown["user"] == "alice" && shown["uid"] == 4711 && shown["state"] == "live");
    ensure!(shown["fallen_back"] == false && shown["addresses"][0]["assigned"] == false);
    let install = s.lan.install().context("hostlets")?;
    let history = install.json(s.lan.host(), &["history"])?;
    ensure!(history.to_string().contains("\"sleep\""), "{history}");
    let rows = s.engine(|e| e.hostlets())??;
    ensure!(rows.len() == 1 && rows[0].user == "alice");

    // Another process comes in by its number, and only into what is there.
    let mut other = s.lan.host().command("cat");
    let mut other = other.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let pid = other.id();
    s.engine(|e| e.join(&name("in"), pid))??;
    ensure!(s.engine(|e| e.join(&name("out"), pid))?.is_err());
    let at = s.engine(|e| e.cgroup_of(&name("in")))?;
    let members = std::fs::read_to_string(at.join("cgroup.procs"))?;
    ensure!(members.lines().any(|l| l == pid.to_string()), "{members}");

    ensure!(!s.engine(|e| e.end(&name("in")))??);
    caller.kill()?;
    caller.wait()?;
    ensure!(!s.engine(|e| e.end(&name("in")))??, "members live");
    s.agents.remove("in").context("the probe")?.finish()?;
    ensure!(!s.engine(|e| e.end(&name("in")))??, "one member lives");
    other.kill()?;
    other.wait()?;
    ensure!(s.engine(|e| e.end(&name("in")))??);
    ensure!(s.engine(|e| e.hostlets())??.is_empty() && !at.exists());
    ensure!(s.engine(|e| e.end(&name("in")))??, "again");
    // What others put on the interface is theirs.
    let addresses = s.lan.host().run("ip", &["address"])?;
    ensure!(addresses.contains("10.0.0.5/24"));
    Ok(())
}

/// Whoever was told no keeps nothing, and users reach the socket beside a lock that they cannot take.
#[test]
fn what_cannot_be_lent_leaves_nothing() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let s = Stage::new()?;
    for wrong in [["10.0.0.77"], ["10.0.0.9"]] {
        if wrong == ["10.0.0.9"] {
            let theirs = spec("other", &wrong)?;
            s.engine(|e| e.lend(&theirs, &Lifetime::Kept, &by()))??;
        }
        let spec = spec("in", &wrong)?;
        ensure!(
            s.engine(|e| e.lend(&spec, &Lifetime::Kept, &by()))?
                .is_err()
        );
    }
    ensure!(s.engine(|e| e.hostlets())??.len() == 1);
    ensure!(
        !s.engine(|e| e.end(&name("other")))??,
        "it is kept until it is removed"
    );
    let paths = s.engine(|e| e.paths().clone())?;
    let mode = |path: &std::path::Path| -> Result<u32> {
        Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
    };
    ensure!(mode(&paths.run)? == 0o755 && mode(&paths.lock())? == 0o600);
    ensure!(paths.socket().parent() == Some(paths.run.as_path()));
    s.engine(|e| e.close(&name("other"), false))??;
    Ok(())
}

/// B5: who lost every address has what a machine with nothing but a loopback has; a new lease brings him back.
#[test]
fn a_hostlet_that_is_cut_off_keeps_its_loopback() -> Result<()> {
    let mut s = Stage::new()?;
    s.lend(&Lifetime::Kept, &["10.0.0.5", "2001:db8::5"])?;
    s.play(
        "in w = socket tcp4
         in opt w reuseaddr 1
         in bind w 0.0.0.0:8080
         in listen w
         in o = socket tcp4
         peer m = socket tcp4
         peer bind m 10.0.0.100:9090
         peer listen m
         in connect o 10.0.0.100:9090
         peer p = accept m => from 10.0.0.5:*",
    )?;
    s.replace(&["10.0.0.5", "2001:db8::5"], &[])?;
    ensure!(s.shown()?["state"] == "cut-off" && s.shown()?["fallen_back"] == false);
    s.play(
        "peer recv p => ECONNRESET
         in recv o => ECONNABORTED",
    )?;
    // The same on a machine that has only a loopback.
    let bare = NetNs::new("bare")?;
    bare.ip(["link set lo up"])?;
    let mut oracle = Agent::start("bare", bare.command(binaries::probe()?))?;
    let inside = s.agents.get_mut("in").context("the probe")?;
    for line in "a = socket tcp4
         bind a 10.0.0.5:8081
         connect a 10.0.0.100:9090
         b = socket tcp6
         bind b [2001:db8::5]:8081
         connect b [2001:db8::100]:9090
         u = socket udp4
         sendto u 10.0.0.100:53 x
         v = socket udp6
         sendto v [2001:db8::100]:53 x
         c = socket udp4
         connect c 10.0.0.1:53
         l = socket tcp4
         bind l 127.0.0.1:8082
         listen l
         k = socket tcp4
         connect k 127.0.0.1:8082
         name k
         g = accept l
         send k hello
         recv g
         x = socket tcp4
         bind x 0.0.0.0:8083
         listen x
         y = socket tcp4
         connect y 127.0.0.1:8083
         z = accept x
         six = socket tcp6
         bind six [::1]:8084
         listen six
         seven = socket tcp6
         connect seven [::1]:8084"
        .lines()
        .map(str::trim)
    {
        let (wanted, got) = (oracle.ask(line)?, inside.ask(line)?);
        ensure!(wanted == got, "`{line}`: {got}, a machine says {wanted}");
    }
    // A server that stands on the wildcard answers on what comes.
    s.replace(&[], &["10.0.0.6"])?;
    ensure!(s.shown()?["state"] == "live");
    s.play(
        "peer d = socket tcp4
         peer connect d 10.0.0.6:8080
         in b4 = accept w => from 10.0.0.100:*
         in n = socket tcp4
         in connect n 10.0.0.100:9090
         peer q = accept m => from 10.0.0.6:*",
    )?;
    // Both at once, and once more what is done already.
    s.replace(&["10.0.0.6"], &["10.0.0.5"])?;
    s.replace(&["10.0.0.6"], &["10.0.0.5"])?;
    s.play(
        "peer recv q => ECONNRESET
         in n2 = socket tcp4
         in bind n2 10.0.0.6:0 => EADDRNOTAVAIL
         in bind n2 10.0.0.5:0",
    )?;
    ensure!(s.replace(&[], &["10.0.0.9", "10.0.0.77"]).is_err());
    ensure!(
        s.shown()?["addresses"]
            .as_array()
            .is_some_and(|a| a.len() == 1)
    );
    s.engine(|e| e.close(&name("in"), true))??;
    Ok(())
}

/// B5: who fell back is as a program outside, with the machine's addresses and its loopback.
#[test]
fn a_hostlet_that_falls_back_has_the_machines_addresses() -> Result<()> {
    let mut s = Stage::new()?;
    s.lend(&Lifetime::Kept, &["10.0.0.5", "2001:db8::5"])?;
    s.play(
        "in o = socket tcp4
         peer m = socket tcp4
         peer bind m 10.0.0.100:9090
         peer listen m
         in connect o 10.0.0.100:9090
         peer p = accept m => from 10.0.0.5:*
         in w = socket tcp4
         in bind w 0.0.0.0:8080
         in listen w
         in unbound = socket udp4
         in sendto unbound 10.0.0.100:9 x
         in l = socket tcp4
         in bind l 127.0.0.1:8090
         in listen l
         in k = socket tcp4
         in connect k 127.0.0.1:8090
         in g = accept l => from 127.0.0.1:*
         in s6 = socket tcp6
         in bind s6 [2001:db8::5]:8086
         in listen s6
         host h = socket tcp4
         host bind h 127.0.0.1:8091
         host listen h",
    )?;
    s.fall_back(&["10.0.0.5"])?;
    s.fall_back(&["10.0.0.5"])?;
    let shown = s.shown()?;
    ensure!(shown["state"] == "fallen-back" && shown["fallen_back"] == true);
    let install = s.lan.install().context("hostlets")?;
    let said = install.json(s.lan.host(), &["explain", "in", "bind", "10.0.0.99:80"])?;
    ensure!(said.to_string().contains("fallen-back"), "{said}");
    ensure!(
        install
            .json(s.lan.host(), &["check"])?
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    s.play(
        "peer recv p => ECONNRESET
         in recv o => ECONNABORTED
         in a = socket tcp4
         in connect a 10.0.0.100:9090
         peer q = accept m => from 10.0.0.1:*
         in b = socket tcp4
         in bind b 10.0.0.1:8081
         in listen b
         peer c = socket tcp4
         peer connect c 10.0.0.1:8081
         in d = accept b => from 10.0.0.100:*
         in e = socket tcp4
         in connect e 127.0.0.1:8091
         host f = accept h => from 127.0.0.1:*
         in name e => 127.0.0.1:*
         in send k still
         in recv g => still
         in x = socket tcp4
         in bind x 0.0.0.0:8083
         in listen x
         peer y = socket tcp4
         peer connect y 10.0.0.1:8083
         in z = accept x => from 10.0.0.100:*
         in u = socket udp4
         in bind u 0.0.0.0:5300
         peer v = socket udp4
         peer bind v 10.0.0.100:5301
         peer sendto v 10.0.0.1:5300 ask
         in recvfrom u => ask from 10.0.0.100:5301
         in sendto u 10.0.0.100:5301 answer
         peer recvfrom v => answer from 10.0.0.1:5300
         peer c6 = socket tcp6
         peer connect c6 [2001:db8::5]:8086
         in d6 = accept s6 => from [2001:db8::100]:*",
    )?;
    // A socket that the kernel had put on the wildcard works after its one error.
    let inside = s.agents.get_mut("in").context("the probe")?;
    if inside
        .ask("sendto unbound 10.0.0.100:5301 again")?
        .starts_with('E')
    {
        inside.ask("sendto unbound 10.0.0.100:5301 again")?;
    }
    let heard = s
        .agents
        .get_mut("peer")
        .context("peer")?
        .ask("recvfrom v")?;
    ensure!(heard == "again from 10.0.0.1:*", "{heard}");
    let inside = s.agents.get_mut("in").context("the probe")?;
    let port = inside.ask("raw-port unbound")?;
    s.play(&format!(
        "peer sendto v 10.0.0.1:{port} back
         in recvfrom unbound => back from 10.0.0.100:5301"
    ))?;
    // So it stays, also for who comes later; nothing is granted to it any more.
    s.enter("late")?;
    s.play(
        "late a = socket tcp4
         late connect a 10.0.0.100:9090
         peer r = accept m => from 10.0.0.1:*",
    )?;
    ensure!(s.replace(&[], &["10.0.0.6"]).is_err());
    s.replace(&["2001:db8::5"], &[])?;
    s.engine(|e| e.close(&name("in"), true))??;
    ensure!(s.engine(|e| e.hostlets())??.is_empty());
    Ok(())
}

/// What a killed exchange left is completed by the next command, whenever it was killed.
#[test]
fn an_exchange_that_is_killed_is_completed() -> Result<()> {
    let mut s = Stage::new()?;
    s.lend(&Lifetime::Kept, &["10.0.0.5"])?;
    let root = s.lan.install().context("hostlets")?.root().to_owned();
    let mut undone = 0;
    for round in 0..40_u32 {
        let mut changing = s.lan.host().command(std::env::current_exe()?);
        let mut changing = changing
            .args([
                "--nocapture",
                "--ignored",
                "--exact",
                "exchanges_until_it_is_killed",
            ])
            .env("HOSTLET_LENT_ROOT", &root)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        // It says when it begins; each exchange takes a few milliseconds.
        let output = changing.stdout.take().context("its output")?;
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
        while !lines.next().context("it ended")??.contains("begins") {}
        let until = Instant::now() + Duration::from_micros(u64::from(round) * 367 % 9000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        changing.kill()?;
        ensure!(changing.wait()?.signal() == Some(libc::SIGKILL));
        s.engine(|e| e.heal())??;
        let shown = s.shown()?;
        let has = |a: &str| shown["addresses"].to_string().contains(a);
        undone += u32::from(has("10.0.0.6"));
        let inside = s.agents.get_mut("in").context("the probe")?;
        for address in ["10.0.0.5", "10.0.0.6"] {
            inside.ask("a = socket tcp4")?;
            let bound = inside.ask(&format!("bind a {address}:8080"))?;
            let wanted = if has(address) { "ok" } else { "EADDRNOTAVAIL" };
            ensure!(
                bound == wanted,
                "round {round}, {address}: {bound} in {shown}"
            );
            inside.ask("close a")?;
        }
    }
    ensure!((1..40).contains(&undone), "every round ended alike");
    s.engine(|e| e.close(&name("in"), true))??;
    Ok(())
}

/// A part of the test above.
#[test]
#[ignore = "is killed by another test"]
fn exchanges_until_it_is_killed() -> Result<()> {
    let root = std::env::var_os("HOSTLET_LENT_ROOT").context("HOSTLET_LENT_ROOT")?;
    let engine = Engine::new(Paths::under(root.as_ref()), |_| {});
    let sets = [["10.0.0.5"], ["10.0.0.6"], ["10.0.0.5"]];
    println!("begins");
    loop {
        for pair in sets.windows(2) {
            engine.replace(&name("in"), &owned(&pair[0])?, &wishes(&pair[1])?)?;
        }
    }
}

/// Many hostlets cost the next one little. Figures are printed; build with --release for true ones.
#[test]
fn many_hostlets_cost_the_next_one_little() -> Result<()> {
    let count: usize = match std::env::var("HOSTLET_MANY") {
        Ok(text) => text.parse()?,
        Err(_) => 200,
    };
    let ns = NetNs::new("many")?;
    let root = TestDir::new("root")?;
    let address = |i: usize| format!("10.1.{}.{}", i / 250, i % 250 + 1);
    ns.ip([
        "link add eth0 type veth peer name eth1",
        "link set eth0 up",
        "link set eth1 up",
        "address add 10.0.0.1/8 dev eth0",
    ])?;
    ns.ip((0..count).map(|i| format!("address add {}/32 dev eth0", address(i))))?;
    let lifetime = while_lives(std::process::id())?;
    let (lends, ends) = ns.within(|| -> Result<_> {
        let engine = Engine::new(Paths::under(root.path()), |_| {});
        let timed = |work: &dyn Fn(&str, usize) -> Result<()>| -> Result<Vec<Duration>> {
            let one = |i| {
                let start = Instant::now();
                work(&format!("h{i}"), i)?;
                Ok(start.elapsed())
            };
            (0..count).map(one).collect()
        };
        let lends = timed(&|of, i| {
            engine.lend(&spec(of, &[&address(i)])?, &lifetime, &by())?;
            Ok(())
        })?;
        let ends = timed(&|of, _| Ok(engine.close(&name(of), false)?))?;
        Ok((lends, ends))
    })??;
    let middle = |part: &[Duration]| {
        let mut sorted = part.to_vec();
        sorted.sort();
        sorted[sorted.len() / 2]
    };
    let few = middle(&lends[1..20]);
    let many = middle(&lends[count - 20..]);
    println!("lend: {few:?} with few, {many:?} with {count}");
    println!(
        "end: {:?} with {count}, {:?} with few",
        middle(&ends[..20]),
        middle(&ends[count - 20..])
    );
    // A hundredth of what one costs, for each that is there, would be too much.
    ensure!(many < few * 5, "{many:?} with {count}, {few:?} with few");
    Ok(())
}
