//! What the machine's own name stands for in each hostlet (row B12): files that the NSS module reads, one for each cgroup.
//!
//! They are written when the kernel is told of a hostlet, and once more when the machine's own addresses changed. Nothing
//! depends on them but that name: what cannot be written is a warning, and the command goes on.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hostlet_model::config::OwnName;
use hostlet_model::names::{OwnNames, Whose, file_name};
use hostlet_model::{Name, Owned, Paths};
use hostlet_platform::{cgroup, netlink};
use hostlet_policy::{KernelView, kernel_view};
use hostlet_store::State;

use crate::error::{Error, Result};
use crate::machine::Machine;

/// What was true when the files were written: the machine's own addresses, and their place among the others.
const BASIS: &str = "machine";
/// What is not complete yet. The lock is held, so there is one.
const NEW: &str = ".new";

/// Destinations that no machine has a route to, but for its default route: what lies there was never given to anybody.
const NOWHERE: [&str; 2] = ["240.0.0.1:9", "[4000::1]:9"];
/// If those are blocked, as routers do with what was never given to anybody.
const SOMEWHERE: [&str; 2] = ["1.1.1.1:9", "[2606:4700:4700::1111]:9"];

/// Writes those of a hostlet, as the kernel is told of it. The lock is held.
pub(crate) fn write(machine: &mut Machine<'_>, name: &Name, view: &KernelView) {
    // Asked once, for it takes longer the more hostlets there are: `settle` makes it true in the end.
    let basis = match machine.basis.take() {
        Some(known) => Ok(known),
        None => basis_of(machine).map(|basis| (basis, 0)),
    };
    let done = basis.and_then(|(basis, written)| {
        let done = write_all(machine, name, view, &basis);
        machine.basis = Some((basis, written + 1));
        done
    });
    warn(machine, done);
}

/// Writes all of them, if the machine's own addresses are not what they were, and takes away what is nobody's. The lock is held.
pub(crate) fn settle(machine: &mut Machine<'_>) {
    // A second hostlet may have got what was the machine's own when the first one was written.
    let basis = match machine.basis.take() {
        Some((basis, 1)) => Ok(basis),
        _ => basis_of(machine),
    };
    let done = basis.and_then(|basis| match is_settled(machine.paths, &basis) {
        true => Ok(()),
        false => rewrite(machine, &basis),
    });
    warn(machine, done);
}

/// Whether the machine's own addresses are as they were when the files were written. Asks without the lock.
pub(crate) fn settled(machine: &Machine<'_>) -> Result<bool> {
    if machine.store.is_empty()? {
        return Ok(true);
    }
    Ok(is_settled(machine.paths, &basis_of(machine)?))
}

/// Takes away that of a cgroup, if there is one.
pub(crate) fn remove(paths: &Paths, dir: &Path) -> Result<()> {
    let Some(cgroup) = cgroup_path(dir) else {
        return Ok(());
    };
    let file = paths.names().join(file_name(&cgroup));
    match fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::file("remove the names of a hostlet", &file, error))
        }
        _ => Ok(()),
    }
}

fn warn(machine: &mut Machine<'_>, done: Result<()>) {
    if let Err(error) = done {
        machine.warnings.push(format!(
            "in hostlets the machine's own name does not stand for what it should: {error}"
        ));
    }
}

/// What the answers are made of beside the hostlet's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Basis {
    own: Vec<IpAddr>,
    order: OwnName,
}

impl Basis {
    fn text(&self) -> String {
        let own = self.own.iter().map(|addr| format!("{addr}\n"));
        std::iter::once(format!("{}\n", self.order))
            .chain(own)
            .collect()
    }

    /// The addresses of a hostlet with the machine's, in the order of the answer.
    fn answer(&self, sessions: &[IpAddr]) -> Vec<(IpAddr, Whose)> {
        let mine = sessions.iter().map(|addr| (*addr, Whose::Session));
        let own = self.own.iter().filter(|addr| !sessions.contains(addr));
        let own = own.map(|addr| (*addr, Whose::Machine));
        match self.order {
            OwnName::SessionFirst => mine.chain(own).collect(),
            OwnName::MachineFirst => own.chain(mine).collect(),
        }
    }
}

