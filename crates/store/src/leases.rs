//! Leases in the SQLite file.

use std::net::IpAddr;

use hostlet_model::Name;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::change::json;
use crate::error::{Result, StoreError};
use crate::lease::{
    Aside, Claim, Lease, LeaseState, LeaseStore, MAX_HOLDER, MAX_IDLE, Remembered, Terms,
};
use crate::store::{Inner, Store};
use crate::{holder, latest};

impl LeaseStore for Store {
    fn holder(&self, key: &str) -> Result<u32> {
        let known = self.read("read the holders", |conn| holder::find(conn, key))?;
        if let Some(number) = known {
            return Ok(number);
        }
        self.change("number a holder", |tx| {
            holder::find_or_number(tx, key, MAX_HOLDER, MAX_IDLE)?.ok_or_else(|| {
                StoreError::NoHolder {
                    path: self.path.clone(),
                    most: MAX_HOLDER,
                }
                .into()
            })
        })
    }

    fn last(&self, holder: u32, pool: &Name, v6: bool) -> Result<Option<Remembered>> {
        let raw = self.read("read who had which address last", |conn| {
            Ok(conn
                .prepare_cached(
                    "SELECT address, holder, released FROM remembered
                     WHERE holder = ?1 AND pool = ?2 AND v6 = ?3",
                )?
                .query_row((holder, pool.as_str(), v6), RawRemembered::read)
                .optional()?)
        })?;
        raw.map(|r| self.remembered_of(r)).transpose()
    }

    fn claim(&self, lease: &Lease, now: Timestamp) -> Result<Claim> {
        self.claim_by(lease, now, true)
    }

    fn claim_for_now(&self, lease: &Lease, now: Timestamp) -> Result<Claim> {
        self.claim_by(lease, now, false)
    }

