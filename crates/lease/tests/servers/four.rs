//! A DHCPv4 server with another implementation of the messages.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use hostlet_lease::Time;

use super::net::Server;

pub struct Four {
    pub id: Ipv4Addr,
    pub pool: Vec<Ipv4Addr>,
    pub lease: u32,
    /// T1 and T2 are named.
    pub times: bool,
    /// Client, and until when.
    pub leases: BTreeMap<Ipv4Addr, (Vec<u8>, Time)>,
    /// Offered to whom, and until when nobody else is offered it.
    offers: BTreeMap<Ipv4Addr, (Vec<u8>, Time)>,
    pub declined: Vec<Ipv4Addr>,
    pub released: Vec<Ipv4Addr>,
    pub requests: u32,
}

impl Four {
    pub fn new(id: u8, addresses: std::ops::Range<u8>, lease: u32) -> Self {
        Four {
            id: [192, 0, 2, id].into(),
            pool: addresses.map(|n| [192, 0, 2, n].into()).collect(),
            lease,
            times: true,
            leases: BTreeMap::new(),
            offers: BTreeMap::new(),
            declined: Vec::new(),
            released: Vec::new(),
            requests: 0,
        }
    }

    fn free(&self, address: Ipv4Addr, client: &[u8], now: Time) -> bool {
        self.pool.contains(&address)
            && !self.declined.contains(&address)
            && self
                .leases
                .get(&address)
                .is_none_or(|(who, until)| who == client || *until <= now)
    }

    fn choose(&mut self, client: &[u8], wish: Option<Ipv4Addr>, now: Time) -> Option<Ipv4Addr> {
        let own = self
            .leases
            .iter()
            .find(|(_, (who, _))| who == client)
            .map(|(address, _)| *address);
        let not_offered = |address: &Ipv4Addr| {
            let offer = self.offers.get(address);
            offer.is_none_or(|(who, until)| who == client || *until <= now)
        };
        let address = own
            .into_iter()
            .chain(wish)
            .chain(self.pool.iter().copied())
            .find(|address| self.free(*address, client, now) && not_offered(address))?;
        let until = now + Duration::from_secs(5);
        self.offers.insert(address, (client.to_vec(), until));
        Some(address)
    }

    pub fn answer(&self, to: &Message, kind: MessageType, address: Option<Ipv4Addr>) -> Vec<u8> {
        let mut message = Message::new_with_id(
            to.xid(),
            Ipv4Addr::UNSPECIFIED,
            address.unwrap_or(Ipv4Addr::UNSPECIFIED),
            Ipv4Addr::UNSPECIFIED,
            to.giaddr(),
            to.chaddr(),
        );
        message.set_opcode(Opcode::BootReply);
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ServerIdentifier(self.id));
        if address.is_some() {
            options.insert(DhcpOption::SubnetMask([255, 255, 255, 0].into()));
            options.insert(DhcpOption::AddressLeaseTime(self.lease));
            if self.times && self.lease != u32::MAX {
                options.insert(DhcpOption::Renewal(self.lease / 2));
                options.insert(DhcpOption::Rebinding(self.lease / 8 * 7));
            }
        } else {
            options.insert(DhcpOption::Message("wrong address".to_owned()));
        }
        let mut bytes = Vec::new();
        message.encode(&mut Encoder::new(&mut bytes)).unwrap();
        bytes
    }

    fn give(&mut self, client: &[u8], address: Ipv4Addr, now: Time) {
        self.leases.retain(|_, (who, _)| who != client);
        let time = Duration::from_secs(self.lease.into());
        self.leases.insert(address, (client.to_vec(), now + time));
    }
}

impl Server for Four {
    fn handle(&mut self, message: &[u8], now: Time) -> Vec<Vec<u8>> {
        let message = Message::decode(&mut Decoder::new(message)).expect("a client sent garbage");
        let options = message.opts();
        let client = message.chaddr().to_vec();
        assert_eq!(message.opcode(), Opcode::BootRequest);
        assert_eq!(
            message.flags().broadcast(),
            message.ciaddr().is_unspecified()
        );
        let mut identifier = vec![1];
        identifier.extend_from_slice(&client);
        assert_eq!(
            options.get(OptionCode::ClientIdentifier),
            Some(&DhcpOption::ClientIdentifier(identifier))
        );
        let wish = match options.get(OptionCode::RequestedIpAddress) {
            Some(DhcpOption::RequestedIpAddress(address)) => Some(*address),
            _ => None,
        };
        let server = match options.get(OptionCode::ServerIdentifier) {
            Some(DhcpOption::ServerIdentifier(address)) => Some(*address),
            _ => None,
        };
        if server.is_some_and(|server| server != self.id) {
            return Vec::new();
        }
        match options.msg_type() {
            Some(MessageType::Discover) => self
                .choose(&client, wish, now)
                .map(|address| self.answer(&message, MessageType::Offer, Some(address)))
                .into_iter()
                .collect(),
            Some(MessageType::Request) => {
                self.requests += 1;
                // RFC 2131, 4.3.2: what the fields must be in which state.
                let renewing = !message.ciaddr().is_unspecified();
                assert_eq!(renewing, wish.is_none());
                assert!(!(renewing && server.is_some()));
                let address = wish.unwrap_or(message.ciaddr());
                let known = self
                    .leases
                    .get(&address)
                    .is_some_and(|(who, _)| *who == client);
                if self.free(address, &client, now) && (known || server.is_some()) {
                    self.give(&client, address, now);
                    vec![self.answer(&message, MessageType::Ack, Some(address))]
                } else if server.is_some() || self.pool.contains(&address) {
                    vec![self.answer(&message, MessageType::Nak, None)]
                } else {
                    // Another server's business.
                    Vec::new()
                }
            }
            Some(MessageType::Decline) => {
                let address = wish.expect("declines an address");
                self.leases.remove(&address);
                self.declined.push(address);
                Vec::new()
            }
            Some(MessageType::Release) => {
                let address = message.ciaddr();
                if self
                    .leases
                    .get(&address)
                    .is_some_and(|(who, _)| *who == client)
                {
                    self.leases.remove(&address);
                }
                self.released.push(address);
                Vec::new()
            }
            other => panic!("a client sent {other:?}"),
        }
    }

    fn holds(&self, address: IpAddr) -> Option<(String, Time)> {
        let IpAddr::V4(address) = address else {
            return None;
        };
        let (who, until) = self.leases.get(&address)?;
        let text: Vec<String> = who.iter().map(|byte| format!("{byte:02x}")).collect();
        Some((text.join(":"), *until))
    }

    fn forget(&mut self) {
        self.leases.clear();
    }
}
