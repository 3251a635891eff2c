//! DHCPv4 messages: what a client says (through dhcproto), and what it understands of an answer.
//!
//! Answers are read here and not by dhcproto, whose decoder drops every option behind one that it cannot read and does not follow
//! options into the fields `file` and `sname`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dhcproto::v4::{self, DhcpOption, MessageType, OptionCode};
use dhcproto::{Encodable, Encoder};

use super::Settings;
use crate::timing::printable;

/// Where the options begin: behind the fixed fields and the magic cookie.
const OPTIONS: usize = 240;
const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;
/// What servers and relays of old expect at least (RFC 1542, 2.1).
const LEAST: usize = 300;
/// The largest answer that is taken: what fits into an Ethernet frame.
const LARGEST: u16 = 1472;
/// The longest host name label.
const MAX_HOSTNAME: usize = 63;
/// The longest user class (RFC 3004: one byte of length).
const MAX_CLASS: usize = 255;

/// What one message says beside who sends it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) kind: MessageType,
    pub(super) xid: u32,
    /// Seconds since the client began.
    pub(super) secs: u16,
    /// The client's own address: only one that it may use.
    pub(super) ciaddr: Option<Ipv4Addr>,
    /// Option 50.
    pub(super) requested: Option<Ipv4Addr>,
    /// Option 54.
    pub(super) server: Option<Ipv4Addr>,
}

pub(super) fn compose(settings: &Settings, ask: Ask) -> Vec<u8> {
    let nobody = Ipv4Addr::UNSPECIFIED;
    let ciaddr = ask.ciaddr.unwrap_or(nobody);
    let mut message =
        v4::Message::new_with_id(ask.xid, ciaddr, nobody, nobody, nobody, &settings.hardware);
    message.set_secs(ask.secs);
    if ask.ciaddr.is_none() {
        // No interface has the hardware address that is offered, so an answer to it would reach nobody.
        message.set_flags(v4::Flags::default().set_broadcast());
    }
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(ask.kind));
    let mut identifier = vec![1];
    identifier.extend_from_slice(&settings.hardware);
    options.insert(DhcpOption::ClientIdentifier(identifier));
    if let Some(address) = ask.requested {
        options.insert(DhcpOption::RequestedIpAddress(address));
    }
    if let Some(server) = ask.server {
        options.insert(DhcpOption::ServerIdentifier(server));
    }
    if matches!(ask.kind, MessageType::Discover | MessageType::Request) {
        for option in describe(settings) {
            options.insert(option);
        }
    }
    let mut payload = Vec::with_capacity(LEAST);
    // Only names in wire form can fail to be written, and none is.
    let _ = message.encode(&mut Encoder::new(&mut payload));
    if payload.len() < LEAST {
        payload.resize(LEAST, 0);
    }
    payload
}

/// What a server may want to know about the client, and the client from it.
fn describe(settings: &Settings) -> Vec<DhcpOption> {
    let mut options = vec![
        DhcpOption::MaxMessageSize(LARGEST),
        DhcpOption::ParameterRequestList(vec![
            OptionCode::SubnetMask,
            OptionCode::AddressLeaseTime,
            OptionCode::ServerIdentifier,
            OptionCode::Renewal,
            OptionCode::Rebinding,
        ]),
    ];
    if let Some(name) = settings.hostname.as_deref().filter(|name| !name.is_empty()) {
        let name = name.chars().filter(char::is_ascii).take(MAX_HOSTNAME);
        options.push(DhcpOption::Hostname(name.collect()));
    }
    if let Some(class) = settings.user_class.as_deref().filter(|c| !c.is_empty()) {
        // RFC 3004: each class with its length before it.
        let class = &class.as_bytes()[..class.len().min(MAX_CLASS)];
        let mut data = vec![u8::try_from(class.len()).unwrap_or(u8::MAX)];
        data.extend_from_slice(class);
        options.push(DhcpOption::UserClass(data));
    }
    options
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Offer,
    Ack,
    Nak,
}

/// An answer to this client, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    /// The address that is given. Checked: one that a host can have.
    pub(super) address: Option<Ipv4Addr>,
    pub(super) server: Option<Ipv4Addr>,
    /// Length of the subnet mask.
    pub(super) prefix_len: Option<u8>,
    /// Seconds of the lease, of T1 and of T2.
    pub(super) lease: Option<u32>,
    pub(super) renew: Option<u32>,
    pub(super) rebind: Option<u32>,
    /// The server's words (option 56).
    pub(super) words: String,
}

