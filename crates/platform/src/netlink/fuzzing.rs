//! The readers of messages, for the fuzzer.

use netlink_packet_core::Parseable;
use netlink_packet_route::route::RouteMessage;

use super::mirror::Tables;
use super::{HostAddress, Interface, Route, observe, watch};

pub(crate) fn network(body: &[u8]) -> (Option<Interface>, Option<HostAddress>, Vec<Route>) {
    let mut routes = Vec::new();
    if let Ok(message) = RouteMessage::parse(body) {
        observe::unicast(&message, &mut routes);
    }
    (observe::link(body), observe::address(body), routes)
}

pub(crate) fn changes(messages: &[u8]) -> bool {
    let mut tables = Tables {
        interfaces: Some(Vec::new()),
        addresses: Some(Vec::new()),
        prefixes: Some(Vec::new()),
        routes: Some(Vec::new()),
    };
    tables.heard_all(messages);
    watch::all_ours(messages)
}
