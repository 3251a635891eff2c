//! A cgroup may have had sockets before it got rules: a session's scope, a user's slice. Of whatever protocol they are,
//! they are the hostlet's then, also where programs are excluded; those that were made by an excluded program after it pass.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use hostlet_engine::Stamp;
use hostlet_model::{HostletSpec, Lifetime, Unreachable};
use hostlet_platform::cgroup::find_mount;
use hostlet_testkit::agent::Agent;
use hostlet_testkit::{binaries, wait};

use crate::stage::{Stage, Wish, name};

const WISH: Wish = Wish {
    excludes: true,
    unreachable: None,
};

/// A cgroup that others made, as systemd makes a session's; gone with the test.
struct Scope(PathBuf);

impl Scope {
    fn new(of: &str) -> Result<Scope> {
        let dir = find_mount()?.join(format!("hlt-{of}-{}.scope", std::process::id()));
        fs::create_dir(&dir)?;
        Ok(Scope(dir))
    }

    /// Starts a program in it that is no member yet.
    fn enter(&self, s: &mut Stage, actor: &str, program: &std::path::Path) -> Result<()> {
        let mut command = s.lan.host().command("sh");
        command.args(["-c", "echo $$ > \"$1\" && exec \"$2\"", "sh"]);
        command.arg(self.0.join("cgroup.procs")).arg(program);
        s.add(actor, Agent::start(actor, command)?);
        Ok(())
    }

    fn attach(&self, s: &Stage) -> Result<()> {
        let of = name()?;
        Ok(s.engine(|e| e.attach_scope(&of, &self.0))??)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let _ = wait::until("the end of its processes", || {
            fs::read_to_string(self.0.join("cgroup.events"))
                .map_or(true, |events| !events.contains("populated 1"))
        });
        let _ = fs::remove_dir(&self.0);
    }
}

/// With the program `old` in a cgroup without rules.
fn before(of: &str) -> Result<(Stage, Scope)> {
    let mut s = Stage::new(WISH)?;
    let scope = Scope::new(of)?;
    scope.enter(&mut s, "old", &binaries::probe()?)?;
    s.play(
        "peer t = socket tcp4
         peer bind t 0.0.0.0:8080
         peer listen t
         peer m = socket mptcp4
         peer bind m 0.0.0.0:8081
         peer listen m
         peer n = socket mptcp6
         peer bind n [2001:db8::100]:8082
         peer listen n
         peer u = socket udp4
         peer bind u 10.0.0.100:5300
         peer v = socket udplite4
         peer bind v 10.0.0.100:5300",
    )?;
    Ok((s, scope))
}

#[test]
fn they_connect_from_the_hostlets_address() -> Result<()> {
    let (mut s, scope) = before("connect")?;
    s.play(
        "old a = socket tcp4
         old b = socket mptcp4
         old c = socket mptcp4
         old d = socket mptcp6
         old e = socket udp4
         old f = socket udplite4
         old g = socket mptcp4",
    )?;
    scope.attach(&s)?;
    s.play(
        "old connect a 10.0.0.100:8080
         old name a => 10.0.0.5:*
         peer a = accept t => from 10.0.0.5:*
         old connect b 10.0.0.100:8081
         old name b => 10.0.0.5:*
         peer b = accept m => from 10.0.0.5:*
         old send b hello
         peer recv b => hello
         peer send b world
         old recv b => world
         old connect c 10.0.0.100:8080
         old name c => 10.0.0.5:*
         peer c = accept t => from 10.0.0.5:*
         old send c plain
         peer recv c => plain
         old connect d [2001:db8::100]:8082
         old name d => [2001:db8::5]:*
         peer d = accept n => from [2001:db8::5]:*
         old sendto e 10.0.0.100:5300 one
         peer recvfrom u => one from 10.0.0.5:*
         old sendto f 10.0.0.100:5300 two
         peer recvfrom v => two from 10.0.0.5:*
         host h = socket tcp4
         host bind h 127.0.0.1:8083
         host listen h
         old connect g 127.0.0.1:8083 => ECONNREFUSED",
    )
}