    fn hold(&self, address: IpAddr, hostlet: &Name, terms: Option<&Terms>) -> Result<()> {
        self.change_durably("hold an address", |tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE lease SET state = 'held', terms = ?3 WHERE address = ?1 AND hostlet = ?2",
                )?
                .execute((
                    address.to_string(),
                    hostlet.as_str(),
                    terms.map(json).transpose()?,
                ))?;
            if changed > 0 {
                return Ok(());
            }
            Err(StoreError::NotLeased {
                path: self.path.clone(),
                address,
                hostlet: hostlet.to_string(),
            }
            .into())
        })
    }

    fn release(&self, address: IpAddr, now: Timestamp) -> Result<Option<Lease>> {
        let text = address.to_string();
        let raw = self.change_durably("release an address", |tx| {
            let Some(raw) = select(tx, "WHERE address = ?1", [&text])?.pop() else {
                return Ok(None);
            };
            tx.prepare_cached("DELETE FROM lease WHERE address = ?1")?
                .execute([&text])?;
            if raw.state == LeaseState::Held.as_str() {
                let (v6, now) = (address.is_ipv6(), now.as_microsecond());
                latest::remember(tx, raw.holder, &raw.pool, v6, &text, now)?;
            }
            holder::used(tx, raw.holder, now)?;
            Ok(Some(raw))
        })?;
        raw.map(|r| self.lease(r)).transpose()
    }

    fn lose(&self, lease: &Lease) -> Result<()> {
        self.change("remember a lost lease", |tx| {
            tx.prepare_cached(
                "INSERT OR REPLACE INTO lost (hostlet, pool, v6, lease) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((
                lease.hostlet.as_str(),
                lease.pool.as_str(),
                lease.address.is_ipv6(),
                json(lease)?,
            ))?;
            Ok(())
        })
    }

    fn lost(&self) -> Result<Vec<Lease>> {
        let all: Vec<String> = self.read("read lost leases", |conn| {
            Ok(conn
                .prepare_cached("SELECT lease FROM lost ORDER BY hostlet, pool, v6")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?)
        })?;
        let parse = |text: &String| {
            serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
                path: self.path.clone(),
                reason: format!("a lost lease cannot be read: {error}"),
            })
        };
        all.iter().map(parse).collect()
    }

    fn found(&self, hostlet: &Name, of: Option<(&Name, bool)>) -> Result<()> {
        self.change("forget a lost lease", |tx| {
            let (pool, v6) = of.map(|(pool, v6)| (pool.as_str(), v6)).unzip();
            tx.prepare_cached(
                "DELETE FROM lost WHERE hostlet = ?1 AND (?2 IS NULL OR pool = ?2 AND v6 = ?3)",
            )?
            .execute((hostlet.as_str(), pool, v6))?;
            Ok(())
        })
    }

    fn leases(&self) -> Result<Vec<Lease>> {
        let raw = self.read("read the leases", |conn| select(conn, "", []))?;
        let mut leases = raw
            .into_iter()
            .map(|r| self.lease(r))
            .collect::<Result<Vec<_>>>()?;
        leases.sort_by_key(|l| l.address);
        Ok(leases)
    }

    fn set_aside(&self, aside: &Aside) -> Result<()> {
        self.change("set an address aside", |tx| {
            tx.prepare_cached(
                "INSERT OR REPLACE INTO aside (address, pool, until, why) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((
                aside.address.to_string(),
                aside.pool.as_str(),
                aside.until.as_microsecond(),
                &aside.why,
            ))?;
            Ok(())
        })
    }

    fn aside(&self, now: Timestamp) -> Result<Vec<Aside>> {
        let doing = "read what is set aside";
        let now = now.as_microsecond();
        let expired = self.read(doing, |conn| {
            Ok(conn
                .prepare_cached("SELECT 1 FROM aside WHERE until <= ?1")?
                .exists([now])?)
        })?;
        if expired {
            self.change("forget what was set aside", |tx| {
                tx.prepare_cached("DELETE FROM aside WHERE until <= ?1")?
                    .execute([now])?;
                Ok(())
            })?;
        }
        let raw: Vec<(String, String, i64, String)> = self.read(doing, |conn| {
            Ok(conn
                .prepare_cached("SELECT address, pool, until, why FROM aside WHERE until > ?1")?
                .query_map([now], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
                .collect::<rusqlite::Result<_>>()?)
        })?;
        let mut asides = Vec::new();
        for (address, pool, until, why) in raw {
            let row = format!("set aside {address}");
            asides.push(Aside {
                address: self.parse(&row, "address", address.parse())?,
                pool: self.parse(&row, "pool", pool.parse())?,
                until: self.time(&row, "until", until)?,
                why,
            });
        }
        asides.sort_by_key(|a| a.address);
        Ok(asides)
    }

    fn remembered(&self, pool: &Name) -> Result<Vec<Remembered>> {
        let raw = self.read("read who had which address last", |conn| {
            Ok(conn
                .prepare_cached(
                    "SELECT address, holder, released FROM latest
                     WHERE pool = ?1 ORDER BY released, address",
                )?
                .query_map([pool.as_str()], RawRemembered::read)?
                .collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        raw.into_iter().map(|r| self.remembered_of(r)).collect()
    }

    fn prune(&self, before: Timestamp) -> Result<usize> {
        let before = before.as_microsecond();
        self.change("prune the leases", |tx| {
            let released = latest::prune(tx, before)?;
            let aside = tx.execute("DELETE FROM aside WHERE until < ?1", [before])?;
            let unused = tx.execute(
                "DELETE FROM holder WHERE coalesce(used < ?1, TRUE)
                   AND number NOT IN (SELECT holder FROM lease)
                   AND number NOT IN (SELECT holder FROM remembered)",
                [before],
            )?;
            Ok(released + aside + unused)
        })
    }
}

impl Store {
    fn claim_by(&self, lease: &Lease, now: Timestamp, durably: bool) -> Result<Claim> {
        let address = lease.address.to_string();
        let doing = "claim an address";
        let work = |tx: &Connection| {
            let other = select(tx, "WHERE address = ?1", [&address])?.pop();
            if let Some(other) =
                other.filter(|o| o.hostlet != lease.hostlet.as_str() || o.holder != lease.holder)
            {
                return Ok(Found::Taken(Box::new(other)));
            }
            let aside: Option<(i64, String)> = tx
                .prepare_cached("SELECT until, why FROM aside WHERE address = ?1 AND until > ?2")?
                .query_row((&address, now.as_microsecond()), |r| {
                    Ok((r.get(0)?, r.get(1)?))
                })
                .optional()?;
            if let Some((until, why)) = aside {
                return Ok(Found::Aside(until, why));
            }
            write(tx, &address, lease)?;
            holder::keep(tx, lease.holder, &lease.holder_key)?;
            holder::used(tx, lease.holder, now)?;
            Ok(Found::Done)
        };
        let found = if durably {
            self.change_durably(doing, work)?
        } else {
            self.change(doing, work)?
        };
        Ok(match found {
            Found::Done => Claim::Done,
            Found::Taken(raw) => Claim::Taken(Box::new(self.lease(*raw)?)),
            Found::Aside(until, why) => Claim::SetAside {
                until: self.time(&format!("set aside {address}"), "until", until)?,
                why,
            },
        })
    }

    fn lease(&self, raw: RawLease) -> Result<Lease> {
        let row = format!("lease {}", raw.address);
        let terms = raw.terms.as_deref();
        Ok(Lease {
            address: self.parse(&row, "address", raw.address.parse())?,
            prefix_len: raw.prefix_len,
            pool: self.parse(&row, "pool", raw.pool.parse())?,
            interface: raw.interface,
            hostlet: self.parse(&row, "hostlet", raw.hostlet.parse())?,
            holder: raw.holder,
            holder_key: raw.holder_key,
            uid: raw.uid,
            user: raw.user,
            program: self.json(&row, "program", &raw.program)?,
            since: self.time(&row, "since", raw.since)?,
            state: self.parse(
                &row,
                "state",
                LeaseState::parse(&raw.state).ok_or_else(|| format!("unknown: {}", raw.state)),
            )?,
            terms: terms.map(|t| self.json(&row, "terms", t)).transpose()?,
        })
    }

    fn remembered_of(&self, raw: RawRemembered) -> Result<Remembered> {
        let row = format!("last address of holder {}", raw.holder);
        Ok(Remembered {
            address: self.parse(&row, "address", raw.address.parse())?,
            holder: raw.holder,
            released: self.time(&row, "released", raw.released)?,
        })
    }
}

/// What a claim met.
enum Found {
    Done,
    Taken(Box<RawLease>),
    Aside(i64, String),
}

fn write(tx: &Connection, address: &str, lease: &Lease) -> Inner<()> {
    let l = lease;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO lease (address, prefix_len, pool, interface, hostlet, holder,
             holder_key, uid, user, program, since, state, terms)
         VALUES (:address, :prefix_len, :pool, :interface, :hostlet, :holder,
             :holder_key, :uid, :user, :program, :since, :state, :terms)",
    )?
    .execute(named_params! {
        ":address": address, ":prefix_len": l.prefix_len, ":pool": l.pool.as_str(),
        ":interface": l.interface, ":hostlet": l.hostlet.as_str(), ":holder": l.holder,
        ":holder_key": l.holder_key, ":uid": l.uid, ":user": l.user, ":program": json(&l.program)?,
        ":since": l.since.as_microsecond(), ":state": l.state.as_str(),
        ":terms": l.terms.as_ref().map(json).transpose()?,
    })?;
    Ok(())
}

fn select(conn: &Connection, tail: &str, params: impl rusqlite::Params) -> Inner<Vec<RawLease>> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT address, prefix_len, pool, interface, hostlet, holder, holder_key, uid, user,
                 program, since, state, terms FROM lease {tail}"
        ))?
        .query_map(params, RawLease::read)?
        .collect::<rusqlite::Result<_>>()?)
}

/// A lease as it lies in the file.
struct RawLease {
    address: String,
    prefix_len: u8,
    pool: String,
    interface: String,
    hostlet: String,
    holder: u32,
    holder_key: String,
    uid: u32,
    user: String,
    program: String,
    since: i64,
    state: String,
    terms: Option<String>,
}

impl RawLease {
    fn read(r: &Row<'_>) -> rusqlite::Result<RawLease> {
        Ok(RawLease {
            address: r.get(0)?,
            prefix_len: r.get(1)?,
            pool: r.get(2)?,
            interface: r.get(3)?,
            hostlet: r.get(4)?,
            holder: r.get(5)?,
            holder_key: r.get(6)?,
            uid: r.get(7)?,
            user: r.get(8)?,
            program: r.get(9)?,
            since: r.get(10)?,
            state: r.get(11)?,
            terms: r.get(12)?,
        })
    }
}

/// A holder's last address as it lies in the file.
struct RawRemembered {
    address: String,
    holder: u32,
    released: i64,
}

impl RawRemembered {
    fn read(r: &Row<'_>) -> rusqlite::Result<RawRemembered> {
        Ok(RawRemembered {
            address: r.get(0)?,
            holder: r.get(1)?,
            released: r.get(2)?,
        })
    }
}
