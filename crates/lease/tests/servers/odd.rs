//! Odd servers: several, wrong ones, and ones with odd times.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dhcproto::v4::{Message, MessageType};
use dhcproto::{Decodable, Decoder};
use hostlet_lease::{Client, LostReason, Output, Settings, Time};

use crate::four::Four;
use crate::net::{Net, Server, Wire};
use crate::six::Six;
use crate::{Family, seconds, v4, v6};

/// A server of its own address that says no to every request that names no other server.
struct Naysayer(Four);

/// Either kind on one wire.
enum Any {
    Good(Four),
    Nay(Naysayer),
}

impl Server for Any {
    fn handle(&mut self, message: &[u8], now: Time) -> Vec<Vec<u8>> {
        match self {
            Any::Good(server) => server.handle(message, now),
            Any::Nay(Naysayer(server)) => {
                let mut answers = server.handle(message, now);
                // An offer is none of its business.
                answers.retain(|answer| answer.windows(3).any(|option| option == [53, 1, 6]));
                answers
            }
        }
    }

    fn holds(&self, address: IpAddr) -> Option<(String, Time)> {
        match self {
            Any::Good(server) => server.holds(address),
            Any::Nay(_) => None,
        }
    }

    fn forget(&mut self) {}
}

#[test]
fn a_stranger_cannot_say_no_for_the_server_that_was_asked() {
    // The naysayer knows the address as one of its pool, and nobody as its holder.
    let nay = Four::new(2, 10..15, 3600);
    let mut net = Net::new(
        Wire::GOOD,
        vec![
            Any::Nay(Naysayer(nay)),
            Any::Good(Four::new(1, 10..15, 3600)),
        ],
    );
    net.add(Client::new(Settings::V4(v4(7)), net.now));
    // A renewal is sent to the server alone, but on this wire both hear it.
    net.run_until(net.now + seconds(7200));
    let host = &net.hosts[0];
    assert_eq!((host.bound, host.lost.len()), (1, 0));
    assert!(host.renewed >= 3);
}

/// What a client does next, its messages decoded.
fn next(client: &mut Client) -> (Option<Message>, Vec<Output>) {
    let mut message = None;
    let mut others = Vec::new();
    while let Some(output) = client.poll() {
        match output {
            Output::Send { payload, .. } => {
                message = Some(Message::decode(&mut Decoder::new(&payload)).unwrap());
            }
            other => others.push(other),
        }
    }
    (message, others)
}

#[test]
fn only_the_chosen_server_answers_a_request_and_no_answer_comes_too_late() {
    let (good, other) = (Four::new(1, 10..15, 60), Four::new(2, 10..15, 60));
    let (address, elsewhere) = (Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(192, 0, 2, 11));
    let mut now = Duration::from_secs(5);
    let mut client = Client::new(Settings::V4(v4(7)), now);
    let discover = next(&mut client).0.unwrap();
    client.receive(
        &good.answer(&discover, MessageType::Offer, Some(address)),
        now,
    );
    // A second offer, and a second copy of the first, change nothing.
    client.receive(
        &other.answer(&discover, MessageType::Offer, Some(elsewhere)),
        now,
    );
    let claim = Output::Claim {
        address: address.into(),
    };
    assert_eq!(next(&mut client).1, [claim]);
    client.claimed(true, now);
    let request = next(&mut client).0.unwrap();
    for answer in [
        other.answer(&request, MessageType::Nak, None),
        other.answer(&request, MessageType::Ack, Some(address)),
        good.answer(&request, MessageType::Ack, Some(elsewhere)),
    ] {
        client.receive(&answer, now);
        assert_eq!(next(&mut client), (None, Vec::new()));
    }
    let ack = good.answer(&request, MessageType::Ack, Some(address));
    client.receive(&ack, now);
    client.receive(&ack, now);
    let probe = Output::Probe {
        address: address.into(),
    };
    assert_eq!(next(&mut client).1, [probe]);
    client.probed(true, now);
    assert!(matches!(next(&mut client).1[..], [Output::Bound(_)]));
    client.receive(&ack, now);
    assert_eq!(next(&mut client), (None, Vec::new()));

    now += Duration::from_secs(31);
    client.timeout(now);
    let request = next(&mut client).0.unwrap();
    // The driver slept, and finds the answer before it looks at the clock.
    now += Duration::from_secs(60);
    client.receive(&good.answer(&request, MessageType::Ack, Some(address)), now);
    let lost = Output::Lost {
        address: address.into(),
        why: LostReason::Expired,
    };
    assert_eq!(next(&mut client).1, [lost]);
    assert_eq!(client.terms(), None);
}

