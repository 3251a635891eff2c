//! What servers have written down.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result};

/// A lease as a server has it in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLease {
    /// The address.
    pub address: IpAddr,
    /// IPv4: the client's hardware address, `02:00:00:00:00:01`.
    pub hardware: Option<String>,
    /// IPv4: the client identifier; IPv6: the DUID. Bytes in hexadecimal, by colons.
    pub client_id: Option<String>,
    /// IPv6: which of the client's associations.
    pub iaid: Option<u32>,
    /// The name that the client gave.
    pub hostname: Option<String>,
    /// The end, in seconds since 1970.
    pub expires: u64,
}

/// `*` and nothing stand for nothing.
fn some(text: &str) -> Option<String> {
    (!text.is_empty() && text != "*").then(|| text.to_owned())
}

/// `EXPIRES MAC ADDRESS HOSTNAME CLIENT-ID` and, below a line `duid`,
/// `EXPIRES IAID ADDRESS HOSTNAME DUID`.
pub(super) fn dnsmasq(text: &str) -> Result<Vec<ServerLease>> {
    let mut leases = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with("duid ")) {
        let lease = || -> Option<ServerLease> {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [expires, who, address, name, id] = words[..] else {
                return None;
            };
            let address: IpAddr = address.parse().ok()?;
            Some(ServerLease {
                address,
                hardware: address.is_ipv4().then(|| who.to_owned()),
                client_id: some(id),
                iaid: if address.is_ipv6() {
                    // `T` stands before the association of a temporary address.
                    Some(who.trim_start_matches('T').parse().ok()?)
                } else {
                    None
                },
                hostname: some(name),
                expires: expires.parse().ok()?,
            })
        };
        leases.push(lease().with_context(|| format!("no lease of dnsmasq: {line}"))?);
    }
    Ok(leases)
}

/// Comma-separated with a heading; a later line about an address replaces an earlier.
pub(super) fn kea(files: &[String]) -> Result<Vec<ServerLease>> {
    let mut leases = BTreeMap::new();
    for text in files {
        let mut lines = text.lines();
        let heading: Vec<&str> = lines.next().unwrap_or("").split(',').collect();
        for line in lines {
            let values: BTreeMap<&str, &str> =
                heading.iter().copied().zip(line.split(',')).collect();
            let value = |key: &str| values.get(key).copied().unwrap_or("");
            let number = |key: &str| -> Result<u64> {
                let parsed = value(key).parse();
                parsed.with_context(|| format!("no {key} in a lease of Kea: {line}"))
            };
            let address: IpAddr = value("address")
                .parse()
                .with_context(|| format!("no lease of Kea: {line}"))?;
            // 0: in use. A lifetime of nothing: released.
            if number("state")? != 0 || number("valid_lifetime")? == 0 {
                leases.remove(&address);
                continue;
            }
            let v6 = address.is_ipv6();
            let lease = ServerLease {
                address,
                hardware: if v6 { None } else { some(value("hwaddr")) },
                client_id: some(value(if v6 { "duid" } else { "client_id" })),
                iaid: if v6 {
                    Some(number("iaid")?.try_into().context("the IAID")?)
                } else {
                    None
                },
                hostname: some(value("hostname")),
                expires: number("expire")?,
            };
            leases.insert(address, lease);
        }
    }
    Ok(leases.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dnsmasqs_file() {
        let text = "1795306513 02:00:00:00:00:07 10.0.0.127 bob 01:02:00:00:00:00:07\n\
                    duid 00:01:00:01:32:94:f0:18:02:26:8c:6b:c1:f1\n\
                    1795306514 7 2001:db8::17 * 00:03:00:01:02:00:00:00:00:07\n";
        let leases = dnsmasq(text).unwrap();
        assert_eq!(leases.len(), 2);
        assert_eq!(leases[0].hardware.as_deref(), Some("02:00:00:00:00:07"));
        assert_eq!(leases[0].hostname.as_deref(), Some("bob"));
        assert_eq!(
            (leases[1].iaid, leases[1].hostname.clone()),
            (Some(7), None)
        );
        assert_eq!(leases[1].expires, 1_795_306_514);
        assert!(dnsmasq("what\n").is_err());
    }

    #[test]
    fn keas_files() {
        let four = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n\
                    10.0.0.100,02:00:00:00:00:01,01:02:00:00:00:00:01,20,1795306412,1,0,0,bob,0,\n\
                    10.0.0.101,02:00:00:00:00:02,,20,1795306412,1,0,0,,0,\n\
                    10.0.0.101,02:00:00:00:00:02,,0,1795306412,1,0,0,,0,\n";
        let six = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state,user_context,hwtype,hwaddr_source\n\
                   2001:db8::100,00:04:aa,20,1795306412,1,20,0,9,128,0,0,,,0,,,\n";
        let leases = kea(&[four.into(), six.into()]).unwrap();
        assert_eq!(leases.len(), 2, "{leases:?}");
        assert_eq!(leases[0].address.to_string(), "10.0.0.100");
        assert_eq!(leases[1].iaid, Some(9));
        assert_eq!(leases[1].client_id.as_deref(), Some("00:04:aa"));
    }
}
