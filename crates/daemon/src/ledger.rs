//! Who holds what: the store, and in memory what it says. hostletd alone writes it, so both agree.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use hostlet_model::Name;
use hostlet_store::{Aside, Claim, Lease, LeaseState, LeaseStore, Remembered, Result, Terms};
use jiff::Timestamp;

/// How long a message to a server may be under way: the kernel asks three times, a second apart, for a neighbour's address.
const COOLING: Duration = Duration::from_secs(3);

/// The record of leases.
pub(crate) struct Ledger {
    store: Box<dyn LeaseStore + Send>,
    leases: BTreeMap<IpAddr, Lease>,
    /// Tells one lease of an address from the next: what comes late must not meet another's.
    serials: BTreeMap<IpAddr, u64>,
    next: u64,
    /// Holders that are about to get a lease, and for which hostlet.
    reserved: BTreeMap<String, Name>,
    /// How many addresses of a pool a user is about to get.
    pending: BTreeMap<(Name, u32), usize>,
    /// What hostlets that live are without for now: they stay the holders.
    bereft: Vec<Lease>,
    /// Holders whose last attempt to get a lease failed.
    cooling: BTreeMap<String, Instant>,
    /// Hostlets that are being ended, and by how many threads.
    ending: BTreeMap<Name, usize>,
    ended_one: Arc<Condvar>,
}

impl Ledger {
    /// What the store has.
    pub fn open(store: Box<dyn LeaseStore + Send>) -> Result<Self> {
        let leases: BTreeMap<_, _> = store
            .leases()?
            .into_iter()
            .map(|l| (l.address, l))
            .collect();
        let lost = store.lost()?;
        Ok(Self {
            serials: leases.keys().copied().zip(1..).collect(),
            next: 1 + leases.len() as u64,
            leases,
            store,
            reserved: BTreeMap::new(),
            pending: BTreeMap::new(),
            cooling: BTreeMap::new(),
            bereft: lost,
            ending: BTreeMap::new(),
            ended_one: Arc::default(),
        })
    }

    /// Every lease, by address.
    pub fn leases(&self) -> &BTreeMap<IpAddr, Lease> {
        &self.leases
    }

    /// Which lease of this address the present one is; none if it is not lent.
    pub fn serial(&self, address: IpAddr) -> Option<u64> {
        self.serials.get(&address).copied()
    }

    /// The user whose hostlet this is, be it without a lease for now.
    pub fn owner(&self, hostlet: &Name) -> Option<u32> {
        let leased = self.leases.values().find(|l| l.hostlet == *hostlet);
        let lost = || self.bereft.iter().find(|l| l.hostlet == *hostlet);
        leased.or_else(lost).map(|l| l.uid)
    }

    /// A server is asked whether the address is still its holder's: until it is held again it is not to be put anywhere.
    pub fn doubt(&mut self, address: IpAddr) {
        if let Some(lease) = self.leases.get_mut(&address) {
            lease.state = LeaseState::Claimed;
        }
    }

    /// The leases of one hostlet.
    pub fn of(&self, hostlet: &Name) -> Vec<Lease> {
        let all = self.leases.values();
        all.filter(|l| l.hostlet == *hostlet).cloned().collect()
    }

    /// Counts a user in who wants so many addresses of a pool, until [`Ledger::settle`]; the number that he has, or is about to
    /// get, if that would be more than the most.
    pub fn admit(
        &mut self,
        pool: &Name,
        uid: u32,
        wants: usize,
        most: usize,
    ) -> std::result::Result<(), usize> {
        let all = self.leases.values();
        // What somebody is about to get counts as pending, claimed or not.
        let had = |l: &&Lease| !self.reserved.contains_key(&l.holder_key);
        let held = all
            .filter(|l| l.pool == *pool && l.uid == uid)
            .filter(had)
            .count();
        let pending = self.pending.entry((pool.clone(), uid)).or_default();
        if held + *pending + wants > most {
            return Err(held + *pending);
        }
        *pending += wants;
        Ok(())
    }

    /// What was wanted is there, or was not to be had.
    pub fn settle(&mut self, pool: &Name, uid: u32, wanted: usize) {
        let key = (pool.clone(), uid);
        if let Some(pending) = self.pending.get_mut(&key) {
            *pending = pending.saturating_sub(wanted);
            if *pending == 0 {
                self.pending.remove(&key);
            }
        }
    }

    /// Whether a hostlet of this name has a lease, had one that it lost, or is about to get one.
    pub fn knows(&self, hostlet: &Name) -> bool {
        self.leases.values().any(|l| l.hostlet == *hostlet)
            || self.reserved.values().any(|name| name == hostlet)
            || self.bereft.iter().any(|l| l.hostlet == *hostlet)
    }

