//! Leases in SQLite: the contract, and what happens to files.

mod common;
mod contract;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Command, Stdio};

use common::{BEFORE_8, Dir, definition};
use contract::{Place, at, ip, lease, name, nth};
use hostlet_store::{Claim, LeaseState, LeaseStore, Store, StoreError};

impl Place for Dir {
    type Store = Store;
    fn open(&self) -> Store {
        Store::open(&self.db()).expect("the file opens")
    }
}

contract::tests!(Dir::new);

/// What every address goes through in `lender`.
const STEPS: [&str; 3] = ["claimed", "held", "released"];

/// Not a test of its own: the process that `a_killed_lender…` kills.
#[test]
#[ignore = "started by another test"]
fn lender() {
    let Some(path) = std::env::var_os("HOSTLET_STORE_TEST_DB") else {
        panic!("this is started by a_killed_lender_has_kept_what_it_said");
    };
    let store = Store::open(path.as_ref()).unwrap();
    for n in 0.. {
        let l = lease(nth(n & 0xff_ffff), 1 + n % 1000);
        assert_eq!(store.claim(&l, at(2)).unwrap(), Claim::Done);
        println!("claimed {}", l.address);
        store.hold(l.address, &l.hostlet, None).unwrap();
        println!("held {}", l.address);
        if n % 3 == 0 {
            store.release(l.address, at(3)).unwrap();
            println!("released {}", l.address);
        }
    }
}

