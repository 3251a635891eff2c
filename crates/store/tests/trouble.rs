//! The file survives what happens to files, and errors say what to do.

mod common;

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use common::{Dir, assert_whole, at, definition, name};
use hostlet_store::{State, Store, StoreError};

/// Not a test of its own: the process that `a_killed_writer…` kills.
#[test]
#[ignore = "started by another test"]
fn writer() {
    let Some(path) = std::env::var_os("HOSTLET_STORE_TEST_DB") else {
        panic!("this is started by a_killed_writer_leaves_whole_transactions");
    };
    let store = Store::open(path.as_ref()).unwrap();
    let first = store.next_id(1..=1_000_000).unwrap().unwrap().0;
    for id in first.. {
        let (this, before) = (format!("h{id}"), format!("h{}", id.saturating_sub(3)));
        let address = |n: u32| format!("10.{}.{}.{n}", (id >> 8) & 255, id & 255);
        let addresses = [address(1), address(2), address(3)];
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        store.insert(&definition(id, &this, &addresses)).unwrap();
        store
            .set_state(&name(&this), State::Live, at(i64::from(id)))
            .unwrap();
        println!("live {this}");
        store.delete(&name(&before), at(i64::from(id))).unwrap();
    }
}

#[test]
fn a_killed_writer_leaves_whole_transactions() {
    let dir = Dir::new("killed");
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env("HOSTLET_STORE_TEST_DB", dir.db())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let said = lines
            .by_ref()
            .filter(|l| l.starts_with("live "))
            .nth(round * 7)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // Whatever else it said before it died is committed as well.
        let last = lines
            .filter(|l| l.starts_with("live h"))
            .last()
            .unwrap_or(said);
        let store = Store::open(&dir.db()).unwrap();
        assert_whole(&store);
        let last = store
            .get(&name(&last["live ".len()..]))
            .unwrap()
            .expect("what was said is there");
        assert_eq!(last.state, State::Live);
    }
}

/// Leaves no byte free in the directory.
fn fill(dir: &Dir) -> std::path::PathBuf {
    let path = dir.path().join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    while std::io::Write::write(&mut file, &[7; 512]).is_ok_and(|n| n > 0) {}
    path
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_half_made() {
    let dir = Dir::new("full");
    dir.mount_small();
    let store = Store::open(&dir.db()).unwrap();
    store.insert(&definition(1, "web", &["10.0.0.5"])).unwrap();
    let filler = fill(&dir);
    // The log has some room of its own left, so that not the first change need fail.
    let failed = (2..2000)
        .find_map(|id| {
            let address = format!("10.3.{}.{}", id / 256, id % 256);
            let d = definition(id, &format!("h{id}"), &[&address]);
            store.insert(&d).err().map(|e| (d, e))
        })
        .expect("a full disk refuses at last");
    let (definition, error) = failed;
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("free some"), "{error}");
    assert_eq!(
        store.get(&definition.name).unwrap(),
        None,
        "the refused one is not there"
    );
    assert_whole(&store);
    // Another process meets the same full disk.
    let other = Store::open(&dir.db()).unwrap();
    let error = other.insert(&definition).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    std::fs::remove_file(filler).unwrap();
    other.insert(&definition).unwrap();
    assert_whole(&other);
}

#[test]
fn a_file_that_cannot_be_made_on_a_full_disk_is_made_later() {
    let dir = Dir::new("full-new");
    dir.mount_small();
    let filler = fill(&dir);
    let error = Store::open(&dir.db()).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(
        Store::open_read_only(&dir.db())
            .unwrap()
            .all()
            .unwrap()
            .is_empty()
    );
    std::fs::remove_file(filler).unwrap();
    let store = Store::open(&dir.db()).unwrap();
    store.insert(&definition(1, "web", &["10.0.0.5"])).unwrap();
    assert_whole(&store);
}

#[test]
fn a_read_only_file_system_can_be_read_and_says_what_to_do() {
    let dir = Dir::new("read-only");
    dir.mount_small();
    let wanted = definition(1, "web", &["10.0.0.5"]);
    Store::open(&dir.db()).unwrap().insert(&wanted).unwrap();
    dir.remount(true);
    let error = Store::open(&dir.db()).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("remount"), "{error}");
    let store = Store::open_read_only(&dir.db()).unwrap();
    assert_eq!(store.all().unwrap(), [wanted]);
    dir.remount(false);
    Store::open(&dir.db()).unwrap();
}

/// Not a test of its own: the unprivileged process of the next one.
#[test]
#[ignore = "started by another test"]
fn reader() {
    let Some(path) = std::env::var_os("HOSTLET_STORE_TEST_DB") else {
        panic!("this is started by a_user_who_may_not_write_reads_with_and_without_the_log");
    };
    let error = Store::open(path.as_ref()).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    let all = Store::open_read_only(path.as_ref()).unwrap().all().unwrap();
    assert_eq!(all, [definition(1, "web", &["10.0.0.5"])]);
}

