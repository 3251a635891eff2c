//! One netlink request and its answers, synchronously.
//!
//! Answers are kept as bytes: each caller parses the messages it understands. A message that the
//! kernel extends in a later version then spoils only itself, not the whole listing.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};

/// Larger than any message the kernel builds for a dump (32 KiB).
const RECEIVE_BUFFER: usize = 64 * 1024;

/// How often an interrupted dump is started anew: the table changed while it was read.
const DUMP_ATTEMPTS: usize = 16;

/// A message whose content this layer does not interpret.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) body: Vec<u8>,
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer[..self.body.len()].copy_from_slice(&self.body);
    }
}

impl NetlinkDeserializable for Message {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Message {
            kind: header.message_type,
            body: payload.to_vec(),
        })
    }
}

/// A netlink socket of the calling thread's network namespace.
pub(crate) struct Connection {
    socket: Socket,
    sequence: u32,
    /// Whether nothing more comes to what was asked: the kernel has answered in full, or refused.
    answered: bool,
    /// Of changes that were sent together, those that were refused: their numbers, and why.
    refused: Vec<(u32, i32)>,
    /// What comes in; kept, for fresh memory costs more than the answer.
    buffer: Vec<u8>,
}

thread_local! {
    /// While there is an [`Asking`]: how many, the inode of the thread's network namespace, and its connections by protocol.
    static OPEN: RefCell<Open> = const { RefCell::new(Open { askings: 0, netns: None, connections: Vec::new() }) };
}

struct Open {
    askings: usize,
    netns: Option<u64>,
    connections: Vec<(isize, Connection)>,
}

/// Until it is dropped the calling thread stays in its network namespace, and asks all its questions through one connection for
/// each protocol: a command asks a dozen times.
#[derive(Debug)]
pub struct Asking {
    _of_this_thread: PhantomData<*const ()>,
}

impl Asking {
    /// Begins.
    #[must_use]
    pub fn begin() -> Asking {
        OPEN.with_borrow_mut(|open| open.askings += 1);
        Asking {
            _of_this_thread: PhantomData,
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| {
            open.askings -= 1;
            if open.askings == 0 {
                open.netns = None;
                open.connections.clear();
            }
        });
    }
}

/// The inode of the calling thread's network namespace.
pub(super) fn netns() -> io::Result<u64> {
    if let Some(known) = OPEN.with_borrow(|open| open.netns) {
        return Ok(known);
    }
    let netns = std::fs::metadata("/proc/thread-self/ns/net")?.ino();
    OPEN.with_borrow_mut(|open| open.netns = (open.askings > 0).then_some(netns));
    Ok(netns)
}

