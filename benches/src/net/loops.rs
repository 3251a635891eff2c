//! The loops of these measurements, run by `hostlet-bench work net …`: datagrams as fast as they go, and requests at a fixed rate.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::report::percentile;

/// Of each datagram, and each request and response.
const SIZE: usize = 64;
/// Datagrams on their way at a time where each is answered: less than a receive buffer takes.
const WINDOW: u64 = 32;

/// Runs the loop that the words name.
pub fn run(words: &[&str]) -> Result<()> {
    match *words {
        ["sink", address] => sink(address.parse()?),
        ["flood", how @ ("connected" | "unconnected"), address, span] => {
            flood(how == "connected", address.parse()?, seconds(span)?)
        }
        ["answer", address] => answer(address.parse()?),
        ["ask", address, span] => ask(address.parse()?, seconds(span)?),
        ["echo", address] => echo(address.parse()?),
        ["pace", addresses, rate, span] => pace(addresses, rate.parse()?, seconds(span)?),
        ["bind", address, times] => bind(address.parse()?, times.parse()?),
        ["connect", address, times] => connect(address.parse()?, times.parse()?),
        ["idle", cgroup, ref program @ ..] => super::idle::become_program(cgroup, program),
        _ => bail!("unknown work: {}", words.join(" ")),
    }
}

fn seconds(word: &str) -> Result<Duration> {
    Ok(Duration::from_secs_f64(word.parse()?))
}

/// socket, bind, close, so many times, by the C library, where a preloaded one is asked; prints nanoseconds each.
fn bind(mut address: SocketAddr, times: u32) -> Result<()> {
    let begin = Instant::now();
    let mut busy = 0;
    for _ in 0..times {
        while let Err(why) = UdpSocket::bind(address) {
            // Whoever looks at this process's descriptors at that moment keeps the last socket open a little longer.
            busy += 1;
            if why.kind() != ErrorKind::AddrInUse || busy > 100 {
                return Err(why).with_context(|| format!("bind {address}"));
            }
            address.set_port(address.port() + 1);
        }
    }
    println!("{}", (begin.elapsed() / times.max(1)).as_nanos());
    Ok(())
}

/// socket, connect, close with a reset, so that no port waits; as above.
fn connect(address: SocketAddr, times: u32) -> Result<()> {
    let begin = Instant::now();
    for _ in 0..times {
        let socket = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    }
    println!("{}", (begin.elapsed() / times.max(1)).as_nanos());
    Ok(())
}

/// Counts datagrams; says how many came so far whenever it is given a line.
fn sink(address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("bind {address}"))?;
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        loop {
            counted.fetch_add(receive_many(&socket), Ordering::Relaxed);
        }
    });
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("{}", count.load(Ordering::Relaxed));
    }
    Ok(())
}

/// How many datagrams came; it waits for the first. One call for many, so that the sender is what limits the rate.
fn receive_many(socket: &UdpSocket) -> u64 {
    const MANY: usize = 64;
    let mut room = [[0u8; SIZE]; MANY];
    let mut parts = room.each_mut().map(|bytes| libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: SIZE,
    });
    // SAFETY: all zeros are a header without anything in it.
    let mut headers: [libc::mmsghdr; MANY] = unsafe { std::mem::zeroed() };
    for (header, part) in headers.iter_mut().zip(&mut parts) {
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the headers, and what they point to, live through the call.
    let got = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            MANY as u32,
            libc::MSG_WAITFORONE,
            std::ptr::null_mut(),
        )
    };
    u64::try_from(got).unwrap_or(0)
}

/// Sends as fast as it goes; says how many and in how many seconds.
fn flood(connected: bool, to: SocketAddr, span: Duration) -> Result<()> {
    let socket = unbound()?;
    if connected {
        socket
            .connect(to)
            .with_context(|| format!("connect {to}"))?;
    }
    let bytes = [0; SIZE];
    let begin = Instant::now();
    let mut sent = 0_u64;
    // The clock is asked seldom.
    while !sent.is_multiple_of(64) || begin.elapsed() < span {
        let done = if connected {
            socket.send(&bytes)
        } else {
            socket.send_to(&bytes, to)
        };
        match done {
            Ok(_) => sent += 1,
            // The way to a translator is full, or an earlier datagram found nobody.
            Err(why)
                if matches!(
                    why.kind(),
                    ErrorKind::WouldBlock | ErrorKind::ConnectionRefused
                ) => {}
            Err(why) => return Err(why).with_context(|| format!("send to {to}")),
        }
    }
    println!("{sent} {}", begin.elapsed().as_secs_f64());
    Ok(())
}

/// A UDP socket that the standard library does not bind.
fn unbound() -> Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok(socket.into())
}

