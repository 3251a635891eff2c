//! The kernel part on a real kernel: whole or not at all, found again by another process, gone
//! without a trace. Needs root, and fails without it.

use std::fs;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use hostlet_kernel::{Error, Kernel, Limits, OnLink, Record, RecordFlags, SourceList, Tables};
use hostlet_model::{HostletId, Owned, SourcePolicy};
use libbpf_rs::{MapCore, MapHandle};

/// A thread of its own with a network and a mount namespace of its own and a bpffs, which all go with it.
fn on_stage(test: impl FnOnce(&Path) + Send + 'static) {
    let on_thread = move || {
        let flags = libc::CLONE_FS | libc::CLONE_NEWNS | libc::CLONE_NEWNET;
        // SAFETY: no pointers; only this thread changes its namespaces.
        assert_eq!(unsafe { libc::unshare(flags) }, 0, "these tests need root");
        let none = None::<&std::ffi::CStr>;
        let private = rustix::mount::MountPropagationFlags::PRIVATE
            | rustix::mount::MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).expect("keep mounts to this namespace");
        let dir = PathBuf::from(format!(
            "/tmp/hostlet-kernel-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let dir = PathBuf::from(dir.to_string_lossy().replace(['(', ')'], ""));
        fs::create_dir_all(&dir).expect("make a directory");
        rustix::mount::mount("bpf", &dir, "bpf", rustix::mount::MountFlags::empty(), none)
            .expect("mount a bpffs");
        let place = dir.join("hostlet");
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&place)));
        rustix::mount::unmount(&dir, rustix::mount::UnmountFlags::DETACH)
            .expect("unmount the bpffs");
        fs::remove_dir(&dir).expect("remove the directory");
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    };
    std::thread::spawn(on_thread)
        .join()
        .expect("the test on its stage");
}

fn small() -> Limits {
    Limits {
        hostlets: 8,
        sockets: 64,
        addresses: 8,
    }
}

fn record(kernel: &Kernel, id: HostletId) -> Record {
    Record {
        id: id.0,
        netns: kernel.netns_cookie(),
        flags: RecordFlags::GUARD | RecordFlags::V4 | RecordFlags::MANY4,
        source: SourcePolicy::ByDestination,
        primary4: Some("192.0.2.1".parse().unwrap()),
        primary6: None,
        loop4: id.loopback4(),
        loop6: None,
        few4: [
            Some("192.0.2.2".parse().unwrap()),
            None,
            None,
            None,
            None,
            None,
            None,
        ],
        few6: [None; 7],
    }
}

/// A4: what is pinned is found again, with what was written to it.
#[test]
fn another_handle_finds_what_one_made() {
    on_stage(|pins| {
        assert!(Kernel::open(pins).unwrap().is_none());
        let first = Kernel::install(pins, &small()).unwrap();
        let owned: Owned = "192.0.2.1".parse().unwrap();
        let prefix: Owned = "2001:db8:7::/64".parse().unwrap();
        first.own(7, &owned, false, true).unwrap();
        first.own(7, &prefix, false, true).unwrap();
        drop(first);
        let second = Kernel::open(pins).unwrap().expect("pins that were made");
        assert_eq!(second.limits(), small());
        let mut owners = second.owners().unwrap();
        owners.sort();
        assert_eq!(owners, [(owned, 7, false), (prefix, 7, false)]);
        second.disown(&[owned]).1.unwrap();
        second.disown(&[owned]).1.unwrap();
        let mixed = [prefix, owned, prefix];
        assert!(matches!(second.disown(&mixed), (3, Ok(()))));
        assert!(second.owners().unwrap().is_empty());
    });
}

/// A full table is an error that says so, and what is in it stays.
#[test]
fn a_full_table_refuses() {
    on_stage(|pins| {
        let kernel = Kernel::install(pins, &small()).unwrap();
        let nth = |n: u8| Owned::Single(IpAddr::from([192, 0, 2, n]));
        for n in 0..8 {
            kernel.own(1, &nth(n), false, true).unwrap();
        }
        let error = kernel.own(1, &nth(8), false, true).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Table {
                    table: "owners",
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("[limits]"), "{error}");
        assert_eq!(kernel.owners().unwrap().len(), 8);
    });
}

