//! One hostlet ends, and another of its name begins, one after the other: what the first held is given back by its name.

use std::sync::PoisonError;

use hostlet_model::Name;

use crate::shared::Shared;

/// While this is there nobody opens a hostlet of that name.
pub(crate) struct Ending<'a> {
    shared: &'a Shared,
    hostlet: Name,
}

impl Shared {
    /// Begins to end a hostlet, once nobody else is at it. None: one of its name is being opened just now, so whatever there was
    /// is gone.
    pub fn ending(&self, hostlet: &Name) -> Option<Ending<'_>> {
        let mut ledger = self.ledger();
        let ended = ledger.ended_one();
        while ledger.is_ending(hostlet) {
            ledger = ended.wait(ledger).unwrap_or_else(PoisonError::into_inner);
        }
        let begun = ledger.begin_end(hostlet);
        drop(ledger);
        begun.then(|| Ending {
            shared: self,
            hostlet: hostlet.clone(),
        })
    }

    /// As [`crate::ledger::Ledger::reserve`], once everything that another hostlet of that name held is given back, and
    /// servers have heard of the holder's last attempt, if any is to be asked.
    pub fn reserve(&self, uid: u32, label: &str, hostlet: &Name, asks: bool) -> Option<String> {
        let mut ledger = self.ledger();
        let ended = ledger.ended_one();
        while ledger.is_ending(hostlet) {
            ledger = ended.wait(ledger).unwrap_or_else(PoisonError::into_inner);
        }
        let key = ledger.reserve(uid, label, hostlet)?;
        while asks && let Some(left) = ledger.cooling(&key) {
            let waited = ended.wait_timeout(ledger, left);
            ledger = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(key)
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut ledger = self.shared.ledger();
        ledger.finish_end(&self.hostlet);
        ledger.ended_one().notify_all();
    }
}
