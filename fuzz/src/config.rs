//! A configuration is anybody's text until it is read.

use hostlet_model::config::{Config, PoolSource};

/// What is done with an input.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Config::parse(&text, "hostlet.toml") {
        Ok(config) => {
            // hostletd keeps the last good one as JSON.
            let kept = serde_json::to_string(&config).expect("it can be written");
            let again: Config = serde_json::from_str(&kept).expect("and read");
            assert_eq!(again, config);
            nobody_shares_an_address(&config);
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            let lines = text.matches('\n').count() + 1;
            for problem in &error.problems {
                assert!((1..=lines).contains(&problem.line), "{problem:?}");
                assert!(problem.column >= 1 && !problem.message.is_empty());
            }
        }
    }
}

/// No pool lends what a declared hostlet has or another pool lends.
fn nobody_shares_an_address(config: &Config) {
    let declared: Vec<_> = (config.hostlets.values())
        .flat_map(|declared| &declared.spec.addresses)
        .map(|address| &address.owned)
        .collect();
    for (n, one) in declared.iter().enumerate() {
        assert!(!declared[n + 1..].iter().any(|other| one.overlaps(other)));
    }
    let lent: Vec<_> = (config.pools.values())
        .filter_map(|pool| match &pool.source {
            PoolSource::Static(pool) => Some(&pool.ranges),
            PoolSource::Dhcp(_) => None,
        })
        .collect();
    for (n, ranges) in lent.iter().enumerate() {
        let [four, six] = [false, true].map(|v6| (v6, ranges.count(v6)));
        for (v6, count) in [four, six] {
            let Some(last) = count.checked_sub(1) else {
                continue;
            };
            for at in [0, last] {
                let address = ranges.nth(v6, at).expect("as many as counted");
                assert_eq!(ranges.position(address), Some(at));
                assert!(!declared.iter().any(|owned| owned.contains(address)));
                assert!(
                    lent.iter()
                        .enumerate()
                        .all(|(m, other)| m == n || !other.contains(address))
                );
            }
            assert_eq!(ranges.nth(v6, count), None);
        }
    }
}