/// Reads an answer of the transaction `xid` to the client with this hardware address. None: it is not one.
pub(super) fn read(payload: &[u8], xid: u32, hardware: [u8; 6]) -> Option<Answer> {
    // The transaction first: a message is given to every client of its interface.
    if payload.get(4..8)? != xid.to_be_bytes() || payload.get(..3)? != [2, 1, 6] {
        return None;
    }
    if payload.get(28..34)? != hardware || payload.get(236..OPTIONS)? != v4::MAGIC {
        return None;
    }
    let options = options(payload);
    let word = |code| {
        let data: &Vec<u8> = options.get(&u8::from(code))?;
        Some(u32::from_be_bytes(data.as_slice().try_into().ok()?))
    };
    let kind = match options.get(&u8::from(OptionCode::MessageType))?.as_slice() {
        [2] => Kind::Offer,
        [5] => Kind::Ack,
        [6] => Kind::Nak,
        _ => return None,
    };
    let address: [u8; 4] = payload.get(16..20)?.try_into().ok()?;
    Some(Answer {
        kind,
        address: Some(Ipv4Addr::from(address)).filter(|a| usable(*a)),
        server: word(OptionCode::ServerIdentifier)
            .map(Ipv4Addr::from)
            .filter(|a| usable(*a)),
        prefix_len: word(OptionCode::SubnetMask).and_then(prefix_len),
        lease: word(OptionCode::AddressLeaseTime),
        renew: word(OptionCode::Renewal),
        rebind: word(OptionCode::Rebinding),
        words: options
            .get(&u8::from(OptionCode::Message))
            .map_or_else(String::new, |text| printable(text)),
    })
}

/// Can a host have this address? Nothing else may come from a server, least of all this host's own loopback.
pub(super) fn usable(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first < 224 && !address.is_loopback()
}

fn prefix_len(mask: u32) -> Option<u8> {
    let len = mask.leading_ones();
    // A mask with holes, or none.
    (len > 0 && mask.count_ones() == len).then(|| u8::try_from(len).ok())?
}

/// The options that matter, an option that came in parts put together (RFC 3396), also out of `file` and `sname` if the message says
/// that there are options in them (option 52).
fn options(payload: &[u8]) -> BTreeMap<u8, Vec<u8>> {
    let mut found = BTreeMap::new();
    collect(payload.get(OPTIONS..).unwrap_or_default(), &mut found);
    let overload = match found
        .get(&u8::from(OptionCode::OptionOverload))
        .map(Vec::as_slice)
    {
        Some([fields]) => *fields,
        _ => 0,
    };
    for (bit, field) in [(1, FILE), (2, SNAME)] {
        if overload & bit != 0 {
            collect(payload.get(field).unwrap_or_default(), &mut found);
        }
    }
    found
}

