//! One netlink request and its answers, synchronously.
//!
//! Answers are kept as bytes: each caller parses the messages it understands. A message that the
//! kernel extends in a later version then spoils only itself, not the whole listing.

use std::convert::Infallible;
use std::io;

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
}

impl Connection {
    pub(crate) fn open(protocol: isize) -> io::Result<Connection> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Connection {
            socket,
            sequence: 0,
        })
    }

    /// Sends a change and waits for its acknowledgement.
    pub(crate) fn change(&mut self, message: Message, flags: u16) -> io::Result<()> {
        self.send(message, NLM_F_ACK | flags)?;
        self.receive(&mut |_| {})?;
        Ok(())
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
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        packet.finalize();
        let mut buffer = vec![0; packet.buffer_len()];
        packet.serialize(&mut buffer);
        self.socket.send(&buffer, 0)?;
        Ok(())
    }

    /// Collects answers until the last. Returns false if the listing is inconsistent.
    fn receive(&mut self, each: &mut dyn FnMut(Message)) -> io::Result<bool> {
        let mut consistent = true;
        let mut buffer = Vec::with_capacity(RECEIVE_BUFFER);
        loop {
            buffer.clear();
            let length = match self.socket.recv(&mut buffer, libc::MSG_TRUNC) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if length > buffer.len() {
                return Err(invalid("the kernel's answer was cut off"));
            }
            let mut rest = &buffer[..];
            while !rest.is_empty() {
                let answer = NetlinkMessage::<Message>::deserialize(rest)
                    .map_err(|error| invalid(&error.to_string()))?;
                let step = (answer.header.length as usize).next_multiple_of(4);
                rest = rest.get(step..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                consistent &= answer.header.flags & NLM_F_DUMP_INTR == 0;
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => each(message),
                    NetlinkPayload::Error(error) => {
                        return match error.code {
                            Some(code) => Err(io::Error::from_raw_os_error(code.get().abs())),
                            None => Ok(consistent),
                        };
                    }
                    NetlinkPayload::Done(done) => {
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