    /// The hostlets of a user's holders of one label: as many as are wanted, of the lowest ordinals.
    pub fn hostlets(&self, uid: u32, label: &str, most: usize) -> BTreeSet<Name> {
        let prefix = format!("{uid}/{label}/");
        let ordinal = |l: &Lease| l.holder_key.strip_prefix(&prefix)?.parse::<u32>().ok();
        let all = self.leases.values();
        let mut found: Vec<(u32, &Name)> = all
            .filter_map(|l| Some((ordinal(l)?, &l.hostlet)))
            .collect();
        found.sort_unstable();
        let lowest = found.into_iter().map(|(_, name)| name.clone());
        lowest.take(most).collect()
    }

    /// The names of all hostlets that it [`knows`](Ledger::knows).
    pub fn names(&self) -> BTreeSet<&Name> {
        let leased = self.leases.values().map(|l| &l.hostlet);
        let lost = self.bereft.iter().map(|l| &l.hostlet);
        leased.chain(self.reserved.values()).chain(lost).collect()
    }

    /// A holder's key that nobody uses now, until [`Ledger::unreserve`]: the lowest free ordinal of that user and label, so
    /// that whoever comes back is the same holder. None: the hostlet is known already.
    pub fn reserve(&mut self, uid: u32, label: &str, hostlet: &Name) -> Option<String> {
        if self.knows(hostlet) {
            return None;
        }
        let used: BTreeSet<&str> = self
            .leases
            .values()
            .map(|l| l.holder_key.as_str())
            .chain(self.reserved.keys().map(String::as_str))
            .chain(self.bereft.iter().map(|l| l.holder_key.as_str()))
            .collect();
        let mut ordinal = 1_u32;
        let key = loop {
            let key = format!("{uid}/{label}/{ordinal}");
            if !used.contains(key.as_str()) {
                break key;
            }
            ordinal += 1;
        };
        self.reserved.insert(key.clone(), hostlet.clone());
        Some(key)
    }

    /// The holder's next attempt has to wait: a server may hear of the end of this one after the beginning of the next, and would
    /// take the one for the other.
    pub fn cool(&mut self, key: &str) {
        self.cooling
            .insert(key.to_owned(), Instant::now() + COOLING);
    }

    /// How long the holder has to wait.
    pub fn cooling(&mut self, key: &str) -> Option<Duration> {
        let now = Instant::now();
        self.cooling.retain(|_, until| *until > now);
        self.cooling.get(key).map(|until| *until - now)
    }

    /// The number of the holder with this key.
    pub fn number(&self, key: &str) -> Result<u32> {
        self.store.holder(key)
    }

    /// Marks a hostlet as ending, until [`Ledger::finish_end`]. False: one of its name is being opened.
    pub fn begin_end(&mut self, hostlet: &Name) -> bool {
        if self.reserved.values().any(|name| name == hostlet) {
            return false;
        }
        *self.ending.entry(hostlet.clone()).or_default() += 1;
        true
    }

    /// Whether somebody is ending it.
    pub fn is_ending(&self, hostlet: &Name) -> bool {
        self.ending.contains_key(hostlet)
    }

    /// Everything that it held is given back, or was left to be tried again.
    pub fn finish_end(&mut self, hostlet: &Name) {
        if let Some(count) = self.ending.get_mut(hostlet) {
            *count -= 1;
            if *count == 0 {
                self.ending.remove(hostlet);
            }
        }
    }

    /// Told when one is no longer ending.
    pub fn ended_one(&self) -> Arc<Condvar> {
        Arc::clone(&self.ended_one)
    }

    /// From now on only leases speak for the holder.
    pub fn unreserve(&mut self, key: &str) {
        self.reserved.remove(key);
    }

    /// What hostlets are without.
    pub fn lost(&self) -> &[Lease] {
        &self.bereft
    }

    /// The holder of a lost lease stays the holder, until its hostlet ends.
    pub fn bereave(&mut self, lease: &Lease) -> Result<()> {
        self.forget(&lease.hostlet, Some((&lease.pool, lease.address.is_ipv6())));
        self.bereft.push(lease.clone());
        self.store.lose(lease)
    }

    /// A hostlet has another lease of this pool and family; none: it ended.
    pub fn found(&mut self, hostlet: &Name, of: Option<(&Name, bool)>) -> Result<()> {
        if self.forget(hostlet, of) {
            return self.store.found(hostlet, of);
        }
        Ok(())
    }

    fn forget(&mut self, hostlet: &Name, of: Option<(&Name, bool)>) -> bool {
        let before = self.bereft.len();
        self.bereft.retain(|l| {
            let meant = of.is_none_or(|(pool, v6)| l.pool == *pool && l.address.is_ipv6() == v6);
            l.hostlet != *hostlet || !meant
        });
        self.bereft.len() < before
    }

    /// Writes down that an address is to be used, unless somebody else has it.
    pub fn claim(&mut self, lease: &Lease, now: Timestamp) -> Result<Claim> {
        let claim = self.store.claim(lease, now)?;
        Ok(self.claimed(lease, claim))
    }

    /// As [`Ledger::claim`], not waiting for the disk: the [`Ledger::hold`] that comes before anybody uses the address does.
    pub fn claim_for_now(&mut self, lease: &Lease, now: Timestamp) -> Result<Claim> {
        let claim = self.store.claim_for_now(lease, now)?;
        Ok(self.claimed(lease, claim))
    }

