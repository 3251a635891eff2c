//! The sockets of members: what there is, and what of it lies outside policy.

mod logins;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hostlet_kernel::{Kernel, KnownBook, PortBook};
use hostlet_model::Name;
use hostlet_platform::proc;
use hostlet_platform::sockdiag::{self, Filter, Protocol, SockDiagError, Socket, State};
use hostlet_store::Definition;

use crate::Engine;
use crate::destroy::{bound, ends, known_as};
use crate::error::Result;
use crate::gone::There;
use crate::machine::Machine;
use crate::read::chosen;
use crate::report::{Finding, HolderReport, Reason, SocketReport};

impl Engine {
    /// The sockets of the members of one hostlet, or of all.
    ///
    /// # Errors
    /// There is no hostlet of that name, or sockets cannot be listed.
    pub fn sockets(&self, name: Option<&Name>) -> Result<Vec<SocketReport>> {
        let machine = self.reading("list sockets")?;
        machine.must_be_here()?;
        let listed = living()?;
        let noted = Noted::now(&machine)?;
        let mut all = Vec::new();
        for row in chosen(&machine, name)? {
            let inside = Inside::of(&machine, row)?;
            let own = listed.iter().filter(|socket| inside.has(socket));
            all.extend(own.map(|socket| inside.report(&noted, socket)));
        }
        Ok(all)
    }

    /// Every socket of a member that lies outside policy, and every address of a hostlet that the machine does not have
    /// any more.
    ///
    /// # Errors
    /// There is no hostlet of that name, or sockets cannot be listed.
    pub fn check(&self, name: Option<&Name>) -> Result<Vec<Finding>> {
        let machine = self.reading("check hostlets")?;
        machine.must_be_here()?;
        machine.must_have_tables()?;
        let rows = chosen(&machine, name)?;
        let there = There::look(&machine)?;
        let mut found = Vec::new();
        for row in rows {
            let mut of_row = there.findings(&machine, &row);
            of_row.extend(outside(&machine, row.clone(), None)?);
            let by_set =
                |f: &Finding| matches!(f.reason, Reason::AddressGone | Reason::ForeignAddress);
            if of_row.iter().any(by_set) && !at_rest(&machine, &row)? {
                of_row.retain(|f| !by_set(f));
            }
            found.extend(of_row);
        }
        logins::tell(&machine.store.sessions()?, &mut found);
        Ok(found)
    }
}

/// Is the set what it was when its row was read? What a command has half done, or left so when it was killed, is nobody's
/// doing: the next one completes it or takes it back.
fn at_rest(machine: &Machine<'_>, row: &Definition) -> Result<bool> {
    let changing = machine.store.changing()?;
    Ok(!changing.iter().any(|(id, _)| *id == row.id)
        && machine.store.get(&row.name)?.as_ref() == Some(row))
}

/// Sockets outside policy, of all members of a hostlet or of these processes.
pub(crate) fn outside(
    machine: &Machine<'_>,
    row: Definition,
    of: Option<&[u32]>,
) -> Result<Vec<Finding>> {
    if row.spec.fallen_back {
        // Nothing is outside: whatever they have is this machine's.
        return Ok(Vec::new());
    }
    let mut inside = Inside::of(machine, row)?;
    if let Some(pids) = of {
        inside.holders = holders(pids);
        inside.cgroups_count = false;
    }
    let listed = living()?;
    let noted = Noted::now(machine)?;
    let passing = machine.passing(&inside.row.spec)?;
    // What may have the machine's address is not outside.
    let of_row = |s: &&Socket| inside.has(s) && !passing.contains(&s.cookie);
    let judged = listed.iter().filter(of_row);
    let suspects = judged.filter_map(|s| Some((s, inside.judge(&noted, s)?)));
    let suspects: Vec<_> = suspects.collect();
    let mut found = Vec::new();
    if !suspects.is_empty() {
        // What was noted is true of those alone that were the same before and after.
        let after: BTreeSet<_> = living()?.iter().map(same).collect();
        let stayed = suspects
            .into_iter()
            .filter(|(s, _)| after.contains(&same(s)));
        found.extend(stayed.map(|(_, finding)| finding));
    }
    for socket in sockdiag::packet_sockets()? {
        if let Some(processes) = inside.holders.get(&socket.inode) {
            found.push(Finding {
                hostlet: inside.row.name.clone(),
                reason: Reason::Packet,
                text: "a packet socket sees and sends frames below all addresses; end the program and start it with 'hostlet run', which refuses them".to_owned(),
                protocol: "packet".to_owned(),
                state: "-".to_owned(),
                local: "*".to_owned(),
                remote: "*".to_owned(),
                inode: socket.inode,
                processes: processes.clone(),
            });
        }
    }
    Ok(found)
}

