//! What a DHCPv6 client says: messages made through dhcproto.

use std::net::Ipv6Addr;

use dhcproto::v6::{self, DhcpOption, IAAddr, IANA, MessageType, ORO, OptionCode, UnknownOption};
use dhcproto::{Encodable, Encoder};

use super::Settings;

/// The longest host name label.
const MAX_HOSTNAME: usize = 63;
/// The longest user class that is sent.
const MAX_CLASS: usize = 255;

/// What one message says beside who sends it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) kind: MessageType,
    pub(super) xid: u32,
    /// Hundredths of a second since the exchange began.
    pub(super) elapsed: u16,
    pub(super) address: Option<Ipv6Addr>,
    /// The server's DUID.
    pub(super) server: Option<&'a [u8]>,
}

pub(super) fn compose(settings: &Settings, ask: Ask<'_>) -> Vec<u8> {
    let mut message = v6::Message::new_with_id(ask.kind, [0; 3]);
    message.set_xid_num(ask.xid);
    let options = message.opts_mut();
    options.insert(DhcpOption::ClientId(settings.duid.clone()));
    if let Some(server) = ask.server {
        options.insert(DhcpOption::ServerId(server.to_vec()));
    }
    let mut addresses = v6::DhcpOptions::new();
    if let Some(addr) = ask.address {
        addresses.insert(DhcpOption::IAAddr(IAAddr {
            addr,
            preferred_life: 0,
            valid_life: 0,
            opts: v6::DhcpOptions::new(),
        }));
    }
    options.insert(DhcpOption::IANA(IANA {
        id: settings.iaid,
        t1: 0,
        t2: 0,
        opts: addresses,
    }));
    options.insert(DhcpOption::ElapsedTime(ask.elapsed));
    if !matches!(ask.kind, MessageType::Release | MessageType::Decline) {
        for option in describe(settings) {
            options.insert(option);
        }
    }
    let mut payload = Vec::with_capacity(128);
    // Only names in wire form can fail to be written, and none is.
    let _ = message.encode(&mut Encoder::new(&mut payload));
    payload
}

/// What a server may want to know about the client, and the client from it.
fn describe(settings: &Settings) -> Vec<DhcpOption> {
    let mut options = vec![DhcpOption::ORO(ORO {
        opts: vec![OptionCode::SolMaxRt],
    })];
    if let Some(class) = settings.user_class.as_deref().filter(|c| !c.is_empty()) {
        // By hand: dhcproto 0.15 writes the number of classes where the length belongs.
        let class = &class.as_bytes()[..class.len().min(MAX_CLASS)];
        options.push(labelled(
            OptionCode::UserClass,
            &[0, u8::try_from(class.len()).unwrap_or(u8::MAX)],
            class,
        ));
    }
    if let Some(name) = settings.hostname.as_deref() {
        let name: String = name
            .chars()
            .filter(|c| c.is_ascii() && *c != '.')
            .take(MAX_HOSTNAME)
            .collect();
        if !name.is_empty() {
            // RFC 4704: the server is asked to do what DNS it does; one label without the root is a name to be completed.
            let len = u8::try_from(name.len()).unwrap_or(0);
            options.push(labelled(OptionCode::ClientFqdn, &[1, len], name.as_bytes()));
        }
    }
    options
}

fn labelled(code: OptionCode, head: &[u8], text: &[u8]) -> DhcpOption {
    let mut data = head.to_vec();
    data.extend_from_slice(text);
    DhcpOption::Unknown(UnknownOption::new(code, data))
}

#[cfg(test)]
pub(super) mod tests {
    use dhcproto::Decodable as _;

    use super::*;

    pub(in super::super) fn settings() -> Settings {
        Settings {
            duid: vec![0, 4, 9, 9],
            iaid: 7,
            hostname: Some("web".to_owned()),
            user_class: Some("lab".to_owned()),
            wish: None,
            insist: false,
            seed: 1,
        }
    }

    #[test]
    fn a_request_is_what_another_implementation_reads() {
        let ask = Ask {
            kind: MessageType::Request,
            xid: 0x12_3456,
            elapsed: 150,
            address: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5)),
            server: Some(&[0, 3, 1]),
        };
        let payload = compose(&settings(), ask);
        let message = v6::Message::decode(&mut dhcproto::Decoder::new(&payload)).unwrap();
        assert_eq!(message.xid_num(), 0x12_3456);
        let options = message.opts();
        assert_eq!(
            options.get(OptionCode::ServerId),
            Some(&DhcpOption::ServerId(vec![0, 3, 1]))
        );
        assert_eq!(
            options.get(OptionCode::UserClass),
            Some(&DhcpOption::UserClass(v6::UserClass {
                data: vec![b"lab".to_vec()]
            }))
        );
        assert!(options.iter().any(
            |o| matches!(o, DhcpOption::IANA(ia) if ia.id == 7 && ia.opts.iter().count() == 1)
        ));
        assert!(options.iter().any(
            |o| matches!(o, DhcpOption::Unknown(u) if u.code() == OptionCode::ClientFqdn && u.data() == b"\x01\x03web")
        ));
    }
}
