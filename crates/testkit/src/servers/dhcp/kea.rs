//! ISC Kea: a process, a configuration and a file of leases for each family.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Options, Range};
use crate::daemon::Daemon;
use crate::netns::NetNs;

pub(super) fn start(ns: &NetNs, options: &Options, dir: &Path) -> Result<Vec<Daemon>> {
    let mut running = Vec::new();
    for v6 in [false, true] {
        if options.family(v6).next().is_none() {
            continue;
        }
        let n = if v6 { 6 } else { 4 };
        let name = format!("kea-dhcp{n}");
        let config = dir.join(format!("{name}.json"));
        let mut settings = configuration(options, v6, dir);
        if v6 {
            // By itself it hears only what is sent to all servers; relays may name it.
            let interfaces = &mut settings["Dhcp6"]["interfaces-config"]["interfaces"];
            for address in global_addresses(ns, &options.interface)? {
                if let Some(all) = interfaces.as_array_mut() {
                    all.push(format!("{}/{address}", options.interface).into());
                }
            }
        }
        std::fs::write(&config, settings.to_string())
            .with_context(|| format!("writing {}", config.display()))?;
        let mut command = ns.command(&name);
        command
            .arg("-c")
            .arg(&config)
            .env("KEA_PIDFILE_DIR", dir)
            .env("KEA_LOCKFILE_DIR", dir)
            // Since 2.6.3 leases elsewhere than in Debian's directory are refused without it.
            .env("KEA_DHCP_DATA_DIR", dir);
        let daemon = Daemon::ready(&name, command, &format!("DHCP{n}_STARTED"))?;
        // It goes on without sockets: what was meant to serve would be silent.
        if daemon.log().count("NO_SOCKETS_OPEN") > 0 {
            bail!("{name} serves nowhere: {}", daemon.log().lines().join("\n"));
        }
        running.push(daemon);
    }
    Ok(running)
}

fn global_addresses(ns: &NetNs, interface: &str) -> Result<Vec<String>> {
    let args = [
        "-6", "-oneline", "address", "show", "dev", interface, "scope", "global",
    ];
    let text = ns.run("ip", &args)?;
    let address = |line: &str| {
        let (_, rest) = line.split_once("inet6 ")?;
        Some(rest.split_once('/')?.0.to_owned())
    };
    Ok(text.lines().filter_map(address).collect())
}

fn configuration(options: &Options, v6: bool, dir: &Path) -> Value {
    let n = if v6 { 6 } else { 4 };
    let seconds = options.lease.as_secs().max(1);
    let subnets: Vec<Value> = (1..)
        .zip(options.family(v6))
        .map(|(id, range)| subnet(options, range, v6, id))
        .collect();
    let mut all = json!({
        "interfaces-config": { "interfaces": [options.interface] },
        "lease-database": {
            "type": "memfile",
            "persist": true,
            "name": dir.join(format!("leases{n}.csv")),
            // Rewriting the file would run another program, in the directories of the machine.
            "lfc-interval": 0,
        },
        "valid-lifetime": seconds,
        "renew-timer": (seconds / 2).max(1),
        "rebind-timer": (seconds * 7 / 8).max(1),
        "loggers": [{
            "name": format!("kea-dhcp{n}"),
            "output_options": [{ "output": "stdout" }],
            "severity": "INFO",
        }],
    });
    all[format!("subnet{n}")] = subnets.into();
    if v6 {
        all["preferred-lifetime"] = seconds.into();
        all["data-directory"] = json!(dir);
    } else {
        // A client that asks for what it cannot have shall hear it.
        all["authoritative"] = true.into();
        all["interfaces-config"]["dhcp-socket-type"] = "raw".into();
    }
    json!({ format!("Dhcp{n}"): all })
}

fn subnet(options: &Options, range: &Range, v6: bool, id: u32) -> Value {
    let mut subnet = json!({
        "id": id,
        "subnet": format!("{}/{}", range.network(), range.prefix_len),
        "pools": [{ "pool": format!("{} - {}", range.first, range.last) }],
    });
    if v6 {
        // A client on the link has no address that would tell its network.
        if id == 1 {
            subnet["interface"] = options.interface.as_str().into();
        }
    } else if id == 1 {
        let fixed = options.fixed.iter();
        subnet["reservations"] = fixed
            .map(|(hardware, address)| json!({ "hw-address": hardware, "ip-address": address }))
            .collect();
    }
    subnet
}
