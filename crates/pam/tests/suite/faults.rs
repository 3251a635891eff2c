//! The core, and a hostletd that is not there or does as it should not. A login goes on or not by the rules, in time.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pam_hostlet::core::{Level, Opened, close, open};

use crate::stage::{Place, login, message};

/// The deadline of these tests, and when they count it as missed.
const DEADLINE: Duration = Duration::from_millis(600);
const MISSED: Duration = Duration::from_secs(3);

fn try_open(place: &Place, user: &str) -> Result<Opened> {
    let begun = Instant::now();
    let opened = open(&place.arguments(DEADLINE), &login(user));
    let took = begun.elapsed();
    ensure!(took < MISSED, "{user}: took {took:?}");
    ensure!(
        opened.session.is_none() && opened.variables.is_empty(),
        "{opened:?}"
    );
    ensure!(opened.let_in == opened.tell.is_none(), "{opened:?}");
    Ok(opened)
}

/// What the rules say while nobody gives a hostlet, and that the reason is in the log.
fn by_the_rules(place: &Place, reason: &str) -> Result<()> {
    // root by strict, bin by cut-off, and daemon by fall-back; mail is to have none, and games is in no rule.
    for (user, let_in, word) in [
        ("root", false, "rule strict is strict"),
        ("bin", false, "rule cut cuts off"),
        ("daemon", true, "rule soft falls back"),
        ("mail", true, "rule none says so"),
        ("games", true, "no rule"),
    ] {
        let opened = try_open(place, user)?;
        let (level, text) = &opened.log;
        ensure!(opened.let_in == let_in, "{user}: {opened:?}");
        let wanted = if let_in { Level::Warning } else { Level::Error };
        ensure!(
            *level == wanted && text.contains(word),
            "{user}: {opened:?}"
        );
        ensure!(text.contains(reason), "{user}: {opened:?}");
    }
    Ok(())
}

/// A hostletd that takes each connection and does this with it.
fn with_server(place: &Place, serve: impl Fn(UnixStream) + Send + 'static) -> Result<()> {
    let listener = place.listen()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            serve(stream);
        }
    });
    Ok(())
}

#[test]
fn hostletd_is_not_there() -> Result<()> {
    let place = Place::new()?;
    by_the_rules(&place, "hostletd is not running")?;
    // Nor does it listen any more.
    drop(place.listen()?);
    by_the_rules(&place, "has no listener")?;
    std::fs::remove_dir_all(place.root().join("run"))?;
    by_the_rules(&place, "hostletd is not running")?;
    let why = close(&place.arguments(DEADLINE), 7).unwrap_err();
    ensure!(
        why.contains("session 7") && why.contains("not running"),
        "{why}"
    );
    Ok(())
}

#[test]
fn the_service_counts() -> Result<()> {
    let place = Place::new()?;
    let mut by_cron = login("root");
    by_cron.service = "cron".into();
    ensure!(open(&place.arguments(DEADLINE), &by_cron).let_in, "by cron");
    Ok(())
}

#[test]
fn hostletd_hangs() -> Result<()> {
    // Its queue takes the connection, and nobody accepts it.
    let place = Place::new()?;
    let listener = place.listen()?;
    by_the_rules(&place, "did not answer Login within the 600ms")?;
    // The queue is full.
    let mut callers = Vec::new();
    for _ in 0..100 {
        rustix::net::listen(&listener, 0)?;
        let socket = rustix::net::socket(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            None,
        )?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        let address = rustix::net::SocketAddrUnix::new(place.socket())?;
        let full = rustix::net::connect(&socket, &address).is_err();
        callers.push(socket);
        if full {
            break;
        }
    }
    by_the_rules(&place, "more callers than it can take")
}

