//! What a peer may take of the server.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use hostlet_wire::{Ended, Limits};

use crate::desk::{Desk, connect};

fn soon() -> Limits {
    Limits {
        idle: Duration::from_millis(50),
        rest: Duration::from_millis(50),
        ..Limits::default()
    }
}

#[test]
fn the_default_limits_are_those_that_are_documented() {
    let limits = Limits::default();
    assert_eq!(limits.message, 256 * 1024);
    assert_eq!(limits.rest, Duration::from_secs(30));
    assert_eq!(limits.idle, Duration::from_secs(60));
}

#[test]
fn who_says_nothing_is_let_go() {
    let (_stream, served) = connect(Desk::default(), soon());
    assert!(matches!(served.join().unwrap(), Ended::Idle));
}

#[test]
fn who_does_not_end_a_message_is_let_go() {
    let (mut stream, served) = connect(Desk::default(), soon());
    stream.write_all(b"{\"method\": ").unwrap();
    assert!(matches!(served.join().unwrap(), Ended::Slow));
}

#[test]
fn a_drip_of_bytes_does_not_prolong_a_message() {
    let limits = Limits {
        rest: Duration::from_millis(50),
        message: usize::MAX,
        ..Limits::default()
    };
    let (mut stream, served) = connect(Desk::default(), limits);
    // The limit on the length is far away: what ends it is the time.
    while stream.write_all(b" ").is_ok() {
        std::thread::yield_now();
    }
    let ended = served.join().unwrap();
    assert!(matches!(ended, Ended::Slow), "{ended}");
}

#[test]
fn who_breaks_off_in_the_middle_is_told_apart_from_who_closes() {
    let (mut stream, served) = connect(Desk::default(), Limits::default());
    stream.write_all(b"{").unwrap();
    drop(stream);
    assert!(matches!(served.join().unwrap(), Ended::Broken));
}

#[test]
fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
    for (longer, fits) in [(0, true), (1, false)] {
        let limits = Limits {
            message: 1000,
            ..Limits::default()
        };
        let (mut stream, served) = connect(Desk::default(), limits);
        let mut message = br#"{"method": "io.hostlet.Pools"}"#.to_vec();
        message.resize(1000 + longer, b' ');
        message.push(0);
        stream.write_all(&message).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(!answer.is_empty(), fits);
        match served.join().unwrap() {
            Ended::Closed => assert!(fits),
            Ended::TooLong => assert!(!fits),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_message_without_an_end_is_not_kept() {
    let (mut stream, served) = connect(Desk::default(), Limits::default());
    let chunk = vec![b'['; 64 * 1024];
    let mut sent = 0;
    while stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
        assert!(sent < 16 << 20, "the server takes whatever comes");
    }
    assert!(matches!(served.join().unwrap(), Ended::TooLong));
}

#[test]
fn who_does_not_take_his_answer_is_let_go_and_the_service_hears_of_it() {
    let desk = Desk {
        // Much more than a socket holds.
        leases: 20_000,
        ..Desk::default()
    };
    let asked = Arc::clone(&desk.asked);
    let limits = Limits {
        rest: Duration::from_millis(100),
        ..Limits::default()
    };
    let (mut stream, served) = connect(desk, limits);
    stream
        .write_all(b"{\"method\": \"io.hostlet.Leases\"}\0")
        .unwrap();
    assert!(matches!(served.join().unwrap(), Ended::Slow));
    assert_eq!(*asked.lock().unwrap(), ["leases", "undelivered"]);
}

#[test]
fn who_is_gone_before_the_answer_is_noticed() {
    for clumsy in [false, true] {
        let desk = Desk {
            clumsy,
            ..Desk::default()
        };
        let asked = Arc::clone(&desk.asked);
        let (mut stream, served) = connect(desk, Limits::default());
        stream.shutdown(std::net::Shutdown::Read).unwrap();
        stream
            .write_all(b"{\"method\": \"io.hostlet.Pools\"}\0")
            .unwrap();
        drop(stream);
        // A panic of the service does not end the thread, either.
        assert!(matches!(served.join().unwrap(), Ended::Broken));
        assert_eq!(*asked.lock().unwrap(), ["pools", "undelivered"]);
    }
}

#[test]
fn a_stream_that_is_shut_down_from_elsewhere_ends() {
    let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    let other = there.try_clone().unwrap();
    let served = std::thread::spawn(move || {
        hostlet_wire::serve_connection(&there, &mut Desk::default(), &Limits::default())
    });
    other.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(matches!(served.join().unwrap(), Ended::Closed));
    drop(here);
}
