//! Pools in the configuration file: what they mean, and where they are wrong.

use std::time::Duration;

use hostlet_model::Name;
use hostlet_model::config::{
    Config, DaemonOptions, DhcpPool, OnLoss, Pool, PoolSource, StaticPool, Who,
};

fn good(text: &str) -> Config {
    Config::parse(text, "hostlet.toml").unwrap_or_else(|e| panic!("{e}"))
}

fn bad(text: &str) -> String {
    Config::parse(text, "hostlet.toml")
        .expect_err(text)
        .to_string()
}

fn pool<'c>(config: &'c Config, name: &str) -> &'c Pool {
    &config.pools[&name.parse::<Name>().unwrap()]
}

fn fixed(pool: &Pool) -> &StaticPool {
    match &pool.source {
        PoolSource::Static(s) => s,
        PoolSource::Dhcp(_) => panic!("{} is DHCP's", pool.name),
    }
}

#[test]
fn everything_that_can_be_said() {
    let c = good(
        r#"
[pool.office]
interface = "eth0"
ranges = ["192.0.2.100-192.0.2.199", "2001:db8:5::/120", "192.0.2.7"]
exclude = ["192.0.2.150", "192.0.2.160-192.0.2.169"]
subnets = ["192.0.2.0/24", "192.0.2.6/31"]
may-use = ["user:alice", "group:staff", "unit:web.service", 'unit:getty@tty1\x2d.service', "unit:a:b.slice"]
may-request = ["user:1000"]
limit-per-user = 16
probe = "1s"
set-aside = "2h"
on-loss = "fall-back"

[pool.lab]
interface = "eth1"
dhcp = ["ipv6", "ipv4"]
user-class = "lab"
timeout = "1m"
probe = "off"

[dhcp]
hardware-prefix = "02:AB:cd"

[hostletd]
connections = 100
connections-per-user = 5
"#,
    );
    let office = pool(&c, "office");
    assert_eq!(office.interface, "eth0");
    let lends = fixed(office);
    assert_eq!(
        lends.ranges.to_string(),
        "192.0.2.7, 192.0.2.100-192.0.2.149, 192.0.2.151-192.0.2.159, 192.0.2.170-192.0.2.199, 2001:db8:5::1-2001:db8:5::ff"
    );
    let subnet = |a: &str| lends.subnet_of(a.parse().unwrap()).map(|n| n.to_string());
    assert_eq!(subnet("192.0.2.199").as_deref(), Some("192.0.2.0/24"));
    assert_eq!(subnet("192.0.2.7").as_deref(), Some("192.0.2.6/31"));
    assert_eq!(subnet("2001:db8:5::1"), None);
    assert_eq!(
        office.may_use,
        [
            Who::User("alice".into()),
            Who::Group("staff".into()),
            Who::Unit("web.service".into()),
            Who::Unit("getty@tty1\\x2d.service".into()),
            Who::Unit("a:b.slice".into()),
        ]
    );
    assert_eq!(office.may_request, [Who::User("1000".into())]);
    assert_eq!(office.limit_per_user, Some(16));
    assert_eq!(office.probe, Some(Duration::from_secs(1)));
    assert_eq!(office.set_aside, Duration::from_secs(7200));
    assert_eq!(office.on_loss, OnLoss::FallBack);
    assert_eq!(office.families(), ["ipv4", "ipv6"]);
    let lab = pool(&c, "lab");
    assert_eq!(
        lab.source,
        PoolSource::Dhcp(DhcpPool {
            ipv4: true,
            ipv6: true,
            user_class: Some("lab".into()),
            timeout: Duration::from_secs(60),
        })
    );
    assert_eq!(lab.probe, None);
    assert_eq!(c.dhcp.hardware_prefix, Some([0x02, 0xab, 0xcd]));
    let daemon = DaemonOptions {
        connections: 100,
        connections_per_user: 5,
    };
    assert_eq!(c.daemon, daemon);
    // What is written down is read again.
    let json = serde_json::to_string(&c).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), c);
}

