//! The DHCP clients against simulated servers on a simulated wire, in simulated time.

mod four;
mod net;
mod odd;
mod six;

use std::net::IpAddr;
use std::time::Duration;

use hostlet_lease::{
    Client, Destination, LostReason, Settings, Terms, dhcp4, dhcp6, hardware_address,
};
use proptest::prelude::*;

use four::Four;
use net::{Net, Server, Wire};
use six::Six;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn v4(holder: u32) -> dhcp4::Settings {
    dhcp4::Settings {
        hardware: hardware_address([2, 0xab, 0xcd], holder),
        hostname: Some(format!("h{holder}")),
        user_class: Some("lab".to_owned()),
        wish: None,
        insist: false,
        seed: u64::from(holder) * 77,
    }
}

fn v6(holder: u32) -> dhcp6::Settings {
    dhcp6::Settings {
        duid: vec![0, 4, 1, 2, 3],
        iaid: holder,
        hostname: Some(format!("h{holder}")),
        user_class: Some("lab".to_owned()),
        wish: None,
        insist: false,
        seed: u64::from(holder) * 77,
    }
}

/// What the tests of both families need.
trait Family: Server + Sized {
    fn settings(holder: u32) -> Settings;
    fn server(addresses: u8, lease: u32) -> Self;
    fn declined(&self) -> usize;
    fn released(&self) -> usize;
    fn held(&self) -> usize;
    fn wish(holder: u32, wish: IpAddr) -> Settings;
    fn nth(n: u8) -> IpAddr;
}

impl Family for Four {
    fn settings(holder: u32) -> Settings {
        Settings::V4(v4(holder))
    }
    fn server(addresses: u8, lease: u32) -> Self {
        Four::new(1, 10..10 + addresses, lease)
    }
    fn declined(&self) -> usize {
        self.declined.len()
    }
    fn released(&self) -> usize {
        self.released.len()
    }
    fn held(&self) -> usize {
        self.leases.len()
    }
    fn wish(holder: u32, wish: IpAddr) -> Settings {
        let IpAddr::V4(wish) = wish else { panic!() };
        Settings::V4(dhcp4::Settings {
            wish: Some(wish),
            insist: true,
            ..v4(holder)
        })
    }
    fn nth(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, 10 + n])
    }
}

impl Family for Six {
    fn settings(holder: u32) -> Settings {
        Settings::V6(v6(holder))
    }
    fn server(addresses: u8, lease: u32) -> Self {
        Six::new(1, 10..10 + u16::from(addresses), lease)
    }
    fn declined(&self) -> usize {
        self.declined.len()
    }
    fn released(&self) -> usize {
        self.released.len()
    }
    fn held(&self) -> usize {
        self.leases.len()
    }
    fn wish(holder: u32, wish: IpAddr) -> Settings {
        let IpAddr::V6(wish) = wish else { panic!() };
        Settings::V6(dhcp6::Settings {
            wish: Some(wish),
            insist: true,
            ..v6(holder)
        })
    }
    fn nth(n: u8) -> IpAddr {
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 10 + u16::from(n)])
    }
}

fn one<F: Family>(lease: u32) -> Net<F> {
    let mut net = Net::new(Wire::GOOD, vec![F::server(5, lease)]);
    net.add(Client::new(F::settings(7), net.now));
    net
}

