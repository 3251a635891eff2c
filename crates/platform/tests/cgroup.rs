//! Cgroups, on the machine's own cgroup2 file system.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use common::{LIMIT, Sandbox, need_root};
use hostlet_platform::cgroup::{self, Cgroup, CgroupError, EmptyWatch, Vacancy};
use hostlet_platform::proc;

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

fn next(watch: &mut EmptyWatch) -> Vec<(String, Vacancy)> {
    common::readable(&*watch, "nothing is reported");
    watch.drain().unwrap()
}

fn is_quiet(watch: &EmptyWatch) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec::default();
    poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&now)).unwrap() == 0
}

fn sleeper(sandbox: &Sandbox, name: &str) -> std::process::Child {
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    sandbox.tree.add(name, child.id()).unwrap();
    child
}

#[test]
fn a_cgroup_that_becomes_empty_or_goes_is_reported() {
    let (sandbox, cgroup) = Sandbox::with_box("watch");
    let empty = || ("web".to_owned(), Vacancy::Empty);
    let gone = || ("web".to_owned(), Vacancy::Gone);
    fs::create_dir(cgroup.path().join("below")).unwrap();
    let mut watch = EmptyWatch::new().unwrap();
    let mut below = sleeper(&sandbox, "box/below");
    watch.add("web", cgroup.path()).unwrap();
    assert_eq!(watch.drain().unwrap(), []);
    let mut above = sleeper(&sandbox, "box");
    below.kill().unwrap();
    below.wait().unwrap();
    // What is left above keeps it from being empty.
    assert_eq!(watch.drain().unwrap(), []);
    above.kill().unwrap();
    above.wait().unwrap();
    while !next(&mut watch).contains(&empty()) {}
    // Somebody comes again, and goes.
    let mut again = sleeper(&sandbox, "box");
    again.kill().unwrap();
    again.wait().unwrap();
    while !next(&mut watch).contains(&empty()) {}

    sandbox.tree.remove("box").unwrap();
    while !next(&mut watch).contains(&gone()) {}
    assert!(is_quiet(&watch));
    // A later one of the same name is another one.
    sandbox.tree.create("box").unwrap();
    assert_eq!(watch.drain().unwrap(), []);
}

#[test]
fn what_is_empty_or_gone_already_is_reported_at_once() {
    let (sandbox, cgroup) = Sandbox::with_box("late");
    let mut watch = EmptyWatch::new().unwrap();
    watch.add("web", cgroup.path()).unwrap();
    watch.add("none", &sandbox.tree.path_of("none")).unwrap();
    watch
        .add("far", std::path::Path::new("/nowhere/at/all"))
        .unwrap();
    let expected = [
        ("web".to_owned(), Vacancy::Empty),
        ("none".to_owned(), Vacancy::Gone),
        ("far".to_owned(), Vacancy::Gone),
    ];
    assert_eq!(next(&mut watch), expected);
    assert!(is_quiet(&watch));
    // What is not watched any more says nothing, not even what it had to say.
    watch.add("web", cgroup.path()).unwrap();
    watch.remove("web");
    watch.remove("web");
    assert_eq!(watch.drain().unwrap(), []);
    sandbox.tree.remove("box").unwrap();
    assert_eq!(watch.drain().unwrap(), []);
    assert!(is_quiet(&watch));
}

#[test]
fn of_many_cgroups_each_is_reported() {
    const MANY: usize = 200;
    let sandbox = Sandbox::new("many");
    let mut watch = EmptyWatch::new().unwrap();
    let names: Vec<_> = (0..MANY).map(|n| format!("box-{n}")).collect();
    let mut sleepers = Vec::new();
    for name in &names {
        let cgroup = sandbox.tree.create(name).unwrap();
        sleepers.push(sleeper(&sandbox, name));
        watch.add(name, cgroup.path()).unwrap();
    }
    let mut all = |what: Vacancy| {
        let mut left: std::collections::BTreeSet<_> = names.iter().cloned().collect();
        while !left.is_empty() {
            for (name, seen) in next(&mut watch) {
                assert!(seen == what || seen == Vacancy::Empty, "{name}: {seen:?}");
                if seen == what {
                    left.remove(&name);
                }
            }
        }
    };
    for mut sleeper in sleepers {
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
    all(Vacancy::Empty);
    for name in &names {
        sandbox.tree.remove(name).unwrap();
    }
    all(Vacancy::Gone);
}

#[test]
fn a_processs_units_are_those_of_the_systems_manager() {
    need_root();
    let slice = common::unique("test") + ".slice";
    let tree = cgroup::Tree::under_mount(&slice).unwrap();
    tree.create("web.service").unwrap();
    // As a service's own manager may call what it likes.
    fs::create_dir(tree.path_of("web.service/db.service")).unwrap();
    let mut inside = Command::new("sleep").arg("1000").spawn().unwrap();
    tree.add("web.service/db.service", inside.id()).unwrap();
    let units = proc::units(inside.id());
    inside.kill().unwrap();
    inside.wait().unwrap();
    assert!(proc::units(inside.id()).is_empty());
    assert!(tree.wait_empty("web.service", LIMIT).unwrap());
    tree.remove("web.service").unwrap();
    tree.remove_parent().unwrap();
    // A hybrid machine has units of its own hierarchy as well.
    let ours = units.iter().position(|u| *u == slice).unwrap();
    assert_eq!(units[ours + 1], "web.service");
    assert!(!units.contains(&"db.service".into()), "{units:?}");
}
