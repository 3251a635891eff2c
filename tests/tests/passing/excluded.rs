//! B8: excluded programs keep the machine's address in hostlets that say so.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use hostlet_model::Unreachable;
use hostlet_testkit::binaries;

use crate::stage::{Stage, Wish};

const WISH: Wish = Wish {
    excludes: true,
    unreachable: None,
};

/// With the probe `in`, and an excluded copy `out`.
fn both() -> Result<Stage> {
    let mut s = Stage::new(WISH)?;
    let copy = s.copy("out")?;
    s.exclude(&[&copy])?;
    s.enter("out", &copy)?;
    Ok(s)
}

#[test]
fn it_connects_from_the_machines_address() -> Result<()> {
    both()?.play(
        "peer a = socket tcp4
         peer bind a 0.0.0.0:8080
         peer listen a
         out c = socket tcp4
         out connect c 10.0.0.100:8080
         out name c => 10.0.0.1:*
         peer b = accept a => from 10.0.0.1:*
         out send c hello
         peer recv b => hello
         peer send b world
         out recv c => world
         in d = socket tcp4
         in connect d 10.0.0.100:8080
         in name d => 10.0.0.5:*
         peer e = accept a => from 10.0.0.5:*
         peer f = socket tcp6
         peer opt f v6only 1
         peer bind f [::]:8080
         peer listen f
         out g = socket tcp6
         out connect g [2001:db8::100]:8080
         out name g => [2001:db8::1]:*
         peer h = accept f => from [2001:db8::1]:*
         out i = socket tcp6
         out connect i [::ffff:10.0.0.100]:8080
         out name i => [::ffff:10.0.0.1]:*
         peer j = accept a => from 10.0.0.1:*",
    )
}

#[test]
fn its_datagrams_leave_from_and_reach_the_machines_address() -> Result<()> {
    both()?.play(
        "peer a = socket udp4
         peer bind a 10.0.0.100:5300
         out c = socket udp4
         out sendto c 10.0.0.100:5300 hello
         peer recvfrom a => hello from 10.0.0.1:*
         out d = socket udp4
         out bind d 0.0.0.0:5400
         out name d => 0.0.0.0:5400
         peer sendto a 10.0.0.1:5400 ask
         out recvfrom d => ask from 10.0.0.100:5300
         out sendto d 10.0.0.100:5300 answer
         peer recvfrom a => answer from 10.0.0.1:5400
         out e = socket udp6
         peer f = socket udp6
         peer bind f [2001:db8::100]:5300
         out connect e [2001:db8::100]:5300
         out name e => [2001:db8::1]:*
         out send e six
         peer recvfrom f => six from [2001:db8::1]:*",
    )
}

#[test]
fn it_listens_at_the_machines_addresses_and_shares_no_port_with_the_hostlet() -> Result<()> {
    both()?.play(
        "out a = socket tcp4
         out bind a 0.0.0.0:9090
         out listen a
         out name a => 0.0.0.0:9090
         peer c = socket tcp4
         peer connect c 10.0.0.1:9090
         out b = accept a => from 10.0.0.100:*
         out name b => 10.0.0.1:9090
         peer send c hello
         out recv b => hello
         out send b world
         peer recv c => world
         peer d = socket tcp4
         peer connect d 10.0.0.5:9090 => ECONNREFUSED
         in e = socket tcp4
         in bind e 0.0.0.0:9090
         in listen e
         peer f = socket tcp4
         peer connect f 10.0.0.5:9090
         in g = accept e => from 10.0.0.100:*
         out h = socket tcp4
         out listen h
         out name h => 0.0.0.0:*
         out i = socket tcp4
         out bind i 127.0.0.1:9191
         out listen i
         host j = socket tcp4
         host connect j 127.0.0.1:9191
         out k = accept i => from 127.0.0.1:*
         in l = socket tcp4
         in connect l 127.0.0.1:9191 => ECONNREFUSED",
    )
}

