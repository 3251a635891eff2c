//! Client and server, over a socket pair.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use hostlet_wire::{
    Client, ClientError, Decision, Ended, Error, Limits, Login, Open, is_running, refuse_connection,
};
use serde_json::{Value, json};

use crate::desk::{Desk, address, connect, lease, name, pool, session};

const A_WHILE: Duration = Duration::from_secs(20);

fn client(desk: Desk) -> (Client, std::thread::JoinHandle<Ended>) {
    let (stream, served) = connect(desk, Limits::default());
    (Client::over(stream, A_WHILE), served)
}

#[test]
fn every_method_says_what_it_is_asked_and_answers() {
    let desk = Desk {
        leases: 2,
        ..Desk::default()
    };
    let (asked, opened) = (Arc::clone(&desk.asked), Arc::clone(&desk.opened));
    let (mut client, served) = client(desk);
    let request = Open {
        name: Some(name("web")),
        request: vec!["192.0.2.100".parse().unwrap()],
        source: "random".parse().unwrap(),
        host_loopback: vec!["127.0.0.1:5432".parse().unwrap()],
        guard: false,
        raw: true,
        keep: true,
        program: vec!["ngi\0nx".to_owned(), "ü\n".to_owned()],
        ..Open::new(vec![name("office"), name("lab")])
    };
    let answer = client.open(&request).unwrap();
    assert_eq!(answer.name, name("web"));
    assert_eq!(answer.addresses, [address()]);
    assert_eq!(opened.lock().unwrap().take(), Some(request));
    assert_eq!(client.join(&name("web")).unwrap(), "/hostlet/web");
    client.close(&name("web"), true).unwrap();
    assert_eq!(client.leases().unwrap(), [lease(), lease()]);
    assert_eq!(client.pools().unwrap(), [pool()]);
    assert_eq!(client.reload(true).unwrap(), ["pool office: new"]);
    let info = client.info().unwrap();
    assert_eq!(info.product, "hostletd");
    assert_eq!(info.interfaces, ["org.varlink.service", "io.hostlet"]);
    drop(client);
    assert!(matches!(served.join().unwrap(), Ended::Closed));
    let asked = asked.lock().unwrap().join(", ");
    assert_eq!(
        asked,
        "open, join web, close web true, leases, pools, reload true"
    );
}

#[test]
fn a_login_is_told_answered_and_ended() {
    let desk = Desk::default();
    let asked = Arc::clone(&desk.asked);
    let (mut client, served) = client(desk);
    let login = |user: &str| Login {
        user: user.to_owned(),
        service: "sshd".to_owned(),
        tty: None,
        remote: Some("192.0.2.9".to_owned()),
    };
    let answer = client.login(&login("alice")).unwrap();
    assert_eq!(answer.decision, Decision::Hostlet);
    assert_eq!(answer.name, Some(name("alice-1")));
    let refused = client.login(&login("mallory")).unwrap_err();
    assert!(matches!(
        refused,
        ClientError::Refused(Error::NotAllowed(_))
    ));
    assert_eq!(client.sessions().unwrap(), [session()]);
    client.logout(3).unwrap();
    drop(client);
    assert!(matches!(served.join().unwrap(), Ended::Closed));
    let asked = asked.lock().unwrap();
    assert!(
        asked[0].contains("\"alice\"") && asked[0].contains("192.0.2.9"),
        "{asked:?}"
    );
    assert_eq!(asked[2..], ["sessions", "logout 3"]);
}

#[test]
fn what_is_left_out_is_filled_in() {
    let desk = Desk::default();
    let opened = Arc::clone(&desk.opened);
    let (mut stream, _served) = connect(desk, Limits::default());
    let answer = call(
        &mut stream,
        &json!({"method": "io.hostlet.Open", "parameters": {"pools": ["office"], "raw": null}}),
    );
    assert_eq!(answer["parameters"]["name"], "office-1", "{answer}");
    assert_eq!(
        opened.lock().unwrap().take(),
        Some(Open::new(vec![name("office")]))
    );
}

#[test]
fn every_error_comes_back_as_it_was() {
    let (mut client, _served) = client(Desk::default());
    let mut no = |pool: &str| match client.open(&Open::new(vec![name(pool)])) {
        Err(ClientError::Refused(error)) => error,
        other => panic!("{other:?}"),
    };
    let full = "pool 'empty' has no address left: bob holds 192.0.2.7";
    assert_eq!(
        no("empty"),
        Error::NoAddress {
            pool: "empty".to_owned(),
            message: full.to_owned()
        }
    );
    assert_eq!(no("empty").to_string(), full);
    assert_eq!(no("secret"), Error::NotAllowed("not you".to_owned()));
    assert_eq!(no("odd"), Error::BadRequest("odd".to_owned()));
    assert_eq!(no("broken"), Error::Failed("the disk is full".to_owned()));
    assert_eq!(
        no("lost"),
        Error::NotFound("there is no pool 'lost'".to_owned())
    );
}