fn living() -> Result<Vec<Socket>, SockDiagError> {
    sockdiag::sockets(&Filter {
        living: true,
        ..Filter::default()
    })
}

/// By what a socket is the one that it was, and connected as it was. The kernel has no cookie for some kinds.
fn same(socket: &Socket) -> (Protocol, u64, u64, SocketAddr, SocketAddr) {
    let inode = if socket.cookie == 0 { socket.inode } else { 0 };
    (
        socket.protocol,
        socket.cookie,
        inode,
        socket.local,
        socket.remote,
    )
}

/// What the kernel part has noted of sockets.
struct Noted {
    ports: Option<PortBook>,
    known: KnownBook,
}

impl Noted {
    fn now(machine: &Machine<'_>) -> Result<Self> {
        Ok(Self {
            ports: machine.kernel.as_ref().map(Kernel::port_book).transpose()?,
            known: machine.known_book()?,
        })
    }
}

/// Who has which socket open, by inode.
pub(crate) fn holders(pids: &[u32]) -> BTreeMap<u64, Vec<HolderReport>> {
    let mut all: BTreeMap<u64, Vec<HolderReport>> = BTreeMap::new();
    for pid in pids {
        let Some(process) = proc::Process::read(*pid) else {
            continue;
        };
        // One that ended meanwhile holds nothing.
        for inode in proc::socket_inodes(*pid).unwrap_or_default() {
            all.entry(inode).or_default().push(HolderReport {
                pid: *pid,
                comm: process.comm.clone(),
            });
        }
    }
    all
}

/// What is inside one hostlet.
struct Inside {
    row: Definition,
    cgroups: BTreeSet<u64>,
    /// Whether a socket made in the hostlet counts although no member has it open.
    cgroups_count: bool,
    holders: BTreeMap<u64, Vec<HolderReport>>,
    /// Further loopback addresses: what the programs call each.
    further: BTreeMap<Ipv4Addr, Ipv4Addr>,
}

impl Inside {
    fn of(machine: &Machine<'_>, row: Definition) -> Result<Self> {
        let members = machine.members(&row.name)?;
        Ok(Self {
            cgroups: machine.cgroup_ids(&row.name)?,
            cgroups_count: true,
            holders: holders(&members),
            further: match &machine.kernel {
                Some(kernel) => kernel.further_loopbacks(row.id.0)?,
                None => BTreeMap::new(),
            },
            row,
        })
    }

    fn has(&self, socket: &Socket) -> bool {
        (socket.inode != 0 && self.holders.contains_key(&socket.inode))
            || (self.cgroups_count
                && socket
                    .cgroup_id
                    .is_some_and(|id| self.cgroups.contains(&id)))
    }

    fn processes(&self, socket: &Socket) -> Vec<HolderReport> {
        self.holders.get(&socket.inode).cloned().unwrap_or_default()
    }