/// A connection is the listener's, whoever serves it.
#[test]
fn accepted_connections_pass_in_other_programs_too() -> Result<()> {
    let mut s = both()?;
    let probe = binaries::probe()?;
    s.play(&format!(
        "out a = socket tcp4
         out bind a 0.0.0.0:9090
         out listen a
         out exec-as {} kid a
         peer c = socket tcp4
         peer connect c 10.0.0.1:9090
         out /kid b = accept a => from 10.0.0.100:*
         out /kid name b => 10.0.0.1:9090
         out /kid send b hello
         peer recv c => hello",
        probe.display()
    ))
}

#[test]
fn what_it_starts_is_the_hostlets_again_but_its_sockets_stay() -> Result<()> {
    let mut s = both()?;
    let probe = binaries::probe()?;
    s.play(&format!(
        "peer a = socket tcp4
         peer bind a 10.0.0.100:8080
         peer listen a
         out c = socket tcp4
         out u = socket udp4
         out fork twin
         out /twin d = socket tcp4
         out /twin connect d 10.0.0.100:8080
         out /twin name d => 10.0.0.1:*
         out exec-as {} kid c u
         out /kid connect c 10.0.0.100:8080
         out /kid name c => 10.0.0.1:*
         out /kid bind u 0.0.0.0:5500
         out /kid name u => 0.0.0.0:5500
         out /kid e = socket tcp4
         out /kid connect e 10.0.0.100:8080
         out /kid name e => 10.0.0.5:*",
        probe.display()
    ))
}

/// B11: the socket decides, not who has it.
#[test]
fn handed_over_a_socket_stays_what_it_was() -> Result<()> {
    let mut s = both()?;
    let copy = s.lan.install().context("hostlets")?.root().join("out");
    s.play(&format!(
        "peer a = socket tcp4
         peer bind a 10.0.0.100:8080
         peer listen a
         in c = socket tcp4
         in exec-as {} kid c
         in /kid connect c 10.0.0.100:8080
         in /kid name c => 10.0.0.5:*
         in /kid d = socket tcp4
         in /kid connect d 10.0.0.100:8080
         in /kid name d => 10.0.0.1:*",
        copy.display()
    ))
}

#[test]
fn what_cannot_be_confined_is_as_outside() -> Result<()> {
    let mut s = Stage::new(WISH)?;
    let copy = s.copy("out")?;
    s.exclude(&[&copy])?;
    s.move_in("out", &copy)?;
    s.move_in("free", &binaries::probe()?)?;
    s.play(
        "free a = socket mptcp4 => EPROTONOSUPPORT
         free b = socket raw4 => EPERM
         out b = socket raw4
         out echo b 10.0.0.100:0
         peer a = socket tcp4
         peer bind a 10.0.0.100:8080
         peer listen a
         out c = socket mptcp4
         out connect c 10.0.0.100:8080
         out name c => 10.0.0.1:*
         peer d = accept a => from 10.0.0.1:*
         out send c hello
         peer recv d => hello
         peer e = socket mptcp4
         peer bind e 10.0.0.100:8081
         peer listen e
         out f = socket mptcp4
         out connect f 10.0.0.100:8081
         peer g = accept e => from 10.0.0.1:*
         peer send g world
         out recv f => world
         out h = socket mptcp4
         out bind h 0.0.0.0:8082
         out listen h
         peer i = socket mptcp4
         peer connect i 10.0.0.1:8082
         out j = accept h => from 10.0.0.100:*
         out send j back
         peer recv i => back
         peer k = socket tcp4
         peer connect k 10.0.0.1:8082
         out l = accept h => from 10.0.0.100:*
         out send l plain
         peer recv k => plain
         out p = socket ping4
         out echo p 10.0.0.100:0
         out echoed p => type 0 sequence 7 from 10.0.0.100:0",
    )
}

#[test]
fn the_list_may_change_but_not_what_was_decided() -> Result<()> {
    let mut s = both()?;
    s.play(
        "peer a = socket udp4
         peer bind a 10.0.0.100:5300
         out c = socket udp4
         in c = socket udp4",
    )?;
    s.exclude(&[&binaries::probe()?])?;
    s.play(
        "out sendto c 10.0.0.100:5300 one
         peer recvfrom a => one from 10.0.0.1:*
         in sendto c 10.0.0.100:5300 two
         peer recvfrom a => two from 10.0.0.5:*
         out d = socket udp4
         out sendto d 10.0.0.100:5300 three
         peer recvfrom a => three from 10.0.0.5:*
         in d = socket udp4
         in sendto d 10.0.0.100:5300 four
         peer recvfrom a => four from 10.0.0.1:*",
    )?;
    s.exclude(&[])?;
    s.play(
        "in e = socket udp4
         in sendto e 10.0.0.100:5300 five
         peer recvfrom a => five from 10.0.0.5:*",
    )
}

