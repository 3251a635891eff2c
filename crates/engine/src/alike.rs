//! Steps of one kind that follow each other, as there are where a hostlet has hundreds of addresses: done with few calls.

use std::net::IpAddr;

use hostlet_kernel::Holding;
use hostlet_model::Owned;
use hostlet_platform::netlink::{self, AddressKind, Placed};
use hostlet_policy::Action;

use crate::error::{Error, Result};
use crate::machine::Machine;

impl Machine<'_> {
    /// Performs the first steps, if they are of a kind of which several are done at once. So many were done; an error is of the one
    /// behind them.
    pub(crate) fn alike(&mut self, actions: &[Action]) -> Option<(usize, Result<()>)> {
        let owns: Vec<Holding> = actions.iter().map_while(holding).collect();
        if !owns.is_empty() {
            self.something_done();
            let (done, outcome) = match self.kernel() {
                Ok(kernel) => kernel.own_all(&owns),
                Err(error) => return Some((0, Err(error))),
            };
            return Some((done, outcome.map_err(Error::from)));
        }
        let gone: Vec<Owned> = actions.iter().map_while(disowned).collect();
        if !gone.is_empty() {
            self.something_done();
            let (done, outcome) = match &self.kernel {
                Some(kernel) => kernel.disown(&gone),
                None => (gone.len(), Ok(())),
            };
            return Some((done, outcome.map_err(Error::from)));
        }
        if let Some(Action::AddAddress {
            ifindex,
            addr,
            prefix_len,
            ..
        }) = actions.first()
        {
            self.something_done();
            let added: Vec<Placed> = actions.iter().map_while(added_alone).collect();
            let (done, outcome) = match added.is_empty() {
                // It brings the route to its subnet, and others may follow it.
                true => {
                    let first = Placed {
                        ifindex: *ifindex,
                        addr: *addr,
                        prefix_len: *prefix_len,
                    };
                    netlink::add_addresses(&[first], AddressKind::OnLink)
                }
                false => netlink::add_addresses(&added, AddressKind::Plain),
            };
            let outcome = match (outcome, actions.get(done)) {
                (
                    Ok(false),
                    Some(Action::AddAddress {
                        addr, interface, ..
                    }),
                ) => Err(Error::Appeared {
                    address: addr.to_string(),
                    interface: interface.clone(),
                }),
                (outcome, _) => outcome.map(drop).map_err(Error::from),
            };
            return Some((done, outcome));
        }
        let taken = actions.iter().map_while(|action| match action {
            Action::DelAddress {
                ifindex,
                addr,
                prefix_len,
                ..
            } => alone(*ifindex, *addr, *prefix_len),
            _ => None,
        });
        let taken: Vec<Placed> = taken.collect();
        if !taken.is_empty() {
            self.something_done();
            let (done, outcome) = netlink::del_addresses(&taken);
            return Some((done, outcome.map_err(Error::from)));
        }
        None
    }

    /// What was read of the machine does not hold any more.
    fn something_done(&mut self) {
        self.listed = None;
        self.swept = None;
    }
}

fn holding(action: &Action) -> Option<Holding> {
    match action {
        Action::Own {
            id, owned, flags, ..
        } => Some(Holding {
            id: id.0,
            owned: *owned,
            loopback: flags.loopback,
            many: flags.many,
        }),
        _ => None,
    }
}

fn disowned(action: &Action) -> Option<Owned> {
    match action {
        Action::Disown { owned, .. } => Some(*owned),
        _ => None,
    }
}

/// An address that takes nobody along, and brings no route.
fn added_alone(action: &Action) -> Option<Placed> {
    match action {
        Action::AddAddress {
            ifindex,
            addr,
            prefix_len,
            ..
        } => alone(*ifindex, *addr, *prefix_len),
        _ => None,
    }
}

fn alone(ifindex: u32, addr: IpAddr, prefix_len: u8) -> Option<Placed> {
    let full = if addr.is_ipv4() { 32 } else { 128 };
    (prefix_len == full).then_some(Placed {
        ifindex,
        addr,
        prefix_len,
    })
}