#[test]
fn a_killed_lender_has_kept_what_it_said() {
    for round in 0..30 {
        let dir = Dir::new(&format!("lender-{round}"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lender", "--ignored", "--nocapture"])
            .env("HOSTLET_STORE_TEST_DB", dir.db())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let mut last = None;
        let mut hear = |line: String| {
            let Some((step, address)) = line.split_once(' ') else {
                return false;
            };
            let Some(step) = STEPS.iter().position(|s| *s == step) else {
                return false;
            };
            said.insert(ip(address), step);
            last = Some(ip(address));
            true
        };
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while heard < 1 + round * 3 {
            heard += usize::from(hear(lines.next().unwrap().unwrap()));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            // The last line may be cut.
            hear(line.unwrap());
        }
        let store = dir.open();
        store.verify().unwrap();
        let mut leases: BTreeMap<IpAddr, LeaseState> = BTreeMap::new();
        for l in store.leases().unwrap() {
            assert!(leases.insert(l.address, l.state).is_none(), "held twice");
        }
        for (address, step) in &said {
            let state = leases.remove(address);
            let wanted = match step {
                0 => Some(LeaseState::Claimed),
                1 => Some(LeaseState::Held),
                _ => None,
            };
            // The last one may be a step further than what was said.
            let ahead = match step {
                0 => Some(LeaseState::Held),
                _ => None,
            };
            assert!(
                state == wanted || (last == Some(*address) && state == ahead),
                "{address}: said {}, found {state:?}",
                STEPS[*step]
            );
        }
        assert!(leases.len() <= 1, "claimed and not said: {leases:?}");
        assert!(leases.values().all(|s| *s == LeaseState::Claimed));
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
fn on_a_full_disk_nothing_is_lent_and_nothing_lost() {
    let dir = Dir::new("lease-full");
    dir.mount_small();
    let store = dir.open();
    let filler = fill(&dir);
    let mut lent = Vec::new();
    let error = loop {
        let n = u32::try_from(lent.len()).unwrap() + 1;
        assert!(n < 5000, "a full disk refuses at last");
        match store.claim(&lease(nth(n), n), at(2)) {
            Ok(claim) => {
                assert_eq!(claim, Claim::Done);
                lent.push(nth(n));
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    let addresses = |store: &Store| -> Vec<IpAddr> {
        let all = store.leases().unwrap();
        all.into_iter().map(|l| l.address).collect()
    };
    assert_eq!(addresses(&store), lent);
    assert_eq!(addresses(&dir.open()), lent);
    std::fs::remove_file(filler).unwrap();
    for address in &lent {
        assert!(store.release(*address, at(3)).unwrap().is_some());
    }
    assert!(addresses(&dir.open()).is_empty());
}

/// From now on this thread can write and cannot flush: both calls for it fail with EIO.
fn refuse_flushes() {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("a code"),
        jt: 0,
        jf: 0,
        k,
    };
    let jump = |k: libc::c_long, jt: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt,
        jf: 0,
        k: u32::try_from(k).expect("a call's number"),
    };
    let mut program = [
        // The number of the call is the first field.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        jump(libc::SYS_fsync, 2),
        jump(libc::SYS_fdatasync, 1),
        statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW),
        statement(
            libc::BPF_RET,
            libc::SECCOMP_RET_ERRNO | libc::EIO.unsigned_abs(),
        ),
    ];
    let filter = libc::sock_fprog {
        len: 5,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program lives through the call, has the length that is said, and concerns this thread alone.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const filter,
            ) == 0
    };
    assert!(done, "seccomp: {}", std::io::Error::last_os_error());
}

/// What cannot be flushed fails and is not there: so what succeeded was flushed.
#[test]
fn leases_are_on_the_disk_when_the_call_returns() {
    let dir = Dir::new("lease-flushed");
    let store = dir.open();
    let (held, wanted) = (lease(nth(1), 1), lease(nth(2), 2));
    store.claim(&held, at(2)).unwrap();
    refuse_flushes();
    // The other changes do not wait for the disk.
    store.insert(&definition(1, "web", &["10.0.0.5"])).unwrap();
    store.holder("1000/office/5").unwrap();
    assert!(store.claim(&wanted, at(2)).is_err());
    assert!(store.hold(held.address, &held.hostlet, None).is_err());
    assert!(store.release(held.address, at(3)).is_err());
    assert_eq!(store.leases().unwrap(), [held]);
    // What changes nothing has nothing to flush.
    let taken = store.claim(&lease(nth(1), 2), at(2)).unwrap();
    assert!(matches!(taken, Claim::Taken(_)));
    assert_eq!(store.release(nth(9), at(3)).unwrap(), None);
    // The setting is for leases alone, after a failure too.
    store.insert(&definition(2, "db", &["10.0.0.6"])).unwrap();
}

/// Files of version 2 know nothing of leases.
#[test]
fn an_older_file_gets_what_leases_need() {
    let dir = Dir::new("lease-older");
    let d = definition(7, "web", &["10.0.0.5"]);
    dir.open().insert(&d).unwrap();
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    raw.execute_batch(BEFORE_8).unwrap();
    raw.execute_batch(
        "DROP TABLE holder; DROP TABLE lease; DROP TABLE remembered; DROP TABLE aside;
         DROP TABLE latest; DROP TABLE lost; DROP TABLE session;
         PRAGMA user_version = 2",
    )
    .unwrap();
    drop(raw);
    let store = dir.open();
    assert_eq!(store.all().unwrap(), [d]);
    assert_eq!(store.claim(&lease(nth(1), 1), at(2)).unwrap(), Claim::Done);
    assert!(store.leases().unwrap()[0].hostlet == name("h1"));
}

/// Files of version 3 have one row for each holder alone, and terms by the time of day alone.
#[test]
fn what_an_older_file_remembers_is_kept() {
    let dir = Dir::new("lease-older-3");
    drop(dir.open());
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    raw.execute_batch(BEFORE_8).unwrap();
    raw.execute_batch(
        r#"DROP TABLE latest; DROP TABLE lost; DROP TABLE session; DROP INDEX remembered_address; DROP INDEX lease_holder;
        CREATE INDEX remembered_pool ON remembered (pool, released);
        INSERT INTO remembered (holder, pool, v6, address, released) VALUES
            (1, 'office', 0, '10.0.0.1', 1800000030000000),
            (2, 'office', 0, '10.0.0.1', 1800000010000000),
            (3, 'office', 0, '10.0.0.2', 1800000020000000),
            (3, 'lab', 0, '10.0.0.1', 1800000040000000);
        INSERT INTO lease VALUES ('10.0.0.9', 24, 'office', 'eth0', 'h9', 9, '1000/office/9', 1000,
            'alice', '[]', 1800000001000000, 'held', '{"server":"192.0.2.1",
            "renew":"2027-01-15T08:00:50Z","rebind":"2027-01-15T08:01:27Z",
            "expires":"2027-01-15T08:01:40Z","hardware":"02:ab:cd:00:00:09"}');
        PRAGMA user_version = 3"#,
    )
    .unwrap();
    drop(raw);
    let store = dir.open();
    let all = store.remembered(&name("office")).unwrap();
    let all: Vec<_> = all.iter().map(|r| (r.address, r.holder)).collect();
    assert_eq!(all, [(nth(2), 3), (nth(1), 1)]);
    assert_eq!(store.remembered(&name("lab")).unwrap().len(), 1);
    let last = store.last(2, &name("office"), false).unwrap();
    assert_eq!(last.map(|r| r.address), Some(nth(1)));
    let terms = store.leases().unwrap()[0].terms.clone().unwrap();
    assert_eq!((terms.expires, terms.since_boot), (Some(at(100)), None));
}

#[test]
fn an_absent_file_reads_as_no_leases() {
    let dir = Dir::new("lease-absent");
    let store = Store::open_read_only(&dir.db()).unwrap();
    assert!(store.leases().unwrap().is_empty());
    assert!(store.aside(at(0)).unwrap().is_empty());
    assert!(store.claim(&lease(nth(1), 1), at(2)).is_err());
}
