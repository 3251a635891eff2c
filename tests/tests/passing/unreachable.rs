//! B10: a hostlet's addresses are used where the best route leaves by their interface; B11: what passes goes on passing.
//!
//! The hostlet is on eth0, in 10.0.0.0/24, as are the default routes; 10.1.0.0/24 is on eth1.

use anyhow::{Result, ensure};
use hostlet_model::Unreachable;
use hostlet_testkit::binaries;

use crate::stage::{Stage, Wish};

fn stage(unreachable: Unreachable) -> Result<Stage> {
    Stage::new(Wish {
        excludes: false,
        unreachable: Some(unreachable),
    })
}

const SERVERS: &str = "
    peer t = socket tcp4
    peer bind t 0.0.0.0:8080
    peer listen t
    peer u = socket udp4
    peer bind u 10.1.0.100:5300
    peer v = socket udp4
    peer bind v 10.0.0.100:5300
    peer w = socket udp6
    peer bind w [2001:db8:1::100]:5300
";

#[test]
fn refused_where_no_route_fits() -> Result<()> {
    let mut s = stage(Unreachable::Refuse)?;
    s.play(SERVERS)?;
    s.play(
        "in a = socket tcp4
         in connect a 10.1.0.100:8080 => ENETUNREACH
         in connect a 10.0.0.100:8080
         in name a => 10.0.0.5:*
         peer b = accept t => from 10.0.0.5:*
         in c = socket udp4
         in sendto c 10.1.0.100:5300 no => ENETUNREACH
         in sendto c 10.0.0.100:5300 yes
         peer recvfrom v => yes from 10.0.0.5:*
         in sendto c 10.1.0.100:5300 no => ENETUNREACH
         in d = socket udp6
         in connect d [2001:db8:1::100]:5300 => ENETUNREACH
         in sendto d [2001:db8:1::100]:5300 no => ENETUNREACH
         in sendto d [::ffff:10.1.0.100]:5300 no => ENETUNREACH
         in e = socket udp4
         in connect e 10.0.0.100:5300
         in connect e 10.1.0.100:5300 => ENETUNREACH
         in f = socket ping4
         in echo f 10.0.0.100:0
         in echoed f => type 0 sequence 7 from 10.0.0.100:0
         in echo f 10.1.0.100:0 => EPERM
         in g = socket tcp4
         in connect g 192.0.2.1:8080
         in name g => 10.0.0.5:*",
    )?;
    let events = s.hostlet(&["events", "in"])?;
    ensure!(
        events.contains("10.1.0.100:8080: ENETUNREACH (no-route)")
            && events.contains("[2001:db8:1::100]:5300: ENETUNREACH (no-route)")
            && events.contains("transmit icmp 10.1.0.1 from 10.1.0.100: dropped (no-route)"),
        "{events}"
    );
    Ok(())
}

#[test]
fn what_is_local_to_the_machine_is_always_fit() -> Result<()> {
    let mut s = stage(Unreachable::Refuse)?;
    s.play(
        "host a = socket tcp4
         host bind a 0.0.0.0:7070
         host listen a
         in c = socket tcp4
         in connect c 10.1.0.1:7070
         in name c => 10.0.0.5:*
         host d = accept a => from 10.0.0.5:*
         in e = socket tcp4
         in bind e 127.0.0.1:7071
         in listen e
         in f = socket tcp4
         in connect f 127.0.0.1:7071
         in g = socket tcp4
         in connect g 10.1.0.200:7070 => ENETUNREACH",
    )?;
    // One that came later.
    s.rewire(&["address add 10.1.0.200/24 dev eth1"])?;
    s.play(
        "in connect g 10.1.0.200:7070
         in name g => 10.0.0.5:*",
    )
}

#[test]
fn what_the_program_bound_is_its_own_matter() -> Result<()> {
    let mut s = stage(Unreachable::Refuse)?;
    s.play(SERVERS)?;
    s.play(
        "in a = socket udp4
         in bind a 10.0.0.5:5600
         in sendto a 10.1.0.100:5300 bound
         peer recvfrom u => bound from 10.0.0.5:5600
         in b = socket udp4
         in bind b 0.0.0.0:5601
         peer sendto u 10.0.0.5:5601 ask
         in recvfrom b => ask from 10.1.0.100:5300
         in sendto b 10.1.0.100:5300 answer
         peer recvfrom u => answer from 10.0.0.5:5601",
    )
}

#[test]
fn routes_may_change() -> Result<()> {
    let mut s = stage(Unreachable::Refuse)?;
    s.play(SERVERS)?;
    s.play(
        "in a = socket tcp4
         in connect a 10.1.0.100:8080 => ENETUNREACH",
    )?;
    s.rewire(&["route add 10.1.0.100/32 via 10.0.0.100"])?;
    s.play(
        "in connect a 10.1.0.100:8080
         in name a => 10.0.0.5:*
         peer b = accept t => from 10.0.0.5:*",
    )?;
    s.rewire(&["route add 10.0.0.100/32 dev eth1"])?;
    s.play(
        "in c = socket tcp4
         in connect c 10.0.0.100:8080 => ENETUNREACH",
    )
}

#[test]
fn it_passes_where_that_is_wanted() -> Result<()> {
    let mut s = stage(Unreachable::PassThrough)?;
    s.play(SERVERS)?;
    s.play(
        "in a = socket tcp4
         in connect a 10.1.0.100:8080
         in name a => 10.1.0.1:*
         peer b = accept t => from 10.1.0.1:*
         in send a hello
         peer recv b => hello
         peer send b world
         in recv a => world
         in c = socket tcp4
         in connect c 10.0.0.100:8080
         in name c => 10.0.0.5:*
         peer d = accept t => from 10.0.0.5:*
         in e = socket udp6
         in connect e [2001:db8:1::100]:5300
         in name e => [2001:db8:1::1]:*
         in send e six
         peer recvfrom w => six from [2001:db8:1::1]:*
         in f = socket ping4
         in echo f 10.1.0.100:0
         in echoed f => type 0 sequence 7 from 10.1.0.100:0",
    )
}

