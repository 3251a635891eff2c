//! iperf3: a server whose one datagram socket becomes the connection of its next client.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::servers::machines::{Machines, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(15);

const IPERF: Recipe = Recipe {
    name: "iperf3",
    user: Some("nobody"),
    files: &[],
    setup: &[],
    command: &["iperf3", "--server", "--forceflush"],
    ready: Ready::Says("Server listening on 5201"),
    pid: None,
    log: None,
};

#[test]
fn iperf3_both_ways() -> Result<()> {
    on_both(
        both_ways,
        // How much there was.
        &["sec", "interval", "Interval", "- - -"],
    )
}

fn both_ways(machines: &Machines) -> Result<()> {
    let mut servers = Vec::new();
    for name in ["host", "in", "other"] {
        servers.push(machines.serve(&IPERF, name)?);
    }
    let few = ["--bytes", "200K", "--bitrate", "100M"];
    // Datagrams to first addresses alone: the server connects its socket back to the client, from
    // there on a machine too.
    for (from, to, source, server, more) in [
        ("peer", "10.0.0.5", "10.0.0.100", 1, &[][..]),
        ("peer", "10.0.0.6", "10.0.0.100", 1, &["--reverse"]),
        ("peer", "2001:db8::6", "2001:db8::100", 1, &["--bidir"]),
        ("peer", "10.0.0.5", "10.0.0.100", 1, &["--udp"]),
        ("in", "10.0.0.9", "10.0.0.5", 2, &["--udp", "--bidir"]),
        ("in", "10.0.0.9", "10.0.0.6", 2, &["--bind", "10.0.0.6"]),
        (
            "in",
            "10.0.0.9",
            "10.0.0.6",
            2,
            &["--bind", "10.0.0.6", "--udp"],
        ),
        (
            "in",
            "10.0.0.9",
            "10.0.0.5",
            2,
            &["--bind", "0.0.0.0", "--udp"],
        ),
        (
            "in",
            "10.0.0.9",
            "10.0.0.5",
            2,
            &["--cport", "5555", "--udp"],
        ),
        ("other", "::1", "::1", 2, &["--bidir"]),
        ("other", "127.0.0.1", "127.0.0.1", 2, &["--udp"]),
        ("in", "localhost", "127.0.0.1", 1, &["--udp", "-4"]),
        ("host", "10.0.0.1", "10.0.0.1", 0, &[]),
    ] {
        let log = servers[server].said()?;
        let before = log.len();
        let words = [&["iperf3", "--client", to, "--json"], &few[..], more].concat();
        let got = machines
            .run(from, &words)
            .with_context(|| format!("{more:?}"))?;
        let what = format!("{from} to {to} {more:?}");
        let line = log
            .wait_from(before, "Accepted connection", LIMIT)
            .context(what.clone())?;
        let expected = format!("Accepted connection from {source}, port ");
        ensure!(line.starts_with(&expected), "{what}: {line}");
        // What the client thinks of its own address.
        ensure!(!got.contains("\"error\""), "{what}: {got}");
        let told: serde_json::Value = serde_json::from_str(&got).context("iperf3's answer")?;
        let streams = told["start"]["connected"]
            .as_array()
            .context("no streams")?;
        for stream in streams {
            let local = stream["local_host"].as_str().unwrap_or_default();
            ensure!(local == source, "{what}: the client says {local}");
        }
        log.wait_from(before, "Server listening on 5201", LIMIT)
            .context(what)?;
    }
    let mut all = machines.command("in", "iperf3")?;
    all.args(["--client", "10.0.0.9", "--bind", "10.0.0.1", "--time", "1"]);
    let done = all.output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(
        !done.status.success() && said.contains("Cannot assign requested address"),
        "from another's address: {said}"
    );
    Ok(())
}
