//! Who connected, as the kernel vouches for it.

mod common;

use std::io::{ErrorKind, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use common::Public;
use hostlet_platform::peer::Peer;
use hostlet_platform::proc;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

#[test]
fn a_process_of_another_user_is_known_for_what_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let public = Public::with(&["visitor"]);
    let path = public.dir.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let mut child = public
        .nobody("visitor")
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let peer = Peer::of(&stream).unwrap();
    assert_eq!(peer.pid, child.id());
    assert_eq!(peer.uid, 65534);
    assert_eq!(hostlet_platform::peer::user(&stream).unwrap(), 65534);
    assert_eq!(Some(peer.start_ticks), proc::start_ticks(child.id()));

    let ended = |limit: Option<&Timespec>| {
        poll(&mut [PollFd::new(&peer.pidfd, PollFlags::IN)], limit).unwrap() == 1
    };
    assert!(!ended(Some(&Timespec::default())));
    assert!(peer.lives());
    drop(child.stdin.take());
    assert!(ended(None));
    assert!(!peer.lives());
    child.wait().unwrap();

    // Its end of the connection is closed; nobody is taken for it.
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    let error = Peer::of(&stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn a_process_knows_itself() {
    let (one, _other) = UnixStream::pair().unwrap();
    let peer = Peer::of(&one).unwrap();
    assert_eq!(peer.pid, std::process::id());
    assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    assert_eq!(Some(peer.start_ticks), proc::start_ticks(peer.pid));
}

#[test]
fn a_process_is_opened_by_its_number() {
    let public = Public::with(&["visitor"]);
    let listener = UnixListener::bind(public.dir.join("socket")).unwrap();
    let path = public.dir.join("socket");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let mut child = public
        .nobody("visitor")
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // Then it is who it is to be.
    let (_stream, _) = listener.accept().unwrap();
    let peer = Peer::of_pid(child.id()).unwrap();
    assert_eq!((peer.pid, peer.uid), (child.id(), 65534));
    assert_eq!(Some(peer.start_ticks), proc::start_ticks(child.id()));
    assert!(peer.lives());
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(!peer.lives() && !peer.keeps_its_pid());
    for nobody in [child.id(), 0, 1 << 23, u32::MAX] {
        let error = Peer::of_pid(nobody).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{nobody}: {error}");
    }
    // A thread is no process.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let (end, wait) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_nonzero().get())
                .unwrap();
            let _ = wait.recv();
        });
        let thread = told.recv().unwrap().cast_unsigned();
        let error = Peer::of_pid(thread).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        drop(end);
    });
}