#[test]
fn hostletd_keeps_silent_or_drips() -> Result<()> {
    let place = Place::new()?;
    with_server(&place, |mut stream| {
        message(&mut stream);
        let _ = stream.read(&mut [0]);
    })?;
    by_the_rules(&place, "did not answer Login")?;
    let begun = Instant::now();
    let why = close(&place.arguments(DEADLINE), 7).unwrap_err();
    ensure!(
        begun.elapsed() < MISSED && why.contains("did not answer Logout"),
        "{why}"
    );

    let place = Place::new()?;
    with_server(&place, |mut stream| {
        message(&mut stream);
        // A byte whenever nothing was heard for a moment; for ever.
        let pause = Some(Duration::from_millis(20));
        let _ = stream.set_read_timeout(pause);
        loop {
            match stream.read(&mut [0]) {
                Ok(0) => return,
                _ if stream.write_all(b" ").is_err() => return,
                _ => {}
            }
        }
    })?;
    by_the_rules(&place, "did not answer Login")
}

#[test]
fn hostletd_answers_what_nobody_understands() -> Result<()> {
    for (answer, reason) in [
        ("", "closed the connection"),
        ("{\"parameters\": {\"deci", "closed the connection"),
        ("\0", "not understood"),
        ("\0\0\0\0", "not understood"),
        ("no JSON\0", "not understood"),
        ("\u{1}\u{fffd}\0", "not understood"),
        ("[]\0", "not understood"),
        ("{}\0", "not understood"),
        (
            "{\"parameters\": {\"decision\": \"maybe\", \"addresses\": []}}\0",
            "not understood",
        ),
        (
            "{\"parameters\": {\"decision\": \"hostlet\", \"addresses\": []}}\0",
            "but not which",
        ),
        (
            "{\"parameters\": {\"decision\": \"hostlet\", \"name\": \"../x\", \"addresses\": []}}\0",
            "not understood",
        ),
        (
            "{\"parameters\": {\"decision\": \"hostlet\", \"name\": \"a\", \"addresses\": [\"x\"]}}\0",
            "not understood",
        ),
        (
            "{\"error\": \"org.varlink.service.MethodNotFound\"}\0",
            "not understood",
        ),
        (
            "{\"error\": \"io.hostlet.Failed\", \"parameters\": {\"message\": \"it has too many callers\"}}\0",
            "it has too many callers",
        ),
        ("{\"error\": \"io.hostlet.NotAllowed\"}\0", ": "),
    ] {
        let place = Place::new()?;
        with_server(&place, move |mut stream| {
            message(&mut stream);
            let _ = stream.write_all(answer.as_bytes());
        })?;
        by_the_rules(&place, reason).with_context(|| answer.to_owned())?;
    }
    // Nested deeper than any reader can go, and longer than any answer is.
    let place = Place::new()?;
    with_server(&place, |mut stream| {
        message(&mut stream);
        let _ = stream.write_all(&[b'['; 200_000]);
        let _ = stream.write_all(&[0]);
    })?;
    by_the_rules(&place, "not understood")
}

#[test]
fn the_user_is_told_the_reason_of_a_no() -> Result<()> {
    let place = Place::new()?;
    with_server(&place, |mut stream| {
        message(&mut stream);
        let _ = stream.write_all(
            b"{\"error\": \"io.hostlet.NoAddress\", \"parameters\": {\"pool\": \"office\", \"message\": \"pool office is exhausted\"}}\0",
        );
    })?;
    let told = try_open(&place, "root")?.tell.context("nothing")?;
    ensure!(told.contains("pool office is exhausted"), "{told}");
    let place = Place::new()?;
    let told = try_open(&place, "root")?.tell.context("nothing")?;
    ensure!(
        told.contains("does not answer") && !told.contains("systemctl"),
        "{told}"
    );
    Ok(())
}

