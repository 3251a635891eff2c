//! Addresses and ids that a DHCP server knows a holder by (row B6).

use sha2::{Digest, Sha256};

/// The hardware address of a holder: the machine's three bytes, then the holder's number, big endian. The number is at least 1 and
/// at most 0xff_ffff; higher bits are cut off.
#[must_use]
pub fn hardware_address(prefix: [u8; 3], holder: u32) -> [u8; 6] {
    let [_, high, middle, low] = holder.to_be_bytes();
    [prefix[0], prefix[1], prefix[2], high, middle, low]
}

/// The first three bytes of this machine's hardware addresses: `02` (locally administered, for one receiver), then two bytes of a
/// digest of the machine id, which itself is confidential (machine-id(5)). Two machines of one wire may get the same by chance; the
/// configuration's `hardware-prefix` parts them.
#[must_use]
pub fn hardware_prefix(machine_id: &str) -> [u8; 3] {
    let digest = digest(b"hostlet hardware prefix", machine_id, &[]);
    [0x02, digest[0], digest[1]]
}

/// The DUID under which this machine asks for DHCPv6 leases: of the kind UUID (RFC 6355), from a digest of the machine id and the
/// hardware prefix. So it differs from the DUID of the machine's own DHCP client, and setting `hardware-prefix` parts machines that
/// were cloned with their machine id.
#[must_use]
pub fn duid(machine_id: &str, prefix: [u8; 3]) -> Vec<u8> {
    let digest = digest(b"hostlet duid", machine_id, &prefix);
    let mut uuid: [u8; 16] = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    // Version 8 (made by the user's own means) and the variant of RFC 9562.
    uuid[6] = (uuid[6] & 0x0f) | 0x80;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    let mut duid = vec![0, 4];
    duid.extend_from_slice(&uuid);
    duid
}

fn digest(purpose: &[u8], machine_id: &str, more: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(purpose);
    hasher.update([0]);
    hasher.update(machine_id.trim().as_bytes());
    hasher.update([0]);
    hasher.update(more);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_hardware_address_contains_the_holders_number() {
        assert_eq!(
            hardware_address([0x02, 0xab, 0xcd], 0x01_02_03),
            [0x02, 0xab, 0xcd, 1, 2, 3]
        );
    }

    #[test]
    fn a_prefix_is_local_and_for_one_receiver_and_stays() {
        let prefix = hardware_prefix(MACHINE);
        assert_eq!(prefix[0], 0x02);
        assert_eq!(prefix, hardware_prefix(&format!("{MACHINE}\n")));
        assert_ne!(prefix, hardware_prefix("f123456789abcdef0123456789abcdef"));
    }

    #[test]
    fn a_duid_differs_by_machine_and_prefix_and_does_not_show_the_machine_id() {
        let duid_a = duid(MACHINE, [2, 0, 1]);
        assert_eq!(duid_a.len(), 18);
        assert_eq!(duid_a, duid(MACHINE, [2, 0, 1]));
        assert_ne!(duid_a, duid(MACHINE, [2, 0, 2]));
        assert!(!crate::terms::hex(&duid_a).contains(&MACHINE[..8]));
    }
}
