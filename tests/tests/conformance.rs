//! A script that is too long to be written down among the named cases (`tests/src/cases`), against the oracle. It needs root, and fails
//! without it.

/// Sixteen listeners that share a port, sixteen more as a reload starts them, and the end of the first: more than the
/// kernel part keeps of one port.
#[test]
fn a_reload_with_many_listeners() -> anyhow::Result<()> {
    let mut script = String::new();
    for n in 0..32 {
        script.push_str(&format!(
            "in s{n} = socket tcp4\nin opt s{n} reuseport 1\nin bind s{n} 0.0.0.0:8080\nin listen s{n}\n"
        ));
    }
    for n in 0..16 {
        script.push_str(&format!("in close s{n}\n"));
    }
    for n in 0..8 {
        script.push_str(&format!(
            "peer c{n} = socket tcp4\npeer connect c{n} 10.0.0.6:8080\n"
        ));
    }
    hostlet_testkit::oracle::compare("A6", &script)
}
