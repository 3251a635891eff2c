//! What hostletd lends, for people.

use std::io::{self, Write};

use hostlet_wire::{Lease, Pool};

use crate::table::{Table, printable};

/// `hostlet pools`.
pub fn pools(out: &mut dyn Write, pools: &[Pool]) -> io::Result<()> {
    let mut table = Table::new([
        "NAME",
        "INTERFACE",
        "KIND",
        "FAMILIES",
        "LENT",
        "ADDRESSES",
        "FOR",
    ]);
    for p in pools {
        table.row([
            p.name.to_string(),
            p.interface.clone(),
            p.kind.clone(),
            p.families.join(" "),
            lent(p),
            or_dash(p.ranges.join(" ")),
            if p.may_use.is_empty() {
                "root".to_owned()
            } else {
                p.may_use.join(" ")
            },
        ]);
    }
    table.print(
        out,
        "There is no pool for you. An administrator declares one as [pool.NAME] in the configuration, and whom it is for with may-use.",
    )?;
    for p in pools {
        for aside in &p.asides {
            writeln!(
                out,
                "{} of {} is set aside until {}: {}",
                aside.address,
                p.name,
                printable(&aside.until),
                printable(&aside.why)
            )?;
        }
    }
    Ok(())
}

/// How much of a pool is lent, of each family in the order of `families`: of the sum nobody sees that one of them is empty.
fn lent(p: &Pool) -> String {
    let of = |held: u64, size: &Option<String>| match size {
        Some(size) => format!("{held} of {size}"),
        None => held.to_string(),
    };
    if p.lent.is_empty() {
        return of(p.held, &p.size);
    }
    let each: Vec<String> = p.lent.iter().map(|l| of(l.held, &l.size)).collect();
    each.join(", ")
}

/// `hostlet leases`.
pub fn leases(out: &mut dyn Write, leases: &[Lease]) -> io::Result<()> {
    let mut table = Table::new([
        "ADDRESS",
        "POOL",
        "INTERFACE",
        "HOSTLET",
        "USER",
        "STATE",
        "SINCE",
        "EXPIRES",
        "PROGRAM",
    ]);
    for l in leases {
        table.row([
            format!("{}/{}", l.address, l.prefix),
            l.pool.to_string(),
            l.interface.clone(),
            l.hostlet.to_string(),
            l.user.clone(),
            l.state.clone(),
            l.since.clone(),
            or_dash(l.expires.clone().unwrap_or_default()),
            l.program.join(" "),
        ]);
    }
    table.print(out, "No address is lent.")
}

pub(super) fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// `hostlet reload`.
pub fn changes(out: &mut dyn Write, changes: &[String]) -> io::Result<()> {
    if changes.is_empty() {
        return writeln!(out, "Everything is as declared.");
    }
    for change in changes {
        writeln!(out, "{}", printable(change))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hostlet_wire::{Aside, Lent};

    use super::*;

    fn text(print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn family(name: &str, size: Option<&str>, held: u64) -> Lent {
        Lent {
            family: name.to_owned(),
            size: size.map(str::to_owned),
            held,
        }
    }

    fn pool() -> Pool {
        Pool {
            name: "office".parse().unwrap(),
            interface: "eth0".to_owned(),
            kind: "static".to_owned(),
            families: vec!["ipv4".to_owned(), "ipv6".to_owned()],
            ranges: vec!["192.0.2.7".to_owned(), "2001:db8::/120".to_owned()],
            size: Some("257".to_owned()),
            held: 4,
            lent: vec![family("ipv4", Some("1"), 1), family("ipv6", Some("256"), 3)],
            asides: Vec::new(),
            may_use: Vec::new(),
        }
    }

    #[test]
    fn pools_and_what_is_set_aside() {
        let open = Pool {
            asides: vec![Aside {
                address: "192.0.2.7".parse().unwrap(),
                until: "2026-01-31T12:00:00Z".to_owned(),
                why: "it\u{1b} answered".to_owned(),
            }],
            ..pool()
        };
        let lab = Pool {
            name: "lab".parse().unwrap(),
            kind: "dhcp".to_owned(),
            ranges: Vec::new(),
            size: None,
            lent: vec![family("ipv4", None, 3), family("ipv6", None, 1)],
            may_use: vec!["user:alice".to_owned(), "group:staff".to_owned()],
            ..pool()
        };
        let older = Pool {
            name: "older".parse().unwrap(),
            lent: Vec::new(),
            ..pool()
        };
        assert_eq!(
            text(|out| pools(out, &[open, lab, older])),
            "\
NAME    INTERFACE  KIND    FAMILIES   LENT              ADDRESSES                 FOR
office  eth0       static  ipv4 ipv6  1 of 1, 3 of 256  192.0.2.7 2001:db8::/120  root
lab     eth0       dhcp    ipv4 ipv6  3, 1              -                         user:alice group:staff
older   eth0       static  ipv4 ipv6  4 of 257          192.0.2.7 2001:db8::/120  root
192.0.2.7 of office is set aside until 2026-01-31T12:00:00Z: it\u{fffd} answered
"
        );
        assert!(text(|out| pools(out, &[])).contains("may-use"));
    }

    #[test]
    fn leases_with_and_without_an_end() {
        let lease = Lease {
            address: "192.0.2.7".parse().unwrap(),
            prefix: 24,
            pool: "office".parse().unwrap(),
            interface: "eth0".to_owned(),
            hostlet: "web".parse().unwrap(),
            user: "alice".to_owned(),
            uid: 1000,
            program: vec!["nginx".to_owned(), "-g".to_owned()],
            holder: 7,
            since: "2026-01-31T12:00:00Z".to_owned(),
            state: "held".to_owned(),
            hardware: None,
            server: None,
            renew: None,
            rebind: None,
            expires: None,
        };
        let ending = Lease {
            expires: Some("2026-02-01T12:00:00Z".to_owned()),
            program: Vec::new(),
            ..lease.clone()
        };
        assert_eq!(
            text(|out| leases(out, &[lease, ending])),
            "\
ADDRESS       POOL    INTERFACE  HOSTLET  USER   STATE  SINCE                 EXPIRES               PROGRAM
192.0.2.7/24  office  eth0       web      alice  held   2026-01-31T12:00:00Z  -                     nginx -g
192.0.2.7/24  office  eth0       web      alice  held   2026-01-31T12:00:00Z  2026-02-01T12:00:00Z
"
        );
        assert_eq!(text(|out| leases(out, &[])), "No address is lent.\n");
    }

    #[test]
    fn changes_of_a_reload() {
        assert_eq!(
            text(|out| changes(out, &["pool office: new".to_owned()])),
            "pool office: new\n"
        );
        assert_eq!(
            text(|out| changes(out, &[])),
            "Everything is as declared.\n"
        );
    }
}
