//! What a DHCPv6 client understands of an answer.
//!
//! Answers are read here and not by dhcproto, whose decoder follows nested options as deep as a message has them, which a forged one
//! uses to exhaust the stack, and computes with lengths that it did not check.

use std::net::Ipv6Addr;

use dhcproto::v6::OptionCode;

use super::Settings;
use crate::terms::MAX_DUID;
use crate::timing::printable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Advertise,
    Reply,
}

/// A status that is not success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) words: String,
}

/// The server has no address to give.
pub(super) const NO_ADDRS_AVAIL: u16 = 2;
/// The server knows nothing of this lease.
pub(super) const NO_BINDING: u16 = 3;
/// The address does not belong on this link.
pub(super) const NOT_ON_LINK: u16 = 4;

impl Status {
    /// For people.
    pub(super) fn text(&self) -> String {
        let name = match self.code {
            1 => "failed",
            NO_ADDRS_AVAIL => "has no address left",
            NO_BINDING => "does not know the lease",
            NOT_ON_LINK => "says that the address does not belong on this link",
            _ => "refused",
        };
        if self.words.is_empty() {
            format!("the DHCPv6 server {name} (status {})", self.code)
        } else {
            format!("the DHCPv6 server {name}: {}", self.words)
        }
    }
}

/// An address with its lifetimes in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) address: Ipv6Addr,
    pub(super) preferred: u32,
    pub(super) valid: u32,
}

/// An answer to this client, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    /// Its DUID.
    pub(super) server: Vec<u8>,
    /// The message's no, else that of the IA.
    pub(super) status: Option<Status>,
    /// Seconds of T1 and T2; 0: as the client likes.
    pub(super) renew: u32,
    pub(super) rebind: u32,
    /// Addresses that a host can have, with lifetimes that make sense.
    pub(super) addresses: Vec<Given>,
    /// The longest time between two SOLICITs that the server wishes, in seconds.
    pub(super) solicit_max: Option<u32>,
}

/// Reads an answer of the transaction `xid` to this client. None: it is not one.
pub(super) fn read(payload: &[u8], xid: u32, settings: &Settings) -> Option<Answer> {
    // The transaction first: a message is given to every client of its interface.
    if payload.get(1..4)? != &xid.to_be_bytes()[1..] {
        return None;
    }
    let kind = match payload.first()? {
        2 => Kind::Advertise,
        7 => Kind::Reply,
        _ => return None,
    };
    let mut for_us = false;
    let mut answer = Answer {
        kind,
        server: Vec::new(),
        status: None,
        renew: 0,
        rebind: 0,
        addresses: Vec::new(),
        solicit_max: None,
    };
    let mut of_ia = None;
    for (code, data) in options(payload.get(4..)?) {
        match code {
            OptionCode::ClientId => for_us = data == settings.duid,
            OptionCode::ServerId => answer.server = data.to_vec(),
            OptionCode::StatusCode => answer.status = status(data),
            OptionCode::SolMaxRt => answer.solicit_max = word(data, 0),
            OptionCode::IANA if word(data, 0) == Some(settings.iaid) => {
                of_ia = association(data, &mut answer);
            }
            _ => {}
        }
    }
    answer.status = answer.status.or(of_ia);
    (for_us && (1..=MAX_DUID).contains(&answer.server.len())).then_some(answer)
}

/// Reads an IA_NA into the answer; its status, if that is a no.
fn association(data: &[u8], answer: &mut Answer) -> Option<Status> {
    let (renew, rebind) = (word(data, 4)?, word(data, 8)?);
    // RFC 8415, 21.4: such an association is as if it were not there.
    if renew > rebind && rebind > 0 {
        return None;
    }
    (answer.renew, answer.rebind) = (renew, rebind);
    let mut no = None;
    for (code, data) in options(data.get(12..)?) {
        match code {
            OptionCode::StatusCode => no = status(data),
            OptionCode::IAAddr => answer.addresses.extend(given(data)),
            _ => {}
        }
    }
    no
}

fn given(data: &[u8]) -> Option<Given> {
    let address: [u8; 16] = data.get(..16)?.try_into().ok()?;
    let given = Given {
        address: address.into(),
        preferred: word(data, 16)?,
        valid: word(data, 20)?,
    };
    let refused = options(data.get(24..)?)
        .any(|(code, data)| code == OptionCode::StatusCode && status(data).is_some());
    (usable(given.address) && given.preferred <= given.valid && !refused).then_some(given)
}

/// Can a host have this address, beyond its link? Nothing else may come from a server.
pub(super) fn usable(address: Ipv6Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || address.to_ipv4_mapped().is_some())
}