#[test]
fn nothing_said_is_the_default() {
    let c = good(
        "[pool.a]\ninterface = \"eth0\"\nranges = [\"192.0.2.7\"]\n\
         [pool.b]\ninterface = \"eth0\"\ndhcp = [\"ipv4\"]\n[dhcp]\n[hostletd]\n",
    );
    let a = pool(&c, "a");
    assert!(a.may_use.is_empty() && a.may_request.is_empty());
    assert_eq!(a.limit_per_user, None);
    assert_eq!(a.probe, Some(Duration::from_millis(200)));
    assert_eq!(a.set_aside, Duration::from_secs(600));
    assert_eq!(a.on_loss, OnLoss::CutOff);
    assert_eq!(a.families(), ["ipv4"]);
    assert!(fixed(a).subnets.is_empty());
    let PoolSource::Dhcp(d) = &pool(&c, "b").source else {
        panic!("b has no ranges");
    };
    assert!(d.ipv4 && !d.ipv6 && d.user_class.is_none());
    assert_eq!(d.timeout, Duration::from_secs(10));
    assert_eq!(c.dhcp.hardware_prefix, None);
    assert_eq!(c.daemon.connections, 512);
    assert_eq!(c.daemon.connections_per_user, 64);
}

#[test]
fn wrong_values_of_a_static_pool() {
    // What is wrong on the last line, and what is said about it.
    let cases = r#"
rangs = [] -> :4:1: unknown key 'rangs' (did you mean 'ranges'?)
on-los = "" -> (did you mean 'on-loss'?)
exclude = ["192.0.2.8"] -> :4:12: exclude: 192.0.2.8 is not in the ranges of pool 'a'
exclude = ["192.0.2.0/26", "192.0.3.0/24"] -> :4:28: exclude: 192.0.3.0-192.0.3.255 is not in
exclude = "192.0.2.8" -> 'exclude' must be a list of strings
exclude = ["x"] -> :4:12: exclude: 'x' is no range of addresses
subnets = ["192.0.2.7"] -> subnets: '192.0.2.7' is no network
subnets = ["192.0.2.7/24"] -> write 192.0.2.0/24
subnets = ["0.0.0.0/0"] -> '0.0.0.0/0' has a length of 0
subnets = ["::/0"] -> '::/0' has a length of 0
subnets = ["192.0.3.0/24"] -> :4:12: subnets: the pool has no address in 192.0.3.0/24
subnets = ["192.0.2.48/28"] -> the ranges have 192.0.2.63, the broadcast address of 192.0.2.48/28: exclude it
subnets = ["192.0.2.60/30"] -> the ranges have 192.0.2.60, the first address
may-use = ["unit:web"] -> may-use: 'unit:web' names nobody: write user:NAME, group:NAME or unit:NAME.service
may-use = ["unit:web.timer"] -> names nobody
may-use = ["unit:a b.service"] -> names nobody
may-request = ["unit:.service"] -> may-request: 'unit:.service' names nobody
limit-per-user = 0 -> 'limit-per-user' must be between 1 and
probe = "none" -> :4:9: 'probe': 'none' is no length of time: write a whole number
probe = 200 -> 'probe' must be a string
probe = "9ms" -> 'probe' must be between 10ms and 10s, not 9ms
probe = "11s" -> 'probe' must be between
set-aside = "0s" -> 'set-aside' must be between 1s and 720h, not 0s
set-aside = "1.5h" -> is no length of time
set-aside = "99999999999999999999h" -> is no length of time
set-aside = "18446744073709551615h" -> is no length of time
on-loss = "panic" -> 'panic' cannot be done when a lease is lost: use cut-off or fall-back
user-class = "x" -> :4:1: 'user-class' goes with 'dhcp', which pool 'a' does not have
timeout = "5s" -> 'timeout' goes with 'dhcp'
dhcp = ["ipv4"] -> :4:1: pool 'a' has both ranges and dhcp: make it two pools
"#;
    for (line, says) in cases.lines().filter_map(|c| c.split_once(" -> ")) {
        let e = bad(&format!(
            "[pool.a]\ninterface = \"eth0\"\nranges = [\"192.0.2.60-192.0.2.70\"]\n{line}\n"
        ));
        assert!(e.contains(says), "{line}: {e}");
        assert!(e.starts_with("hostlet.toml:4:"), "{line}: {e}");
    }
    // The same things, right.
    good(
        "[pool.a]\ninterface = \"eth0\"\nranges = [\"192.0.2.60-192.0.2.70\", \"2001:db8::1\"]\n\
         exclude = [\"192.0.2.60-192.0.2.64\"]\nsubnets = [\"192.0.2.64/30\", \"192.0.2.66/31\", \"192.0.2.0/24\"]\n",
    );
}

