//! The numbers of those who hold leases.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use crate::latest;
use crate::store::Inner;

/// The number of the holder with this key.
pub(crate) fn find(conn: &Connection, key: &str) -> Inner<Option<u32>> {
    Ok(conn
        .prepare_cached("SELECT number FROM holder WHERE key = ?1")?
        .query_row([key], |r| r.get(0))
        .optional()?)
}

/// The number of the holder with this key, a new one up to `most` if it has none; none if all are taken. For a new one others of
/// the same user are forgotten, as soon as `idle` of them have no lease.
pub(crate) fn find_or_number(
    conn: &Connection,
    key: &str,
    most: u32,
    idle: u32,
) -> Inner<Option<u32>> {
    if let Some(number) = find(conn, key)? {
        return Ok(Some(number));
    }
    make_room(conn, key, idle)?;
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

/// Forgets an eighth of a user's holders without a lease if there are `most`, the longest unused first. Not one by one: to find them
/// takes looking at all of them.
fn make_room(conn: &Connection, key: &str, most: u32) -> Inner<()> {
    let Some((uid, _)) = key.split_once('/') else {
        return Ok(());
    };
    // All keys that begin with the user: '0' comes after '/'.
    let keys = (format!("{uid}/"), format!("{uid}0"));
    let all: u32 = conn
        .prepare_cached("SELECT count(*) FROM holder WHERE key >= ?1 AND key < ?2")?
        .query_row((&keys.0, &keys.1), |r| r.get(0))?;
    if all < most {
        return Ok(());
    }
    let idle: Vec<u32> = conn
        .prepare_cached(
            "SELECT number FROM holder WHERE key >= ?1 AND key < ?2
               AND NOT EXISTS (SELECT 1 FROM lease WHERE holder = number)
             ORDER BY used, number",
        )?
        .query_map((&keys.0, &keys.1), |r| r.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let many = u32::try_from(idle.len()).unwrap_or(u32::MAX);
    if many < most {
        return Ok(());
    }
    let gone = many - (most - most.div_ceil(8));
    for number in idle
        .iter()
        .take(usize::try_from(gone).unwrap_or(usize::MAX))
    {
        latest::forget(conn, *number)?;
        conn.prepare_cached("DELETE FROM holder WHERE number = ?1")?
            .execute([number])?;
    }
    Ok(())
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
        let number = |key: &str| find_or_number(&conn, key, 5, 5).ok().unwrap();
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

    #[test]
    fn of_each_user_the_longest_unused_are_forgotten() {
        let conn = Connection::open_in_memory().unwrap();
        schema::migrate(&conn, Path::new("memory")).unwrap();
        let number = |key: &str| find_or_number(&conn, key, 99, 4).ok().unwrap().unwrap();
        let used_at = |key: &str, second: i64| {
            let (holder, at) = (number(key), Timestamp::from_second(second).unwrap());
            assert!(used(&conn, holder, at).is_ok());
            let address = format!("10.0.0.{holder}");
            let at = at.as_microsecond();
            assert!(latest::remember(&conn, holder, "office", false, &address, at).is_ok());
            holder
        };
        let first = used_at("7/a/1", 10);
        let held = used_at("7/b/1", 1);
        let late = used_at("7/c/1", 30);
        let early = used_at("7/d/1", 20);
        let others = [used_at("70/a/1", 1), used_at("6/a/1", 1)];
        let lease =
            "INSERT INTO lease (address, prefix_len, pool, interface, hostlet, holder, holder_key,
             uid, user, program, since, state)
             VALUES ('10.0.0.2', 32, 'office', 'eth0', 'h', ?1, '7/b/1', 7, 'u', '', 1, 'held')";
        assert_eq!(conn.execute(lease, [held]), Ok(1));
        let known = || -> Vec<u32> {
            let mut all = conn
                .prepare("SELECT number FROM holder ORDER BY 1")
                .unwrap();
            let all = all.query_map([], |r| r.get(0)).unwrap();
            all.map(Result::unwrap).collect()
        };
        let fresh = number("7/e/1");
        assert_eq!(
            known().len(),
            7,
            "three without a lease make way for nobody"
        );
        let next = number("7/f/1");
        assert_eq!(
            known(),
            [first, held, late, early, others[0], others[1], next]
        );
        assert!(fresh < next, "who never had an address goes before all");
        let last = number("7/g/1");
        assert_eq!(
            known(),
            [first, held, late, early, others[0], others[1], last]
        );
        used_at("7/g/1", 40);
        number("7/h/1");
        assert!(!known().contains(&first), "then the longest unused");
        let rows = "SELECT count(*) FROM remembered JOIN latest USING (holder, address)";
        let rows: u32 = conn.query_row(rows, [], |r| r.get(0)).unwrap();
        assert_eq!(rows, 6, "and what it had");
    }
}