/// A status that is not success. One that cannot be read is none.
fn status(data: &[u8]) -> Option<Status> {
    let code = u16::from_be_bytes(data.get(..2)?.try_into().ok()?);
    (code != 0).then(|| Status {
        code,
        words: printable(&data[2..]),
    })
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

/// The options of one level; ends where one is longer than what is left.
fn options(mut rest: &[u8]) -> impl Iterator<Item = (OptionCode, &[u8])> {
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_at_checked(4)?;
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (data, tail) = tail.split_at_checked(len)?;
        rest = tail;
        Some((u16::from_be_bytes([head[0], head[1]]).into(), data))
    })
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::settings;
    use super::*;

    fn option(code: u16, data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(data.len()).unwrap();
        [&code.to_be_bytes()[..], &len.to_be_bytes(), data].concat()
    }

    fn ia(id: u32, t1: u32, t2: u32, options: &[Vec<u8>]) -> Vec<u8> {
        let head = [id.to_be_bytes(), t1.to_be_bytes(), t2.to_be_bytes()].concat();
        option(3, &[head, options.concat()].concat())
    }

    fn address(last: u8, preferred: u32, valid: u32) -> Vec<u8> {
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into());
        let times = [preferred.to_be_bytes(), valid.to_be_bytes()].concat();
        option(5, &[&address.octets()[..], &times].concat())
    }

    fn reply(options: &[Vec<u8>]) -> Vec<u8> {
        [vec![7, 0x12, 0x34, 0x56], options.concat()].concat()
    }

    fn known() -> [Vec<u8>; 2] {
        [option(1, &settings().duid), option(2, &[0, 3, 1])]
    }

    #[test]
    fn an_answer_to_another_holder_gives_nothing() {
        let [client, server] = known();
        let good = reply(&[
            client.clone(),
            server.clone(),
            ia(7, 0, 0, &[address(5, 60, 90)]),
        ]);
        let answer = read(&good, 0x12_3456, &settings()).unwrap();
        assert_eq!(
            (answer.addresses[0].preferred, answer.addresses[0].valid),
            (60, 90)
        );
        assert_eq!(read(&good, 0x12_3457, &settings()), None);
        let other = reply(&[option(1, &[0, 4, 9, 8]), server.clone()]);
        assert_eq!(read(&other, 0x12_3456, &settings()), None);
        let nobody = reply(std::slice::from_ref(&client));
        assert_eq!(read(&nobody, 0x12_3456, &settings()), None);
        let foreign = reply(&[client, server, ia(8, 0, 0, &[address(5, 60, 90)])]);
        assert_eq!(
            read(&foreign, 0x12_3456, &settings()).unwrap().addresses,
            []
        );
    }

    #[test]
    fn addresses_and_times_without_sense_are_left_out() {
        let [client, server] = known();
        let odd = reply(&[
            client.clone(),
            server.clone(),
            ia(7, 0, 0, &[address(5, 91, 90), address(6, 1, 1)]),
        ]);
        let answer = read(&odd, 0x12_3456, &settings()).unwrap();
        assert_eq!(answer.addresses.len(), 1);
        let crossed = reply(&[client, server, ia(7, 9, 8, &[address(5, 60, 90)])]);
        assert_eq!(
            read(&crossed, 0x12_3456, &settings()).unwrap().addresses,
            []
        );
        for bad in ["::", "::1", "ff02::1", "fe80::1", "::ffff:192.0.2.1"] {
            assert!(!usable(bad.parse().unwrap()), "{bad}");
        }
    }

    #[test]
    fn a_no_is_read_wherever_it_stands() {
        let [client, server] = known();
        let no = option(13, b"\0\x02none left\n");
        let top = reply(&[client.clone(), server.clone(), no.clone()]);
        let inner = reply(&[client, server, ia(7, 0, 0, &[no])]);
        for payload in [top, inner] {
            let status = read(&payload, 0x12_3456, &settings())
                .unwrap()
                .status
                .unwrap();
            assert_eq!(status.code, NO_ADDRS_AVAIL);
            assert_eq!(
                status.text(),
                "the DHCPv6 server has no address left: none left"
            );
        }
    }

    #[test]
    fn deep_nests_and_cut_messages_do_no_harm() {
        let mut nest = Vec::new();
        for _ in 0..4000 {
            nest = [
                &[0, 3][..],
                &u16::try_from(nest.len() + 12).unwrap().to_be_bytes(),
                &[0; 12],
                &nest,
            ]
            .concat();
        }
        let [client, server] = known();
        assert!(
            read(
                &reply(&[client.clone(), server.clone(), nest]),
                0x12_3456,
                &settings()
            )
            .is_some()
        );
        let good = reply(&[
            client,
            server,
            ia(7, 0, 0, &[address(5, 60, 90)]),
            option(13, &[0]),
        ]);
        for len in 0..good.len() {
            let _ = read(&good[..len], 0x12_3456, &settings());
        }
    }
}