/// B11.
#[test]
fn what_passed_goes_on_passing() -> Result<()> {
    let mut s = stage(Unreachable::PassThrough)?;
    s.play(SERVERS)?;
    s.play(
        "in a = socket udp4
         in sendto a 10.0.0.100:5300 before
         peer recvfrom v => before from 10.0.0.5:*
         in sendto a 10.1.0.100:5300 passing
         peer recvfrom u => passing from 10.1.0.1:*
         in sendto a 10.0.0.100:5300 after
         peer recvfrom v => after from 10.0.0.1:*
         in b = socket udp4
         in sendto b 10.0.0.100:5300 another
         peer recvfrom v => another from 10.0.0.5:*
         in c = socket udp4
         in bind c 0.0.0.0:5700
         in fork kid
         in d = socket udp4
         in sendto d 10.1.0.100:5300 passing
         peer recvfrom u => passing from 10.1.0.1:*
         in exec later d
         in /later sendto d 10.0.0.100:5300 later
         peer recvfrom v => later from 10.0.0.1:*",
    )?;
    s.rewire(&["route add 10.1.0.100/32 via 10.0.0.100"])?;
    s.play(
        "in sendto d 10.1.0.100:5300 fit
         peer recvfrom u => fit from 10.0.0.1:*",
    )
}

/// Answers come, also where the socket had a port of the hostlet before.
#[test]
fn answers_reach_what_passed() -> Result<()> {
    let mut s = stage(Unreachable::PassThrough)?;
    s.play(
        "peer u = socket udp4
         peer bind u 10.1.0.100:5300
         in a = socket udp4
         in sendto a 10.0.0.100:5300 before
         in sendto a 10.1.0.100:5300 passing
         in raw-port a",
    )?;
    let port = s.ask("in", "raw-port a")?;
    s.play(&format!(
        "peer recvfrom u => passing from 10.1.0.1:*
         peer sendto u 10.1.0.1:{port} answer
         in recvfrom a => answer from 10.1.0.100:5300"
    ))
}

/// What an earlier connect left on the socket goes with the next one.
#[test]
fn after_a_failure_it_may_pass() -> Result<()> {
    let mut s = stage(Unreachable::PassThrough)?;
    s.play(SERVERS)?;
    s.play(
        "in a = socket tcp4
         in connect a 10.0.0.100:8099 => ECONNREFUSED
         in connect a 10.1.0.100:8080
         in name a => 10.1.0.1:*
         peer b = accept t => from 10.1.0.1:*
         in c = socket udp4
         in connect c 10.0.0.100:5300
         in name c => 10.0.0.5:*
         in connect c unspec
         in connect c 10.1.0.100:5300
         in name c => 10.1.0.1:*
         in d = socket udp4
         in connect d 10.0.0.100:5300
         in connect d 10.1.0.100:5300 => ENETUNREACH",
    )
}

#[test]
fn an_interface_that_the_program_names_is_the_route() -> Result<()> {
    let mut s = stage(Unreachable::Refuse)?;
    s.play(SERVERS)?;
    s.play(
        "in a = socket udp4
         in opt a device eth1
         in sendto a 192.0.2.1:5300 no => ENETUNREACH
         in b = socket udp4
         in opt b device eth0
         in sendto b 10.0.0.100:5300 yes
         peer recvfrom v => yes from 10.0.0.5:*",
    )
}

/// With addresses on both interfaces, each is used for its own routes.
#[test]
fn each_address_for_its_routes() -> Result<()> {
    let mut s = Stage::empty()?;
    let wish = Wish {
        excludes: false,
        unreachable: Some(Unreachable::Refuse),
    };
    s.make(wish, &["10.0.0.5", "10.1.0.5"])?;
    s.enter("in", &binaries::probe()?)?;
    s.play(SERVERS)?;
    s.play(
        "in a = socket udp4
         in sendto a 10.1.0.100:5300 one
         peer recvfrom u => one from 10.1.0.5:*
         in sendto a 10.0.0.100:5300 two
         peer recvfrom v => two from 10.0.0.5:*",
    )
}

#[test]
fn a_family_without_addresses_passes_too() -> Result<()> {
    let mut s = Stage::empty()?;
    let wish = Wish {
        excludes: false,
        unreachable: Some(Unreachable::PassThrough),
    };
    s.make(wish, &["10.0.0.5"])?;
    s.enter("in", &binaries::probe()?)?;
    s.play(SERVERS)?;
    s.play(
        "in a = socket udp6
         in sendto a [2001:db8:1::100]:5300 six
         peer recvfrom w => six from [2001:db8:1::1]:*",
    )
}

#[test]
fn explain_says_what_the_kernel_does() -> Result<()> {
    let s = stage(Unreachable::Refuse)?;
    let said = s.hostlet(&["explain", "in", "connect", "10.1.0.100:80"])?;
    ensure!(
        said.contains("refused (ENETUNREACH)") && said.contains("10.1.0.0/24, leaves by interface"),
        "{said}"
    );
    let said = s.hostlet(&["explain", "in", "connect", "10.1.0.1:80"])?;
    ensure!(said.contains("allowed"), "{said}");
    let s = stage(Unreachable::PassThrough)?;
    let said = s.hostlet(&["explain", "in", "connect", "10.1.0.100:80"])?;
    ensure!(said.contains("passed through"), "{said}");
    Ok(())
}