/// Sends each datagram back to where it came from, until its input ends.
fn answer(address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("bind {address}"))?;
    until_end_of_input(move || {
        let mut bytes = [0; SIZE];
        while let Ok((size, from)) = socket.recv_from(&mut bytes) {
            // Whoever asked may be gone.
            let _ = socket.send_to(&bytes[..size], from);
        }
    })
}

fn until_end_of_input(serve: impl FnOnce() + Send + 'static) -> Result<()> {
    println!("ready");
    std::thread::spawn(serve);
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Asks with so many datagrams on their way at a time; says how many were answered and in how many seconds. An answer may come from
/// anywhere: wildcard servers answer from their machine's first address, except in a hostlet.
fn ask(to: SocketAddr, span: Duration) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0").context("bind a UDP socket")?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut bytes = [0; SIZE];
    let (mut ahead, mut answered) = (0, 0_u64);
    let begin = Instant::now();
    while !answered.is_multiple_of(16) || begin.elapsed() < span {
        while ahead < WINDOW {
            socket
                .send_to(&bytes, to)
                .with_context(|| format!("send to {to}"))?;
            ahead += 1;
        }
        match socket.recv_from(&mut bytes) {
            Ok(_) => {
                ahead -= 1;
                answered += 1;
            }
            // What was lost does not come any more.
            Err(why) if why.kind() == ErrorKind::WouldBlock && begin.elapsed() < span => ahead = 0,
            Err(why) if why.kind() == ErrorKind::WouldBlock => break,
            Err(why) => return Err(why).context("receive"),
        }
    }
    println!("{answered} {}", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Sends what one connection after the other sends back, until its input ends.
fn echo(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    until_end_of_input(move || {
        for peer in listener.incoming().flatten() {
            // A peer that goes away is the expected end.
            drop(send_back(peer));
        }
    })
}

fn send_back(mut peer: TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 16 * SIZE];
    peer.set_nodelay(true)?;
    loop {
        match peer.read(&mut bytes)? {
            0 => return Ok(()),
            size => peer.write_all(&bytes[..size])?,
        }
    }
}

/// One of the connections of [`pace`].
struct Paced {
    stream: TcpStream,
    /// When each request was due, whether or not it was answered.
    due: Vec<Duration>,
    received: usize,
    /// Microseconds from then to each response.
    times: Vec<f64>,
}

impl Paced {
    fn to(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            due: Vec::new(),
            received: 0,
            times: Vec::new(),
        })
    }

    fn ask(&mut self, due: Duration) -> Result<bool> {
        match self.stream.write(&[0; SIZE]) {
            Ok(SIZE) => self.due.push(due),
            Ok(size) => bail!("only {size} bytes of a request were taken"),
            Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(why) => return Err(why).context("send a request"),
        }
        Ok(true)
    }

    fn hear(&mut self, begin: Instant) -> Result<()> {
        let mut bytes = [0; 16 * SIZE];
        match self.stream.read(&mut bytes) {
            Ok(0) => bail!("the server closed the connection"),
            Ok(size) => self.received += size,
            Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(why) => return Err(why).context("receive a response"),
        }
        let now = begin.elapsed();
        while self.times.len() < self.received / SIZE {
            let due = self.due[self.times.len()];
            self.times.push((now - due).as_secs_f64() * 1e6);
        }
        Ok(())
    }
}

/// Sends a request whenever its time has come, whether or not the one before was answered, and takes each response's time from when its
/// request was due: what waits is not left out. Several addresses are asked in turn, forth and back, so that what happens to the machine
/// meanwhile happens to all of them. Says for each the median and the 99th percentile, in microseconds.
fn pace(to: &str, rate: f64, span: Duration) -> Result<()> {
    let mut all: Vec<Paced> = to.split(',').map(Paced::to).collect::<Result<_>>()?;
    let (total, many) = ((rate * span.as_secs_f64()) as usize, all.len());
    let due = |n: usize| Duration::from_secs_f64(n as f64 / rate);
    let turn = |n: usize| match n / many % 2 {
        0 => n % many,
        _ => many - 1 - n % many,
    };
    let mut asked = 0;
    let begin = Instant::now();
    while all.iter().map(|one| one.times.len()).sum::<usize>() < total {
        let now = begin.elapsed();
        if asked < total && now >= due(asked) && all[turn(asked)].ask(due(asked))? {
            asked += 1;
        }
        for one in &mut all {
            // Who is asked nothing says nothing.
            if one.times.len() < one.due.len() {
                one.hear(begin)?;
            }
        }
        if now > span + Duration::from_secs(5) {
            bail!("not all of {total} requests were answered");
        }
    }
    for one in &all {
        let at = |share| percentile(&one.times, share).context("nothing was asked");
        println!("{} {}", at(0.5)?, at(0.99)?);
    }
    Ok(())
}