#[test]
fn they_bind_to_its_addresses_alone() -> Result<()> {
    let (mut s, scope) = before("bind")?;
    s.play(
        "old a = socket tcp4
         old b = socket mptcp4
         old c = socket mptcp6
         old d = socket mptcp4",
    )?;
    scope.attach(&s)?;
    s.play(
        "old bind a 10.0.0.1:9090 => EADDRNOTAVAIL
         old bind b 10.0.0.1:9090 => EADDRNOTAVAIL
         old bind c [2001:db8::1]:9090 => EADDRNOTAVAIL
         old bind d 10.0.0.5:9090
         old connect d 10.0.0.100:8081
         peer d = accept m => from 10.0.0.5:9090",
    )
}

/// Connections are given to listeners from a table that takes none of MPTCP: an event says so, and the port is closed.
#[test]
fn a_listener_of_mptcp_gets_no_connection() -> Result<()> {
    let (mut s, scope) = before("listen")?;
    s.play(
        "old a = socket mptcp4
         old b = socket mptcp4
         old c = socket tcp4",
    )?;
    scope.attach(&s)?;
    s.play(
        "old bind a 0.0.0.0:9090
         old listen a
         peer a = socket tcp4
         peer connect a 10.0.0.5:9090 => ECONNREFUSED
         peer b = socket mptcp4
         peer connect b 10.0.0.1:9090 => ECONNREFUSED
         old listen b
         old c = socket tcp4
         old bind c 0.0.0.0:9091
         old listen c
         peer d = socket tcp4
         peer connect d 10.0.0.5:9091
         old d = accept c => from 10.0.0.100:*",
    )?;
    let port = s.ask("old", "raw-port b")?;
    s.play(&format!(
        "peer e = socket tcp4
         peer connect e 10.0.0.5:{port} => ECONNREFUSED
         peer f = socket tcp4
         peer connect f 10.0.0.1:{port} => ECONNREFUSED"
    ))?;
    let events = s.hostlet(&["events", "in"])?;
    ensure!(
        events.contains("listen tcp") && events.contains("EPROTONOSUPPORT (protocol)"),
        "{events}"
    );
    Ok(())
}

/// What was bound, accepted or connected before: the guard stops it, of TCP and of MPTCP.
#[test]
fn what_has_the_machines_address_is_cut_off() -> Result<()> {
    let (mut s, scope) = before("cut")?;
    let open = |protocol: &str, port: u16| {
        format!(
            "old l{port} = socket {protocol}
             old bind l{port} 0.0.0.0:{port}
             old listen l{port}
             peer c{port} = socket {protocol}
             peer connect c{port} 10.0.0.1:{port}
             old a{port} = accept l{port} => from 10.0.0.100:*
             old send a{port} before
             peer recv c{port} => before"
        )
    };
    s.play(&open("tcp4", 9090))?;
    s.play(&open("mptcp4", 9091))?;
    s.play(
        "old m = socket mptcp4
         old connect m 10.0.0.100:8081
         old name m => 10.0.0.1:*
         peer a = accept m => from 10.0.0.1:*
         old send m before
         peer recv a => before",
    )?;
    scope.attach(&s)?;
    s.play(
        "old send a9090 after
         old send a9091 after
         old send m after
         peer recv c9090 => EAGAIN
         peer recv c9091 => EAGAIN
         peer recv a => EAGAIN
         peer d = socket tcp4
         peer connect d 10.0.0.1:9090 => EINPROGRESS
         peer e = socket mptcp4
         peer connect e 10.0.0.1:9091 => EINPROGRESS
         peer f = socket mptcp4
         peer connect f 10.0.0.5:9091 => ECONNREFUSED",
    )
}

#[test]
fn raw_and_echo_sockets_send_nothing_of_the_machines() -> Result<()> {
    let (mut s, scope) = before("raw")?;
    s.play(
        "peer r = socket raw4
         old r = socket raw4
         old p = socket ping4",
    )?;
    scope.attach(&s)?;
    // What a raw socket receives begins with the header of IP, 0x45 its first byte.
    s.play(
        "old echo r 10.0.0.100:0
         peer echoed r => type 69 sequence 0 from 10.0.0.5:0
         old bind r 10.0.0.1:0
         old echo r 10.0.0.100:0
         peer echoed r => type 69 sequence 0 from 10.0.0.5:0
         old echo p 10.0.0.100:0
         old echoed p => type 0 sequence 7 from 10.0.0.100:0",
    )
}

