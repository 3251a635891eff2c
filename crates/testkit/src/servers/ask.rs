//! A client that asks a server at many addresses and tells who answered.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// What each machine's server is told to call itself: this, and the machine's name.
pub const MARK: &str = "who-";

/// A question.
#[derive(Debug, Clone)]
pub struct Ask {
    /// By datagram?
    pub udp: bool,
    /// At which port.
    pub port: u16,
    /// Does the server listen on the loopback only?
    pub loopback: bool,
    /// What is sent when the connection is there.
    pub question: Vec<u8>,
    /// Who answered, from the answer. The client reads until the mark, or the end.
    pub who: fn(&[u8]) -> Option<String>,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// Somebody answered.
    Answer {
        /// Who.
        who: String,
        /// The client's own address.
        source: String,
        /// The address that the answer came from.
        by: String,
    },
    /// Nobody did: with the error.
    Nobody(String),
}

impl Ask {
    /// A question over TCP whose answer holds the mark.
    pub fn tcp(port: u16, question: impl Into<Vec<u8>>) -> Ask {
        Ask {
            udp: false,
            port,
            loopback: false,
            question: question.into(),
            who: marked,
        }
    }

    /// `GET /` of HTTP.
    pub fn http(port: u16) -> Ask {
        Ask::tcp(
            port,
            "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
    }

    /// The same over UDP.
    pub fn udp(port: u16, question: impl Into<Vec<u8>>) -> Ask {
        let udp = true;
        Ask {
            udp,
            ..Ask::tcp(port, question)
        }
    }

    /// The same of a server that listens on the loopback only.
    pub fn at_loopback(self) -> Ask {
        let loopback = true;
        Ask { loopback, ..self }
    }

    /// Asks at all the addresses, with a command that ends in the client ([`client`]).
    ///
    /// # Errors
    /// When the client fails.
    pub fn all(&self, mut client: Command, addresses: &[&str]) -> Result<Vec<Got>> {
        let hex: String = self.question.iter().map(|b| format!("{b:02x}")).collect();
        let kind = if self.udp { "udp" } else { "tcp" };
        client.args([kind, &self.port.to_string(), &hex]);
        let done = client
            .args(addresses)
            .stdin(Stdio::null())
            .output()
            .context("starting the client")?;
        let said = String::from_utf8_lossy(&done.stdout);
        let got: Vec<Got> = said.lines().filter_map(|line| self.read(line)).collect();
        ensure!(
            done.status.success() && got.len() == addresses.len(),
            "the client: {}: {said}{}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(got)
    }

    fn read(&self, line: &str) -> Option<Got> {
        let mut words = line.splitn(3, ' ');
        let (source, by, what) = (words.next()?, words.next()?, words.next()?);
        let Some(hex) = what.strip_prefix('-') else {
            return Some(Got::Nobody(what.into()));
        };
        let answer = bytes(hex);
        let unknown = || format!("? {}", String::from_utf8_lossy(&answer));
        Some(Got::Answer {
            who: (self.who)(&answer).unwrap_or_else(unknown),
            source: source.into(),
            by: by.into(),
        })
    }
}

/// The name behind the mark.
pub fn marked(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let (_, rest) = text.split_once(MARK)?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
    Some(rest[..end.unwrap_or(rest.len())].into())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let pairs = hex.as_bytes().chunks_exact(2);
    pairs
        .filter_map(|b| u8::try_from(digit(b[0])? * 16 + digit(b[1])?).ok())
        .collect()
}

/// The client's program.
///
/// # Errors
/// When it is not built.
pub fn client() -> Result<PathBuf> {
    crate::binaries::ask()
}

/// What the client does.
pub fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, port, question, addresses @ ..] = words.as_slice() else {
        return ExitCode::from(2);
    };
    let Ok(port) = port.parse() else {
        return ExitCode::from(2);
    };
    let question = bytes(question);
    let mut out = std::io::stdout().lock();
    for address in addresses {
        let Ok(address) = address.parse::<IpAddr>() else {
            return ExitCode::from(2);
        };
        let to = SocketAddr::new(address, port);
        let got = match kind.as_str() {
            "udp" => by_datagram(to, &question),
            _ => by_connection(to, &question),
        };
        let written = match got {
            Ok((source, by, answer)) => {
                let hex: String = answer.iter().map(|b| format!("{b:02x}")).collect();
                writeln!(out, "{source} {by} -{hex}")
            }
            Err(error) => writeln!(out, "- - {error}"),
        };
        if written.is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

type Heard = std::io::Result<(IpAddr, IpAddr, Vec<u8>)>;

fn by_connection(to: SocketAddr, question: &[u8]) -> Heard {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(question)?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !is_marked(&answer) {
        match stream.read(&mut part)? {
            0 => break,
            n => answer.extend_from_slice(&part[..n]),
        }
    }
    Ok((stream.local_addr()?.ip(), stream.peer_addr()?.ip(), answer))
}

/// Is the mark there, with what ends it?
fn is_marked(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let behind = text.split_once(MARK).map(|(_, rest)| rest);
    behind.is_some_and(|rest| rest.contains(|c: char| !c.is_ascii_alphanumeric()))
}

/// On an unconnected socket, so that an answer from elsewhere is seen; errors are asked for.
fn by_datagram(to: SocketAddr, question: &[u8]) -> Heard {
    let probe = unbound(to)?;
    probe.connect(to)?;
    let source = probe.local_addr()?.ip();
    let socket = unbound(to)?;
    let (level, option) = match to {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVERR),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an int that lives through the call.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send_to(question, to)?;
    let mut answer = vec![0; 65536];
    let (length, by) = socket.recv_from(&mut answer)?;
    answer.truncate(length);
    Ok((source, by.ip(), answer))
}

/// The standard library's sockets are bound to the wildcard.
fn unbound(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let family = match to {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { UdpSocket::from_raw_fd(fd) })
}
