//! The numbers of those who hold leases.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use crate::store::Inner;

/// The number of the holder with this key.
pub(crate) fn find(conn: &Connection, key: &str) -> Inner<Option<u32>> {
    Ok(conn
        .prepare_cached("SELECT number FROM holder WHERE key = ?1")?
        .query_row([key], |r| r.get(0))
        .optional()?)
}

/// The number of the holder with this key, a new one up to `most` if it has none; none if all are taken.
pub(crate) fn find_or_number(conn: &Connection, key: &str, most: u32) -> Inner<Option<u32>> {
    if let Some(number) = find(conn, key)? {
        return Ok(Some(number));
    }
    let Some(number) = free(conn, most)? else {
        return Ok(None);
    };
    conn.prepare_cached("INSERT INTO holder (number, key) VALUES (?1, ?2)")?
        .execute((number, key))?;
    conn.prepare_cached("INSERT OR REPLACE INTO counter (name, value) VALUES ('last holder', ?1)")?
        .execute([number])?;
    Ok(Some(number))
}

/// The number after the last that was given out, so that one is not used again soon; none if all are taken.
fn free(conn: &Connection, most: u32) -> Inner<Option<u32>> {
    let last: Option<u32> = conn
        .prepare_cached("SELECT value FROM counter WHERE name = 'last holder'")?
        .query_row([], |r| r.get(0))
        .optional()?;
    let mut taken = conn.prepare_cached("SELECT 1 FROM holder WHERE number = ?1")?;
    // A gap begins behind a taken number; they are walked in order, only as far as the first gap.
    let mut gap = conn.prepare_cached(
        "SELECT number + 1 FROM holder AS h
         WHERE number >= ?1 AND number < ?2
           AND NOT EXISTS (SELECT 1 FROM holder WHERE number = h.number + 1)
         ORDER BY number LIMIT 1",
    )?;
    for from in [last.map_or(1, |n| n.saturating_add(1)), 1] {
        if from > most {
            continue;
        }
        if !taken.exists([from])? {
            return Ok(Some(from));
        }
        let found = gap.query_row((from, most), |r| r.get(0)).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Brings back a holder that was forgotten since it got its number.
pub(crate) fn keep(conn: &Connection, number: u32, key: &str) -> Inner<()> {
    conn.prepare_cached("INSERT OR IGNORE INTO holder (number, key) VALUES (?1, ?2)")?
        .execute((number, key))?;
    Ok(())
}

/// Notes that the holder had to do with an address at this time.
pub(crate) fn used(conn: &Connection, number: u32, now: Timestamp) -> Inner<()> {
    conn.prepare_cached("UPDATE holder SET used = max(coalesce(used, ?2), ?2) WHERE number = ?1")?
        .execute((number, now.as_microsecond()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::schema;

    #[test]
    fn numbers_go_round_and_run_out() {
        let conn = Connection::open_in_memory().unwrap();
        schema::migrate(&conn, Path::new("memory")).unwrap();
        let number = |key: &str| find_or_number(&conn, key, 5).ok().unwrap();
        let forget = |n: u32| {
            let gone = conn.execute("DELETE FROM holder WHERE number = ?1", [n]);
            assert_eq!(gone, Ok(1));
        };
        for (key, n) in [("a", 1), ("b", 2), ("c", 3)] {
            assert_eq!(number(key), Some(n));
        }
        forget(3);
        assert_eq!(number("d"), Some(4), "a number rests as long as it can");
        assert_eq!(number("e"), Some(5));
        assert_eq!(number("f"), Some(3), "from the start, to the first gap");
        assert_eq!(number("g"), None);
        assert_eq!(number("a"), Some(1), "who has a number keeps it");
        forget(1);
        assert_eq!(number("g"), Some(1));
        forget(5);
        assert_eq!(number("h"), Some(5), "the last one too");
    }
}
