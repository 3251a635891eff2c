//! Frames as anybody on the wire may send them: what tells DHCP messages, ARP and neighbour discovery from the rest.

use hostlet_platform::fuzzing;

/// What is done with an input.
pub fn run(input: &[u8]) {
    let [how, frame @ ..] = input else { return };
    match how % 4 {
        0 | 1 => {
            if let Some(payload) = fuzzing::dhcp4(frame, how % 4 == 0) {
                // Within the frame, behind the shortest headers.
                let (start, end) = (payload.start, payload.end);
                assert!(28 <= start && start <= end && end <= frame.len());
            }
        }
        2 => drop(fuzzing::arp(frame)),
        _ => drop(fuzzing::neighbour(frame)),
    }
}
