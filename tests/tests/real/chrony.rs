//! chrony: one datagram socket for each family, and answers from the address that was asked.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::servers::ask::{Ask, Got, client};
use hostlet_testkit::servers::machines::{MACHINES, Machines, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe, Server};
use hostlet_testkit::wait;

use crate::side_by_side;

/// Debian's configuration without its servers on the internet; gives its own clock as the time.
const CHRONY: Recipe = Recipe {
    name: "chronyd",
    user: None,
    files: &[
        (
            "chrony.conf",
            "keyfile @dir@/chrony.keys
        driftfile @dir@/chrony.drift
        ntsdumpdir @dir@
        pidfile @dir@/run/pid
        bindcmdaddress @dir@/run/sock
        maxupdateskew 100.0
        makestep 1 3
        allow
        local stratum 1@number@",
        ),
        (
            "chrony.keys",
            "1 SHA1 HEX:00112233445566778899aabbccddeeff00112233",
        ),
    ],
    setup: &[
        &["mkdir", "-m", "750", "@dir@/run"],
        &["chown", "_chrony:_chrony", "@dir@/run", "@dir@"],
    ],
    // Leaves the machine's clock alone.
    command: &["/usr/sbin/chronyd", "-d", "-x", "-f", "@dir@/chrony.conf"],
    ready: Ready::Makes("run/pid"),
    pid: None,
    log: None,
};

/// A client's request; who answers says how far from the time's source it is.
fn ntp() -> Ask {
    let mut request = [0; 48];
    request[0] = 0x23;
    request[40..48].copy_from_slice(b"anything");
    Ask {
        who: |answer| {
            let stratum = answer.get(1)?.checked_sub(11)?;
            let names = MACHINES;
            names
                .get(usize::from(stratum))
                .map(|(name, _)| (*name).into())
        },
        ..Ask::udp(123, request)
    }
}

#[test]
fn chrony_as_server_and_client() -> Result<()> {
    on_both(time, &[])
}

fn time(machines: &Machines) -> Result<()> {
    // Not on the host: UDP ports of wildcards are not shared with it.
    let all = ["in", "other"];
    let ready = |server: &Server<'_>| {
        // The pid comes first, then the sockets.
        let from = server.machine();
        let client = client()?;
        let client = client.to_str().context("a path")?;
        let mut got = Vec::new();
        wait::until("chronyd to answer", || {
            let asked = machines
                .command(from, client)
                .and_then(|c| ntp().all(c, &["127.0.0.1"]));
            got = asked.unwrap_or_default();
            matches!(got[..], [Got::Answer { .. }])
        })
    };
    let servers = side_by_side(machines, &CHRONY, &ntp(), &all, ready)?;
    // Two clients ask once, from another machine with the same port 123 taken by its own server.
    for (at, from) in [("10.0.0.9", "10.0.0.5"), ("2001:db8::9", "2001:db8::5")] {
        let server = format!("server {at} iburst maxsamples 1");
        let pid = format!("pidfile {}", servers[0].path("run/once").display());
        let once = ["chronyd", "-Q", "-t", "20", &server, "cmdport 0", &pid];
        let done = machines.output("in", &once)?;
        let said = String::from_utf8_lossy(&done.stderr) + String::from_utf8_lossy(&done.stdout);
        ensure!(said.contains("System clock wrong by"), "{at}: {said}");
        let socket = servers[1].fill("@dir@/run/sock");
        let clients = machines.run("other", &["chronyc", "-n", "-h", &socket, "clients"])?;
        ensure!(clients.contains(from), "{clients}");
    }
    Ok(())
}