#[test]
fn a_panic_of_the_service_is_an_error_and_the_connection_goes_on() {
    let (mut client, _served) = client(Desk::default());
    let error = client.open(&Open::new(vec![name("panic")])).unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused(Error::Failed(text)) if text.contains("log")),
        "{error}"
    );
    assert_eq!(client.pools().unwrap().len(), 1);
}

/// Sends a message and reads the answer.
fn call(stream: &mut UnixStream, message: &Value) -> Value {
    write!(stream, "{message}\0").unwrap();
    let mut answer = Vec::new();
    BufReader::with_capacity(1, &*stream)
        .read_until(0, &mut answer)
        .unwrap();
    assert_eq!(answer.pop(), Some(0), "no answer to {message}");
    serde_json::from_slice(&answer).unwrap()
}

#[test]
fn what_is_wrong_with_a_call_is_said_as_varlink_says_it() {
    let (mut stream, _served) = connect(Desk::default(), Limits::default());
    let invalid = "org.varlink.service.InvalidParameter";
    let bad = "io.hostlet.BadRequest";
    for (method, parameters, error, key, value) in [
        (
            "org.varlink.service.GetMore",
            json!({}),
            "org.varlink.service.MethodNotFound",
            "method",
            "org.varlink.service.GetMore",
        ),
        (
            "io.hostlet.Steal",
            json!({}),
            "org.varlink.service.MethodNotFound",
            "method",
            "io.hostlet.Steal",
        ),
        (
            "Open",
            json!({}),
            "org.varlink.service.MethodNotFound",
            "method",
            "Open",
        ),
        (
            "",
            json!({}),
            "org.varlink.service.MethodNotFound",
            "method",
            "",
        ),
        (
            "io.hostless.Open",
            json!({}),
            "org.varlink.service.InterfaceNotFound",
            "interface",
            "io.hostless",
        ),
        (
            "org.varlink.service.GetInterfaceDescription",
            json!({"interface": "a.b"}),
            "org.varlink.service.InterfaceNotFound",
            "interface",
            "a.b",
        ),
        (
            "org.varlink.service.GetInterfaceDescription",
            json!({}),
            invalid,
            "parameter",
            "interface",
        ),
        ("io.hostlet.Open", json!({}), invalid, "parameter", "pools"),
        (
            "io.hostlet.Open",
            json!({"pools": []}),
            invalid,
            "parameter",
            "pools",
        ),
        (
            "io.hostlet.Open",
            json!({"pools": "office"}),
            invalid,
            "parameter",
            "pools",
        ),
        (
            "io.hostlet.Open",
            json!({"pools": [1]}),
            invalid,
            "parameter",
            "pools",
        ),
        (
            "io.hostlet.Open",
            json!({"pools": ["office"], "guard": 0}),
            invalid,
            "parameter",
            "guard",
        ),
        (
            "io.hostlet.Open",
            json!({"pools": ["office"], "no_guard": true}),
            invalid,
            "parameter",
            "no_guard",
        ),
        (
            "io.hostlet.Open",
            json!({"pools": ["Office"]}),
            bad,
            "message",
            "pools: the name 'Office' contains 'O': only a-z, 0-9 and '-' are allowed",
        ),
        (
            "io.hostlet.Open",
            json!({"pools": ["office"], "request": ["192.0.2"]}),
            bad,
            "message",
            "request: invalid IP address syntax",
        ),
        (
            "io.hostlet.Open",
            json!({"pools": ["office"], "source": "first"}),
            bad,
            "message",
            "source: 'first' is no way to choose a source: use primary, random or by-destination",
        ),
        ("io.hostlet.Join", json!({}), invalid, "parameter", "name"),
        (
            "io.hostlet.Close",
            json!({"name": "web", "kill": "yes"}),
            invalid,
            "parameter",
            "kill",
        ),
        (
            "io.hostlet.Leases",
            json!({"all": true}),
            invalid,
            "parameter",
            "all",
        ),
    ] {
        let answer = call(
            &mut stream,
            &json!({"method": method, "parameters": parameters}),
        );
        assert_eq!(answer["error"], error, "{method} {parameters}: {answer}");
        assert_eq!(
            answer["parameters"][key], value,
            "{method} {parameters}: {answer}"
        );
    }
}

