//! dnsmasq, which keeps both families in one process and one file.

use std::path::Path;

use anyhow::{Result, bail};

use super::Options;
use crate::daemon::Daemon;
use crate::netns::NetNs;

pub(super) fn start(ns: &NetNs, options: &Options, dir: &Path) -> Result<Daemon> {
    let at = dir.display();
    let seconds = options.lease.as_secs();
    let mut command = ns.command("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--log-facility=-",
        "--log-dhcp",
        "--user=root",
        "--group=root",
        // No names, and no trying of an address before it is offered.
        "--port=0",
        "--no-ping",
        "--dhcp-authoritative",
        "--dhcp-lease-max=5000",
    ]);
    command.arg(format!("--interface={}", options.interface));
    command.arg(format!("--pid-file={at}/pid"));
    command.arg(format!("--dhcp-leasefile={at}/leases"));
    for range in &options.ranges {
        let net = match range.netmask() {
            Some(mask) => mask.to_string(),
            None => range.prefix_len.to_string(),
        };
        command.arg(format!(
            "--dhcp-range={},{},{net},{seconds}s",
            range.first, range.last
        ));
    }
    for (hardware, address) in &options.fixed {
        command.arg(format!("--dhcp-host={hardware},{address}"));
    }
    // It says so when its sockets are open, and then names the ranges.
    let daemon = Daemon::ready("dnsmasq", command, "IP range")?;
    let lines = daemon.log().lines();
    if let Some(line) = lines
        .iter()
        .find(|l| l.contains("does not currently exist"))
    {
        bail!("dnsmasq serves nowhere: {line}");
    }
    Ok(daemon)
}