#[test]
fn a_user_who_may_not_write_reads_with_and_without_the_log() {
    let dir = Dir::new("user");
    // An administrator lets a group read, that of the reader.
    std::fs::write(dir.db(), "").unwrap();
    std::fs::set_permissions(dir.db(), Permissions::from_mode(0o640)).unwrap();
    let writer = Store::open(&dir.db()).unwrap();
    writer.insert(&definition(1, "web", &["10.0.0.5"])).unwrap();
    // The build directory may be closed to others, so the reader runs a copy. Another process makes it: a child of another
    // test would inherit the file that is being written, and a program that somebody writes to cannot be started.
    let program = dir.path().join("reader");
    let copied = Command::new("cp")
        .args([&std::env::current_exe().unwrap(), &program])
        .status();
    assert!(copied.unwrap().success());
    let read = |when: &str| {
        let done = Command::new(&program)
            .args(["--exact", "reader", "--ignored", "--nocapture"])
            .env("HOSTLET_STORE_TEST_DB", dir.db())
            .current_dir("/")
            .uid(65534)
            .output()
            .expect("this test needs root");
        assert!(
            done.status.success(),
            "{when}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    read("while a writer has it open");
    drop(writer);
    read("with what the writer left");
    Store::open(&dir.db()).unwrap().flush().unwrap();
    for suffix in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{suffix}", dir.db().display())).unwrap();
    }
    read("with the file alone");
}

#[test]
fn who_stays_writes_the_log_into_the_file_when_nobody_waits() {
    let dir = Dir::new("stays");
    let store = Store::open_to_stay(&dir.db()).unwrap();
    let other = Store::open_to_stay(&dir.db()).unwrap();
    store.flush().unwrap();
    let file = || std::fs::read(dir.db()).unwrap();
    let insert = |id: u32| {
        let (name, address) = (format!("h{id}"), format!("10.0.0.{id}"));
        store.insert(&definition(id, &name, &[&address])).unwrap();
    };
    let before = file();
    insert(1);
    other.shorten_log().unwrap();
    assert!(file() == before, "a short log stays");
    (2..60).for_each(insert);
    assert!(file() == before, "no change writes it into the file");
    other.shorten_log().unwrap();
    assert!(file() != before, "a long one is written");
    let after = file();
    insert(60);
    other.shorten_log().unwrap();
    assert!(file() == after, "and is short again");
    assert_eq!(other.all().unwrap().len(), 60);
}

#[test]
fn damage_is_told_from_other_trouble() {
    let dir = Dir::new("damage");
    let store = Store::open(&dir.db()).unwrap();
    for id in 1..200 {
        store
            .insert(&definition(
                id,
                &format!("h{id}"),
                &[&format!("10.0.0.{id}")],
            ))
            .unwrap();
    }
    store.flush().unwrap();
    drop(store);
    for suffix in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{suffix}", dir.db().display())).unwrap();
    }
    let sound = std::fs::read(dir.db()).unwrap();

    let mut middle = sound.clone();
    middle[4096..20480].fill(0xa5);
    std::fs::write(dir.db(), &middle).unwrap();
    let error = Store::open(&dir.db()).and_then(|s| s.verify()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("move it aside"), "{error}");

    std::fs::write(
        dir.db(),
        b"this was never a database, whatever its name says ".repeat(100),
    )
    .unwrap();
    for error in [
        Store::open(&dir.db()).unwrap_err(),
        Store::open_read_only(&dir.db()).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    }

    std::fs::write(dir.db(), b"").unwrap();
    let store = Store::open(&dir.db()).expect("an empty file is a new one");
    assert!(store.all().unwrap().is_empty());
}

#[test]
fn a_newer_or_foreign_file_is_refused_and_left_as_it_is() {
    let dir = Dir::new("newer");
    Store::open(&dir.db()).unwrap();
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    for error in [
        Store::open(&dir.db()).unwrap_err(),
        Store::open_read_only(&dir.db()).unwrap_err(),
    ] {
        assert!(
            matches!(error, StoreError::Newer { found: 99, .. }),
            "{error:?}"
        );
    }
    let other = dir.path().join("other.db");
    let raw = rusqlite::Connection::open(&other).unwrap();
    raw.execute_batch("CREATE TABLE recipes (name TEXT)")
        .unwrap();
    drop(raw);
    let before = std::fs::read(&other).unwrap();
    let error = Store::open(&other).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    assert_eq!(std::fs::read(&other).unwrap(), before);
}

#[test]
fn an_absent_file_reads_as_empty_and_is_not_made() {
    let dir = Dir::new("absent");
    let store = Store::open_read_only(&dir.db()).unwrap();
    assert!(store.all().unwrap().is_empty());
    assert!(store.insert(&definition(1, "web", &["10.0.0.5"])).is_err());
    assert!(!dir.db().exists());
}

#[test]
fn many_at_once_make_the_file_and_lose_no_change() {
    let dir = Dir::new("at-once");
    std::thread::scope(|s| {
        for worker in 0..8u32 {
            let path = dir.db();
            s.spawn(move || {
                for n in 0..10 {
                    let store = Store::open(&path).unwrap();
                    let id = 1 + worker * 10 + n;
                    let d = definition(id, &format!("h{id}"), &[&format!("10.0.0.{id}")]);
                    store.insert(&d).unwrap();
                    store.set_state(&d.name, State::Live, at(1)).unwrap();
                }
            });
        }
    });
    let store = Store::open(&dir.db()).unwrap();
    assert_eq!(store.all().unwrap().len(), 80);
    assert_whole(&store);
}

/// A copy that SQLite made, as a back-up is, does not say by itself that it has a log.
#[test]
fn a_restored_file_has_a_log_again() {
    let dir = Dir::new("restored");
    let wanted = definition(1, "web", &["10.0.0.5"]);
    Store::open(&dir.db()).unwrap().insert(&wanted).unwrap();
    let copy = dir.path().join("copy.db");
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    raw.execute("VACUUM INTO ?1", [copy.to_str()]).unwrap();
    let mode = || -> String {
        let raw = rusqlite::Connection::open(&copy).unwrap();
        raw.pragma_query_value(None, "journal_mode", |r| r.get(0))
            .unwrap()
    };
    assert_eq!(mode(), "delete");
    let store = Store::open(&copy).unwrap();
    assert_eq!(mode(), "wal");
    assert_eq!(store.all().unwrap(), [wanted]);
}