/// Tables go from old to new by their difference; to nothing in the end.
#[test]
fn tables_follow_the_definition() {
    on_stage(|pins| {
        let kernel = Kernel::install(pins, &small()).unwrap();
        let addrs: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        let both = Tables {
            sources: vec![SourceList {
                ipv6: false,
                ifindex: 0,
                addrs: addrs.clone(),
            }],
            onlink: vec![OnLink {
                net: "192.0.2.0/24".parse().unwrap(),
                addr: addrs[0],
                ifindex: 1,
            }],
            reach: vec![("127.0.0.53".parse().unwrap(), 53)],
        };
        let one = Tables {
            sources: vec![SourceList {
                ipv6: false,
                ifindex: 0,
                addrs: addrs[..1].to_vec(),
            }],
            ..Tables::default()
        };
        let count = |name: &str| {
            let map =
                MapHandle::from_pinned_path(pins.join("maps").join(name)).expect("open the pin");
            map.keys().count()
        };
        kernel.set_tables(3, &Tables::default(), &both).unwrap();
        assert_eq!(
            [count("sources"), count("onlink"), count("reach")],
            [2, 1, 1]
        );
        kernel.set_tables(3, &both, &one).unwrap();
        assert_eq!(
            [count("sources"), count("onlink"), count("reach")],
            [1, 0, 0]
        );
        kernel.set_tables(3, &one, &Tables::default()).unwrap();
        assert_eq!(
            [count("sources"), count("onlink"), count("reach")],
            [0, 0, 0]
        );
    });
}

/// Attaching twice is no error, a record is read as it was written, and the cgroup's end is the end of both.
#[test]
fn a_cgroup_has_its_programs_and_its_record() {
    on_stage(|pins| {
        let kernel = Kernel::install(pins, &small()).unwrap();
        let mount = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mount
            .lines()
            .find(|l| l.contains(" - cgroup2 "))
            .expect("cgroup2 is mounted");
        let dir = Path::new(mount.split(' ').nth(4).unwrap())
            .join(format!("hostlet-kernel-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let cgroup = fs::File::open(&dir).unwrap();
        let inode = std::os::unix::fs::MetadataExt::ino(&cgroup.metadata().unwrap());
        let id = HostletId::new(5).unwrap();
        assert!(!kernel.attached(cgroup.as_fd()).unwrap());
        kernel.attach(cgroup.as_fd()).unwrap();
        kernel.attach(cgroup.as_fd()).unwrap();
        assert!(kernel.attached(cgroup.as_fd()).unwrap());
        assert_eq!(kernel.record(inode).unwrap(), None);
        kernel.publish(inode, &record(&kernel, id)).unwrap();
        assert_eq!(kernel.record(inode).unwrap(), Some(record(&kernel, id)));
        kernel.detach(cgroup.as_fd()).unwrap();
        kernel.detach(cgroup.as_fd()).unwrap();
        assert!(!kernel.attached(cgroup.as_fd()).unwrap());
        fs::remove_dir(&dir).unwrap();
    });
}

/// What cannot be pinned leaves nothing; what is taken away leaves nothing.
#[test]
fn nothing_is_half_made() {
    on_stage(|pins| {
        // The place is taken by something that is not ours.
        fs::create_dir_all(pins.join("taken")).unwrap();
        let error = Kernel::install(pins, &small()).unwrap_err();
        assert!(matches!(error, Error::Pin { .. }), "{error}");
        let left: Vec<_> = fs::read_dir(pins.parent().unwrap())
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert!(
            left.iter().all(|n| !n.to_string_lossy().contains("-new-")),
            "{left:?}"
        );
        fs::remove_dir_all(pins).unwrap();

        let kernel = Kernel::install(pins, &small()).unwrap();
        kernel.wake().unwrap();
        kernel.wake().unwrap();
        kernel.watch(&[1]).unwrap();
        kernel.watch(&[1]).unwrap();
        assert_eq!(kernel.watched().unwrap(), [1]);
        // Interfaces that went are forgotten.
        kernel.watch(&[]).unwrap();
        assert!(kernel.watched().unwrap().is_empty());
        kernel.watch(&[1]).unwrap();
        kernel.uninstall().unwrap();
        assert!(!pins.exists());
        // The places are free at once.
        let again = Kernel::install(pins, &small()).unwrap();
        again.wake().unwrap();
        again.watch(&[1]).unwrap();
        again.uninstall().unwrap();
    });
}
