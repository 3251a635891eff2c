//! What the kernel is told of a hostlet, in the kernel part's own words.

use std::net::IpAddr;

use hostlet_kernel::{OnLink, Record, RecordFlags, SourceList, Tables};
use hostlet_model::Unreachable;
use hostlet_policy::KernelView;

/// The tables beside the record.
pub(crate) fn tables(view: &KernelView) -> Tables {
    Tables {
        sources: view
            .sources
            .iter()
            .map(|s| SourceList {
                ipv6: s.ipv6,
                ifindex: s.ifindex,
                addrs: s.addrs.clone(),
            })
            .collect(),
        onlink: view
            .onlink
            .iter()
            .map(|o| OnLink {
                net: o.net,
                addr: o.addr,
                ifindex: o.ifindex,
            })
            .collect(),
        reach: view
            .reachable
            .iter()
            .map(|r| (r.addr, r.port))
            // Port 0 stands for a broadcast address that may be bound.
            .chain(view.broadcasts.iter().map(|b| (IpAddr::V4(*b), 0)))
            .collect(),
    }
}

/// The record that its programs act on.
pub(crate) fn record(view: &KernelView, netns: u64) -> Record {
    let flags = hostlet_kernel::all(&view.owned)
        .with(RecordFlags::V4, view.has_v4)
        .with(RecordFlags::V6, view.has_v6)
        .with(RecordFlags::MANY4, view.many4)
        .with(RecordFlags::MANY6, view.many6)
        .with(RecordFlags::PREFIX, view.prefix4 || view.prefix6)
        .with(RecordFlags::ROUTED4, view.routed4)
        .with(RecordFlags::ROUTED6, view.routed6)
        .with(RecordFlags::GUARD, view.guard)
        .with(RecordFlags::RAW, view.raw)
        .with(RecordFlags::PASS, view.pass)
        .with(RecordFlags::EXCLUDE, view.excludes)
        .with(
            RecordFlags::FIT_REFUSE,
            view.unreachable == Some(Unreachable::Refuse),
        )
        .with(
            RecordFlags::FIT_PASS,
            view.unreachable == Some(Unreachable::PassThrough),
        )
        .with(
            RecordFlags::REACH,
            !view.reachable.is_empty() || !view.broadcasts.is_empty(),
        );
    let (few4, few6) = hostlet_kernel::few(&view.owned, (view.primary4, view.primary6));
    Record {
        few4,
        few6,
        id: view.id.0,
        netns,
        flags,
        source: view.source,
        primary4: view.primary4,
        primary6: view.primary6,
        loop4: view.loop4,
        loop6: view.loop6,
    }
}