/// In the same cgroup an excluded program's sockets pass, with all that the kernel makes for them.
#[test]
fn those_of_excluded_programs_pass_where_they_are_younger() -> Result<()> {
    let (mut s, scope) = before("younger")?;
    let copy = s.copy("out")?;
    s.exclude(&[&copy])?;
    scope.enter(&mut s, "out", &copy)?;
    s.play("out b = socket mptcp4")?;
    scope.attach(&s)?;
    s.play(
        "out a = socket mptcp4
         out connect a 10.0.0.100:8081
         out name a => 10.0.0.1:*
         peer a = accept m => from 10.0.0.1:*
         out send a hello
         peer recv a => hello
         out connect b 10.0.0.100:8081
         out name b => 10.0.0.5:*
         peer b = accept m => from 10.0.0.5:*
         out l = socket mptcp4
         out listen l
         old d = socket mptcp4 => EPROTONOSUPPORT",
    )?;
    let port = s.ask("out", "raw-port l")?;
    s.play(&format!(
        "peer c = socket mptcp4
         peer connect c 10.0.0.1:{port}
         out c = accept l => from 10.0.0.100:*
         out send c back
         peer recv c => back"
    ))
}

/// The kernel makes further flows of a connection by itself, from other addresses of the machine.
#[test]
fn further_flows_are_as_their_connection() -> Result<()> {
    let (mut s, scope) = before("flows")?;
    let copy = s.copy("out")?;
    s.exclude(&[&copy])?;
    scope.enter(&mut s, "out", &copy)?;
    s.lan.host().ip(["mptcp endpoint add 10.1.0.1 subflow"])?;
    s.play("old a = socket mptcp4")?;
    scope.attach(&s)?;
    let exchange = |actor: &str, peer: &str| {
        format!(
            "{actor} connect a 10.0.0.100:8081
             peer {peer} = accept m
             {actor} send a hello
             peer recv {peer} => hello
             peer send {peer} world
             {actor} recv a => world"
        )
    };
    let flows = |s: &Stage| -> usize {
        let of = s.lan.host().run("ss", &["-tnH", "src", "10.1.0.1"]);
        of.map_or(0, |listed| listed.matches("ESTAB").count())
    };
    s.play("out a = socket mptcp4")?;
    s.play(&exchange("out", "b"))?;
    wait::until("a flow from the machine's other address", || flows(&s) == 1)?;
    s.play(&exchange("old", "c"))?;
    wait::until("the refusal of another", || {
        s.hostlet(&["events", "in"])
            .is_ok_and(|events| events.contains("bind tcp 10.1.0.1: EADDRNOTAVAIL"))
    })?;
    ensure!(flows(&s) == 1);
    Ok(())
}

/// What a route let pass under one hostlet does not under the next, which lets none pass; what an excluded program made does.
#[test]
fn of_an_earlier_hostlet_excluded_programs_alone_pass() -> Result<()> {
    let (mut s, scope) = before("next")?;
    let copy = s.copy("out")?;
    s.exclude(&[&copy])?;
    scope.enter(&mut s, "out", &copy)?;
    let first = HostletSpec {
        excludes: true,
        unreachable: Some(Unreachable::PassThrough),
        ..HostletSpec::new("first".parse()?, ["10.0.0.6".parse()?].into())
    };
    s.engine(|e| e.lend(&first, &Lifetime::Kept, &Stamp::default()))??;
    s.engine(|e| e.attach_scope(&first.name, &scope.0))??;
    s.play(
        "peer f = socket udp4
         peer bind f 10.1.0.100:5300
         old a = socket udp4
         old sendto a 10.1.0.100:5300 one
         peer recvfrom f => one from 10.1.0.1:*
         out b = socket udp4
         out sendto b 10.0.0.100:5300 two
         peer recvfrom u => two from 10.0.0.1:*",
    )?;
    s.engine(|e| e.detach_scope(&first.name, &scope.0))??;
    scope.attach(&s)?;
    s.play(
        "old sendto a 10.1.0.100:5300 three
         peer recvfrom f => three from 10.0.0.5:*
         out sendto b 10.0.0.100:5300 four
         peer recvfrom u => four from 10.0.0.1:*",
    )
}
