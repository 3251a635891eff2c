//! What a process that stays keeps open between its commands: opening all of it again takes longer than the change itself.
//!
//! Others change the state as well, each under the lock. So nothing is believed: whether the file and the pins are the
//! ones that were opened is seen by their inodes.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostlet_kernel::Kernel;
use hostlet_model::{HostletId, Paths};
use hostlet_store::Store;

use crate::error::Result;

/// What is kept of an engine, if its process stays.
#[derive(Default)]
pub(crate) struct Keep {
    stays: AtomicBool,
    /// Of commands that change, of which there is one at a time; and of those that read.
    changing: Mutex<Option<(Inode, Store)>>,
    reading: Mutex<Option<(Inode, Store)>>,
    /// Of commands that change.
    kernel: Mutex<Option<(Inode, Kernel)>>,
    /// Hostlets whose end this process hears of.
    heard_of: Mutex<BTreeSet<HostletId>>,
}

/// A file, by its file system and number.
pub(crate) type Inode = (u64, u64);

/// The store of a command.
pub(crate) struct Opened {
    /// Not there once the command is over.
    store: Option<Store>,
    inode: Option<Inode>,
}

impl std::ops::Deref for Opened {
    type Target = Store;

    fn deref(&self) -> &Store {
        match &self.store {
            Some(store) => store,
            None => unreachable!("the store is taken when the command is over"),
        }
    }
}

impl Keep {
    /// From now on.
    pub fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    fn stays(&self) -> bool {
        self.stays.load(Ordering::Relaxed)
    }

    fn open(&self, change: bool) -> MutexGuard<'_, Option<(Inode, Store)>> {
        lock(if change {
            &self.changing
        } else {
            &self.reading
        })
    }

    /// This process watches for the end of a hostlet, or is about to: whether it lives need not be looked at by each command.
    pub fn hear_of(&self, id: HostletId, store: &Store) -> Result<()> {
        if !self.stays() {
            return Ok(());
        }
        let mut all = lock(&self.heard_of);
        if all.len() > 2 * store.count()? {
            let there: BTreeSet<HostletId> = store.runs()?.into_iter().map(|(id, _)| id).collect();
            all.retain(|id| there.contains(id));
        }
        all.insert(id);
        Ok(())
    }

    /// Those.
    pub fn heard_of(&self) -> BTreeSet<HostletId> {
        lock(&self.heard_of).clone()
    }

    /// The store.
    pub fn store(&self, paths: &Paths, change: bool) -> Result<Opened> {
        if !self.stays() {
            let store = if change {
                Store::open(&paths.db)?
            } else {
                Store::open_read_only(&paths.db)?
            };
            let (store, inode) = (Some(store), None);
            return Ok(Opened { store, inode });
        }
        let now = inode(&paths.db);
        let kept = self.open(change).take();
        let (inode, store) = match kept {
            Some((then, store)) if Some(then) == now && store.is_current()? => (now, store),
            _ => {
                // To read as well: one that is not there would be taken for empty for ever.
                let store = Store::open_to_stay(&paths.db)?;
                (inode(&paths.db), store)
            }
        };
        let store = Some(store);
        Ok(Opened { store, inode })
    }

    /// The kernel part, if it is there.
    pub fn kernel(&self, paths: &Paths, change: bool) -> Result<Option<Kernel>> {
        let kept = if change {
            lock(&self.kernel).take()
        } else {
            None
        };
        match kept {
            Some((then, kernel)) if inode(&paths.pins) == Some(then) => Ok(Some(kernel)),
            _ => Ok(Kernel::open(&paths.pins)?),
        }
    }

    /// What a command had, for the next one.
    pub fn put_back(
        &self,
        paths: &Paths,
        locked: bool,
        store: &mut Opened,
        kernel: Option<Kernel>,
    ) {
        // What somebody panicked with may be anything.
        if !self.stays() || std::thread::panicking() {
            return;
        }
        let (Some(store), Some(inode)) = (store.store.take(), store.inode) else {
            return;
        };
        // Whoever only reads may see what changes that moment.
        if locked {
            *lock(&self.kernel) =
                kernel.and_then(|kernel| Some((self::inode(&paths.pins)?, kernel)));
        }
        *self.open(locked) = Some((inode, store));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which file is there now.
pub(crate) fn inode(path: &Path) -> Option<Inode> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}