#[test]
fn wrong_values_of_a_dhcp_pool() {
    let long = format!("user-class = \"{}\"", "x".repeat(255));
    for (line, says) in [
        (
            "ranges = [\"192.0.2.1\"]",
            ":4:1: pool 'a' has both ranges and dhcp",
        ),
        (
            "exclude = [\"192.0.2.1\"]",
            ":4:1: 'exclude' goes with 'ranges', which pool 'a' does not have",
        ),
        (
            "subnets = [\"192.0.2.0/24\"]",
            "'subnets' goes with 'ranges'",
        ),
        ("user-class = \"\"", "'user-class' is empty"),
        ("user-class = \"a\\nb\"", "have no control characters"),
        (&long, "at most 254 bytes"),
        (
            "timeout = \"11m\"",
            "'timeout' must be between 1s and 10m, not 11m",
        ),
    ] {
        let e = bad(&format!(
            "[pool.a]\ninterface = \"eth0\"\ndhcp = [\"ipv4\"]\n{line}\n"
        ));
        assert!(e.contains(says), "{line}: {e}");
        assert!(e.starts_with("hostlet.toml:4:"), "{line}: {e}");
        assert_eq!(e.lines().count(), 1, "{line}: {e}");
    }
    for (value, says) in [
        ("[]", ":3:8: 'dhcp' is empty: name ipv4, ipv6 or both"),
        (
            "[\"ip4\"]",
            ":3:9: dhcp: unknown family 'ip4' (did you mean 'ipv4'?)",
        ),
        ("true", "'dhcp' must be a list of strings"),
    ] {
        let e = bad(&format!("[pool.a]\ninterface = \"eth0\"\ndhcp = {value}\n"));
        assert!(e.contains(says), "{value}: {e}");
        assert_eq!(e.lines().count(), 1, "{value}: {e}");
    }
}

#[test]
fn what_has_to_be_there() {
    let e = bad("[pool.a]\n");
    assert!(e.contains(":1:7: pool 'a' has no interface"), "{e}");
    assert!(
        e.contains(":1:7: pool 'a' has no addresses: add ranges"),
        "{e}"
    );
    let e = bad("[pool.a]\ninterface = \"e/0\"\nranges = []\n");
    assert!(
        e.contains(":2:13: 'e/0' cannot be the name of an interface"),
        "{e}"
    );
    assert!(e.contains(":3:10: pool 'a' has no address to lend"), "{e}");
    let e = bad(
        "[pool.a]\ninterface = \"e\"\nranges = [\"192.0.2.7\"]\nexclude = [\"192.0.2.0/24\"]\n",
    );
    assert!(e.contains(":3:10: pool 'a' has no address to lend"), "{e}");
    let e = bad("[pool.A]\n[pools.a]\n[pool]\nb = 3\n");
    assert!(e.contains("the name 'A' contains 'A'"), "{e}");
    let e = bad("[pools.a]\n[pool]\nb = 3\n");
    assert!(
        e.contains("unknown section 'pools' (did you mean 'pool'?)"),
        "{e}"
    );
    assert!(e.contains(":3:5: 'pool.b' must be a table"), "{e}");
}

#[test]
fn an_excluded_prefix_is_excluded_whole() {
    let c = good(
        "[pool.a]\ninterface = \"eth0\"\nranges = [\"192.0.2.0/24\", \"2001:db8::/120\"]\n\
         exclude = [\"192.0.2.16/28\", \"192.0.2.128/25\", \"2001:db8::80/121\"]\n",
    );
    assert_eq!(
        fixed(pool(&c, "a")).ranges.to_string(),
        "192.0.2.1-192.0.2.15, 192.0.2.32-192.0.2.127, 2001:db8::1-2001:db8::7f"
    );
}