impl Connection {
    /// Asks, through the connection that is open if there is one. One over which sending or receiving failed is given up: an
    /// answer may still come.
    pub(crate) fn with<T>(
        protocol: isize,
        ask: impl FnOnce(&mut Connection) -> io::Result<T>,
    ) -> io::Result<T> {
        let kept = OPEN.with_borrow_mut(|open| {
            let at = open
                .connections
                .iter()
                .position(|(of, _)| *of == protocol)?;
            Some(open.connections.swap_remove(at).1)
        });
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(protocol)?,
        };
        let done = ask(&mut connection);
        OPEN.with_borrow_mut(|open| {
            if connection.answered && open.askings > 0 {
                open.connections.push((protocol, connection));
            }
        });
        done
    }

    fn open(protocol: isize) -> io::Result<Connection> {
        let socket = Socket::new(protocol)?;
        // Only the kernel's messages come in; the socket gets its address by itself.
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Connection {
            socket,
            sequence: 0,
            answered: true,
            refused: Vec::new(),
            buffer: Vec::with_capacity(RECEIVE_BUFFER),
        })
    }

    /// Sends a change and waits for its acknowledgement.
    pub(crate) fn change(&mut self, message: Message, flags: u16) -> io::Result<()> {
        self.send(message, NLM_F_ACK | flags)?;
        self.receive(&mut |_| {})?;
        Ok(())
    }

    /// Sends changes in one go, of which the kernel makes each that it can. The error of each that it did not make.
    pub(crate) fn change_all(
        &mut self,
        messages: &[Message],
        flags: u16,
    ) -> io::Result<Vec<Option<io::Error>>> {
        let first = self.sequence.wrapping_add(1);
        let mut packets = Vec::new();
        for (number, message) in messages.iter().enumerate() {
            // Errors are told in any case; the answer to the last says that all before it were looked at.
            let ack = if number + 1 == messages.len() {
                NLM_F_ACK
            } else {
                0
            };
            packets.extend(self.packed(message.clone(), ack | flags));
        }
        self.refused.clear();
        self.answered = false;
        self.socket.send(&packets, 0)?;
        let last = self.receive(&mut |_| {});
        if !self.answered {
            return last.map(|_| Vec::new());
        }
        let mut errors: Vec<Option<io::Error>> = messages.iter().map(|_| None).collect();
        for (sequence, code) in self.refused.drain(..) {
            if let Some(error) = errors.get_mut(sequence.wrapping_sub(first) as usize) {
                *error = Some(io::Error::from_raw_os_error(code));
            }
        }
        if let (Some(error), Err(cause)) = (errors.last_mut(), last) {
            *error = Some(cause);
        }
        Ok(errors)
    }

    /// Reads a whole table. Starts again when the kernel says that it changed underneath.
    pub(crate) fn dump(&mut self, message: Message) -> io::Result<Vec<Message>> {
        for _ in 0..DUMP_ATTEMPTS {
            self.send(message.clone(), NLM_F_DUMP)?;
            let mut found = Vec::new();
            if self.receive(&mut |m| found.push(m))? {
                return Ok(found);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::Interrupted,
            format!("the table changed {DUMP_ATTEMPTS} times while it was read"),
        ))
    }

    fn send(&mut self, message: Message, flags: u16) -> io::Result<()> {
        let packet = self.packed(message, flags);
        self.answered = false;
        self.socket.send(&packet, 0)?;
        Ok(())
    }

    /// A message as it is sent, with the next number.
    fn packed(&mut self, message: Message, flags: u16) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        packet.finalize();
        let mut buffer = vec![0; packet.buffer_len().next_multiple_of(4)];
        packet.serialize(&mut buffer);
        buffer
    }

    /// Collects answers until the last. Returns false if the listing is inconsistent.
    fn receive(&mut self, each: &mut dyn FnMut(Message)) -> io::Result<bool> {
        let mut consistent = true;
        loop {
            self.buffer.clear();
            let length = match self.socket.recv(&mut self.buffer, libc::MSG_TRUNC) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if length > self.buffer.len() {
                return Err(invalid("the kernel's answer was cut off"));
            }
            let mut rest = &self.buffer[..];
            while !rest.is_empty() {
                let answer = NetlinkMessage::<Message>::deserialize(rest)
                    .map_err(|error| invalid(&error.to_string()))?;
                let step = (answer.header.length as usize).next_multiple_of(4);
                rest = rest.get(step..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    if let NetlinkPayload::Error(error) = answer.payload
                        && let Some(code) = error.code
                    {
                        let of = answer.header.sequence_number;
                        self.refused.push((of, code.get().abs()));
                    }
                    continue;
                }
                consistent &= answer.header.flags & NLM_F_DUMP_INTR == 0;
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => each(message),
                    NetlinkPayload::Error(error) => {
                        self.answered = true;
                        return match error.code {
                            Some(code) => Err(io::Error::from_raw_os_error(code.get().abs())),
                            None => Ok(consistent),
                        };
                    }
                    NetlinkPayload::Done(done) => {
                        self.answered = true;
                        return match done.code {
                            0 => Ok(consistent),
                            code => Err(io::Error::from_raw_os_error(code.abs())),
                        };
                    }
                    NetlinkPayload::Overrun(_) => {
                        return Err(invalid("the kernel reports lost messages"));
                    }
                    _ => {}
                }
            }
        }
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

#[cfg(test)]
mod tests {
    use netlink_sys::protocols::NETLINK_ROUTE;

    use super::*;

    fn kept() -> usize {
        OPEN.with_borrow(|open| open.connections.len())
    }

    fn links() -> Message {
        let kind = libc::RTM_GETLINK;
        let body = vec![0; 16];
        Message { kind, body }
    }

    #[test]
    fn only_a_connection_over_which_nothing_more_comes_is_kept() {
        let _asking = Asking::begin();
        let found = Connection::with(NETLINK_ROUTE, |c| c.dump(links()));
        assert!(!found.unwrap().is_empty() && kept() == 1);
        let refused = Connection::with(NETLINK_ROUTE, |c| c.change(links(), 0));
        assert!(refused.unwrap_err().raw_os_error().is_some() && kept() == 1);
        let broken: io::Result<()> = Connection::with(NETLINK_ROUTE, |c| {
            c.send(links(), NLM_F_DUMP)?;
            Err(io::Error::from_raw_os_error(libc::ENOBUFS))
        });
        assert!(broken.is_err() && kept() == 0);
    }
}
