//! The wire itself: real stacks speak across it. Needs root.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::segment::Segment;
use hostlet_testkit::wire::{Trouble, Wire};

struct Two {
    left: NetNs,
    right: NetNs,
    wire: Wire,
}

fn two(trouble: Trouble) -> Result<Two> {
    let (left, right) = (NetNs::new("left")?, NetNs::new("right")?);
    let wire = Wire::new((&left, "eth0"), (&right, "eth0"), 7, trouble)?;
    left.ip(["address add 10.0.0.1/24 dev eth0"])?;
    right.ip(["address add 10.0.0.2/24 dev eth0"])?;
    Ok(Two { left, right, wire })
}

/// Does a machine with the address answer? Nothing listens, so it refuses.
fn answers(from: &NetNs, address: &str, limit: Duration) -> Result<bool> {
    let to = SocketAddr::new(address.parse()?, 9);
    let met = from.within(|| TcpStream::connect_timeout(&to, limit))?;
    let refused = |e: std::io::Error| e.kind() == std::io::ErrorKind::ConnectionRefused;
    Ok(met.err().is_some_and(refused))
}

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

/// Sends a megabyte there and back.
fn transfer(two: &Two) -> Result<()> {
    let listener = two.right.within(|| TcpListener::bind("10.0.0.2:80"))??;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut all = vec![0; 1 << 20];
        stream.read_exact(&mut all)?;
        stream.write_all(&all)
    });
    let mut stream = two.left.within(|| TcpStream::connect("10.0.0.2:80"))??;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let sent: Vec<u8> = (0..1u32 << 20).map(|n| (n % 251) as u8).collect();
    stream.write_all(&sent)?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got).context("the way back")?;
    ensure!(got == sent, "{} bytes came back, or others", got.len());
    echo.join().expect("the echo does not panic")?;
    Ok(())
}

#[test]
fn tcp_crosses_a_sound_wire() -> Result<()> {
    let two = two(Trouble::default())?;
    transfer(&two)?;
    let counts = two.wire.counts();
    ensure!(
        counts.lost == 0 && counts.held == 0 && counts.doubled == 0,
        "{counts:?}"
    );
    Ok(())
}

#[test]
fn tcp_crosses_a_bad_wire() -> Result<()> {
    let two = two(Trouble {
        loss: 0.02,
        double: 0.1,
        hold: 0.1,
        hold_for: Duration::from_millis(3),
        delay: Duration::from_micros(100),
    })?;
    transfer(&two)?;
    let counts = two.wire.counts();
    ensure!(
        counts.lost > 0 && counts.held > 0 && counts.doubled > 0,
        "{counts:?}"
    );
    Ok(())
}

#[test]
fn the_rates_are_as_asked() -> Result<()> {
    let two = two(Trouble::default())?;
    let receiver = two.right.within(|| UdpSocket::bind("10.0.0.2:9"))??;
    receiver.set_read_timeout(Some(Duration::from_secs(5)))?;
    let sender = two.left.within(|| UdpSocket::bind("10.0.0.1:9"))??;
    sender.connect("10.0.0.2:9")?;
    let mut word = [0; 8];
    // The neighbours know each other before anything is lost.
    sender.send(b"hello")?;
    receiver.recv(&mut word)?;
    let before = two.wire.counts();
    two.wire.set(Trouble {
        loss: 0.3,
        double: 0.2,
        ..Trouble::default()
    });
    let seen = std::thread::spawn(move || -> std::io::Result<u32> {
        let mut seen = 0;
        while receiver.recv(&mut word)? == 1 {
            seen += 1;
        }
        Ok(seen)
    });
    for _ in 0..1000 {
        sender.send(b"x")?;
    }
    hostlet_testkit::wait::until("all frames", || {
        let now = two.wire.counts();
        now.lost + now.carried - now.doubled >= 1000 + before.carried
    })?;
    two.wire.set(Trouble::default());
    // Where the receiver is behind, its queue has no room for one more.
    hostlet_testkit::wait::until("the receiver to end", || {
        let _ = sender.send(b"end");
        seen.is_finished()
    })?;
    let seen = seen.join().expect("the receiver does not panic")?;
    // Give or take five times the deviation. The receiver may have been too slow for some.
    let counts = two.wire.counts();
    ensure!((228..372).contains(&counts.lost), "{counts:?}");
    ensure!((85..195).contains(&counts.doubled), "{counts:?}");
    ensure!(
        seen > 0 && u64::from(seen) < counts.carried,
        "{seen} arrived"
    );
    Ok(())
}

#[test]
fn a_cut_wire_is_silent_until_mended() -> Result<()> {
    let two = two(Trouble::default())?;
    ensure!(answers(&two.left, "10.0.0.2", LONG)?);
    two.wire.cut();
    ensure!(!answers(&two.left, "10.0.0.2", SHORT)?, "across a cut wire");
    ensure!(two.wire.counts().lost > 0);
    two.wire.mend();
    ensure!(answers(&two.left, "10.0.0.2", LONG)?);
    Ok(())
}

#[test]
fn machines_on_a_segment_see_each_other() -> Result<()> {
    let segment = Segment::new()?;
    let (one, two) = (NetNs::new("one")?, NetNs::new("two")?);
    segment.plug(&one, "eth0", &["10.0.0.1/24", "2001:db8::1/64"])?;
    let trouble = Trouble::default();
    let _wire = segment.plug_by_wire(&two, "eth0", &["10.0.0.2/24"], 1, trouble)?;
    let stranger = segment.stranger(&["10.0.0.3/24", "2001:db8::3/64"])?;
    for address in ["10.0.0.2", "10.0.0.3", "2001:db8::3"] {
        ensure!(answers(&one, address, LONG)?, "{address}");
    }
    drop(stranger);
    ensure!(!answers(&one, "10.0.0.3", SHORT)?, "a stranger that went");
    Ok(())
}
