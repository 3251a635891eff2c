//! A DHCPv6 server with another implementation of the messages.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, Message, MessageType, OptionCode, Status, StatusCode,
};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use hostlet_lease::Time;

use super::net::Server;

pub struct Six {
    pub duid: Vec<u8>,
    pub pool: Vec<Ipv6Addr>,
    pub lease: u32,
    /// IAID, and until when.
    pub leases: BTreeMap<Ipv6Addr, (u32, Time)>,
    /// Offered to whom, and until when nobody else is offered it.
    offers: BTreeMap<Ipv6Addr, (u32, Time)>,
    pub declined: Vec<Ipv6Addr>,
    pub released: Vec<Ipv6Addr>,
}

impl Six {
    pub fn new(id: u8, addresses: std::ops::Range<u16>, lease: u32) -> Self {
        Six {
            duid: vec![0, 3, 0, 1, id],
            pool: addresses
                .map(|n| [0x2001, 0xdb8, 0, 0, 0, 0, 0, n].into())
                .collect(),
            lease,
            leases: BTreeMap::new(),
            offers: BTreeMap::new(),
            declined: Vec::new(),
            released: Vec::new(),
        }
    }

    fn free(&self, address: Ipv6Addr, iaid: u32, now: Time) -> bool {
        self.pool.contains(&address)
            && !self.declined.contains(&address)
            && self
                .leases
                .get(&address)
                .is_none_or(|(who, until)| *who == iaid || *until <= now)
    }

    fn choose(&mut self, iaid: u32, wish: Option<Ipv6Addr>, now: Time) -> Option<Ipv6Addr> {
        let own = self
            .leases
            .iter()
            .find(|(_, (who, _))| *who == iaid)
            .map(|(address, _)| *address);
        let not_offered = |address: &Ipv6Addr| {
            let offer = self.offers.get(address);
            offer.is_none_or(|(who, until)| *who == iaid || *until <= now)
        };
        let address = own
            .into_iter()
            .chain(wish)
            .chain(self.pool.iter().copied())
            .find(|address| self.free(*address, iaid, now) && not_offered(address))?;
        let until = now + Duration::from_secs(5);
        self.offers.insert(address, (iaid, until));
        Some(address)
    }

    fn answer(&self, to: &Message, kind: MessageType, ia: Option<DhcpOption>) -> Vec<u8> {
        let mut message = Message::new_with_id(kind, to.xid());
        let options = message.opts_mut();
        options.insert(to.opts().get(OptionCode::ClientId).unwrap().clone());
        options.insert(DhcpOption::ServerId(self.duid.clone()));
        if let Some(option) = ia {
            options.insert(option);
        }
        let mut bytes = Vec::new();
        message.encode(&mut Encoder::new(&mut bytes)).unwrap();
        bytes
    }

    fn address(&self, iaid: u32, addr: Ipv6Addr) -> DhcpOption {
        let opts = [DhcpOption::IAAddr(IAAddr {
            addr,
            preferred_life: self.lease / 4 * 3,
            valid_life: self.lease,
            opts: DhcpOptions::new(),
        })];
        ia(iaid, opts)
    }
}

fn ia(id: u32, opts: [DhcpOption; 1]) -> DhcpOption {
    DhcpOption::IANA(IANA {
        id,
        t1: 0,
        t2: 0,
        opts: opts.into_iter().collect(),
    })
}

fn no(iaid: u32, status: Status) -> DhcpOption {
    let opts = [DhcpOption::StatusCode(StatusCode {
        status,
        msg: "no".to_owned(),
    })];
    ia(iaid, opts)
}

impl Server for Six {
    fn handle(&mut self, message: &[u8], now: Time) -> Vec<Vec<u8>> {
        let message = Message::decode(&mut Decoder::new(message)).expect("a client sent garbage");
        let options = message.opts();
        let Some(DhcpOption::IANA(association)) = options.get(OptionCode::IANA) else {
            panic!("a client sent no IA_NA");
        };
        let iaid = association.id;
        let wish = match association.opts.get(OptionCode::IAAddr) {
            Some(DhcpOption::IAAddr(address)) => Some(address.addr),
            _ => None,
        };
        let server = match options.get(OptionCode::ServerId) {
            Some(DhcpOption::ServerId(server)) => Some(server.clone()),
            _ => None,
        };
        let kind = message.msg_type();
        // RFC 8415, 16: who must and who must not name the server.
        let names_none = matches!(kind, MessageType::Solicit | MessageType::Rebind);
        assert_eq!(server.is_none(), names_none, "{kind:?}");
        if server.is_some_and(|server| server != self.duid) {
            return Vec::new();
        }
        let time = Duration::from_secs(self.lease.into());
        let known = |six: &Six, address: &Ipv6Addr| {
            six.leases.get(address).is_some_and(|(who, _)| *who == iaid)
        };
        let reply = |six: &Six, ia| vec![six.answer(&message, MessageType::Reply, ia)];
        match kind {
            MessageType::Solicit => {
                let ia = match self.choose(iaid, wish, now) {
                    Some(address) => self.address(iaid, address),
                    None => no(iaid, Status::NoAddrsAvail),
                };
                vec![self.answer(&message, MessageType::Advertise, Some(ia))]
            }
            MessageType::Request => match self.choose(iaid, wish, now) {
                Some(address) => {
                    self.leases.retain(|_, (who, _)| *who != iaid);
                    self.leases.insert(address, (iaid, now + time));
                    let ia = self.address(iaid, address);
                    reply(self, Some(ia))
                }
                None => reply(self, Some(no(iaid, Status::NoAddrsAvail))),
            },
            MessageType::Renew | MessageType::Rebind => {
                let address = wish.expect("prolongs an address");
                if known(self, &address) {
                    self.leases.insert(address, (iaid, now + time));
                    let ia = self.address(iaid, address);
                    reply(self, Some(ia))
                } else if kind == MessageType::Renew || self.pool.contains(&address) {
                    reply(self, Some(no(iaid, Status::NoBinding)))
                } else {
                    Vec::new()
                }
            }
            MessageType::Decline | MessageType::Release => {
                let address = wish.expect("gives an address back");
                if known(self, &address) {
                    self.leases.remove(&address);
                }
                if kind == MessageType::Decline {
                    self.declined.push(address);
                } else {
                    self.released.push(address);
                }
                reply(self, None)
            }
            other => panic!("a client sent {other:?}"),
        }
    }

    fn holds(&self, address: IpAddr) -> Option<(String, Time)> {
        let IpAddr::V6(address) = address else {
            return None;
        };
        let (who, until) = self.leases.get(&address)?;
        Some((who.to_string(), *until))
    }

    fn forget(&mut self) {
        self.leases.clear();
    }
}
