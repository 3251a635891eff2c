//! Sessions are remembered (rows B1, B13).

use hostlet_store::{Session, SessionKind, Store};

fn session(user: &str) -> Session {
    Session {
        number: 0,
        kind: SessionKind::Session,
        hostlet: Some("alice-1".parse().unwrap()),
        own: true,
        joined: true,
        rule: None,
        user: user.to_owned(),
        uid: 1000,
        service: "sshd".to_owned(),
        tty: None,
        remote: Some("192.0.2.9".to_owned()),
        since: "2026-01-31T12:00:00Z".parse().unwrap(),
        pid: 4711,
        start_ticks: 12,
        ended: None,
        cut_off: false,
    }
}

#[test]
fn a_session_is_numbered_once_changed_and_forgotten() {
    let dir = tempdir();
    let path = dir.join("hostlet.db");
    let first = {
        let store = Store::open(&path).unwrap();
        let first = store.add_session(session("alice")).unwrap();
        let second = store.add_session(session("bob")).unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        store.forget_sessions(&[2, 77]).unwrap();
        first
    };
    // Another process, later.
    let store = Store::open(&path).unwrap();
    assert_eq!(store.sessions().unwrap(), std::slice::from_ref(&first));
    let ended = Session {
        cut_off: true,
        ..first
    };
    store.change_session(&ended).unwrap();
    assert_eq!(store.sessions().unwrap(), [ended]);
    // A number that somebody may still have is not another's.
    assert_eq!(store.add_session(session("bob")).unwrap().number, 3);
    drop(store);
    std::fs::remove_dir_all(dir).unwrap();
}

fn tempdir() -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("hostlet-sessions-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
