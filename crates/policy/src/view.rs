//! What the kernel tables hold for one hostlet: a function of its set and its options.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hostlet_model::{
    HostLoopback, HostletId, HostletSpec, IpNet, Owned, SetEntry, SourcePolicy, Unreachable,
    is_routed,
};

/// Everything that the kernel is told about a hostlet, beside the owners of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelView {
    /// Its id.
    pub id: HostletId,
    /// Its IPv4 loopback address.
    pub loop4: Ipv4Addr,
    /// Its IPv6 loopback address; none if the machine has no IPv6.
    pub loop6: Option<Ipv6Addr>,
    /// What stands for `0.0.0.0`.
    pub primary4: Option<Ipv4Addr>,
    /// What stands for `::`.
    pub primary6: Option<Ipv6Addr>,
    /// It has IPv4 addresses.
    pub has_v4: bool,
    /// It has IPv6 addresses.
    pub has_v6: bool,
    /// It has more than the primary of IPv4: more addresses, or a prefix.
    pub many4: bool,
    /// The same of IPv6.
    pub many6: bool,
    /// It has an IPv4 prefix.
    pub prefix4: bool,
    /// It has an IPv6 prefix.
    pub prefix6: bool,
    /// Its IPv4 addresses lie on several interfaces or subnets, so the route decides on the source.
    pub routed4: bool,
    /// The same of IPv6.
    pub routed6: bool,
    /// How a source is chosen among those that fit.
    pub source: SourcePolicy,
    /// Whether packets are checked.
    pub guard: bool,
    /// Whether raw sockets are granted.
    pub raw: bool,
    /// Whether it has fallen back: its members are as processes outside.
    pub pass: bool,
    /// Whether excluded programs keep the machine's address in it (row B8).
    pub excludes: bool,
    /// What becomes of calls to where none of its addresses is fit (row B10); none: nobody asks.
    pub unreachable: Option<Unreachable>,
    /// Its set.
    pub owned: Vec<Owned>,
    /// Source addresses by family and interface; a list for interface 0 has those of all.
    pub sources: Vec<SourceList>,
    /// Its address in each subnet that it is on.
    pub onlink: Vec<OnLink>,
    /// Broadcast addresses of its IPv4 subnets: members may bind and receive there.
    pub broadcasts: Vec<Ipv4Addr>,
    /// Services on the host's loopback that it may reach.
    pub reachable: Vec<HostLoopback>,
}

/// Addresses to leave from on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceList {
    /// Whether of IPv6.
    pub ipv6: bool,
    /// The interface; 0 for all.
    pub ifindex: u32,
    /// The addresses in the order of the set; never empty.
    pub addrs: Vec<IpAddr>,
}

/// The hostlet's address in a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnLink {
    /// The subnet.
    pub net: IpNet,
    /// The hostlet's (first) address in it.
    pub addr: IpAddr,
    /// The interface.
    pub ifindex: u32,
}

/// What the kernel is to be told. `reachable` is what [`crate::reachable_services`] gives; `ipv6` is whether the machine has IPv6.
pub fn kernel_view(
    id: HostletId,
    spec: &HostletSpec,
    entries: &[SetEntry],
    reachable: &[HostLoopback],
    ipv6: bool,
) -> KernelView {
    let v4 = Family::new(entries, true);
    let v6 = Family::new(entries, false);
    let mut sources = v4.sources();
    sources.extend(v6.sources());
    let mut onlink = v4.onlink();
    onlink.extend(v6.onlink());
    KernelView {
        id,
        loop4: id.loopback4(),
        loop6: ipv6.then(|| id.loopback6()),
        primary4: v4.primary().and_then(|a| match a {
            IpAddr::V4(a) => Some(a),
            IpAddr::V6(_) => None,
        }),
        primary6: v6.primary().and_then(|a| match a {
            IpAddr::V6(a) => Some(a),
            IpAddr::V4(_) => None,
        }),
        has_v4: !v4.0.is_empty(),
        has_v6: !v6.0.is_empty(),
        many4: v4.many(),
        many6: v6.many(),
        prefix4: v4.prefix(),
        prefix6: v6.prefix(),
        routed4: is_routed(entries, true),
        routed6: is_routed(entries, false),
        source: spec.source,
        guard: spec.guard,
        raw: spec.raw,
        pass: spec.fallen_back,
        excludes: spec.excludes,
        unreachable: spec.unreachable,
        owned: entries.iter().map(|e| e.owned).collect(),
        sources,
        broadcasts: broadcasts(&onlink),
        onlink,
        reachable: reachable.to_vec(),
    }
}

/// Has the family of `owned` more than one address in this set? What [`crate::OwnFlags::many`] says.
pub(crate) fn many_like(entries: &[SetEntry], owned: &Owned) -> bool {
    Family::new(entries, owned.is_ipv4()).many()
}

/// The entries of one family.
struct Family<'e>(Vec<&'e SetEntry>);

impl<'e> Family<'e> {
    fn new(entries: &'e [SetEntry], v4: bool) -> Self {
        Family(entries.iter().filter(|e| e.owned.is_ipv4() == v4).collect())
    }

    /// Entries that can be a source for any destination. Link-local addresses are so only if there is nothing else.
    fn general(&self) -> Vec<&'e SetEntry> {
        let wide: Vec<_> = self
            .0
            .iter()
            .copied()
            .filter(|e| !link_local(e.owned.first()))
            .collect();
        if wide.is_empty() {
            self.0.clone()
        } else {
            wide
        }
    }

    /// The first of the family, but not a link-local one if there is another: without an interface it cannot be bound.
    fn primary(&self) -> Option<IpAddr> {
        self.general().first().map(|e| e.owned.first())
    }

    fn many(&self) -> bool {
        self.0.len() > 1 || self.prefix()
    }

    fn prefix(&self) -> bool {
        self.0.iter().any(|e| e.owned.is_prefix())
    }

    fn sources(&self) -> Vec<SourceList> {
        let Some(first) = self.0.first() else {
            return Vec::new();
        };
        let ipv6 = !first.owned.is_ipv4();
        let mut lists = vec![SourceList {
            ipv6,
            ifindex: 0,
            addrs: Vec::new(),
        }];
        for e in self.general() {
            let a = e.owned.first();
            lists[0].addrs.push(a);
            match lists[1..].iter_mut().find(|l| l.ifindex == e.ifindex) {
                Some(l) => l.addrs.push(a),
                None => lists.push(SourceList {
                    ipv6,
                    ifindex: e.ifindex,
                    addrs: vec![a],
                }),
            }
        }
        lists
    }

    fn onlink(&self) -> Vec<OnLink> {
        let mut out: Vec<OnLink> = Vec::new();
        for e in &self.0 {
            let Some(net) = e.subnet() else { continue };
            // The first address of a subnet is its primary, as in the kernel.
            if !out.iter().any(|o| o.net == net) {
                out.push(OnLink {
                    net,
                    addr: e.owned.first(),
                    ifindex: e.ifindex,
                });
            }
        }
        out
    }
}

fn link_local(a: IpAddr) -> bool {
    matches!(a, IpAddr::V6(a) if a.is_unicast_link_local())
}

fn broadcasts(onlink: &[OnLink]) -> Vec<Ipv4Addr> {
    let mut out: Vec<Ipv4Addr> = Vec::new();
    for o in onlink {
        if let IpNet::V4(n) = o.net {
            // A subnet of length 31 is a point-to-point link and has none (RFC 3021).
            if n.prefix_len() < 31 && !out.contains(&n.broadcast()) {
                out.push(n.broadcast());
            }
        }
    }
    out
}