fn collect(mut rest: &[u8], found: &mut BTreeMap<u8, Vec<u8>>) {
    while let [code, tail @ ..] = rest {
        rest = tail;
        match OptionCode::from(*code) {
            OptionCode::Pad => continue,
            OptionCode::End => return,
            _ => {}
        }
        let [len, tail @ ..] = rest else { return };
        let Some((data, tail)) = tail.split_at_checked(usize::from(*len)) else {
            return;
        };
        rest = tail;
        if matches!(code, 1 | 51..=54 | 56 | 58 | 59) {
            found.entry(*code).or_default().extend_from_slice(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            hardware: [2, 0xab, 0xcd, 0, 0, 7],
            hostname: Some("web".to_owned()),
            user_class: Some("lab".to_owned()),
            wish: None,
            insist: false,
            seed: 1,
        }
    }

    fn ask(kind: MessageType) -> Ask {
        Ask {
            kind,
            xid: 0x0102_0304,
            secs: 3,
            ciaddr: None,
            requested: Some([192, 0, 2, 5].into()),
            server: Some([192, 0, 2, 1].into()),
        }
    }

    /// An answer by hand: fixed fields, then these options.
    fn answer(options: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; OPTIONS];
        payload[..3].copy_from_slice(&[2, 1, 6]);
        payload[4..8].copy_from_slice(&0x0102_0304_u32.to_be_bytes());
        payload[16..20].copy_from_slice(&[192, 0, 2, 5]);
        payload[28..34].copy_from_slice(&settings().hardware);
        payload[236..240].copy_from_slice(&v4::MAGIC);
        payload.extend_from_slice(options);
        payload
    }

    fn read_it(payload: &[u8]) -> Option<Answer> {
        read(payload, 0x0102_0304, settings().hardware)
    }

    #[test]
    fn a_request_is_what_another_implementation_reads() {
        use dhcproto::Decodable as _;
        let payload = compose(&settings(), ask(MessageType::Request));
        assert!(payload.len() >= LEAST);
        let message = v4::Message::decode(&mut dhcproto::Decoder::new(&payload)).unwrap();
        assert!(message.flags().broadcast());
        assert_eq!(message.chaddr(), settings().hardware);
        assert_eq!((message.xid(), message.secs()), (0x0102_0304, 3));
        let has = |option: DhcpOption| {
            assert_eq!(message.opts().get(OptionCode::from(&option)), Some(&option));
        };
        has(DhcpOption::ClientIdentifier(vec![
            1, 2, 0xab, 0xcd, 0, 0, 7,
        ]));
        has(DhcpOption::RequestedIpAddress([192, 0, 2, 5].into()));
        has(DhcpOption::ServerIdentifier([192, 0, 2, 1].into()));
        has(DhcpOption::Hostname("web".to_owned()));
        has(DhcpOption::UserClass(b"\x03lab".to_vec()));
    }

    #[test]
    fn a_release_tells_no_more_than_it_must() {
        use dhcproto::Decodable as _;
        let mut release = ask(MessageType::Release);
        release.ciaddr = Some([192, 0, 2, 5].into());
        let payload = compose(&settings(), release);
        let message = v4::Message::decode(&mut dhcproto::Decoder::new(&payload)).unwrap();
        assert!(!message.flags().broadcast());
        assert_eq!(message.opts().get(OptionCode::Hostname), None);
        assert_eq!(message.opts().get(OptionCode::ParameterRequestList), None);
    }

    #[test]
    fn options_in_parts_and_in_other_fields_count() {
        // Message type, overload by both fields; lease time in two parts; the server in `file`, the mask in `sname`.
        let mut payload = answer(&[
            53, 1, 5, 52, 1, 3, 12, 2, 0xff, 0xfe, 51, 2, 0, 0, 51, 2, 14, 16, 255,
        ]);
        payload[FILE][..7].copy_from_slice(&[54, 4, 192, 0, 2, 1, 255]);
        payload[SNAME][..7].copy_from_slice(&[1, 4, 255, 255, 255, 0, 255]);
        let answer = read_it(&payload).unwrap();
        assert_eq!(answer.kind, Kind::Ack);
        assert_eq!(answer.lease, Some(3600));
        assert_eq!(answer.server, Some([192, 0, 2, 1].into()));
        assert_eq!(answer.prefix_len, Some(24));
    }

    #[test]
    fn what_is_for_others_is_not_read() {
        let good = answer(&[53, 1, 2, 54, 4, 192, 0, 2, 1, 255]);
        assert!(read_it(&good).is_some());
        for at in [0, 1, 2, 4, 7, 28, 33, 236, 239] {
            let mut other = good.clone();
            other[at] ^= 0x40;
            assert_eq!(read_it(&other), None, "byte {at}");
        }
        for len in 0..good.len() {
            // Cut anywhere: no panic, and no answer without its message type.
            let cut = read_it(&good[..len]);
            assert_eq!(cut.is_some(), len >= OPTIONS + 3);
        }
    }

    #[test]
    fn no_address_that_a_host_cannot_have_is_taken() {
        for bytes in [
            [0, 0, 0, 0],
            [127, 0, 0, 1],
            [255, 255, 255, 255],
            [224, 0, 0, 1],
            [240, 1, 1, 1],
        ] {
            let mut payload = answer(&[53, 1, 5, 255]);
            payload[16..20].copy_from_slice(&bytes);
            assert_eq!(read_it(&payload).unwrap().address, None);
        }
        assert_eq!(prefix_len(0xffff_ff00), Some(24));
        assert_eq!(prefix_len(0xffff_ffff), Some(32));
        assert_eq!(prefix_len(0), None);
        assert_eq!(prefix_len(0xff00_ff00), None);
    }
}
