//! The tables, and how an older file becomes a current one.

use std::path::Path;

use hostlet_model::{HostletSpec, SetEntry};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::change::bounds;
use crate::definition::Follows;
use crate::error::{Result, StoreError, explain};
use crate::read::read_json;
use crate::store::{Failure, Inner};

/// Marks the file as hostlet's: "hstl".
pub(crate) const APPLICATION_ID: i32 = 0x6873_746c;

/// `MIGRATIONS[n]` leads from version n to n + 1. Never change one that was
/// released: add another.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE hostlet (
        id        INTEGER PRIMARY KEY CHECK (id > 0),
        name      TEXT NOT NULL UNIQUE,
        spec      TEXT NOT NULL,
        lifetime  TEXT NOT NULL,
        boot_id   TEXT NOT NULL,
        state     TEXT NOT NULL CHECK (state IN ('pending', 'live', 'removing')),
        created   INTEGER NOT NULL,
        program   TEXT NOT NULL,
        uid       INTEGER NOT NULL,
        user      TEXT NOT NULL
    ) STRICT;
    CREATE TABLE entry (
        hostlet   INTEGER NOT NULL REFERENCES hostlet (id) ON DELETE CASCADE,
        position  INTEGER NOT NULL,
        owned     TEXT NOT NULL,
        assigned  INTEGER NOT NULL,
        placed    TEXT NOT NULL,
        PRIMARY KEY (hostlet, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE history (
        number    INTEGER PRIMARY KEY,
        hostlet   TEXT NOT NULL,
        address   TEXT NOT NULL,
        gained    INTEGER NOT NULL,
        lost      INTEGER,
        program   TEXT NOT NULL,
        uid       INTEGER NOT NULL,
        user      TEXT NOT NULL
    ) STRICT;
    CREATE INDEX history_open ON history (hostlet, address) WHERE lost IS NULL;
    CREATE INDEX history_gained ON history (gained);
    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
",
    // What a hostlet was and was to be, while a command changes it.
    "
    ALTER TABLE hostlet ADD COLUMN changing TEXT;
",
    // Leases: who has which address of a pool, who had which last, and what is not lent for now.
    "
    CREATE TABLE holder (
        number     INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 0xffffff),
        key        TEXT NOT NULL UNIQUE,
        used       INTEGER
    ) STRICT;
    CREATE TABLE lease (
        address    TEXT PRIMARY KEY,
        prefix_len INTEGER NOT NULL,
        pool       TEXT NOT NULL,
        interface  TEXT NOT NULL,
        hostlet    TEXT NOT NULL,
        holder     INTEGER NOT NULL,
        holder_key TEXT NOT NULL,
        uid        INTEGER NOT NULL,
        user       TEXT NOT NULL,
        program    TEXT NOT NULL,
        since      INTEGER NOT NULL,
        state      TEXT NOT NULL CHECK (state IN ('claimed', 'held')),
        terms      TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE remembered (
        holder     INTEGER NOT NULL,
        pool       TEXT NOT NULL,
        v6         INTEGER NOT NULL,
        address    TEXT NOT NULL,
        released   INTEGER NOT NULL,
        PRIMARY KEY (holder, pool, v6)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX remembered_pool ON remembered (pool, released);
    CREATE TABLE aside (
        address    TEXT PRIMARY KEY,
        pool       TEXT NOT NULL,
        until      INTEGER NOT NULL,
        why        TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    // Of each address only the last release counts, however many holders had it.
    "
    CREATE TABLE latest (
        pool       TEXT NOT NULL,
        address    TEXT NOT NULL,
        holder     INTEGER NOT NULL,
        released   INTEGER NOT NULL,
        PRIMARY KEY (pool, address)
    ) STRICT, WITHOUT ROWID;
    DROP INDEX remembered_pool;
    CREATE INDEX remembered_address ON remembered (pool, address, released);
    CREATE INDEX lease_holder ON lease (holder);
    INSERT INTO latest (pool, address, holder, released)
        SELECT pool, address, holder, max(released) FROM remembered GROUP BY pool, address;
",
    // Leases that were lost while their hostlets live.
    "
    CREATE TABLE lost (
        hostlet    TEXT NOT NULL,
        pool       TEXT NOT NULL,
        v6         INTEGER NOT NULL,
        lease      TEXT NOT NULL,
        PRIMARY KEY (hostlet, pool, v6)
    ) STRICT, WITHOUT ROWID;
",
    // What rules gave, and to whom.
    "
    CREATE TABLE session (
        number     INTEGER PRIMARY KEY,
        session    TEXT NOT NULL
    ) STRICT;
",
    // Counts changes of hostlets, whoever makes them: for a process that keeps what it read.
    "
    INSERT OR IGNORE INTO counter (name, value) VALUES ('changes', 0);
    CREATE TRIGGER IF NOT EXISTS hostlet_inserted AFTER INSERT ON hostlet
        BEGIN UPDATE counter SET value = value + 1 WHERE name = 'changes'; END;
    CREATE TRIGGER IF NOT EXISTS hostlet_updated AFTER UPDATE ON hostlet
        BEGIN UPDATE counter SET value = value + 1 WHERE name = 'changes'; END;
    CREATE TRIGGER IF NOT EXISTS hostlet_deleted AFTER DELETE ON hostlet
        BEGIN UPDATE counter SET value = value + 1 WHERE name = 'changes'; END;
    CREATE TRIGGER IF NOT EXISTS entry_inserted AFTER INSERT ON entry
        BEGIN UPDATE counter SET value = value + 1 WHERE name = 'changes'; END;
    CREATE TRIGGER IF NOT EXISTS entry_updated AFTER UPDATE ON entry
        BEGIN UPDATE counter SET value = value + 1 WHERE name = 'changes'; END;
    CREATE TRIGGER IF NOT EXISTS entry_deleted AFTER DELETE ON entry
        BEGIN UPDATE counter SET value = value + 1 WHERE name = 'changes'; END;
",
    // Commands read only the rows that they need, however many there are. (Nobody keeps all rows any more, so nobody counts
    // changes.) `fill` writes `follows`, `first` and `last` of older rows.
    "
    DROP TRIGGER IF EXISTS hostlet_inserted;
    DROP TRIGGER IF EXISTS hostlet_updated;
    DROP TRIGGER IF EXISTS hostlet_deleted;
    DROP TRIGGER IF EXISTS entry_inserted;
    DROP TRIGGER IF EXISTS entry_updated;
    DROP TRIGGER IF EXISTS entry_deleted;
    DELETE FROM counter WHERE name = 'changes';
    DROP INDEX history_gained;
    ALTER TABLE hostlet ADD COLUMN follows INTEGER NOT NULL DEFAULT 2;
    ALTER TABLE entry ADD COLUMN first BLOB;
    ALTER TABLE entry ADD COLUMN last BLOB;
    CREATE INDEX hostlet_standing ON hostlet (boot_id, state);
    CREATE INDEX hostlet_changing ON hostlet (id) WHERE changing IS NOT NULL;
    CREATE INDEX hostlet_run ON hostlet (id, lifetime) WHERE lifetime GLOB '{\"kind\":\"run\"*';
    CREATE INDEX hostlet_follows ON hostlet (follows) WHERE follows > 0;
    CREATE INDEX entry_first ON entry (first, last);
",
    // Whose number it was, for what the kernel tells of a hostlet that is gone.
    "
    ALTER TABLE history ADD COLUMN id INTEGER;
    UPDATE history SET id = (SELECT hostlet.id FROM hostlet WHERE name = history.hostlet) WHERE lost IS NULL;
",
];

/// The version that this program writes.
pub(crate) const CURRENT: i64 = MIGRATIONS.len() as i64;

/// Version and application id of the file.
pub(crate) fn read_marks(conn: &Connection) -> rusqlite::Result<(i64, i32)> {
    Ok((
        conn.pragma_query_value(None, "user_version", |r| r.get(0))?,
        conn.pragma_query_value(None, "application_id", |r| r.get(0))?,
    ))
}

/// Refuses what is not ours or is newer than we are. True: nothing to migrate.
pub(crate) fn check(conn: &Connection, path: &Path) -> Result<bool> {
    let fail = |e| explain(path, "read the schema version", e);
    let (mut version, mut application) = read_marks(conn).map_err(fail)?;
    let unmarked = version == 0 && application == 0;
    let fresh = unmarked && is_empty(conn).map_err(fail)?;
    if unmarked && !fresh {
        // Another command may have made the file between the two looks: it commits marks and tables at once.
        (version, application) = read_marks(conn).map_err(fail)?;
    }
    if application != APPLICATION_ID && !fresh {
        return Err(StoreError::Foreign {
            path: path.into(),
            found: application,
        });
    }
    if version > CURRENT {
        return Err(StoreError::Newer {
            path: path.into(),
            found: version,
            known: CURRENT,
        });
    }
    Ok(version == CURRENT)
}

fn is_empty(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |r| r.get(0))
}

/// Writes what is computed of each hostlet and its entries, which older versions did not. A row that cannot be read fails it:
/// nobody would find the owner of its address.
fn fill(conn: &Connection, path: &Path) -> Inner<()> {
    let hostlets: Vec<(u32, String, String)> = conn
        .prepare("SELECT id, name, spec FROM hostlet")?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut select =
        conn.prepare("SELECT position, placed FROM entry WHERE hostlet = ?1 ORDER BY position")?;
    let mut fill_bounds = conn
        .prepare("UPDATE entry SET first = ?3, last = ?4 WHERE hostlet = ?1 AND position = ?2")?;
    let mut fill_follows = conn.prepare("UPDATE hostlet SET follows = ?2 WHERE id = ?1")?;
    for (id, name, spec) in hostlets {
        let rows: Vec<(i64, String)> = select
            .query_map([id], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut entries: Vec<SetEntry> = Vec::new();
        for (position, placed) in rows {
            let entry: SetEntry = read_json(path, &name, "placed", &placed)?;
            let (first, last) = bounds(&entry.owned);
            fill_bounds.execute((id, position, first, last))?;
            entries.push(entry);
        }
        let spec: HostletSpec = read_json(path, &name, "spec", &spec)?;
        fill_follows.execute((id, Follows::from(&spec, &entries) as u8))?;
    }
    Ok(())
}

/// Brings the file to [`CURRENT`], whole or not at all.
pub(crate) fn migrate(conn: &Connection, path: &Path) -> Result<()> {
    let fail = |e| explain(path, "bring the schema up to date", e);
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate).map_err(fail)?;
    // Another process may have done it while we waited for the lock.
    if check(&tx, path)? {
        return Ok(());
    }
    let (version, _) = read_marks(&tx).map_err(fail)?;
    for step in &MIGRATIONS[usize::try_from(version).unwrap_or(0)..] {
        tx.execute_batch(step).map_err(fail)?;
    }
    fill(&tx, path).map_err(|failure| match failure {
        Failure::Sql(e) => fail(e),
        Failure::Store(e) => *e,
    })?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(fail)?;
    tx.pragma_update(None, "user_version", CURRENT)
        .map_err(fail)?;
    tx.commit().map_err(fail)
}
