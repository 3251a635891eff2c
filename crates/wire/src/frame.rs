//! Messages on a stream: JSON objects, each ended by a NUL byte.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// How much is read at once, in bytes.
const CHUNK: usize = 16 * 1024;

/// Why there is no message.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// The peer closed; `inside`: in the middle of a message.
    Closed { inside: bool },
    /// Nothing came in time; `inside`: in the middle of a message.
    Late { inside: bool },
    /// A message is longer than allowed.
    TooLong,
    /// The socket failed.
    Io(io::Error),
}

impl From<Errno> for FrameError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::PIPE | Errno::CONNRESET => Self::Closed { inside: true },
            error => Self::Io(error.into()),
        }
    }
}

/// One end of a connection. Works whether or not the socket is in non-blocking mode.
#[derive(Debug)]
pub(crate) struct Frames {
    /// What came and has not been handed out.
    buffer: Vec<u8>,
    /// How much of it is known to have no end of a message in it.
    searched: usize,
    /// The longest message, in bytes.
    longest: usize,
}

impl Frames {
    pub(crate) fn new(longest: usize) -> Self {
        Self {
            buffer: Vec::new(),
            searched: 0,
            longest,
        }
    }

    /// The next message, without its NUL. Its first byte may take `idle`, and from then on all of it `rest`.
    pub(crate) fn receive(
        &mut self,
        stream: &UnixStream,
        idle: Duration,
        rest: Duration,
    ) -> Result<Vec<u8>, FrameError> {
        let first = if self.buffer.is_empty() { idle } else { rest };
        self.message(stream, deadline(first), Some(rest))
    }

    /// The next message, without its NUL, if it is all there by then.
    pub(crate) fn receive_until(
        &mut self,
        stream: &UnixStream,
        until: Option<Instant>,
    ) -> Result<Vec<u8>, FrameError> {
        self.message(stream, until, None)
    }

    /// `rest`: what is allowed anew from the first byte on.
    fn message(
        &mut self,
        stream: &UnixStream,
        mut until: Option<Instant>,
        rest: Option<Duration>,
    ) -> Result<Vec<u8>, FrameError> {
        let mut begun = !self.buffer.is_empty();
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            wait(stream, PollFlags::IN, until, begun)?;
            let mut chunk = [0_u8; CHUNK];
            match recv(stream, &mut chunk[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(FrameError::Closed { inside: begun }),
                Ok((count, _)) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    if !begun {
                        begun = true;
                        until = rest.map_or(until, deadline);
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A whole message out of the buffer.
    fn take(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let unsearched = &self.buffer[self.searched..];
        let Some(at) = unsearched.iter().position(|byte| *byte == 0) else {
            self.searched = self.buffer.len();
            if self.searched > self.longest {
                return Err(FrameError::TooLong);
            }
            return Ok(None);
        };
        let end = self.searched + at;
        if end > self.longest {
            return Err(FrameError::TooLong);
        }
        let after = self.buffer.split_off(end + 1);
        let mut message = std::mem::replace(&mut self.buffer, after);
        message.pop();
        self.searched = 0;
        Ok(Some(message))
    }
}

/// Sends a message, which has no NUL in it, and its NUL.
pub(crate) fn transmit(
    stream: &UnixStream,
    mut message: Vec<u8>,
    within: Duration,
) -> Result<(), FrameError> {
    message.push(0);
    let deadline = deadline(within);
    let mut left = &message[..];
    while !left.is_empty() {
        match send(stream, left, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) => left = &left[count..],
            Err(Errno::AGAIN) => wait(stream, PollFlags::OUT, deadline, true)?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A time so far away that it cannot be said is no deadline.
pub(crate) fn deadline(within: Duration) -> Option<Instant> {
    Instant::now().checked_add(within)
}

/// Waits until the stream can be read or written, or has failed.
fn wait(
    stream: &UnixStream,
    what: PollFlags,
    deadline: Option<Instant>,
    inside: bool,
) -> Result<(), FrameError> {
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        // Poll would still find the next byte of a peer that drips.
        if left == Some(Duration::ZERO) {
            return Err(FrameError::Late { inside });
        }
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(stream, what)], timeout.as_ref()) {
            Ok(0) => return Err(FrameError::Late { inside }),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
