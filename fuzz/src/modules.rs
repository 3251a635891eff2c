//! What other people's programs load: the arguments of pam_hostlet, and what libnss_hostlet is asked and reads.

use std::cell::OnceCell;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hostlet_model::names::{self, OwnNames};
use nss_hostlet::{Family, Place};
use pam_hostlet::arguments::Arguments;

/// What is done with an input.
pub fn run(input: &[u8]) {
    let [which, input @ ..] = input else { return };
    match which % 4 {
        0 => arguments(input),
        n => look_up(
            input,
            [Family::V4, Family::V6, Family::Any][usize::from(n) - 1],
        ),
    }
}

fn arguments(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let given: Vec<&str> = text.split(' ').collect();
    let (read, wrong) = Arguments::parse(given.iter().copied());
    assert!(wrong.len() <= given.len());
    assert!(read.root.is_none_or(|root| root.is_absolute()));
    let bounds = Duration::from_millis(100)..=Duration::from_secs(600);
    assert!(read.deadline.is_none_or(|time| bounds.contains(&time)));
}

/// The machine's name, what is asked, and the three files, with a zero between them.
fn look_up(input: &[u8], family: Family) {
    let mut parts = input.splitn(5, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (host, asked, cgroup, hosts, own) = (part(), part(), part(), part(), part());
    DIR.with(|dir| {
        let dir = dir.get_or_init(Dir::new);
        let place = Place {
            names: dir.0.clone(),
            cgroup: dir.file("cgroup", cgroup),
            hosts: dir.file("hosts", hosts),
            host: host.to_vec(),
        };
        let written = OwnNames::parse(own).map(|own| names::file_name(&own.cgroup));
        let written = written.map(|name| dir.file(&name, own));
        if let Some(answer) = place.by_name(asked, family).expect("files are read") {
            assert!(!answer.name.is_empty() && answer.addresses.len() <= names::MAX_ADDRESSES);
            let all = std::iter::once(&answer.name).chain(&answer.aliases);
            // The library ends texts with a zero, and programs print them.
            assert!(all.flatten().all(u8::is_ascii_graphic));
            for (n, address) in answer.addresses.iter().enumerate() {
                assert!(family.has(*address) && !answer.addresses[n + 1..].contains(address));
                let back = place.by_address(*address).expect("files are read");
                let back = back.expect("an address of an answer is known");
                assert_eq!(
                    (back.name, back.addresses),
                    (answer.name.clone(), vec![*address])
                );
            }
        }
        if let Ok(Ok(address)) = std::str::from_utf8(asked).map(str::parse::<IpAddr>)
            && let Some(answer) = place.by_address(address).expect("files are read")
        {
            assert_eq!(answer.addresses, [address]);
        }
        if let Some(written) = written {
            fs::remove_file(written).expect("it was written");
        }
    });
}

thread_local! {
    static DIR: OnceCell<Dir> = const { OnceCell::new() };
}

/// Where the files are; each thread has its own.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hostlet-modules-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a directory of its own");
        Dir(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("it can be written");
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