#[test]
fn two_pools_do_not_lend_the_same_address() {
    let two = |one: &str, other: &str| {
        format!("[pool.b]\ninterface = \"eth0\"\n{one}\n[pool.a]\ninterface = \"eth1\"\n{other}\n")
    };
    let e = bad(&two(
        "ranges = [\"192.0.2.0/24\"]",
        "ranges = [\"2001:db8::1\", \"192.0.2.9\"]",
    ));
    assert_eq!(
        e,
        "hostlet.toml:6:26: 192.0.2.9 is in two pools, 'b' and 'a': one lends an address"
    );
    let e = bad(&two(
        "ranges = [\"192.0.2.9\"]",
        "ranges = [\"192.0.2.0/24\"]",
    ));
    assert!(
        e.contains(":6:11: 192.0.2.9 of 192.0.2.1-192.0.2.254 is in two pools"),
        "{e}"
    );
    good(&two(
        "ranges = [\"192.0.2.9\"]",
        "ranges = [\"192.0.2.0/24\"]\nexclude = [\"192.0.2.9\"]",
    ));
    good(&two(
        "ranges = [\"192.0.2.0/24\"]\nexclude = [\"192.0.2.9\"]",
        "ranges = [\"192.0.2.9\"]",
    ));
}

#[test]
fn no_hostlet_declares_what_a_pool_lends() {
    let with = |address: &str| {
        format!(
            "[hostlet.web]\naddresses = [\"{address}\"]\n[pool.a]\ninterface = \"eth0\"\n\
             ranges = [\"192.0.2.0/24\"]\nexclude = [\"192.0.2.10\"]\n"
        )
    };
    let e = bad(&with("192.0.2.9/24"));
    assert_eq!(
        e,
        "hostlet.toml:2:14: 192.0.2.9 is an address that pool 'a' lends: leave it out here, or add it to 'exclude' of the pool"
    );
    let e = bad(&with("192.0.2.8/31"));
    assert!(
        e.contains(":2:14: 192.0.2.8/31 has 192.0.2.8, which pool 'a' lends"),
        "{e}"
    );
    good(&with("192.0.2.10/24"));
    good(&with("192.0.3.0/24"));
}

#[test]
fn what_holds_for_dhcp_and_for_the_daemon() {
    for (text, says) in [
        (
            "[dhcp]\nhardware-prefx = \"\"\n",
            ":2:1: unknown key 'hardware-prefx' (did you mean 'hardware-prefix'?)",
        ),
        (
            "[dhcp]\nhardware-prefix = \"02:ab\"\n",
            ":2:19: '02:ab' is not the beginning of a hardware address",
        ),
        (
            "[dhcp]\nhardware-prefix = \"02:ab:cd:ef\"\n",
            "is not the beginning",
        ),
        (
            "[dhcp]\nhardware-prefix = \"2:ab:cd\"\n",
            "is not the beginning",
        ),
        (
            "[dhcp]\nhardware-prefix = \"02:+1:cd\"\n",
            "is not the beginning",
        ),
        (
            "[dhcp]\nhardware-prefix = \"00:ab:cd\"\n",
            "does not begin a locally administered address",
        ),
        (
            "[dhcp]\nhardware-prefix = \"03:ab:cd\"\n",
            "does not begin a locally administered address",
        ),
        (
            "[hostletd]\nconnection = 3\n",
            "did you mean 'connections'?",
        ),
        (
            "[hostletd]\nconnections = 0\n",
            ":2:15: 'connections' must be between 1 and 65536",
        ),
        (
            "[hostletd]\nconnections-per-user = 65537\n",
            "'connections-per-user' must be between",
        ),
        (
            "hostletd = 3\n",
            "'hostletd' must be a table: write [hostletd]",
        ),
    ] {
        let e = bad(text);
        assert!(e.contains(says), "{text}: {e}");
        assert_eq!(e.lines().count(), 1, "{text}: {e}");
    }
}
