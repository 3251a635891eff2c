//! Files that an older version wrote.

mod common;

use common::{BEFORE_8, Dir, definition};
use hostlet_model::{HostletId, Unreachable};
use hostlet_store::{Definition, Follows, Store, StoreError};

/// A file of version 7 that has these.
fn version_7(dir: &Dir, definitions: &[Definition]) -> rusqlite::Connection {
    let store = Store::open(&dir.db()).unwrap();
    for d in definitions {
        store.insert(d).unwrap();
    }
    drop(store);
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    raw.execute_batch(BEFORE_8).unwrap();
    raw.pragma_update(None, "user_version", 7).unwrap();
    raw
}

/// Files of version 1 lack what a change is between, and leases.
#[test]
fn an_older_file_is_brought_up_to_date() {
    let dir = Dir::new("older");
    let d = definition(7, "web", &["10.0.0.5"]);
    let raw = version_7(&dir, std::slice::from_ref(&d));
    raw.execute_batch(
        "DROP TABLE holder; DROP TABLE lease; DROP TABLE remembered; DROP TABLE aside;
         DROP TABLE latest; DROP TABLE lost; DROP TABLE session;
         ALTER TABLE hostlet DROP COLUMN changing; PRAGMA user_version = 1",
    )
    .unwrap();
    drop(raw);
    let store = Store::open(&dir.db()).unwrap();
    assert_eq!(store.owners_of(&d.entries[0].owned).unwrap(), [d.id]);
    assert_eq!(store.all().unwrap(), [d]);
    assert!(store.changing().unwrap().is_empty());
    assert_eq!(store.follows().unwrap(), Follows::Nothing);
}

/// Who takes them for the most follows all routes of the host for nothing.
#[test]
fn what_older_rows_depend_on_is_computed() {
    let plain = definition(1, "web", &["10.0.0.5"]);
    let mut several = definition(2, "net", &["10.0.1.1", "10.0.1.2"]);
    // Which of them is the source depends on the route where they are on several interfaces.
    several.entries[1].ifindex = 3;
    several.entries[1].interface = "eth1".into();
    let mut unreachable = definition(3, "db", &["10.0.2.1"]);
    unreachable.spec.unreachable = Some(Unreachable::Refuse);
    for (definitions, wanted) in [
        (&[plain.clone()][..], Follows::Nothing),
        (&[plain.clone(), several], Follows::Routes),
        (&[unreachable, plain], Follows::RoutesAndLocals),
    ] {
        let dir = Dir::new(&format!("older-follows-{wanted:?}"));
        drop(version_7(&dir, definitions));
        let store = Store::open(&dir.db()).unwrap();
        assert_eq!(store.follows().unwrap(), wanted);
        for d in definitions {
            assert_eq!(store.owners_of(&d.entries[0].owned).unwrap(), [d.id]);
        }
    }
}

/// Its address would be nobody's, and given to another.
#[test]
fn an_older_file_with_a_row_that_cannot_be_read_is_refused_and_left_as_it_is() {
    for (column, damage, mend) in [
        (
            "placed",
            "UPDATE entry SET placed = 'x' || placed WHERE hostlet = 2",
            "UPDATE entry SET placed = substr(placed, 2) WHERE hostlet = 2",
        ),
        (
            "spec",
            "UPDATE hostlet SET spec = 'x' || spec WHERE id = 2",
            "UPDATE hostlet SET spec = substr(spec, 2) WHERE id = 2",
        ),
    ] {
        let dir = Dir::new(&format!("older-unreadable-{column}"));
        let db = definition(2, "db", &["10.0.0.6"]);
        let raw = version_7(&dir, &[definition(1, "web", &["10.0.0.5"]), db.clone()]);
        raw.execute_batch(damage).unwrap();
        let schema = || -> (i64, String) {
            let query = "SELECT (SELECT user_version FROM pragma_user_version), group_concat(sql) FROM sqlite_schema";
            raw.query_row(query, [], |r| Ok((r.get(0)?, r.get(1)?)))
                .unwrap()
        };
        let before = schema();
        let error = Store::open(&dir.db()).unwrap_err();
        assert!(
            matches!(&error, StoreError::Row { row, column: c, .. } if row == "db" && *c == column),
            "{error:?}"
        );
        assert_eq!((before.0, schema()), (7, before));
        raw.execute_batch(mend).unwrap();
        let store = Store::open(&dir.db()).unwrap();
        assert_eq!(
            store.owners_of(&db.entries[0].owned).unwrap(),
            [HostletId(2)]
        );
    }
}
