//! A local network that machines are plugged into.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::netns::NetNs;
use crate::wire::{Trouble, Wire};

/// A switch: a bridge in a namespace of its own. The machines on it keep it up; it goes
/// when this and they are dropped.
#[derive(Debug)]
pub struct Segment {
    switch: NetNs,
    count: AtomicU32,
}

impl Segment {
    /// One without machines.
    ///
    /// # Errors
    /// Without root, naming that.
    pub fn new() -> Result<Segment> {
        let switch = NetNs::new("switch")?;
        for scope in ["all", "default"] {
            switch.set(&format!("ipv6/conf/{scope}/disable_ipv6"), "1")?;
        }
        switch.ip([
            "link add br0 type bridge stp_state 0 mcast_snooping 0 forward_delay 0",
            "link set br0 up",
        ])?;
        Ok(Segment {
            switch,
            count: AtomicU32::new(0),
        })
    }

    /// Gives the machine an interface here with the addresses (`10.0.0.2/24`), and a
    /// link-local one, by which it can ask for an address.
    ///
    /// # Errors
    /// When the interface cannot be made.
    pub fn plug(&self, machine: &NetNs, interface: &str, addresses: &[&str]) -> Result<()> {
        let n = self.number();
        machine.join(interface, &self.switch, &format!("port{n}"))?;
        self.switched(n)?;
        place(machine, interface, n, addresses)
    }

    /// As [`Segment::plug`], by a wire.
    ///
    /// # Errors
    /// When the interfaces cannot be made.
    pub fn plug_by_wire(
        &self,
        machine: &NetNs,
        interface: &str,
        addresses: &[&str],
        seed: u64,
        trouble: Trouble,
    ) -> Result<Wire> {
        let n = self.number();
        let port = format!("port{n}");
        let wire = Wire::new((machine, interface), (&self.switch, &port), seed, trouble)?;
        self.switched(n)?;
        place(machine, interface, n, addresses)?;
        Ok(wire)
    }

    /// A machine that nobody knows of, with these addresses on its `eth0`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn stranger(&self, addresses: &[&str]) -> Result<Stranger> {
        let stranger = Stranger(NetNs::new("stranger")?);
        self.plug(&stranger.0, "eth0", addresses)?;
        Ok(stranger)
    }

    fn number(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn switched(&self, n: u32) -> Result<()> {
        self.switch.ip([format!("link set port{n} master br0")])
    }
}

/// Somebody on the network who was not asked. It answers for its addresses until it is
/// dropped.
#[derive(Debug)]
pub struct Stranger(NetNs);

impl Stranger {
    /// Its machine.
    pub fn machine(&self) -> &NetNs {
        &self.0
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // The kernel takes its time with a namespace that nobody uses any more.
        let _ = self.0.ip(["link delete eth0"]);
    }
}

fn place(machine: &NetNs, interface: &str, n: u32, addresses: &[&str]) -> Result<()> {
    let mut lines = vec![format!("address add fe80::{n:x}/64 dev {interface} nodad")];
    for address in addresses {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        lines.push(format!("address add {address} dev {interface}{nodad}"));
    }
    machine.ip(lines)
}
