//! Reading what is remembered.

use std::ops::RangeInclusive;

use hostlet_model::{HostletId, Name, Owned};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row};
use serde::de::DeserializeOwned;

use crate::definition::{Assigned, Definition, State, Version};
use crate::error::{Result, StoreError};
use crate::history::{self, HistoryQuery, HistoryRow};
use crate::schema;
use crate::store::{Failure, Store};

impl Store {
    /// The hostlet of that name.
    pub fn get(&self, name: &Name) -> Result<Option<Definition>> {
        Ok(self.definitions("WHERE name = ?1", [name.as_str()])?.pop())
    }

    /// The hostlet with that id.
    pub fn get_by_id(&self, id: HostletId) -> Result<Option<Definition>> {
        Ok(self.definitions("WHERE id = ?1", [id.0])?.pop())
    }

    /// All hostlets, by name.
    pub fn all(&self) -> Result<Vec<Definition>> {
        self.definitions("ORDER BY name", [])
    }

    /// How often hostlets were changed, by whomever: as long as it is the same, [`Store::all`] gives the same.
    ///
    /// # Errors
    /// The file cannot be read, or a newer program has changed its tables.
    pub fn changes(&self) -> Result<i64> {
        let path = &self.path;
        self.read("read whether hostlets were changed", |conn| {
            if !schema::check(conn, path)? {
                return Err(StoreError::Corrupt {
                    path: path.clone(),
                    reason: "its tables are older than they were".to_owned(),
                }
                .into());
            }
            Ok(conn
                .prepare_cached("SELECT value FROM counter WHERE name = 'changes'")?
                .query_row([], |r| r.get(0))?)
        })
    }

    /// The hostlets that a command was changing and did not finish with, and between what.
    pub fn changing(&self) -> Result<Vec<(HostletId, Vec<Version>)>> {
        let rows: Vec<(u32, String, String)> =
            self.read("read the unfinished changes", |conn| {
                conn.prepare_cached(
                    "SELECT id, name, changing FROM hostlet WHERE changing IS NOT NULL",
                )?
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                .collect::<rusqlite::Result<_>>()
                .map_err(Failure::Sql)
            })?;
        rows.into_iter()
            .map(|(id, name, between)| Ok((HostletId(id), self.json(&name, "changing", &between)?)))
            .collect()
    }