    /// What the programs call a loopback address of the hostlet; none for every other.
    fn loopback(&self, ip: IpAddr) -> Option<IpAddr> {
        match ip {
            IpAddr::V4(v4) if v4 == self.row.id.loopback4() => Some(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V4(v4) => self.further.get(&v4).map(|shown| IpAddr::V4(*shown)),
            IpAddr::V6(v6) if v6 == self.row.id.loopback6() => Some(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V6(_) => None,
        }
    }

    fn report(&self, noted: &Noted, socket: &Socket) -> SocketReport {
        let bound = bound(noted.ports.as_ref(), self.row.id, socket);
        let wildcard = socket.local.ip().is_unspecified() || bound.is_some_and(|b| b.wildcard);
        let port = bound.map_or(socket.local.port(), |b| b.port);
        let connected = !matches!(socket.state, State::Listen | State::Close);
        let local = if wildcard && !connected {
            if socket.ipv6 {
                Ipv6Addr::UNSPECIFIED.into()
            } else {
                Ipv4Addr::UNSPECIFIED.into()
            }
        } else {
            let known = known_as(&noted.known, self.row.id, socket)
                .filter(|k| !(k.by_route && self.may_have(socket.local.ip().to_canonical())));
            self.shown(socket.local.ip(), known.map(|k| k.shown))
        };
        let peer = ends(socket).and_then(|ends| noted.known.peer(self.row.id.0, &ends));
        let remote = self.shown(socket.remote.ip(), peer);
        SocketReport {
            hostlet: self.row.name.clone(),
            protocol: protocol(socket.protocol).to_owned(),
            state: state(socket),
            local: text(SocketAddr::new(local, port)),
            remote: text(SocketAddr::new(remote, socket.remote.port())),
            kernel_local: text(socket.local),
            kernel_remote: text(socket.remote),
            wildcard,
            uid: socket.uid,
            inode: socket.inode,
            cookie: socket.cookie,
            processes: self.processes(socket),
        }
    }

    /// An address as the program sees it: `known`, if it is known by another; and its own loopback has the usual name.
    fn shown(&self, ip: IpAddr, known: Option<IpAddr>) -> IpAddr {
        let is = known.unwrap_or(ip.to_canonical());
        match self.loopback(is).unwrap_or(is) {
            // As the socket has it.
            IpAddr::V4(shown) if ip.is_ipv6() => shown.to_ipv6_mapped().into(),
            shown => shown,
        }
    }

    /// What is wrong with a socket; the first rule that it breaks.
    fn judge(&self, noted: &Noted, socket: &Socket) -> Option<Finding> {
        let allowed = || {
            self.may_have(socket.local.ip().to_canonical())
                // On an address that was revoked a socket for the wildcard serves what is left of the set.
                || bound(noted.ports.as_ref(), self.row.id, socket).is_some_and(|b| b.wildcard)
                // The guard lets nothing go from where the route has put it, and has the source replaced.
                || self.row.spec.guard
                    && known_as(&noted.known, self.row.id, socket)
                        .is_some_and(|k| self.has_own(k.shown))
        };
        let (reason, text) = if socket.protocol == Protocol::Raw && !self.row.spec.raw {
            (Reason::Raw, "a raw socket, which was not granted: it can send what it likes inside the guard's limits; end the program".to_owned())
        } else if socket
            .cgroup_id
            .is_some_and(|id| !self.cgroups.contains(&id))
        {
            (Reason::ForeignCgroup, "made outside the hostlet (inherited, passed in, or open before the process was attached), so its calls are not checked; restart the program inside".to_owned())
        } else if !allowed() {
            let what_helps = if closing(socket) {
                "no program has it any more, and the kernel ends the connection by itself, within minutes: there is nothing to do"
            } else {
                "end the program, or grant the address"
            };
            (
                Reason::ForeignAddress,
                format!("{} is not in the set; {what_helps}", socket.local.ip()),
            )
        } else {
            return None;
        };
        Some(Finding {
            hostlet: self.row.name.clone(),
            reason,
            text,
            protocol: protocol(socket.protocol).to_owned(),
            state: state(socket),
            local: self::text(socket.local),
            remote: self::text(socket.remote),
            inode: socket.inode,
            processes: self.processes(socket),
        })
    }

    fn may_have(&self, ip: IpAddr) -> bool {
        let broadcast = |entry: &hostlet_model::SetEntry| match (entry.owned.first(), ip) {
            (IpAddr::V4(own), IpAddr::V4(_)) => hostlet_model::Ipv4Net::new(own, entry.onlink)
                .is_ok_and(|net| IpAddr::V4(net.broadcast()) == ip),
            _ => false,
        };
        // Bound to nothing, it receives nothing that is not the hostlet's; groups are joined freely.
        ip.is_unspecified()
            || ip.is_multicast()
            || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
            || self.has_own(ip)
            || self.row.entries.iter().any(broadcast)
    }

    fn has_own(&self, ip: IpAddr) -> bool {
        self.loopback(ip).is_some() || self.row.entries.iter().any(|e| e.owned.contains(ip))
    }
}

/// Has its program closed it? What nobody has open besides waits to be accepted.
fn closing(socket: &Socket) -> bool {
    use State::{Closing, FinWait1, FinWait2, LastAck};
    socket.inode == 0 && matches!(socket.state, FinWait1 | FinWait2 | Closing | LastAck)
}

fn protocol(p: Protocol) -> &'static str {
    match p {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::UdpLite => "udplite",
        Protocol::Icmp => "ping",
        Protocol::Raw => "raw",
    }
}

fn state(socket: &Socket) -> String {
    match socket.state {
        // Datagram sockets use TCP's names for something else.
        State::Close if socket.protocol != Protocol::Tcp => "-".to_owned(),
        State::Established if socket.protocol != Protocol::Tcp => "connected".to_owned(),
        other => format!("{other:?}")
            .chars()
            .fold(String::new(), |mut text, c| {
                if c.is_uppercase() && !text.is_empty() {
                    text.push('-');
                }
                text.extend(c.to_lowercase());
                text
            }),
    }
}

fn text(address: SocketAddr) -> String {
    address.to_string()
}
