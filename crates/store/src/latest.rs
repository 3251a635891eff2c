//! What holders had last, and of each address the latest release: one table follows the other.

use rusqlite::{Connection, OptionalExtension};

use crate::store::Inner;

/// The address is from now on the holder's last of this pool and family.
pub(crate) fn remember(
    conn: &Connection,
    holder: u32,
    pool: &str,
    v6: bool,
    address: &str,
    released: i64,
) -> Inner<()> {
    let before: Option<String> = conn
        .prepare_cached(
            "SELECT address FROM remembered WHERE holder = ?1 AND pool = ?2 AND v6 = ?3",
        )?
        .query_row((holder, pool, v6), |r| r.get(0))
        .optional()?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO remembered (holder, pool, v6, address, released)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((holder, pool, v6, address, released))?;
    if let Some(before) = before.filter(|b| b != address) {
        follow(conn, pool, &before)?;
    }
    follow(conn, pool, address)
}

/// Forgets what a holder had.
pub(crate) fn forget(conn: &Connection, holder: u32) -> Inner<()> {
    let gone: Vec<(String, String)> = conn
        .prepare_cached("DELETE FROM remembered WHERE holder = ?1 RETURNING pool, address")?
        .query_map([holder], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (pool, address) in gone {
        follow(conn, &pool, &address)?;
    }
    Ok(())
}

/// Forgets what was released before that time; says how many last addresses.
pub(crate) fn prune(conn: &Connection, before: i64) -> Inner<usize> {
    // The latest release of an address is older than that only if all of them are.
    conn.execute("DELETE FROM latest WHERE released < ?1", [before])?;
    Ok(conn.execute("DELETE FROM remembered WHERE released < ?1", [before])?)
}

/// Lets the latest release of an address be what its holders say.
fn follow(conn: &Connection, pool: &str, address: &str) -> Inner<()> {
    let latest: Option<(u32, i64)> = conn
        .prepare_cached(
            "SELECT holder, released FROM remembered WHERE pool = ?1 AND address = ?2
             ORDER BY released DESC LIMIT 1",
        )?
        .query_row((pool, address), |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    match latest {
        Some((holder, released)) => conn
            .prepare_cached(
                "INSERT OR REPLACE INTO latest (pool, address, holder, released)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((pool, address, holder, released))?,
        None => conn
            .prepare_cached("DELETE FROM latest WHERE pool = ?1 AND address = ?2")?
            .execute((pool, address))?,
    };
    Ok(())
}
