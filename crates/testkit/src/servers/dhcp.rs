//! Servers that lend addresses, and a relay, as Debian ships them.
//!
//! Each runs in a namespace with files of its own. Nothing of the machine's own
//! configuration is read.

mod dnsmasq;
mod kea;
mod leases;
mod relay;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::daemon::{Daemon, Log};
use crate::dir::TestDir;
use crate::netns::NetNs;

pub use leases::ServerLease;
pub use relay::Relay;

/// Which program serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// dnsmasq. Its shortest lease is two minutes, whatever it is told; a lease that it
    /// forgot it gives again to whoever asks for it.
    Dnsmasq,
    /// ISC Kea, one process a family.
    Kea,
}

/// Addresses of one network that a server lends: `10.0.0.100-10.0.0.150/24`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: IpAddr,
    /// The last.
    pub last: IpAddr,
    /// The length of the network's prefix.
    pub prefix_len: u8,
}

impl FromStr for Range {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Range> {
        let parse = || -> Option<Range> {
            let (range, length) = text.split_once('/')?;
            let (first, last) = range.split_once('-')?;
            Some(Range {
                first: first.parse().ok()?,
                last: last.parse().ok()?,
                prefix_len: length.parse().ok()?,
            })
        };
        let range = parse().with_context(|| format!("not FIRST-LAST/LENGTH: {text}"))?;
        let bits = if range.first.is_ipv4() { 32 } else { 128 };
        ensure!(
            range.first.is_ipv4() == range.last.is_ipv4()
                && range.first <= range.last
                && (1..=bits).contains(&range.prefix_len),
            "no range of one network: {text}"
        );
        Ok(range)
    }
}

impl Range {
    /// The network's address.
    pub fn network(&self) -> IpAddr {
        let length = u32::from(self.prefix_len);
        match self.first {
            IpAddr::V4(a) => IpAddr::V4((a.to_bits() & (u32::MAX << (32 - length))).into()),
            IpAddr::V6(a) => IpAddr::V6((a.to_bits() & (u128::MAX << (128 - length))).into()),
        }
    }

    /// The netmask; none for IPv6.
    fn netmask(&self) -> Option<IpAddr> {
        let bits = u32::MAX << (32 - u32::from(self.prefix_len.min(32)));
        self.first.is_ipv4().then(|| IpAddr::V4(bits.into()))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}/{}", self.first, self.last, self.prefix_len)
    }
}

/// What a server shall do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it serves.
    pub interface: String,
    /// What it lends. The first IPv6 range is of the interface's own network; others of
    /// either family are for relays.
    pub ranges: Vec<Range>,
    /// For how long. A client renews after half of it, rebinds after seven eighths.
    pub lease: Duration,
    /// Hardware addresses (`02:00:…`) that get an IPv4 address of their own.
    pub fixed: Vec<(String, IpAddr)>,
}

impl Options {
    /// The ranges (as [`Range`] is written), lent for an hour.
    ///
    /// # Errors
    /// When one is not a range.
    pub fn new(interface: &str, ranges: &[&str]) -> Result<Options> {
        Ok(Options {
            interface: interface.into(),
            ranges: ranges.iter().map(|r| r.parse()).collect::<Result<_>>()?,
            lease: Duration::from_secs(3600),
            fixed: Vec::new(),
        })
    }

    /// The same for so long.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Options {
        self.lease = lease;
        self
    }

    fn family(&self, v6: bool) -> impl Iterator<Item = &Range> {
        self.ranges.iter().filter(move |r| r.first.is_ipv6() == v6)
    }
}

/// A running (or stopped) server and its files. Ended when dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    ns: NetNs,
    options: Options,
    dir: TestDir,
    running: Vec<Daemon>,
}

impl Server {
    /// Starts one and waits until its sockets are open.
    ///
    /// # Errors
    /// When the program is missing, or does not come to serve; with what it said.
    pub fn start(kind: Kind, ns: &NetNs, options: Options) -> Result<Server> {
        let mut server = Server {
            kind,
            ns: ns.try_clone()?,
            options,
            dir: TestDir::new("dhcp")?,
            running: Vec::new(),
        };
        server.run()?;
        Ok(server)
    }

    fn run(&mut self) -> Result<()> {
        self.running = match self.kind {
            Kind::Dnsmasq => vec![dnsmasq::start(&self.ns, &self.options, self.dir.path())?],
            Kind::Kea => kea::start(&self.ns, &self.options, self.dir.path())?,
        };
        Ok(())
    }

    /// Which program it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Ends it; its leases stay on its disk.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        for daemon in &mut self.running {
            daemon.stop()?;
        }
        self.running.clear();
        Ok(())
    }

    /// Starts it again, with what it knew.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.run()
    }

    /// As [`Server::restart`], with other options.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart_with(&mut self, options: Options) -> Result<()> {
        self.options = options;
        self.restart()
    }

    /// Stops it and removes its leases: with the next start it knows of none.
    ///
    /// # Errors
    /// When it does not end, or the files cannot be removed.
    pub fn forget(&mut self) -> Result<()> {
        self.stop()?;
        for name in ["leases", "leases4.csv", "leases6.csv"] {
            match std::fs::remove_file(self.dir.path().join(name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    bail!("removing a server's {name}: {e}")
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes it silent without ending it; what is sent to it meanwhile is answered late.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.running.iter_mut().try_for_each(Daemon::freeze)
    }

    /// Ends [`Server::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.running.iter_mut().try_for_each(Daemon::thaw)
    }

    /// The leases in its own files that run: neither released, declined nor expired.
    /// dnsmasq answers an IPv6 client before it writes.
    ///
    /// # Errors
    /// When a file cannot be read or understood.
    pub fn leases(&self) -> Result<Vec<ServerLease>> {
        let read = |name: &str| -> Result<String> {
            match std::fs::read_to_string(self.dir.path().join(name)) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
                other => other.with_context(|| format!("reading a server's {name}")),
            }
        };
        let mut all = match self.kind {
            Kind::Dnsmasq => leases::dnsmasq(&read("leases")?)?,
            Kind::Kea => leases::kea(&[read("leases4.csv")?, read("leases6.csv")?])?,
        };
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .context("the clock")?;
        all.retain(|l| l.expires > now.as_secs());
        Ok(all)
    }

    /// What it said since it was last started; of Kea one log a family, IPv4 first.
    pub fn logs(&self) -> Vec<Log> {
        self.running.iter().map(|d| d.log().clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let range: Range = "10.0.0.100-10.0.0.150/24".parse().unwrap();
        assert_eq!(range.network().to_string(), "10.0.0.0");
        assert_eq!(range.netmask().unwrap().to_string(), "255.255.255.0");
        let range: Range = "2001:db8::100-2001:db8::1ff/64".parse().unwrap();
        assert_eq!(range.network().to_string(), "2001:db8::");
        assert_eq!(range.netmask(), None);
        for bad in [
            "",
            "10.0.0.1-10.0.0.2",
            "10.0.0.2-10.0.0.1/24",
            "10.0.0.1-::1/24",
            "10.0.0.1-10.0.0.2/33",
        ] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
