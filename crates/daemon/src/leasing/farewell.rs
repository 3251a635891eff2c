//! Leases that are given back, until their servers have heard of it: DHCPv6 says RELEASE again for some seconds where no answer comes
//! (RFC 8415, 18.2.7). Nobody waits for that, and the address is free here at once. DHCPv4 has no answer to wait for.

use hostlet_lease::{Client, Output, Time};

use super::{Key, Leasing};
use crate::keeper::Keeper;

impl Leasing {
    /// Keeps a client that has given its lease back and is not answered yet.
    pub(super) fn part(&mut self, key: Key, client: Box<Client>) {
        if !client.is_done() {
            self.farewells.insert(key, client);
        }
    }

    /// The holder asks anew: one more RELEASE could end what the server gives it now.
    pub(super) fn welcome(&mut self, key: Key) {
        let another = |farewell: &Key| (farewell.v6, farewell.holder) != (key.v6, key.holder);
        self.farewells.retain(|farewell, _| another(farewell));
    }

    /// When the next RELEASE is due.
    pub(super) fn next_farewell(&self) -> Option<Time> {
        let all = self.farewells.values();
        all.filter_map(|client| client.next_timeout()).min()
    }
}

impl Keeper {
    /// Has the clients go on that `which` names, and forgets those that need no more.
    pub(super) fn farewells(
        &mut self,
        which: impl Fn(&Key) -> bool,
        mut what: impl FnMut(&mut Client),
    ) {
        let mut over = Vec::new();
        let leasing = &mut self.leasing;
        for (key, client) in leasing.farewells.iter_mut().filter(|(key, _)| which(key)) {
            what(client);
            while let Some(output) = client.poll() {
                if let Output::Send { payload, to } = output {
                    leasing.links.send(key.ifindex, &payload, &to);
                }
            }
            if client.is_done() {
                over.push(*key);
            }
        }
        for key in over {
            self.leasing.farewells.remove(&key);
            self.close_unused(key);
        }
    }
}