    fn claimed(&mut self, lease: &Lease, claim: Claim) -> Claim {
        if matches!(claim, Claim::Done) {
            self.leases.insert(lease.address, lease.clone());
            self.serials.entry(lease.address).or_insert_with(|| {
                self.next += 1;
                self.next
            });
        }
        claim
    }

    /// Completes a claim with what the server said.
    pub fn complete(&mut self, lease: &Lease, now: Timestamp) -> std::result::Result<(), String> {
        // That it is claimed is on the disk already.
        match self.claim_for_now(lease, now).map_err(|e| e.to_string())? {
            Claim::Done => Ok(()),
            Claim::Taken(other) => Err(format!(
                "hostlet '{}' has {} already",
                other.hostlet, lease.address
            )),
            Claim::SetAside { why, .. } => Err(format!("{} is set aside: {why}", lease.address)),
        }
    }

    /// The address is in use, or goes on being so, under these terms.
    pub fn hold(&mut self, address: IpAddr, hostlet: &Name, terms: Option<&Terms>) -> Result<()> {
        self.store.hold(address, hostlet, terms)?;
        if let Some(lease) = self.leases.get_mut(&address) {
            lease.state = LeaseState::Held;
            lease.hostlet = hostlet.clone();
            lease.terms = terms.cloned();
        }
        Ok(())
    }

    /// As [`Ledger::hold`], by whoever drew the address. It may have been renewed while he waited for others: what was written
    /// down then stays.
    pub fn hold_drawn(
        &mut self,
        address: IpAddr,
        hostlet: &Name,
        drawn: Option<&Terms>,
    ) -> Result<()> {
        let renewed = self.leases.get(&address).and_then(|l| l.terms.clone());
        self.hold(address, hostlet, renewed.as_ref().or(drawn))
    }

    /// The address is free again.
    pub fn release(&mut self, address: IpAddr, now: Timestamp) -> Result<Option<Lease>> {
        let released = self.store.release(address, now)?;
        self.leases.remove(&address);
        self.serials.remove(&address);
        Ok(released)
    }

    /// Not to be used for a while.
    pub fn set_aside(&mut self, aside: &Aside) -> Result<()> {
        self.store.set_aside(aside)
    }

    /// What is set aside now.
    pub fn aside(&self, now: Timestamp) -> Result<Vec<Aside>> {
        self.store.aside(now)
    }

    /// What a holder had last from a pool.
    pub fn last(&self, holder: u32, pool: &Name, v6: bool) -> Result<Option<Remembered>> {
        self.store.last(holder, pool, v6)
    }

    /// The addresses of a pool that were somebody's last.
    pub fn remembered(&self, pool: &Name) -> Result<Vec<Remembered>> {
        self.store.remembered(pool)
    }

    /// Forgets what is older.
    pub fn prune(&self, before: Timestamp) -> Result<usize> {
        self.store.prune(before)
    }
}

#[cfg(test)]
mod tests {
    use hostlet_store::Store;

    use super::*;

    fn terms(expires: i64) -> Terms {
        Terms {
            server: "192.0.2.1".to_owned(),
            hardware: "02:ab:cd:00:00:07".to_owned(),
            renew: Timestamp::UNIX_EPOCH,
            rebind: Timestamp::UNIX_EPOCH,
            expires: Timestamp::from_second(expires).ok(),
            since_boot: None,
        }
    }

    #[test]
    fn who_drew_it_does_not_undo_a_renewal() {
        let dir = std::env::temp_dir().join(format!("hostlet-ledger-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let store = Store::open(&dir.join("hostlet.db")).unwrap();
        let mut ledger = Ledger::open(Box::new(store)).unwrap();
        let hostlet: Name = "web".parse().unwrap();
        for (n, renewed) in [(7, None), (8, Some(terms(300)))] {
            let lease = Lease {
                address: IpAddr::from([192, 0, 2, n]),
                prefix_len: 24,
                pool: "office".parse().unwrap(),
                interface: "eth0".to_owned(),
                hostlet: hostlet.clone(),
                holder: 7,
                holder_key: "1000/web/1".to_owned(),
                uid: 1000,
                user: "alice".to_owned(),
                program: Vec::new(),
                since: Timestamp::UNIX_EPOCH,
                state: LeaseState::Claimed,
                terms: None,
            };
            ledger.complete(&lease, Timestamp::UNIX_EPOCH).unwrap();
            if renewed.is_some() {
                ledger
                    .hold(lease.address, &hostlet, renewed.as_ref())
                    .unwrap();
            }
            let drawn = terms(200);
            ledger
                .hold_drawn(lease.address, &hostlet, Some(&drawn))
                .unwrap();
            let kept = ledger.store.leases().unwrap();
            let kept = kept.iter().find(|l| l.address == lease.address).unwrap();
            assert_eq!(kept.terms, Some(renewed.unwrap_or(drawn)));
            assert_eq!(kept.state, LeaseState::Held);
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
