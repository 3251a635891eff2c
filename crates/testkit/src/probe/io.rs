//! Sending and receiving without ancillary data.

use std::os::fd::RawFd;

use super::address::SockAddr;
use super::sockets::family;
use super::{Outcome, check_len, usage};

const ECHO_REQUEST4: u8 = 8;
const ECHO_REQUEST6: u8 = 128;

pub(crate) fn perform(op: &str, fd: RawFd, args: &[&str]) -> Outcome {
    match (op, args) {
        ("send", [text]) => {
            // SAFETY: the buffer is as long as said. A broken pipe is an errno, not a signal.
            let sent =
                unsafe { libc::send(fd, text.as_ptr().cast(), text.len(), libc::MSG_NOSIGNAL) };
            check_len(sent).map(|_| "ok".into())
        }
        ("sendto", [to, text]) => send_to(fd, to, text.as_bytes()),
        // Connects and sends in one call.
        ("fastopen", [to, text]) => {
            let to = SockAddr::parse(to)?;
            let flags = libc::MSG_NOSIGNAL | libc::MSG_FASTOPEN;
            let (bytes, len) = (text.as_ptr().cast(), text.len());
            // SAFETY: buffer and address are as long as said.
            let sent = unsafe { libc::sendto(fd, bytes, len, flags, to.ptr(), to.len) };
            check_len(sent).map(|_| "ok".into())
        }
        ("recv", []) => {
            let mut buffer = [0u8; 512];
            // SAFETY: the buffer is as long as said.
            let got = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            Ok(show(&buffer[..check_len(got)?]))
        }
        ("recvfrom", []) => {
            let (bytes, from) = receive_from(fd)?;
            Ok(format!("{} from {}", show(&bytes), from.show()))
        }
        // To whoever sent.
        ("answer", [text]) => {
            let (bytes, from) = receive_from(fd)?;
            send(fd, &from, text.as_bytes())?;
            Ok(format!("{} from {}", show(&bytes), from.show()))
        }
        // Everything that is there, without waiting.
        ("drain", []) => {
            let mut count = 0;
            let mut buffer = [0u8; 512];
            // SAFETY: the buffer is as long as said.
            while unsafe {
                libc::recv(
                    fd,
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    libc::MSG_DONTWAIT,
                )
            } > 0
            {
                count += 1;
            }
            Ok(count.to_string())
        }
        // An ICMP echo request; the kernel fills in checksum and identifier.
        // With a number: so many bytes more.
        ("echo", [to, more @ ..]) => {
            let kind = if family(fd)? == libc::AF_INET {
                ECHO_REQUEST4
            } else {
                ECHO_REQUEST6
            };
            let more = more.first().map_or(Ok(0), |n| n.parse::<usize>());
            let Ok(more) = more else {
                return usage("echo SOCKET TO [BYTES]");
            };
            let mut request = vec![kind, 0, 0, 0, 0, 0, 0, 7, b'h', b'i'];
            request.resize(request.len() + more, b'x');
            if *to == "-" {
                // SAFETY: the buffer is as long as said.
                let sent = unsafe { libc::send(fd, request.as_ptr().cast(), request.len(), 0) };
                return check_len(sent).map(|_| "ok".into());
            }
            send_to(fd, to, &request)
        }
        ("echoed", []) => {
            let (bytes, from) = receive_from(fd)?;
            let sequence = bytes.get(7).copied().unwrap_or(0);
            let kind = bytes.first().copied().unwrap_or(0);
            Ok(format!(
                "type {kind} sequence {sequence} from {}",
                from.show()
            ))
        }
        _ => usage(format!("{op}: the wrong number of words")),
    }
}

fn send_to(fd: RawFd, to: &str, bytes: &[u8]) -> Outcome {
    send(fd, &SockAddr::parse(to)?, bytes)
}

fn send(fd: RawFd, to: &SockAddr, bytes: &[u8]) -> Outcome {
    // SAFETY: buffer and address are as long as said.
    let sent = unsafe {
        libc::sendto(
            fd,
            bytes.as_ptr().cast(),
            bytes.len(),
            // Of sockets of RDS no flag is taken, and to be told of a broken pipe by a signal is ignored in Rust's programs.
            0,
            to.ptr(),
            to.len,
        )
    };
    check_len(sent).map(|_| "ok".into())
}

fn receive_from(fd: RawFd) -> Result<(Vec<u8>, SockAddr), super::Trouble> {
    let mut buffer = [0u8; 512];
    let mut from = SockAddr::room();
    // SAFETY: buffer and address have room for as much as said.
    let got = unsafe {
        libc::recvfrom(
            fd,
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
            from.ptr_mut(),
            &raw mut from.len,
        )
    };
    Ok((buffer[..check_len(got)?].to_vec(), from))
}

/// Received bytes as one word.
pub(crate) fn show(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        "nothing".into()
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    }
}
