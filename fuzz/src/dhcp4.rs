//! DHCPv4 answers from a hostile server.

use hostlet_lease::{Client, Settings, dhcp4};

use super::steps;

/// What is done with an input.
pub fn run(input: &[u8]) {
    let [how, input @ ..] = input else { return };
    let wish = (how & 1 != 0).then_some([192, 0, 2, 5].into());
    let settings = Settings::V4(dhcp4::Settings {
        hardware: [2, 0xab, 0xcd, 0, 0, 7],
        hostname: Some("web".to_owned()),
        user_class: Some("lab".to_owned()),
        wish,
        insist: how & 2 != 0,
        seed: u64::from(*how),
    });
    let now = std::time::Duration::from_secs(1000);
    let client = if how & 4 != 0 {
        Client::reboot(settings, [192, 0, 2, 5].into(), now)
    } else {
        Client::new(settings, now)
    };
    steps::run(client, input, |message, last| {
        if message.len() >= 240 && last.len() >= 240 {
            message[..3].copy_from_slice(&[2, 1, 6]);
            message[4..8].copy_from_slice(&last[4..8]);
            message[28..34].copy_from_slice(&last[28..34]);
            message[236..240].copy_from_slice(&last[236..240]);
        }
    });
}
