//! Changing what is remembered; each call is one transaction.

use std::net::IpAddr;

use hostlet_model::{HostletSpec, Lifetime, Name, Owned, SetEntry};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};
use serde::Serialize;

use crate::definition::{Definition, Follows, State, Version};
use crate::error::{Result, StoreError};
use crate::history;
use crate::store::{Failure, Store};

impl Store {
    /// Remembers a new hostlet. Its name and id must be free.
    pub fn insert(&self, definition: &Definition) -> Result<()> {
        let d = definition;
        self.change("remember a hostlet", |tx| {
            let taken: Option<bool> = tx
                .prepare_cached("SELECT name = ?2 FROM hostlet WHERE id = ?1 OR name = ?2 ORDER BY 1 DESC")?
                .query_row((d.id.0, d.name.as_str()), |r| r.get(0))
                .optional()?;
            if let Some(by_name) = taken {
                let (what, value) =
                    if by_name { ("name", d.name.to_string()) } else { ("id", d.id.0.to_string()) };
                return Err(StoreError::Duplicate { path: self.path.clone(), what, value }.into());
            }
            tx.prepare_cached(
                "INSERT INTO hostlet (id, name, spec, lifetime, boot_id, state, created, program, uid, user, follows)
                 VALUES (:id, :name, :spec, :lifetime, :boot, :state, :created, :program, :uid, :user, :follows)",
            )?
            .execute(named_params! {
                ":id": d.id.0, ":name": d.name.as_str(), ":spec": json(&d.spec)?,
                ":lifetime": json(&d.lifetime)?, ":boot": d.boot_id, ":state": d.state.as_str(),
                ":created": d.created.as_microsecond(), ":program": json(&d.program)?,
                ":uid": d.uid, ":user": d.user, ":follows": Follows::from(&d.spec, &d.entries) as u8,
            })?;
            tx.prepare_cached("INSERT OR REPLACE INTO counter (name, value) VALUES ('last id', ?1)")?
                .execute([d.id.0])?;
            insert_entries(tx, d.id.0, &d.entries)?;
            match d.state {
                State::Live => Ok(history::follow(tx, d.name.as_str(), d.created)?),
                // There was none of that name, which could hold something.
                State::Pending | State::Removing => Ok(()),
            }
        })
    }

    /// Says how far a hostlet has come. With [`State::Live`] its addresses enter
    /// the history, with any other they leave it.
    pub fn set_state(&self, name: &Name, state: State, now: Timestamp) -> Result<()> {
        self.change("change the state of a hostlet", |tx| {
            let changed = tx
                .prepare_cached("UPDATE hostlet SET state = ?2 WHERE name = ?1")?
                .execute((name.as_str(), state.as_str()))?;
            self.known(name, changed)?;
            // To compile the statements takes longer than all else that is done here.
            let history = match state {
                State::Live => history::follow,
                State::Pending | State::Removing => history::close,
            };
            Ok(history(tx, name.as_str(), now)?)
        })
    }

    /// Says in which boot the kernel got the hostlet: one that is brought back
    /// after a restart of the machine.
    pub fn set_boot(&self, name: &Name, boot_id: &str) -> Result<()> {
        self.change("change the boot of a hostlet", |tx| {
            let changed = tx
                .prepare_cached("UPDATE hostlet SET boot_id = ?2 WHERE name = ?1")?
                .execute((name.as_str(), boot_id))?;
            self.known(name, changed)
        })
    }

    /// Says for whom a hostlet lives from now on.
    pub fn set_lifetime(&self, name: &Name, lifetime: &Lifetime) -> Result<()> {
        self.change("change the lifetime of a hostlet", |tx| {
            let changed = tx
                .prepare_cached("UPDATE hostlet SET lifetime = ?2 WHERE name = ?1")?
                .execute((name.as_str(), json(lifetime)?))?;
            self.known(name, changed)
        })
    }

    /// Replaces what was asked for together with the placed set.
    pub fn update(
        &self,
        name: &Name,
        spec: &HostletSpec,
        entries: &[SetEntry],
        now: Timestamp,
    ) -> Result<()> {
        self.change("change a hostlet", |tx| {
            let id = self.id_of(tx, name)?;
            tx.prepare_cached("UPDATE hostlet SET spec = ?2, follows = ?3 WHERE id = ?1")?
                .execute((id, json(spec)?, Follows::from(spec, entries) as u8))?;
            write_entries(tx, id, entries)?;
            Ok(history::follow(tx, name.as_str(), now)?)
        })
    }