/// A test for each family.
macro_rules! both {
    ($($name:ident)*) => {
        mod dhcp4_client { $(#[test] fn $name() { super::$name::<super::Four>(); })* }
        mod dhcp6_client { $(#[test] fn $name() { super::$name::<super::Six>(); })* }
    };
}

both! {
    gets_an_address_in_two_round_trips
    renews_at_t1_and_keeps_the_address
    rebinds_at_t2_when_its_server_is_gone
    loses_the_address_when_nobody_answers_and_gets_one_later
    survives_a_server_that_has_forgotten_everything
    declines_an_address_that_is_in_use
    gives_the_address_back
    gets_the_old_address_again
    goes_on_after_a_restart
    insists_on_a_wish
    waits_out_an_exhausted_server
    does_not_take_what_is_not_granted_here
    gets_past_addresses_that_a_forgetful_server_gives_twice
    many_clients_get_as_many_addresses
}

fn gets_an_address_in_two_round_trips<F: Family>() {
    let mut net = one::<F>(3600);
    let start = net.now;
    net.run_while(start + seconds(1), |net| net.hosts[0].terms.is_none());
    let terms = net.hosts[0].terms.clone().expect("an address");
    assert_eq!(net.now, start, "no time passes beside that of the wire");
    assert_eq!(net.hosts[0].sent.len(), 2);
    assert_eq!(terms.address, F::nth(0));
    assert_eq!(
        terms.prefix_len,
        if terms.address.is_ipv4() { 24 } else { 128 }
    );
    assert_eq!(terms.expires, Some(start + seconds(3600)));
}

fn renews_at_t1_and_keeps_the_address<F: Family>() {
    let mut net = one::<F>(3600);
    let start = net.now;
    net.run_until(start + seconds(36_000));
    let host = &net.hosts[0];
    assert_eq!((host.bound, host.lost.len()), (1, 0));
    // Half of an hour, or of the 45 minutes in which an IPv6 address is preferred.
    let times = if F::nth(0).is_ipv4() {
        19..=21
    } else {
        26..=28
    };
    assert!(times.contains(&host.renewed), "{}", host.renewed);
    assert_eq!(host.sent.len(), 2 + usize::try_from(host.renewed).unwrap());
    if let (_, _, Destination::Server { server, source }) = &host.sent[2] {
        assert_eq!(server.to_string(), host.terms.as_ref().unwrap().server);
        assert_eq!(IpAddr::from(*source), F::nth(0));
    } else {
        assert!(F::nth(0).is_ipv6());
    }
}

fn rebinds_at_t2_when_its_server_is_gone<F: Family>() {
    let mut net = one::<F>(3600);
    net.run_until(net.now + seconds(10));
    net.silent = true;
    let terms = net.hosts[0].terms.clone().unwrap();
    net.run_until(terms.rebind.unwrap() + seconds(1));
    let host = &net.hosts[0];
    assert_eq!(host.client.state(), "REBINDING");
    let renewals = host.sent.len() - 3;
    assert!((2..=8).contains(&renewals), "{renewals} renewals");
    if F::nth(0).is_ipv4() {
        assert_eq!(host.sent.last().unwrap().2, Destination::Broadcast);
    }
    net.silent = false;
    net.run_until(terms.expires.unwrap());
    assert!(net.hosts[0].renewed > 0);
    assert_eq!(net.hosts[0].lost, []);
}

fn loses_the_address_when_nobody_answers_and_gets_one_later<F: Family>() {
    let mut net = one::<F>(600);
    net.run_until(net.now + seconds(10));
    net.silent = true;
    let expires = net.hosts[0].terms.clone().unwrap().expires.unwrap();
    net.run_until(expires);
    assert_eq!(net.hosts[0].lost, []);
    net.run_until(expires + seconds(1200));
    assert_eq!(net.hosts[0].lost, [LostReason::Expired]);
    let sent = net.hosts[0].sent.len();
    assert!(sent < 60, "{sent} messages in half an hour");
    net.silent = false;
    net.run_until(net.now + seconds(150));
    assert_eq!(net.hosts[0].terms.as_ref().unwrap().address, F::nth(0));
}

fn survives_a_server_that_has_forgotten_everything<F: Family>() {
    let mut net = one::<F>(3600);
    net.run_until(net.now + seconds(10));
    net.servers[0].forget();
    net.trusted = false;
    net.run_until(net.now + seconds(1900));
    net.trusted = true;
    let host = &net.hosts[0];
    assert_eq!(host.terms.as_ref().unwrap().address, F::nth(0));
    if F::nth(0).is_ipv4() {
        assert_eq!(host.lost, [LostReason::Refused]);
    } else {
        // The server is asked for the same address before it is given up.
        assert_eq!((host.lost.len(), host.renewed), (0, 1));
    }
    assert_eq!(host.refused.len(), 1, "{:?}", host.refused);
    net.run_until(net.now + seconds(3600));
}

fn declines_an_address_that_is_in_use<F: Family>() {
    let mut net = Net::new(Wire::GOOD, vec![F::server(5, 3600)]);
    net.strangers = [F::nth(0), F::nth(1)].into();
    let start = net.now;
    net.add(Client::new(F::settings(7), start));
    net.run_until(start + seconds(5));
    assert_eq!(net.servers[0].declined(), 2);
    assert_eq!(net.hosts[0].terms.as_ref().unwrap().address, F::nth(2));
}

fn gives_the_address_back<F: Family>() {
    let mut net = one::<F>(3600);
    net.run_until(net.now + seconds(10));
    assert_eq!(net.servers[0].held(), 1);
    net.release(0);
    net.run_until(net.now + seconds(10));
    assert_eq!((net.servers[0].held(), net.servers[0].released()), (0, 1));
    assert!(net.hosts[0].client.is_done());
    assert_eq!(net.hosts[0].client.next_timeout(), None);
}

fn gets_the_old_address_again<F: Family>() {
    let mut net = Net::new(Wire::GOOD, vec![F::server(5, 3600)]);
    // The first keeps the first address from the second.
    net.add(Client::new(F::settings(1), net.now));
    net.add(Client::new(F::settings(2), net.now));
    net.run_until(net.now + seconds(1));
    assert_eq!(net.hosts[1].terms.as_ref().unwrap().address, F::nth(1));
    // Both programs die without a word. The second comes back first.
    net.hosts.clear();
    net.add(Client::reboot(F::settings(2), F::nth(1), net.now));
    net.run_until(net.now + seconds(1));
    assert_eq!(net.hosts[0].terms.as_ref().unwrap().address, F::nth(1));
    let messages = if F::nth(0).is_ipv4() { 1 } else { 2 };
    assert_eq!(net.hosts[0].sent.len(), messages);
    // Of an address that is nobody's, the server knows nothing: another is found.
    let elsewhere = if F::nth(0).is_ipv4() {
        IpAddr::from([198, 51, 100, 9])
    } else {
        IpAddr::from([0x2001, 0xdb8, 9, 0, 0, 0, 0, 9])
    };
    net.add(Client::reboot(F::settings(3), elsewhere, net.now));
    net.run_until(net.now + seconds(10));
    assert!(net.hosts[1].terms.is_some());
}

fn goes_on_after_a_restart<F: Family>() {
    let mut net = one::<F>(3600);
    net.run_until(net.now + seconds(10));
    let terms: Terms = net.hosts[0].terms.clone().unwrap();
    net.hosts.clear();
    // Down past T1.
    net.run_until(terms.renew.unwrap() + seconds(60));
    // Settings of another machine: the terms say who the server knows.
    let client = Client::resume(F::settings(99), terms.clone(), net.now).unwrap();
    net.add(client);
    assert_eq!(net.hosts[0].sent.len(), 1, "asks for more time at once");
    net.run_until(net.now + seconds(1));
    assert_eq!((net.hosts[0].bound, net.hosts[0].renewed), (0, 1));
    assert_eq!(
        net.hosts[0].terms.as_ref().unwrap().hardware,
        terms.hardware
    );
    // Down until it was too late.
    let terms = net.hosts[0].terms.clone().unwrap();
    net.hosts.clear();
    net.run_until(terms.expires.unwrap() + seconds(1));
    let mut late = Client::resume(F::settings(7), terms.clone(), net.now).unwrap();
    assert_eq!(
        late.poll(),
        Some(hostlet_lease::Output::Lost {
            address: terms.address,
            why: LostReason::Expired
        })
    );
    assert_eq!(late.terms(), None);
}

fn insists_on_a_wish<F: Family>() {
    let mut net = Net::new(Wire::GOOD, vec![F::server(5, 3600)]);
    net.add(Client::new(F::wish(1, F::nth(3)), net.now));
    net.run_until(net.now + seconds(1));
    assert_eq!(net.hosts[0].terms.as_ref().unwrap().address, F::nth(3));
    // The next one who wants it is offered another, does not take it, and says so.
    net.add(Client::new(F::wish(2, F::nth(3)), net.now));
    net.run_until(net.now + seconds(20));
    assert_eq!(net.hosts[1].terms, None);
    assert!(
        net.hosts[1].refused[0].contains("instead of"),
        "{:?}",
        net.hosts[1].refused
    );
    net.release(0);
    net.run_until(net.now + seconds(70));
    assert_eq!(net.hosts[1].terms.as_ref().unwrap().address, F::nth(3));
}

fn waits_out_an_exhausted_server<F: Family>() {
    let mut net = Net::new(Wire::GOOD, vec![F::server(2, 3600)]);
    for holder in 1..=3 {
        net.add(Client::new(F::settings(holder), net.now));
    }
    net.run_until(net.now + seconds(100));
    assert_eq!(
        net.hosts.iter().filter(|host| host.terms.is_some()).count(),
        2
    );
    net.release(0);
    net.run_until(net.now + seconds(130));
    assert!(net.hosts[2].terms.is_some());
}

fn does_not_take_what_is_not_granted_here<F: Family>() {
    let mut net = Net::new(Wire::GOOD, vec![F::server(1, 3600)]);
    net.reserved = [F::nth(0)].into();
    net.add(Client::new(F::settings(1), net.now));
    net.run_until(net.now + seconds(100));
    assert_eq!(
        (net.hosts[0].terms.clone(), net.servers[0].held()),
        (None, 0)
    );
    let sent = net.hosts[0].sent.len();
    assert!(sent < 20, "{sent} messages in vain");
}

fn gets_past_addresses_that_a_forgetful_server_gives_twice<F: Family>() {
    let mut net = Net::new(Wire::GOOD, vec![F::server(5, 3600)]);
    for holder in 1..=3 {
        net.add(Client::new(F::settings(holder), net.now));
    }
    net.run_until(net.now + seconds(1));
    net.servers[0].forget();
    net.trusted = false;
    // Three addresses are somebody's here, and free for the server.
    net.run_until(net.now + seconds(10));
    net.add(Client::new(F::settings(4), net.now));
    net.run_until(net.now + seconds(10));
    let terms = net.hosts[3].terms.as_ref().expect("an address in time");
    assert!(terms.address >= F::nth(3));
}

fn many_clients_get_as_many_addresses<F: Family>() {
    let mut net: Net<F> = Net::new(
        Wire {
            lost: 2,
            delay: Duration::from_millis(20),
            ..Wire::GOOD
        },
        vec![F::server(245, 3600)],
    );
    for holder in 1..=240 {
        net.add(Client::new(F::settings(holder), net.now));
    }
    net.run_until(net.now + seconds(60));
    assert!(net.hosts.iter().all(|host| host.terms.is_some()));
}

/// Whatever the wire and the servers do, everything that `Net` checks holds; and once the wire is usable, everybody gets an address.
fn survives<F: Family>(wire: Wire, clients: u32, lease: u32, faults: &[(u8, u16)]) {
    let mut net: Net<F> = Net::new(wire, vec![F::server(40, lease)]);
    for holder in 1..=clients {
        net.add(Client::new(F::settings(holder), net.now));
    }
    for (fault, time) in faults {
        net.run_until(net.now + seconds((*time).into()));
        match fault % 5 {
            0 => net.silent = !net.silent,
            1 => {
                // From now on a holder may use what the server does not know of, until it hears so.
                net.trusted = false;
                net.servers[0].forget();
            }
            2 => {
                let free =
                    |address: &IpAddr| net.hosts.iter().all(|host| host.claimed != Some(*address));
                let taken = (0..3).map(F::nth).find(free);
                net.strangers.extend(taken);
            }
            3 => {
                let i = usize::from(*time) % net.hosts.len();
                let address = net.release(i);
                // A RELEASE that comes after the next REQUEST of the same holder would end the new lease.
                net.run_while(net.now + seconds(60), |net| !net.hosts[i].client.is_done());
                net.run_until(net.now + wire.delay);
                let holder = u32::try_from(i).unwrap() + 1;
                let client = match address {
                    Some(address) => Client::reboot(F::settings(holder), address, net.now),
                    None => Client::new(F::settings(holder), net.now),
                };
                net.hosts.remove(i);
                net.add(client);
                // Keeps the numbers of the holders in order.
                let host = net.hosts.pop().unwrap();
                net.hosts.insert(i, host);
            }
            _ => {
                let i = usize::from(*time) % net.hosts.len();
                if let Some(terms) = net.hosts[i].terms.clone() {
                    let settings = F::settings(u32::try_from(i).unwrap() + 1);
                    net.hosts[i].client = Client::resume(settings, terms, net.now).unwrap();
                }
            }
        }
    }
    net.silent = false;
    let end = net.now + seconds(1800);
    net.run_while(end, |net| net.hosts.iter().any(|host| host.terms.is_none()));
    assert!(
        net.hosts.iter().all(|host| host.terms.is_some()),
        "{} without an address",
        net.hosts.iter().filter(|host| host.terms.is_none()).count()
    );
}

fn wires() -> impl Strategy<Value = Wire> {
    (0_u64..=30, 0_u64..=30, 0_u64..=3000, any::<u64>()).prop_map(|(lost, doubled, delay, seed)| {
        Wire {
            lost,
            doubled,
            delay: Duration::from_millis(delay),
            seed,
        }
    })
}

fn faults() -> impl Strategy<Value = Vec<(u8, u16)>> {
    proptest::collection::vec((any::<u8>(), 0_u16..1500), 0..8)
}

/// PROPTEST_CASES, else few: each is hours of simulated time.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn dhcp4_survives_wires_and_servers(wire in wires(), clients in 1_u32..20, lease in 60_u32..4000, faults in faults()) {
        survives::<Four>(wire, clients, lease, &faults);
    }

    #[test]
    fn dhcp6_survives_wires_and_servers(wire in wires(), clients in 1_u32..20, lease in 60_u32..4000, faults in faults()) {
        survives::<Six>(wire, clients, lease, &faults);
    }
}