#[test]
fn a_release_that_nobody_answers_is_given_up() {
    let mut net: Net<Six> = Net::new(Wire::GOOD, vec![Six::server(5, 3600)]);
    net.add(Client::new(Six::settings(7), net.now));
    net.run_until(net.now + seconds(10));
    net.silent = true;
    net.release(0);
    net.run_until(net.now + seconds(100));
    assert!(net.hosts[0].client.is_done());
    assert_eq!(net.hosts[0].sent.len(), 2 + 4);
}

#[test]
fn when_its_server_is_gone_for_good_another_lends_an_address() {
    let mut net = Net::new(Wire::GOOD, vec![Four::new(1, 10..15, 3600)]);
    net.add(Client::new(Settings::V4(v4(7)), net.now));
    net.run_until(net.now + seconds(10));
    let expires = net.hosts[0].terms.as_ref().unwrap().expires.unwrap();
    net.servers = vec![Four::new(2, 100..105, 3600)];
    net.trusted = false;
    // Its pool is another, so it is silent about the old address, and the lease ends.
    net.run_until(expires + seconds(1));
    net.trusted = true;
    let terms = net.hosts[0].terms.as_ref().unwrap();
    assert_eq!(terms.address, IpAddr::from([192, 0, 2, 100]));
    assert_eq!(terms.server, "192.0.2.2");
}

fn lease_without_end<F: Family>() {
    let mut net: Net<F> = Net::new(Wire::GOOD, vec![F::server(5, u32::MAX)]);
    net.add(Client::new(F::settings(7), net.now));
    net.run_until(net.now + seconds(1));
    let terms = net.hosts[0].terms.clone().unwrap();
    assert_eq!(
        (terms.renew, terms.rebind, terms.expires),
        (None, None, None)
    );
    assert_eq!(net.hosts[0].client.next_timeout(), None);
    net.run_until(net.now + seconds(10_000_000));
    assert_eq!(net.hosts[0].sent.len(), 2);
    // It is gone on with, too.
    let client = Client::resume(F::settings(7), terms.clone(), net.now).unwrap();
    assert_eq!(
        (client.terms(), client.next_timeout()),
        (Some(&terms), None)
    );
}

#[test]
fn a_dhcp4_lease_may_have_no_end() {
    lease_without_end::<Four>();
}

#[test]
fn a_dhcp6_lease_may_have_no_end() {
    lease_without_end::<Six>();
}

#[test]
fn a_server_need_not_name_times() {
    let mut server = Four::new(1, 10..15, 3600);
    server.times = false;
    let mut net = Net::new(Wire::GOOD, vec![server]);
    let start = net.now;
    net.add(Client::new(Settings::V4(v4(7)), start));
    net.run_until(start + seconds(1));
    let terms = net.hosts[0].terms.as_ref().unwrap();
    let renew = terms.renew.unwrap() - start;
    assert!((1770..=1800).contains(&renew.as_secs()), "{renew:?}");
    assert_eq!(terms.rebind, Some(start + seconds(3150)));
}

#[test]
fn terms_of_the_other_family_or_without_a_server_are_refused() {
    let mut net: Net<Six> = Net::new(Wire::GOOD, vec![Six::server(5, 3600)]);
    net.add(Client::new(Six::settings(7), net.now));
    net.run_until(net.now + seconds(1));
    let mut terms = net.hosts[0].terms.clone().unwrap();
    assert!(Client::resume(Settings::V4(v4(7)), terms.clone(), net.now).is_err());
    terms.server = "nobody".to_owned();
    let error = Client::resume(Six::settings(7), terms, net.now).unwrap_err();
    assert!(error.to_string().contains("nobody"), "{error}");
}

#[test]
fn a_short_lease_survives_a_lost_message() {
    for seed in 1..20 {
        let wire = Wire {
            lost: 10,
            seed,
            ..Wire::GOOD
        };
        let mut net: Net<Four> = Net::new(wire, vec![Four::server(5, 60)]);
        net.add(Client::new(Settings::V4(v4(7)), net.now));
        net.run_until(net.now + seconds(1200));
        assert_eq!(net.hosts[0].lost, [], "seed {seed}");
    }
}

#[test]
fn a_link_that_is_back_is_used_at_once() {
    for settings in [Settings::V4(v4(7)), Settings::V6(v6(7))] {
        let mut client = Client::new(settings, Time::ZERO);
        let mut now = Time::ZERO;
        while now < seconds(600) {
            now = client.next_timeout().unwrap();
            client.timeout(now);
        }
        while client.poll().is_some() {}
        assert!(client.next_timeout().unwrap() > now + seconds(30));
        client.reconnected(now);
        assert!(matches!(client.poll(), Some(Output::Send { .. })));
        assert!(client.next_timeout().unwrap() < now + seconds(3));
    }
}
