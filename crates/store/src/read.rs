//! Reading what is remembered.

use std::ops::RangeInclusive;
use std::path::Path;

use hostlet_model::{HostletId, Lifetime, Name, Owned};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row};
use serde::de::DeserializeOwned;

use crate::change::bounds;
use crate::definition::{Assigned, Definition, Follows, Glance, State, Version};
use crate::error::{Result, StoreError};
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

    /// Whether the file is still what this program knows: a newer one may have changed its tables while it was open.
    ///
    /// # Errors
    /// It is newer, or cannot be read.
    pub fn is_current(&self) -> Result<bool> {
        let path = &self.path;
        self.read("read the schema version", |conn| {
            Ok(schema::check(conn, path)?)
        })
    }

    /// What each command has to know of all hostlets, without looking at them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn glance(&self, boot_id: &str) -> Result<Glance> {
        self.read("look at the hostlets", |conn| {
            // But for the count, each part is the end of an index.
            let glance = conn
                .prepare_cached(
                    r#"SELECT count(*), ifnull(min(id), 1), ifnull(max(id), 1),
                        EXISTS (SELECT 1 FROM hostlet WHERE boot_id < ?1)
                        OR EXISTS (SELECT 1 FROM hostlet WHERE boot_id > ?1)
                        OR EXISTS (SELECT 1 FROM hostlet WHERE boot_id = ?1 AND state < 'live')
                        OR EXISTS (SELECT 1 FROM hostlet WHERE boot_id = ?1 AND state > 'live')
                        OR EXISTS (SELECT 1 FROM hostlet WHERE changing IS NOT NULL),
                        EXISTS (SELECT 1 FROM hostlet WHERE lifetime GLOB '{"kind":"run"*')
                     FROM hostlet"#,
                )?
                .query_row([boot_id], |r| {
                    Ok(Glance {
                        count: r.get(0)?,
                        ids: HostletId(r.get(1)?)..=HostletId(r.get(2)?),
                        unsettled: r.get(3)?,
                        runs: r.get(4)?,
                    })
                })?;
            Ok(glance)
        })
    }

    /// How many hostlets there are.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn count(&self) -> Result<usize> {
        let count: i64 = self.one("count the hostlets", "SELECT count(*) FROM hostlet", [])?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Whether there is no hostlet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_empty(&self) -> Result<bool> {
        let some: bool = self.one(
            "look for a hostlet",
            "SELECT EXISTS (SELECT 1 FROM hostlet)",
            [],
        )?;
        Ok(!some)
    }

    /// The hostlets that are not whole in this boot: half-made, half-removed, or of another boot.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn unsettled(&self, boot_id: &str) -> Result<Vec<Definition>> {
        // Each part is a range of the index `hostlet_standing`: where all are well, nothing is gone through.
        self.definitions(
            "WHERE id IN (SELECT id FROM hostlet WHERE boot_id < ?1
                UNION ALL SELECT id FROM hostlet WHERE boot_id > ?1
                UNION ALL SELECT id FROM hostlet WHERE boot_id = ?1 AND state < 'live'
                UNION ALL SELECT id FROM hostlet WHERE boot_id = ?1 AND state > 'live') ORDER BY name",
            [boot_id],
        )
    }

    /// The hostlets of runs, with the process of each, by id.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn runs(&self) -> Result<Vec<(HostletId, Lifetime)>> {
        let rows: Vec<(u32, String)> = self.read("read the hostlets of runs", |conn| {
            // As the index `hostlet_run` has it.
            conn.prepare_cached(
                r#"SELECT id, lifetime FROM hostlet WHERE lifetime GLOB '{"kind":"run"*' ORDER BY id"#,
            )?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<rusqlite::Result<_>>()
            .map_err(Failure::Sql)
        })?;
        rows.into_iter()
            .map(|(id, text)| {
                Ok((
                    HostletId(id),
                    self.json(&id.to_string(), "lifetime", &text)?,
                ))
            })
            .collect()
    }

    /// Up to so many hostlets from an id on, by name.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn some_from(&self, id: HostletId, most: usize) -> Result<Vec<Name>> {
        let names: Vec<String> = self.read("read the names of some hostlets", |conn| {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let query = "SELECT name FROM hostlet WHERE id >= ?1 ORDER BY id LIMIT ?2";
            conn.prepare_cached(query)?
                .query_map((id.0, most), |r| r.get(0))?
                .collect::<rusqlite::Result<_>>()
                .map_err(Failure::Sql)
        })?;
        let parse = |name: &String| self.parse(name, "name", name.parse());
        names.iter().map(parse).collect()
    }

    /// The hostlet that has an address of this set entry, and so may others; by id.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn owners_of(&self, owned: &Owned) -> Result<Vec<HostletId>> {
        let (first, last) = bounds(owned);
        self.read("read whose an address is", |conn| {
            // No address has two owners: of those that begin before it, only the nearest can reach so far.
            let ids = conn
                .prepare_cached(
                    "SELECT hostlet FROM (SELECT hostlet, last FROM entry WHERE first <= ?1
                        ORDER BY first DESC LIMIT 1) WHERE last >= ?1
                     UNION SELECT hostlet FROM entry WHERE first BETWEEN ?1 AND ?2",
                )?
                .query_map((first, last), |r| r.get(0).map(HostletId))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(ids)
        })
    }

    /// What the rules of some hostlet depend on in the network.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn follows(&self) -> Result<Follows> {
        let most: u8 = self.one(
            "read what hostlets depend on",
            "SELECT ifnull(max(follows), 0) FROM hostlet WHERE follows > 0",
            [],
        )?;
        Ok(Follows::of(most))
    }

    fn one<T: rusqlite::types::FromSql>(
        &self,
        doing: &'static str,
        query: &str,
        params: impl rusqlite::Params,
    ) -> Result<T> {
        self.read(doing, |conn| {
            Ok(conn
                .prepare_cached(query)?
                .query_row(params, |r| r.get(0))?)
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

    pub(crate) fn parse<T, E: std::fmt::Display>(
        &self,
        row: &str,
        column: &'static str,
        parsed: std::result::Result<T, E>,
    ) -> Result<T> {
        parsed.map_err(|e| bad(&self.path, row, column, e.to_string()))
    }

    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        row: &str,
        column: &'static str,
        text: &str,
    ) -> Result<T> {
        read_json(&self.path, row, column, text)
    }

    fn state(&self, row: &str, text: &str) -> Result<State> {
        State::parse(text).ok_or_else(|| bad(&self.path, row, "state", format!("unknown: {text}")))
    }

    pub(crate) fn time(&self, row: &str, column: &'static str, micros: i64) -> Result<Timestamp> {
        self.parse(row, column, Timestamp::from_microsecond(micros))
    }
}

/// What a column holds in JSON, also where there is no store yet.
pub(crate) fn read_json<T: DeserializeOwned>(
    path: &Path,
    row: &str,
    column: &'static str,
    text: &str,
) -> Result<T> {
    serde_json::from_str(text).map_err(|e| bad(path, row, column, e.to_string()))
}

fn bad(path: &Path, row: &str, column: &'static str, reason: String) -> StoreError {
    StoreError::Row {
        path: path.into(),
        row: row.into(),
        column,
        reason,
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
