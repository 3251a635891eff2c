//! Which names are the machine's own. Pure.

/// The machine's name, as `gethostname` tells it; never `localhost`.
#[derive(Clone, Debug)]
pub(crate) struct HostName(Vec<u8>);

impl HostName {
    /// The name; none if there is none, or it is one of the loopback.
    pub(crate) fn new(name: &[u8]) -> Option<HostName> {
        let name = without_end(name);
        let host = HostName(name.to_vec());
        let usable = !host.label().is_empty()
            && name.iter().all(u8::is_ascii_graphic)
            && !host.label().eq_ignore_ascii_case(b"localhost");
        usable.then_some(host)
    }

    /// As it was given, without a dot at the end.
    pub(crate) fn whole(&self) -> &[u8] {
        &self.0
    }

    /// Up to the first dot.
    pub(crate) fn label(&self) -> &[u8] {
        label(&self.0)
    }

    /// Could this name be one of the machine's? Most questions end here, before anything is read.
    pub(crate) fn may_be(&self, asked: &[u8]) -> bool {
        same(label(asked), self.label())
    }

    /// The machine's name with its domain, from the text of `/etc/hosts`: the first name of the line with the machine's name, if it
    /// is that with a domain. Programs that ask for the canonical name (`hostname -f`, sudo) go on getting it.
    pub(crate) fn with_domain(&self, hosts: &[u8]) -> Option<Vec<u8>> {
        if self.0.contains(&b'.') {
            return None;
        }
        for line in hosts.split(|byte| *byte == b'\n') {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let mut names = line
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty())
                .skip(1);
            let Some(first) = names.next() else { continue };
            let full = without_end(first);
            if full.len() > self.0.len()
                && full.len() <= MAX_NAME
                && self.may_be(full)
                && full.iter().all(u8::is_ascii_graphic)
                && names.any(|name| same(name, &self.0))
            {
                return Some(full.to_vec());
            }
        }
        None
    }
}

/// The longest name of a host, in bytes.
const MAX_NAME: usize = 255;

/// Are the names the same? Upper and lower case and a dot at the end do not count.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    without_end(one).eq_ignore_ascii_case(without_end(other))
}

fn without_end(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}

fn label(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b'.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(name: &str) -> HostName {
        HostName::new(name.as_bytes()).unwrap()
    }

    #[test]
    fn a_name_is_compared_as_names_of_hosts_are() {
        for (one, other, is) in [
            ("vm1", "VM1.", true),
            ("vm1.example.org", "vm1.EXAMPLE.org.", true),
            ("vm1", "vm1..", false),
            ("vm1", "vm10", false),
            ("vm1", "", false),
        ] {
            assert_eq!(same(one.as_bytes(), other.as_bytes()), is, "{one} {other}");
        }
    }

    #[test]
    fn the_loopback_and_no_name_are_no_names_of_the_machine() {
        for name in ["localhost", "LocalHost.localdomain", "", ".", "a b", "v\n"] {
            assert!(HostName::new(name.as_bytes()).is_none(), "{name:?}");
        }
    }

    #[test]
    fn the_domain_comes_from_the_line_of_the_machine() {
        let hosts = b"127.0.0.1 localhost\n\
            # 10.0.0.1 vm1.commented.org vm1\n\
            192.0.2.9\tother.example.org other vm1 # vm1\n\
            192.0.2.8 vm1x.example.org vm1\n\
            127.0.1.1  VM1.example.org.\tvm1\n";
        assert_eq!(
            host("vm1").with_domain(hosts).as_deref(),
            Some(&b"VM1.example.org"[..])
        );
        assert_eq!(host("vm2").with_domain(hosts), None);
        assert_eq!(host("vm1.example.net").with_domain(hosts), None);
    }

    proptest! {
        #[test]
        fn anything_can_be_a_file_of_hosts(hosts in prop::collection::vec(any::<u8>(), 0..1024)) {
            let _ = host("vm1").with_domain(&hosts);
        }

        #[test]
        fn anything_can_be_a_name(name in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(host) = HostName::new(&name) {
                prop_assert!(host.may_be(&name));
                let _ = host.with_domain(b"1.2.3.4 a.b a\n");
            }
        }
    }
}