    /// Writes down between what a hostlet is being changed, before the first step.
    /// It stays until [`Store::end_change`]: what is found by a later command was interrupted.
    pub fn begin_change(&self, name: &Name, between: &[Version]) -> Result<()> {
        self.change("remember a change of a hostlet", |tx| {
            let changed = tx
                .prepare_cached("UPDATE hostlet SET changing = ?2 WHERE name = ?1")?
                .execute((name.as_str(), json(&between)?))?;
            self.known(name, changed)
        })
    }

    /// Says that a hostlet is whole again; one that is gone is no error.
    pub fn end_change(&self, name: &Name) -> Result<()> {
        self.change("remember the end of a change", |tx| {
            tx.prepare_cached("UPDATE hostlet SET changing = NULL WHERE name = ?1")?
                .execute([name.as_str()])?;
            Ok(())
        })
    }

    /// Forgets a hostlet and closes its history. False: there was none.
    pub fn delete(&self, name: &Name, now: Timestamp) -> Result<bool> {
        self.change("forget a hostlet", |tx| {
            let gone = tx
                .prepare_cached("DELETE FROM hostlet WHERE name = ?1")?
                .execute([name.as_str()])?;
            history::close(tx, name.as_str(), now)?;
            Ok(gone > 0)
        })
    }

    /// Drops the history of addresses that were lost before then; says how many rows. The whole history is gone through, so
    /// at most once for each hour.
    pub fn prune_history(&self, before: Timestamp) -> Result<usize> {
        let hour = before.as_second().div_euclid(3600);
        let last = self.read("read how far the history was pruned", |conn| {
            Ok(conn
                .prepare_cached("SELECT value FROM counter WHERE name = 'history pruned'")?
                .query_row([], |r| r.get(0))
                .optional()?)
        })?;
        if last == Some(hour) {
            return Ok(0);
        }
        self.change("prune the history", |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO counter (name, value) VALUES ('history pruned', ?1)",
                [hour],
            )?;
            Ok(tx.execute(
                "DELETE FROM history WHERE lost < ?1",
                [before.as_microsecond()],
            )?)
        })
    }

    fn id_of(&self, tx: &Connection, name: &Name) -> std::result::Result<u32, Failure> {
        let id = tx
            .prepare_cached("SELECT id FROM hostlet WHERE name = ?1")?
            .query_row([name.as_str()], |r| r.get(0))
            .optional()?;
        id.ok_or_else(|| self.unknown(name).into())
    }

    fn known(&self, name: &Name, changed: usize) -> std::result::Result<(), Failure> {
        if changed == 0 {
            Err(self.unknown(name).into())
        } else {
            Ok(())
        }
    }

    fn unknown(&self, name: &Name) -> StoreError {
        StoreError::Unknown {
            path: self.path.clone(),
            name: name.to_string(),
        }
    }
}

fn write_entries(
    tx: &Connection,
    id: u32,
    entries: &[SetEntry],
) -> std::result::Result<(), Failure> {
    tx.prepare_cached("DELETE FROM entry WHERE hostlet = ?1")?
        .execute([id])?;
    insert_entries(tx, id, entries)
}

/// Writes the set of a hostlet that has none.
fn insert_entries(
    tx: &Connection,
    id: u32,
    entries: &[SetEntry],
) -> std::result::Result<(), Failure> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO entry (hostlet, position, owned, assigned, placed, first, last)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for (position, entry) in entries.iter().enumerate() {
        let owned = entry.owned.to_string();
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let (first, last) = bounds(&entry.owned);
        let placed = json(entry)?;
        insert.execute((id, position, owned, entry.assigned, placed, first, last))?;
    }
    Ok(())
}

/// The lowest and the highest address of a set entry, as the file has them: in the order of addresses, the families apart.
pub(crate) fn bounds(owned: &Owned) -> (Vec<u8>, Vec<u8>) {
    let bytes = |addr| match addr {
        IpAddr::V4(addr) => [&[4][..], &addr.octets()].concat(),
        IpAddr::V6(addr) => [&[6][..], &addr.octets()].concat(),
    };
    let (first, last) = owned.range();
    (bytes(first), bytes(last))
}

pub(crate) fn json(value: &impl Serialize) -> std::result::Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|e| Failure::Sql(rusqlite::Error::ToSqlConversionFailure(Box::new(e))))
}
