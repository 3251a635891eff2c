//! What is measured: loops of calls, run by `hostlet-bench work …` in a hostlet or beside it.

use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept, bind, connect, ipproto, listen, socket_with,
    sockopt,
};

/// Runs the loop that the words name and prints mean nanoseconds a round on stdout.
pub fn run(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["bind", address, rounds] => print(bind_loop(parse(address)?, parse(rounds)?)?),
        ["connect", address, rounds] => print(connect_loop(parse(address)?, parse(rounds)?)?),
        ["send", address, rounds] => print(send_loop(parse(address)?, parse(rounds)?)?),
        ["accept", address] => accept_forever(parse(address)?),
        ["echo", address] => echo_forever(parse(address)?),
        ["talk", address, rounds] => talk(parse(address)?, parse(rounds)?),
        ["fork", rounds] => print(fork_loop(parse(rounds)?)?),
        ["ask", address, seconds] => ask(parse(address)?, parse(seconds)?),
        ["net", ref rest @ ..] => crate::net::work(rest),
        ["session", service] => crate::pam::hold(service),
        _ => bail!("unknown work: {}", words.join(" ")),
    }
}

fn parse<T: std::str::FromStr>(word: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    word.parse()
        .with_context(|| format!("'{word}' is not what is wanted here"))
}

fn print(each: Duration) -> Result<()> {
    println!("{}", each.as_nanos());
    Ok(())
}

fn timed(rounds: u32, mut once: impl FnMut() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..rounds {
        once()?;
    }
    Ok(start.elapsed() / rounds.max(1))
}

fn tcp(address: SocketAddr) -> Result<rustix::fd::OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    Ok(socket_with(
        family,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        Some(ipproto::TCP),
    )?)
}

/// socket, bind, close.
fn bind_loop(mut address: SocketAddr, rounds: u32) -> Result<Duration> {
    let mut busy = 0;
    timed(rounds, || {
        loop {
            match bind(&tcp(address)?, &address) {
                // Whoever looks at this process's descriptors at that moment keeps the last socket open a little longer, and in a
                // hostlet the port may then stay taken (see the documents' troubleshooting): what a bind costs is not about that.
                Err(rustix::io::Errno::ADDRINUSE) if busy < 100 => {
                    busy += 1;
                    address.set_port(address.port() + 1);
                }
                other => return other.with_context(|| format!("bind {address}")),
            }
        }
    })
}

/// socket, connect, close with a reset, so that no port waits.
fn connect_loop(address: SocketAddr, rounds: u32) -> Result<Duration> {
    timed(rounds, || {
        let socket = tcp(address)?;
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        connect(&socket, &address).with_context(|| format!("connect {address}"))
    })
}

/// sendto on one UDP socket; nobody has to listen.
fn send_loop(address: SocketAddr, rounds: u32) -> Result<Duration> {
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any).context("bind a UDP socket")?;
    timed(rounds, || {
        match socket.send_to(b"x", address) {
            // What an earlier datagram found at the other end.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
            other => other
                .map(drop)
                .with_context(|| format!("send to {address}")),
        }
    })
}

/// Accepts and closes, until its stdin ends.
fn accept_forever(address: SocketAddr) -> Result<()> {
    let listener = tcp(address)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    bind(&listener, &address).with_context(|| format!("bind {address}"))?;
    // Long enough that no connection has to be tried again.
    listen(&listener, 4096)?;
    serve_until_end_of_input(move || {
        while let Ok(peer) = accept(&listener) {
            drop(peer);
        }
    })
}

/// A process that ends at once, waited for.
fn fork_loop(rounds: u32) -> Result<Duration> {
    timed(rounds, || {
        // SAFETY: there is this thread alone, and the child does nothing but end.
        match unsafe { libc::fork() } {
            -1 => Err(std::io::Error::last_os_error().into()),
            // SAFETY: takes no pointers.
            0 => unsafe { libc::_exit(0) },
            child => {
                // SAFETY: no status is asked for.
                let ended = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
                anyhow::ensure!(ended == child, "wait for a child");
                Ok(())
            }
        }
    })
}

/// Says that it is ready, waits for a line, then connects, asks and is answered, for so many seconds; says how often, and how often that
/// failed.
fn ask(address: SocketAddr, seconds: u64) -> Result<()> {
    println!("ready");
    std::io::stdin().lock().read_line(&mut String::new())?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut answered, mut failed) = (0_u64, 0_u64);
    while Instant::now() < end {
        match ask_once(address) {
            Ok(()) => answered += 1,
            Err(_) => failed += 1,
        }
    }
    println!("{answered} {failed}");
    Ok(())
}

fn ask_once(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(3))?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])?;
    // Closed with a reset: no port is left waiting on either side.
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    Ok(())
}

/// Answers every byte of one connection after the other with one, until its stdin ends.
fn echo_forever(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    serve_until_end_of_input(move || {
        for peer in listener.incoming().flatten() {
            // A peer that goes away is the expected end.
            drop(echo(peer));
        }
    })
}

fn serve_until_end_of_input(serve: impl FnOnce() + Send + 'static) -> Result<()> {
    println!("ready");
    std::thread::spawn(serve);
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn echo(mut peer: TcpStream) -> std::io::Result<()> {
    let mut byte = [0];
    peer.set_nodelay(true)?;
    while peer.read(&mut byte)? > 0 {
        peer.write_all(&byte)?;
    }
    Ok(())
}

/// Connects, says so, waits for a line, exchanges `rounds` bytes, says so, waits for another line.
fn talk(address: SocketAddr, rounds: u32) -> Result<()> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
    stream.set_nodelay(true)?;
    println!("connected");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let each = timed(rounds, || {
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        Ok(())
    })?;
    println!("{}", each.as_nanos());
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(())
}
