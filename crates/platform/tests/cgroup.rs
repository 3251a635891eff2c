//! Cgroups, on the machine's own cgroup2 file system.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use common::{LIMIT, Sandbox, need_root};
use hostlet_platform::cgroup::{self, Cgroup, CgroupError};

#[test]
fn the_mount_is_found() {
    need_root();
    let mount = cgroup::find_mount().unwrap();
    assert!(mount.join("cgroup.controllers").exists());
}

#[test]
fn a_cgroup_comes_and_goes() {
    let sandbox = Sandbox::new("life");
    let tree = &sandbox.tree;
    assert!(tree.list().unwrap().is_empty());
    assert!(matches!(tree.open("one"), Err(CgroupError::Missing(_))));
    let one = tree.create("one").unwrap();
    let two = tree.create("two").unwrap();
    assert!(matches!(tree.create("one"), Err(CgroupError::Exists(_))));
    assert_eq!(one.id(), fs::metadata(one.path()).unwrap().ino());
    assert_eq!(tree.open("one").unwrap().id(), one.id());
    assert_eq!(
        tree.list().unwrap(),
        [("one".to_owned(), one.id()), ("two".to_owned(), two.id())]
    );
    assert!(tree.remove("one").unwrap());
    assert!(!tree.remove("one").unwrap());
    assert!(matches!(
        tree.members("one", true),
        Err(CgroupError::Missing(_))
    ));
    assert!(matches!(
        Cgroup::open_path(one.path()),
        Err(CgroupError::Missing(_))
    ));
}

#[test]
fn members_are_listed_block_removal_and_can_be_killed() {
    let sandbox = Sandbox::new("members");
    let tree = &sandbox.tree;
    let cgroup = tree.create("box").unwrap();
    fs::create_dir(cgroup.path().join("below")).unwrap();
    let sleep = || {
        Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    };
    let (mut above, mut below) = (sleep(), sleep());
    tree.add("box", above.id()).unwrap();
    tree.add("box/below", below.id()).unwrap();

    assert_eq!(tree.members("box", false).unwrap(), [above.id()]);
    let mut both = [above.id(), below.id()];
    both.sort_unstable();
    assert_eq!(tree.members("box", true).unwrap(), both);
    match tree.remove("box") {
        Err(CgroupError::Busy { members, .. }) => assert_eq!(members, [below.id()]),
        other => panic!("{other:?}"),
    }
    assert!(!tree.wait_empty("box", std::time::Duration::ZERO).unwrap());

    tree.kill("box").unwrap();
    // Zombies are no members.
    assert!(tree.wait_empty("box", LIMIT).unwrap());
    assert!(tree.remove("box").unwrap());
    above.wait().unwrap();
    below.wait().unwrap();
}

#[test]
fn a_missing_process_cannot_be_added() {
    let sandbox = Sandbox::new("add");
    sandbox.tree.create("box").unwrap();
    let error = sandbox.tree.add("box", u32::MAX >> 1).unwrap_err();
    assert!(error.to_string().contains("cgroup.procs"), "{error}");
}