    /// A free id of the range: the one after the last that was given out, so that
    /// an id is not used again soon; none if all are taken.
    pub fn next_id(&self, range: RangeInclusive<u32>) -> Result<Option<HostletId>> {
        let (first, last) = range.into_inner();
        self.read("choose an id", |conn| {
            // The gaps begin after a taken id; two tries: behind the last one, and from the start.
            let mut gap = conn.prepare_cached(
                "SELECT candidate FROM (
                    SELECT ?1 AS candidate UNION ALL SELECT id + 1 FROM hostlet WHERE id >= ?1)
                 WHERE candidate BETWEEN ?1 AND ?2
                   AND candidate NOT IN (SELECT id FROM hostlet) ORDER BY candidate LIMIT 1",
            )?;
            let hint: Option<u32> = conn
                .query_row(
                    "SELECT value FROM counter WHERE name = 'last id'",
                    [],
                    |r| r.get(0),
                )
                .optional()?;
            let behind = hint.map_or(first, |h| h.saturating_add(1)).max(first);
            let found = gap.query_row((behind, last), |r| r.get(0)).optional()?;
            match found {
                Some(id) => Ok(Some(HostletId(id))),
                None => Ok(gap
                    .query_row((first, last), |r| r.get(0))
                    .optional()?
                    .map(HostletId)),
            }
        })
    }

    /// Every address that hostlet itself put on an interface.
    pub fn assigned(&self) -> Result<Vec<Assigned>> {
        let rows: Vec<(String, u32, String, String, String)> =
            self.read("read the assigned addresses", |conn| {
                conn.prepare_cached(
                    "SELECT h.name, h.id, e.placed, h.boot_id, h.state
                     FROM entry e JOIN hostlet h ON h.id = e.hostlet
                     WHERE e.assigned ORDER BY h.name, e.position",
                )?
                .query_map([], |r| {
                    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
                })?
                .collect::<rusqlite::Result<_>>()
                .map_err(Failure::Sql)
            })?;
        rows.into_iter()
            .map(|(name, id, placed, boot_id, state)| {
                Ok(Assigned {
                    hostlet: self.parse(&name, "name", name.parse())?,
                    id: HostletId(id),
                    entry: self.json(&name, "placed", &placed)?,
                    boot_id,
                    state: self.state(&name, &state)?,
                })
            })
            .collect()
    }

    /// Who had which address, oldest first.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>> {
        let rows = self.read("read the history", |conn| Ok(history::select(conn, query)?))?;
        let mut found = Vec::new();
        for raw in rows {
            let row = format!("history {}", raw.number);
            let address: Owned = self.parse(&row, "address", raw.address.parse())?;
            if query
                .address
                .is_some_and(|wanted| !address.contains(wanted))
            {
                continue;
            }
            found.push(HistoryRow {
                hostlet: self.parse(&row, "hostlet", raw.hostlet.parse())?,
                address,
                from: self.time(&row, "gained", raw.gained)?,
                to: raw.lost.map(|t| self.time(&row, "lost", t)).transpose()?,
                program: self.json(&row, "program", &raw.program)?,
                uid: raw.uid,
                user: raw.user,
            });
        }
        Ok(found)
    }

    fn definitions(&self, tail: &str, params: impl rusqlite::Params) -> Result<Vec<Definition>> {
        // One transaction: the entries belong to the hostlets that were read.
        let raw = self.read("read the hostlets", |conn| {
            let several = self.is_together();
            let _tx = (!several)
                .then(|| conn.unchecked_transaction())
                .transpose()?;
            let mut rows = conn
                .prepare_cached(&format!(
                    "SELECT id, name, spec, lifetime, boot_id, state, created, program, uid, user
                     FROM hostlet {tail}"
                ))?
                .query_map(params, RawDefinition::read)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let mut entries = conn
                .prepare_cached("SELECT placed FROM entry WHERE hostlet = ?1 ORDER BY position")?;
            for row in &mut rows {
                row.entries = entries
                    .query_map([row.id], |r| r.get(0))?
                    .collect::<rusqlite::Result<_>>()?;
            }
            Ok(rows)
        })?;
        raw.into_iter().map(|r| self.definition(r)).collect()
    }

    fn definition(&self, raw: RawDefinition) -> Result<Definition> {
        let row = &raw.name;
        Ok(Definition {
            id: HostletId(raw.id),
            name: self.parse(row, "name", raw.name.parse())?,
            spec: self.json(row, "spec", &raw.spec)?,
            entries: raw
                .entries
                .iter()
                .map(|e| self.json(row, "placed", e))
                .collect::<Result<_>>()?,
            lifetime: self.json(row, "lifetime", &raw.lifetime)?,
            state: self.state(row, &raw.state)?,
            created: self.time(row, "created", raw.created)?,
            program: self.json(row, "program", &raw.program)?,
            boot_id: raw.boot_id,
            uid: raw.uid,
            user: raw.user,
        })
    }

    fn bad(&self, row: &str, column: &'static str, reason: String) -> StoreError {
        StoreError::Row {
            path: self.path.clone(),
            row: row.into(),
            column,
            reason,
        }
    }

    pub(crate) fn parse<T, E: std::fmt::Display>(
        &self,
        row: &str,
        column: &'static str,
        parsed: std::result::Result<T, E>,
    ) -> Result<T> {
        parsed.map_err(|e| self.bad(row, column, e.to_string()))
    }

    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        row: &str,
        column: &'static str,
        text: &str,
    ) -> Result<T> {
        self.parse(row, column, serde_json::from_str(text))
    }

    fn state(&self, row: &str, text: &str) -> Result<State> {
        State::parse(text).ok_or_else(|| self.bad(row, "state", format!("unknown: {text}")))
    }

    pub(crate) fn time(&self, row: &str, column: &'static str, micros: i64) -> Result<Timestamp> {
        self.parse(row, column, Timestamp::from_microsecond(micros))
    }
}

struct RawDefinition {
    id: u32,
    name: String,
    spec: String,
    lifetime: String,
    boot_id: String,
    state: String,
    created: i64,
    program: String,
    uid: u32,
    user: String,
    entries: Vec<String>,
}

impl RawDefinition {
    fn read(r: &Row<'_>) -> rusqlite::Result<RawDefinition> {
        Ok(RawDefinition {
            id: r.get(0)?,
            name: r.get(1)?,
            spec: r.get(2)?,
            lifetime: r.get(3)?,
            boot_id: r.get(4)?,
            state: r.get(5)?,
            created: r.get(6)?,
            program: r.get(7)?,
            uid: r.get(8)?,
            user: r.get(9)?,
            entries: Vec::new(),
        })
    }
}