/// A hostlet was given, and the process does not come in.
#[test]
fn joining_fails() -> Result<()> {
    const GIVEN: &[u8] = b"{\"parameters\": {\"decision\": \"hostlet\", \"session\": 3, \"name\": \"alice-1\", \"addresses\": [\"192.0.2.100\"], \"rule\": \"strict\"}}\0";
    let answers: [(&[u8], _); 4] = [
        (b"", "closed the connection"),
        (b"{}\0", "not understood"),
        (b"{\"error\": \"io.hostlet.Failed\", \"parameters\": {\"message\": \"it is in another\"}}\0", "it is in another"),
        (b"{", "did not answer Join"),
    ];
    for (answer, reason) in answers {
        let place = Place::new()?;
        with_server(&place, move |mut stream| {
            message(&mut stream);
            let _ = stream.write_all(GIVEN);
            let asked = message(&mut stream);
            assert!(asked.contains("alice-1"), "{asked}");
            let _ = stream.write_all(answer);
            if answer == b"{" {
                let _ = stream.read(&mut [0]);
            }
        })?;
        by_the_rules(&place, reason)?;
    }
    Ok(())
}

#[test]
fn the_configuration_says_how_long() -> Result<()> {
    let place = Place::bare()?;
    place.write("hostletd.toml", "[sessions]\ndeadline = \"1s\"\n")?;
    let _listener = place.listen()?;
    let mut arguments = place.arguments(DEADLINE);
    arguments.deadline = None;
    let begun = Instant::now();
    let opened = open(&arguments, &login("root"));
    let took = begun.elapsed();
    ensure!(
        opened.let_in && opened.log.1.contains("within the 1s"),
        "{opened:?}"
    );
    ensure!(
        took >= Duration::from_millis(990) && took < MISSED,
        "{took:?}"
    );
    Ok(())
}

#[test]
fn what_was_in_force_last_counts() -> Result<()> {
    let let_in = |place: &Place| Ok::<_, anyhow::Error>(try_open(place, "root")?.let_in);
    // Nothing, then only what the administrator wrote.
    let place = Place::bare()?;
    ensure!(let_in(&place)?, "no configuration");
    place.write("hostlet.toml", crate::stage::RULES)?;
    ensure!(!let_in(&place)?, "hostlet.toml");
    // What hostletd took over comes first.
    place.write("hostletd.toml", "")?;
    ensure!(let_in(&place)?, "hostletd.toml without rules");
    // It cannot be read: the file is the next best.
    place.write("hostletd.toml", "[[rule")?;
    ensure!(!let_in(&place)?, "hostlet.toml instead");
    // Rules were in force, and are lost.
    place.write("hostlet.toml", "[[rule")?;
    let opened = try_open(&place, "games")?;
    ensure!(
        !opened.let_in && opened.log.1.contains("rules cannot be read"),
        "{opened:?}"
    );
    // Nothing was ever in force: a typing error locks nobody out.
    std::fs::remove_file(place.root().join("hostletd.toml"))?;
    let opened = try_open(&place, "root")?;
    ensure!(
        opened.let_in && opened.log.1.contains("ever in force"),
        "{opened:?}"
    );
    Ok(())
}

#[test]
fn odd_files_hold_up_nobody() -> Result<()> {
    let place = Place::bare()?;
    let at = place.root().join("hostletd.toml");
    let made = std::process::Command::new("mkfifo").arg(&at).status()?;
    ensure!(made.success(), "mkfifo");
    ensure!(!try_open(&place, "root")?.let_in, "a pipe");
    std::fs::remove_file(&at)?;
    std::fs::create_dir(&at)?;
    ensure!(!try_open(&place, "root")?.let_in, "a directory");
    std::fs::remove_dir(&at)?;
    std::fs::File::create(&at)?.set_len(1 << 40)?;
    let opened = try_open(&place, "root")?;
    ensure!(
        !opened.let_in && opened.log.1.contains("longer than"),
        "{opened:?}"
    );
    std::fs::write(&at, [0xff, 0xfe])?;
    ensure!(!try_open(&place, "root")?.let_in, "no text");
    Ok(())
}