#[test]
fn oneway_has_no_answer_more_has_one_and_upgrade_is_refused() {
    let desk = Desk::default();
    let asked = Arc::clone(&desk.asked);
    let (mut stream, _served) = connect(desk, Limits::default());
    let oneway =
        json!({"method": "io.hostlet.Close", "parameters": {"name": "web"}, "oneway": true});
    let nonsense = json!({"method": "io.hostlet.Nonsense", "oneway": true});
    write!(stream, "{oneway}\0{nonsense}\0").unwrap();
    let more = call(
        &mut stream,
        &json!({"method": "io.hostlet.Pools", "more": true}),
    );
    assert_eq!(more["parameters"]["pools"][0]["name"], "office", "{more}");
    assert!(more.get("continues").is_none());
    let upgrade = call(
        &mut stream,
        &json!({"method": "io.hostlet.Pools", "upgrade": true}),
    );
    assert_eq!(upgrade["parameters"]["parameter"], "upgrade", "{upgrade}");
    assert_eq!(*asked.lock().unwrap(), ["close web false", "pools"]);
}

#[test]
fn calls_may_come_in_one_piece_or_byte_by_byte() {
    let (mut stream, _served) = connect(Desk::default(), Limits::default());
    let pools = json!({"method": "io.hostlet.Pools"}).to_string() + "\0";
    stream.write_all(pools.repeat(50).as_bytes()).unwrap();
    for byte in pools.as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut reader = BufReader::new(&stream);
    for number in 0..51 {
        let mut answer = Vec::new();
        reader.read_until(0, &mut answer).unwrap();
        assert!(answer.ends_with(b"\0"), "answer {number}");
    }
}

#[test]
fn a_server_that_does_not_run_is_named_with_its_cure() {
    let dir = std::env::temp_dir().join(format!("hostlet-wire-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("hostletd.sock");
    let said = Client::connect(&path, A_WHILE).unwrap_err().to_string();
    assert_eq!(
        said,
        format!(
            "hostletd is not running ({} is not there): start it with 'systemctl start hostletd' or run 'hostletd' as root",
            path.display()
        )
    );
    let listener = UnixListener::bind(&path).unwrap();
    assert!(is_running(&path));
    drop(listener);
    assert!(!is_running(&path));
    let said = Client::connect(&path, A_WHILE).unwrap_err().to_string();
    assert!(said.contains("has no listener"), "{said}");
    std::fs::remove_dir_all(&dir).unwrap();
    let long = dir.join("x".repeat(200));
    let said = Client::connect(&long, A_WHILE).unwrap_err();
    assert!(matches!(said, ClientError::Connect { .. }), "{said}");
}

#[test]
fn a_connection_that_is_refused_as_a_whole_says_why() {
    let (here, there) = UnixStream::pair().unwrap();
    let why = Error::Failed("hostletd has 512 connections, and takes no more".to_owned());
    refuse_connection(&there, &why, &Limits::default()).unwrap();
    drop(there);
    match Client::over(here, A_WHILE).pools() {
        Err(ClientError::Refused(error)) => assert_eq!(error, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_goes_away_or_keeps_silent_is_an_error() {
    let (here, there) = UnixStream::pair().unwrap();
    drop(there);
    let error = Client::over(here, A_WHILE).pools().unwrap_err();
    assert!(
        matches!(error, ClientError::Closed { method: "Pools" }),
        "{error}"
    );

    let (here, mut there) = UnixStream::pair().unwrap();
    let error = Client::over(here, Duration::from_millis(20))
        .leases()
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Late {
                method: "Leases",
                ..
            }
        ),
        "{error}"
    );
    let mut sent = String::new();
    there.read_to_string(&mut sent).unwrap();
    assert!(sent.ends_with('\0'), "{sent}");

    for answer in [
        "nonsense\0",
        "{\"parameters\": {\"pools\": 1}}\0",
        "{}\0",
        "{\"error\": \"a.B\"}\0",
    ] {
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(answer.as_bytes()).unwrap();
        let error = Client::over(here, A_WHILE).pools().unwrap_err();
        assert!(
            matches!(error, ClientError::Answer { .. }),
            "{answer}: {error}"
        );
    }
}

#[test]
fn an_answer_that_begins_late_has_no_more_time_than_one_that_does_not() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let whole = Duration::from_secs(1);
    let server = std::thread::spawn(move || {
        let mut sent = [0; 4096];
        let _ = there.read(&mut sent).unwrap();
        // Nothing more comes: this is a clock.
        there.set_read_timeout(Some(whole * 4 / 5)).unwrap();
        assert!(there.read(&mut sent).is_err());
        there.write_all(b"{").unwrap();
        there
    });
    let begun = std::time::Instant::now();
    let error = Client::over(here, whole).pools().unwrap_err();
    let took = begun.elapsed();
    assert!(matches!(error, ClientError::Late { .. }), "{error}");
    assert!(took >= whole && took < whole * 3 / 2, "{took:?}");
    drop(server.join().unwrap());
}
