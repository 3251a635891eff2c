//! What both DHCP targets do: a hostile server that may say anything, to a client that is driven on by the same bytes.
//!
//! The input is a list of steps: one byte for what happens, one for how much time passes before, and for a message two bytes of length
//! and the message. Transaction ids come from a seed, so the fuzzer can learn them; what the client sends shows them to it as well: a
//! step may answer with the client's own last transaction.

use std::time::Duration;

use hostlet_lease::{Client, Output};

/// Drives a client. `adapt` puts the transaction and the identity of the client's last message into an answer.
pub fn run(mut client: Client, input: &[u8], adapt: impl Fn(&mut Vec<u8>, &[u8])) {
    let mut now = Duration::from_secs(1000);
    let mut last = Vec::new();
    let mut claimed = None;
    let mut rest = input;
    loop {
        while let Some(output) = client.poll() {
            match output {
                Output::Send { payload, .. } => last = payload,
                Output::Claim { address } => claimed = Some(address),
                Output::Probe { address } => assert_eq!(Some(address), claimed),
                Output::Bound(terms) | Output::Renewed(terms) => {
                    assert_eq!(Some(terms.address), claimed);
                    assert!(terms.expires.is_none_or(|expires| expires > now));
                    assert_eq!(client.terms(), Some(&terms));
                }
                Output::Lost { .. } => assert_eq!(client.terms(), None),
                Output::Refused { why } => assert!(why.len() < 2000 && !why.contains('\n')),
            }
        }
        let [what, time, tail @ ..] = rest else {
            return;
        };
        rest = tail;
        now += Duration::from_millis(u64::from(*time).pow(3));
        match what % 8 {
            0 => client.timeout(now),
            1 => client.claimed(true, now),
            2 => client.claimed(false, now),
            3 => client.probed(true, now),
            4 => client.probed(false, now),
            5 => {
                if let Some(at) = client.next_timeout() {
                    now = now.max(at);
                    client.timeout(now);
                    assert!(client.next_timeout().is_none_or(|next| next > now));
                }
            }
            6 if *what > 240 => client.release(now),
            _ => {
                let [high, low, tail @ ..] = rest else { return };
                let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
                let (message, tail) = tail.split_at(len);
                rest = tail;
                let mut message = message.to_vec();
                if *what < 128 {
                    adapt(&mut message, &last);
                }
                client.receive(&message, now);
            }
        }
    }
}
