//! Address sets: what holds for all addresses of one hostlet together.

use crate::{AddressSpec, Owned};

/// The most entries (addresses and prefixes) in the set of one hostlet. The kernel's source lists are sized by it; whoever needs
/// more addresses gives a prefix.
pub const MAX_ADDRESSES: usize = 256;

/// Why a list of addresses is no set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum SetError {
    #[error("a hostlet needs at least one address: give --address, once for each")]
    Empty,
    #[error(
        "{count} addresses and prefixes are too many, a hostlet has at most {MAX_ADDRESSES}: give a prefix instead of its addresses"
    )]
    TooMany { count: usize },
    #[error("{address} is given twice: leave one out")]
    Duplicate { address: Owned },
    #[error("{inner} lies within {outer}: give one of the two")]
    Overlap { outer: Owned, inner: Owned },
}

/// Checks what holds for a set as a whole: it has 1 to [`MAX_ADDRESSES`] entries, and no two of them share an address.
///
/// # Errors
/// The first thing found wrong, naming the entries.
pub fn check_set(set: &[AddressSpec]) -> Result<(), SetError> {
    if set.is_empty() {
        return Err(SetError::Empty);
    }
    if set.len() > MAX_ADDRESSES {
        return Err(SetError::TooMany { count: set.len() });
    }
    match first_overlap(set.iter().map(|a| a.owned)) {
        None => Ok(()),
        Some((a, b)) if a == b => Err(SetError::Duplicate { address: a }),
        Some((outer, inner)) => Err(SetError::Overlap { outer, inner }),
    }
}

/// Two entries that share an address, the wider one first. Prefixes are nested or disjoint, so in the order of network address and
/// length everything inside an entry follows it directly: looking at neighbours is enough.
fn first_overlap(entries: impl Iterator<Item = Owned>) -> Option<(Owned, Owned)> {
    let mut all: Vec<Owned> = entries.collect();
    all.sort_by_key(|o| (o.net().network(), o.net().prefix_len()));
    all.windows(2)
        .find(|w| w[0].overlaps(&w[1]))
        .map(|w| (w[0], w[1]))
}