fn basis_of(machine: &Machine<'_>) -> Result<Basis> {
    Ok(Basis {
        own: own_addresses(machine)?,
        order: machine.config.sessions.own_name,
    })
}

fn is_settled(paths: &Paths, basis: &Basis) -> bool {
    fs::read_to_string(paths.names().join(BASIS)).is_ok_and(|text| text == basis.text())
}

fn rewrite(machine: &Machine<'_>, basis: &Basis) -> Result<()> {
    let mut known = vec![BASIS.to_owned()];
    for row in machine.store.all()? {
        if row.state != State::Live || row.boot_id != machine.boot_id {
            continue;
        }
        let view = kernel_view(row.id, &row.spec, &row.entries, &[], true);
        write_all(machine, &row.name, &view, basis)?;
        let dirs = dirs_of(machine, &row.name)?;
        known.extend(
            dirs.iter()
                .filter_map(|dir| cgroup_path(dir))
                .map(|path| file_name(&path)),
        );
    }
    make_dir(machine.paths)?;
    let dir = machine.paths.names();
    for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
        if !known.iter().any(|name| entry.file_name() == name.as_str()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    put(&dir, BASIS, &basis.text())
}

fn write_all(machine: &Machine<'_>, name: &Name, view: &KernelView, basis: &Basis) -> Result<()> {
    let sessions = addresses_of(view);
    make_dir(machine.paths)?;
    for dir in dirs_of(machine, name)? {
        // Whoever has no address of his own, or the machine's, is answered as outside.
        if sessions.is_empty() || view.pass {
            remove(machine.paths, &dir)?;
            continue;
        }
        let Some(cgroup) = cgroup_path(&dir) else {
            continue;
        };
        let file = file_name(&cgroup);
        let names = OwnNames {
            cgroup,
            addresses: basis.answer(&sessions),
        };
        put(&machine.paths.names(), &file, &names.render())?;
    }
    Ok(())
}

/// The directories of the cgroups that carry a hostlet's rules.
fn dirs_of(machine: &Machine<'_>, name: &Name) -> Result<Vec<PathBuf>> {
    let cgroups = machine.cgroups(name)?;
    Ok(cgroups.iter().map(|c| c.path().to_path_buf()).collect())
}

/// What a name can stand for: single addresses, in the order of the set; of a family that has but prefixes the one that
/// stands for the wildcard.
fn addresses_of(view: &KernelView) -> Vec<IpAddr> {
    let single = view.owned.iter().filter(|owned| !owned.is_prefix());
    let mut found: Vec<IpAddr> = single.map(|owned| owned.first()).filter(general).collect();
    let primaries = [
        view.primary4.map(IpAddr::from),
        view.primary6.map(IpAddr::from),
    ];
    for primary in primaries.into_iter().flatten().filter(general) {
        if !found.iter().any(|a| a.is_ipv4() == primary.is_ipv4()) {
            found.push(primary);
        }
    }
    found
}

/// Whether an address is one that a machine's name can stand for anywhere.
fn general(addr: &IpAddr) -> bool {
    let special = match addr {
        IpAddr::V4(addr) => addr.is_link_local() || addr.is_broadcast(),
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    };
    !(special || addr.is_loopback() || addr.is_unspecified() || addr.is_multicast())
}

/// The machine's own address of each family: what it leaves from by its default route, or else the first one that it has.
fn own_addresses(machine: &Machine<'_>) -> Result<Vec<IpAddr>> {
    let lent = |addr: &IpAddr| -> Result<bool> {
        Ok(!machine.store.owners_of(&Owned::Single(*addr))?.is_empty())
    };
    // Thousands may have been lent: all are looked at only where the route does not tell.
    let mut all = None;
    let mut own = Vec::new();
    for (nowhere, somewhere) in NOWHERE.into_iter().zip(SOMEWHERE) {
        let from = [nowhere, somewhere].into_iter().filter_map(source_to);
        let from = from.into_iter().filter(general);
        let first = |mut some: Box<dyn Iterator<Item = IpAddr> + '_>| {
            some.find_map(|addr| match lent(&addr) {
                Ok(true) => None,
                Ok(false) => Some(Ok(addr)),
                Err(error) => Some(Err(error)),
            })
            .transpose()
        };
        if let Some(addr) = first(Box::new(from))? {
            own.push(addr);
            continue;
        }
        let all = match &all {
            Some(all) => all,
            None => all.insert(of_interfaces()?),
        };
        let v4 = !nowhere.starts_with('[');
        let family = all.iter().copied().filter(|addr| addr.is_ipv4() == v4);
        own.extend(first(Box::new(family))?);
    }
    Ok(own)
}

