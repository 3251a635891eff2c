//! C6: between the first step of `remove` and the last a member gets nothing new, and the events say why. They need root.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};
use hostlet_kernel::{Kernel, Reason, RecordFlags};
use hostlet_testkit::lan::Lan;
use hostlet_testkit::players::Players;

/// The flag that the hostlet is being removed, as `remove` sets it before it destroys what is open.
fn close(lan: &Lan, kernel: &Kernel) -> Result<()> {
    let install = lan.install().context("hostlets")?;
    let shown = install.json(lan.host(), &["show", "in"])?;
    let cgroup = shown["cgroup"].as_str().context("a cgroup")?;
    let id = std::fs::metadata(cgroup)?.ino();
    let mut record = kernel.record(id)?.context("a record")?;
    record.flags = record.flags | RecordFlags::GONE;
    Ok(kernel.publish(id, &record)?)
}

#[test]
fn a_hostlet_that_is_being_removed_gets_nothing_new() -> Result<()> {
    let lan = Lan::hostlets("two", &[])?;
    let mut players = Players::default();
    for name in ["in", "peer"] {
        players.add(name, lan.start(name)?);
    }
    // What is open before, and would be allowed all that is tried later.
    players.play(
        "peer l = socket tcp6
         peer bind l [::]:8080
         peer listen l
         peer r = socket udp6
         peer bind r [::]:5300
         in open = socket tcp4
         in connect open 10.0.0.100:8080
         peer open = accept l => from [::ffff:10.0.0.5]:*
         in u = socket udp4
         in sendto u 10.0.0.100:5300 before
         peer recvfrom r => before from [::ffff:10.0.0.5]:*
         in v = socket udp6
         in bind v [2001:db8::5]:5301",
    )?;
    let install = lan.install().context("hostlets")?;
    let pins = install.root().join("bpf/hostlet");
    let kernel = Kernel::open(&pins)?.context("the kernel part")?;
    close(&lan, &kernel)?;
    players.play(
        "in b = socket tcp4
         in bind b 10.0.0.5:8081 => EADDRNOTAVAIL
         in bind b 0.0.0.0:8082 => EADDRNOTAVAIL
         in bind b 127.0.0.1:8083 => EADDRNOTAVAIL
         in c = socket udp6
         in bind c [2001:db8::5]:8084 => EADDRNOTAVAIL
         in bind c [::]:8085 => EADDRNOTAVAIL
         in sendto u 10.0.0.100:5300 after => ENETUNREACH
         in sendto v [2001:db8::100]:5302 after => ENETUNREACH
         in w = socket udp4
         in sendto w 10.0.0.100:5303 after => ENETUNREACH
         in d = socket tcp4
         in connect d 10.0.0.100:8080 => ENETUNREACH
         in e = socket tcp6
         in connect e [2001:db8::100]:8086 => ENETUNREACH
         in connect w 10.0.0.100:5304 => ENETUNREACH
         peer quiet r => quiet
         in send open more
         peer recv open => more",
    )?;
    let told: BTreeSet<String> = kernel
        .events(0)?
        .iter()
        .filter(|event| event.reason == Reason::Removed)
        .map(|event| format!("{} {} {}", event.call, event.port, event.errno))
        .collect();
    let mut wanted = BTreeSet::new();
    for port in 8081..=8085 {
        wanted.insert(format!("bind {port} {}", libc::EADDRNOTAVAIL));
    }
    for (call, ports) in [
        ("send", [5300, 5302, 5303]),
        ("connect", [8080, 8086, 5304]),
    ] {
        wanted.extend(ports.map(|port| format!("{call} {port} {}", libc::ENETUNREACH)));
    }
    ensure!(told == wanted, "told {told:?}, not {wanted:?}");
    // To remove it in earnest goes on from there.
    install.run(lan.host(), &["remove", "in", "--kill"])?;
    Ok(())
}
