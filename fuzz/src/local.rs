//! What other processes of the machine put before hostletd and the commands: programs that they start, the names that they give to
//! themselves, to cgroups and to mounts. And the kernel's own tables, of which no byte is to be fatal either.

use hostlet_platform::fuzzing;

/// What is done with an input.
pub fn run(input: &[u8]) {
    let [which, input @ ..] = input else { return };
    match which % 10 {
        0 => interpreter(input),
        1 => drop(fuzzing::stat(input)),
        2 => name(input),
        3 => drop(fuzzing::rights(input)),
        4 => cgroup(input),
        5 => below_a_service(input),
        6 => drop(fuzzing::mounts(input)),
        7 => mount(input),
        8 => {
            for ipv6 in [false, true] {
                drop(fuzzing::table(input, ipv6));
            }
        }
        _ => netlink(input),
    }
}

fn interpreter(head: &[u8]) {
    if let Some(path) = fuzzing::interpreter(head) {
        assert!(path.len() < head.len() && !path.contains(&0));
    }
}

/// Whatever a process calls itself, all else is read as the kernel wrote it.
fn name(comm: &[u8]) {
    let comm: Vec<u8> = comm
        .iter()
        .copied()
        .take_while(|b| *b != 0)
        .take(15)
        .collect();
    let mut stat = b"7 (".to_vec();
    stat.extend(&comm);
    stat.extend(b") S 42 7 7 0 -1 4194560 1 0 0 0 2 3 0 0 20 0 1 0 4711 100 1 0\n");
    let found = fuzzing::stat(&stat).expect("it is there");
    assert_eq!(
        found,
        (String::from_utf8_lossy(&comm).into_owned(), 42, 4711)
    );
    // Here the kernel escapes what ends a line.
    let mut status = b"Name:\t".to_vec();
    for byte in comm {
        match byte {
            b'\n' => status.extend(b"\\n"),
            b'\\' => status.extend(b"\\\\"),
            byte => status.push(byte),
        }
    }
    status.extend(b"\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nThreads:\t9\nNoNewPrivs:\t1\n");
    let rights = fuzzing::rights(&status).expect("it is there");
    assert_eq!((rights.uids, rights.gids), ([1, 2, 3, 4], [5, 6, 7, 8]));
    assert!(rights.threads == 9 && rights.no_new_privs);
}

fn cgroup(file: &[u8]) {
    let (path, units) = fuzzing::cgroup(file);
    assert!(path.is_none_or(|path| !path.contains('\n')));
    for (n, unit) in units.iter().enumerate() {
        let kinds = [".slice", ".service", ".scope"];
        assert!(kinds.iter().any(|kind| unit.ends_with(kind)) && !unit.contains('/'));
        assert!(!units[n + 1..].contains(unit));
    }
}

/// What a service calls its own cgroups takes it out of no unit and brings it into none.
fn below_a_service(name: &[u8]) {
    let name: Vec<u8> = name
        .iter()
        .copied()
        .filter(|b| !b"\n\0".contains(b))
        .collect();
    let mut file = b"12:pids:/x.service\n0::/user.slice/user@7.service/".to_vec();
    file.extend(name);
    file.push(b'\n');
    let (path, units) = fuzzing::cgroup(&file);
    assert!(path.is_some_and(|path| path.starts_with("/user.slice/user@7.service/")));
    assert_eq!(units, ["user.slice", "user@7.service"]);
}

/// Wherever somebody mounts something, it is read as that.
fn mount(point: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    let point: Vec<u8> = point.iter().copied().filter(|b| *b != 0).collect();
    let mut line = b"36 35 98:0 / /".to_vec();
    for byte in &point {
        // As the kernel escapes.
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => line.extend(format!("\\{byte:03o}").bytes()),
            byte => line.push(*byte),
        }
    }
    line.extend(b" rw,nosuid shared:1 - fuse.x x rw\n37 35 0:5 / /next ro - tmpfs x rw\n");
    let found = fuzzing::mounts(&line);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].point.as_os_str().as_bytes()[1..], point);
    assert_eq!(found[0].kind, "fuse.x");
    assert!(!found[0].read_only() && found[1].read_only());
}

fn netlink(input: &[u8]) {
    let [which, input @ ..] = input else { return };
    match which % 3 {
        0 => drop(fuzzing::socket(input)),
        1 => drop(fuzzing::network(input)),
        _ => drop(fuzzing::changes(input)),
    }
}