/// The addresses on interfaces that are up, without hostlet's own, the best first.
fn of_interfaces() -> Result<Vec<IpAddr>> {
    let mut there = netlink::addresses()?;
    there.retain(|a| !a.ours && !a.tentative() && general(&a.addr));
    there.sort_by_key(|a| a.flags & libc::IFA_F_DEPRECATED != 0);
    let mut up = netlink::interfaces()?;
    up.retain(|interface| interface.up);
    there.retain(|a| up.iter().any(|interface| interface.index == a.ifindex));
    Ok(there.into_iter().map(|a| a.addr).collect())
}

/// The address that a packet to there would leave from. None is sent: only the route is looked for. A full table of routes
/// takes seconds to read.
fn source_to(to: &str) -> Option<IpAddr> {
    let any = if to.starts_with('[') {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// A cgroup's path as `/proc/self/cgroup` shows it; none if it is not in the hierarchy.
fn cgroup_path(dir: &Path) -> Option<String> {
    let mount = cgroup::find_mount().ok()?;
    let below = dir.strip_prefix(mount).ok()?.to_str()?;
    Some(format!("/{below}"))
}

/// The directory, which everybody can read.
fn make_dir(paths: &Paths) -> Result<()> {
    let dir = paths.names();
    let failed = |error| Error::file("make the directory", &dir, error);
    match DirBuilder::new().mode(0o755).create(&dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        other => other.map_err(failed)?,
    }
    // Whatever this process's umask is.
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).map_err(failed)
}

/// A file, whole or not at all. Nothing is waited for: it is of this boot.
fn put(dir: &Path, name: &str, text: &str) -> Result<()> {
    let path = dir.join(name);
    if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let new = dir.join(NEW);
    let failed = |error| Error::file("write the names of a hostlet", &path, error);
    // Another's, of a command that was killed, may have another mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&new)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.set_permissions(Permissions::from_mode(0o644))
        .map_err(failed)?;
    fs::rename(&new, &path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_order_is_the_configured_one() {
        let mut basis = Basis {
            own: vec![addr("10.0.0.1"), addr("2001:db8::1")],
            order: OwnName::SessionFirst,
        };
        let sessions = [addr("10.0.0.5"), addr("2001:db8::1")];
        let all = |basis: &Basis| -> Vec<String> {
            let answer = basis.answer(&sessions).into_iter();
            answer
                .map(|(addr, whose)| format!("{whose:?} {addr}"))
                .collect()
        };
        assert_eq!(
            all(&basis),
            [
                "Session 10.0.0.5",
                "Session 2001:db8::1",
                "Machine 10.0.0.1"
            ]
        );
        assert_eq!(basis.text(), "session-first\n10.0.0.1\n2001:db8::1\n");
        basis.order = OwnName::MachineFirst;
        assert_eq!(all(&basis)[0], "Machine 10.0.0.1");
    }

    #[test]
    fn only_what_can_be_reached_from_elsewhere() {
        for not in [
            "127.0.0.1",
            "169.254.1.1",
            "fe80::1",
            "::1",
            "0.0.0.0",
            "ff02::1",
        ] {
            assert!(!general(&addr(not)), "{not}");
        }
        assert!(general(&addr("10.0.0.1")) && general(&addr("fd00::1")));
    }
}
