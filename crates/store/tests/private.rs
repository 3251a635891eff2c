//! Who had which address is not for everybody to read (B13).

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use common::{Dir, at, definition, name};
use hostlet_store::{State, Store};

const ALL: [&str; 3] = ["", "-wal", "-shm"];

fn modes(dir: &Dir) -> [u32; 3] {
    ALL.map(|suffix| {
        let path = format!("{}{suffix}", dir.db().display());
        fs::metadata(path).unwrap().mode() & 0o777
    })
}

#[test]
fn the_file_and_its_log_are_their_owners_alone() {
    let dir = Dir::new("private");
    let store = Store::open(&dir.db()).unwrap();
    store.insert(&definition(1, "web", &["10.0.0.5"])).unwrap();
    assert_eq!(modes(&dir), [0o600; 3]);
}

#[test]
fn what_an_older_version_left_open_is_closed_and_a_group_stays() {
    let dir = Dir::new("opened");
    let store = Store::open(&dir.db()).unwrap();
    store.insert(&definition(1, "web", &["10.0.0.5"])).unwrap();
    for suffix in ALL {
        let path = format!("{}{suffix}", dir.db().display());
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }
    // Another process of the older version may have it open.
    let second = Store::open(&dir.db()).unwrap();
    assert_eq!(modes(&dir), [0o640; 3]);
    second.set_state(&name("web"), State::Live, at(1)).unwrap();
    assert_eq!(store.all().unwrap(), second.all().unwrap());
    drop((store, second));
    Store::open(&dir.db()).unwrap();
    assert_eq!(modes(&dir), [0o640; 3]);
}