/// As hostletd says it when it starts, long before there is a hostlet.
#[test]
fn a_list_made_before_the_kernel_part_counts() -> Result<()> {
    let mut s = Stage::empty()?;
    let copy = s.copy("out")?;
    s.exclude(&[&copy])?;
    s.make(WISH, &["10.0.0.5"])?;
    s.enter("out", &copy)?;
    s.play(
        "peer a = socket udp4
         peer bind a 10.0.0.100:5300
         out c = socket udp4
         out sendto c 10.0.0.100:5300 one
         peer recvfrom a => one from 10.0.0.1:*",
    )
}

/// What replaced a program is another file: it counts when it is listed, and the old one as long as it is.
#[test]
fn another_file_at_the_path_is_another_program() -> Result<()> {
    let mut s = both()?;
    let copy = s.lan.install().context("hostlets")?.root().join("out");
    let newer = s.copy("newer")?;
    std::fs::rename(&newer, &copy)?;
    s.enter("new", &copy)?;
    s.play(
        "peer a = socket udp4
         peer bind a 10.0.0.100:5300
         new c = socket udp4
         new sendto c 10.0.0.100:5300 one
         peer recvfrom a => one from 10.0.0.5:*
         out c = socket udp4
         out sendto c 10.0.0.100:5300 two
         peer recvfrom a => two from 10.0.0.1:*",
    )?;
    s.exclude(&[&copy])?;
    s.play(
        "new d = socket udp4
         new sendto d 10.0.0.100:5300 three
         peer recvfrom a => three from 10.0.0.1:*",
    )
}

#[test]
fn a_hostlet_made_by_hand_excludes_nobody() -> Result<()> {
    let wish = Wish {
        excludes: false,
        unreachable: Some(Unreachable::PassThrough),
    };
    let mut s = Stage::new(wish)?;
    let copy = s.copy("out")?;
    s.exclude(&[&copy])?;
    s.enter("out", &copy)?;
    s.play(
        "peer a = socket udp4
         peer bind a 10.0.0.100:5300
         out c = socket udp4
         out sendto c 10.0.0.100:5300 one
         peer recvfrom a => one from 10.0.0.5:*",
    )
}

/// What may have the machine's address is not outside policy.
#[test]
fn check_knows_what_passes() -> Result<()> {
    let mut s = both()?;
    s.play(
        "peer a = socket tcp4
         peer bind a 10.0.0.100:8080
         peer listen a
         out c = socket tcp4
         out connect c 10.0.0.100:8080
         out d = socket udp4
         out bind d 10.0.0.1:5400",
    )?;
    let install = s.lan.install().context("hostlets")?;
    let said = install.output(s.lan.host(), &["check", "in"])?;
    ensure!(said.status.success(), "{said:?}");
    Ok(())
}

/// A listener of an excluded program outlives the hostlet's address.
#[test]
fn falling_back_leaves_what_passes() -> Result<()> {
    let mut s = both()?;
    s.play(
        "out a = socket tcp4
         out bind a 0.0.0.0:9090
         out listen a
         in b = socket tcp4
         in bind b 0.0.0.0:9091
         in listen b",
    )?;
    let (lost, of) = (vec!["10.0.0.5".parse()?], crate::stage::name()?);
    s.engine(|e| e.fall_back(&of, &lost))??;
    s.play(
        "peer c = socket tcp4
         peer connect c 10.0.0.1:9090
         out d = accept a => from 10.0.0.100:*",
    )
}

#[test]
fn the_list_is_roots_alone() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let s = both()?;
    let run = s.lan.install().context("hostlets")?.root().join("run");
    let mode = |file: &Path| -> Result<u32> { Ok(file.metadata()?.permissions().mode() & 0o777) };
    ensure!(mode(&run.join("excluded"))? == 0o600);
    ensure!(mode(&run.join("excluded.lock"))? == 0o600);
    Ok(())
}
