//! DHCPv6 answers from a hostile server.

use hostlet_lease::{Client, Settings, dhcp6};

use super::steps;

/// What is done with an input.
pub fn run(input: &[u8]) {
    let [how, input @ ..] = input else { return };
    let wish = (how & 1 != 0).then_some([0x2001, 0xdb8, 0, 0, 0, 0, 0, 5].into());
    let settings = Settings::V6(dhcp6::Settings {
        duid: vec![0, 4, 9, 9],
        iaid: 7,
        hostname: Some("web".to_owned()),
        user_class: Some("lab".to_owned()),
        wish,
        insist: how & 2 != 0,
        seed: u64::from(*how),
    });
    let now = std::time::Duration::from_secs(1000);
    steps::run(Client::new(settings, now), input, |message, last| {
        if message.len() >= 4 && last.len() >= 4 {
            message[1..4].copy_from_slice(&last[1..4]);
        }
    });
}
