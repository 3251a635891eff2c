//! Who had which address, from when to when, running what.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostlet_model::{HostletId, Name, Owned};
use jiff::Timestamp;
use rusqlite::{Connection, ToSql};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::store::Store;

/// One address that one hostlet had for one stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// The hostlet; it may be gone by now.
    pub hostlet: Name,
    /// The address or prefix.
    pub address: Owned,
    /// When it was gained.
    pub from: Timestamp,
    /// When it was lost; none while it is held.
    pub to: Option<Timestamp>,
    /// What ran; empty if the hostlet was made for no program.
    pub program: Vec<String>,
    /// Who made the hostlet.
    pub uid: u32,
    /// The name that `uid` had at that time.
    pub user: String,
}

/// Which rows of the history are wanted; whatever is none does not matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryQuery {
    /// Of this hostlet.
    pub hostlet: Option<Name>,
    /// Of this address, or of a prefix that contains it.
    pub address: Option<IpAddr>,
    /// Of this user.
    pub user: Option<String>,
    /// Held at this time or after it.
    pub since: Option<Timestamp>,
    /// Held at this time or before it.
    pub until: Option<Timestamp>,
}

impl Store {
    /// Who had which address, oldest first.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>> {
        let rows = self.read("read the history", |conn| Ok(select(conn, query)?))?;
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

    /// The hostlets of the history by their numbers, which are used again, and since when each had its. Those of rows from before
    /// numbers were written down are left out.
    pub fn numbers(&self) -> Result<BTreeMap<(HostletId, Timestamp), Name>> {
        let rows: Vec<(u32, i64, String)> =
            self.read("read the numbers of the history", |conn| {
                Ok(conn
                    .prepare(
                        "SELECT DISTINCT id, gained, hostlet FROM history WHERE id IS NOT NULL",
                    )?
                    .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                    .collect::<rusqlite::Result<_>>()?)
            })?;
        let named = rows.into_iter().map(|(id, gained, name)| {
            let row = format!("history of number {id}");
            let since = self.time(&row, "gained", gained)?;
            let name = self.parse(&row, "hostlet", name.parse())?;
            Ok(((HostletId(id), since), name))
        });
        named.collect()
    }
}

/// Lets the history follow the definition: a live hostlet holds its entries, any other holds nothing. What is lost is closed,
/// what is gained opened, and the others stay as they are.
pub(crate) fn follow(conn: &Connection, name: &str, now: Timestamp) -> rusqlite::Result<()> {
    let now = now.as_microsecond();
    conn.prepare_cached(
        "UPDATE history SET lost = max(gained, ?2) WHERE hostlet = ?1 AND lost IS NULL AND address NOT IN
            (SELECT owned FROM hostlet JOIN entry ON hostlet = id WHERE name = ?1 AND state = 'live')",
    )?
    .execute((name, now))?;
    conn.prepare_cached(
        "INSERT INTO history (hostlet, address, gained, program, uid, user, id)
            SELECT name, owned, ?2, program, uid, user, id FROM hostlet JOIN entry ON hostlet = id
            WHERE name = ?1 AND state = 'live'
                AND owned NOT IN (SELECT address FROM history WHERE hostlet = ?1 AND lost IS NULL)
            ORDER BY position",
    )?
    .execute((name, now))?;
    Ok(())
}

/// The same for one that is not live, or gone: it holds nothing.
pub(crate) fn close(conn: &Connection, name: &str, now: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE history SET lost = max(gained, ?2) WHERE hostlet = ?1 AND lost IS NULL",
    )?
    .execute((name, now.as_microsecond()))?;
    Ok(())
}

/// A row as it lies in the file.
pub(crate) struct Raw {
    pub number: i64,
    pub hostlet: String,
    pub address: String,
    pub gained: i64,
    pub lost: Option<i64>,
    pub program: String,
    pub uid: u32,
    pub user: String,
}

/// The rows that the query may want; prefixes are not yet compared.
fn select(conn: &Connection, query: &HistoryQuery) -> rusqlite::Result<Vec<Raw>> {
    let address = query.address.map(|a| a.to_string());
    let since = query.since.map(Timestamp::as_microsecond);
    let until = query.until.map(Timestamp::as_microsecond);
    let hostlet = query.hostlet.as_ref().map(|n| n.as_str());
    let wanted: [&dyn ToSql; 5] = [&hostlet, &address, &query.user, &since, &until];
    conn.prepare_cached(
        "SELECT number, hostlet, address, gained, lost, program, uid, user FROM history
         WHERE (?1 IS NULL OR hostlet = ?1)
           AND (?2 IS NULL OR address = ?2 OR address LIKE '%/%')
           AND (?3 IS NULL OR user = ?3)
           AND (?4 IS NULL OR lost IS NULL OR lost >= ?4)
           AND (?5 IS NULL OR gained <= ?5)
         ORDER BY gained, number",
    )?
    .query_map(&wanted[..], |r| {
        Ok(Raw {
            number: r.get(0)?,
            hostlet: r.get(1)?,
            address: r.get(2)?,
            gained: r.get(3)?,
            lost: r.get(4)?,
            program: r.get(5)?,
            uid: r.get(6)?,
            user: r.get(7)?,
        })
    })?
    .collect()
}
