//! Hundreds of hostlets at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hostlet_engine::{Engine, Paths};
use hostlet_testkit::install::Installation;
use hostlet_testkit::netns::NetNs;

use crate::stage::{by, name, spec, while_lives};

/// Many hostlets cost the next one little. Figures are printed; build with --release for true ones.
#[test]
fn many_hostlets_cost_the_next_one_little() -> Result<()> {
    let count: usize = match std::env::var("HOSTLET_MANY") {
        Ok(text) => text.parse()?,
        Err(_) => 200,
    };
    let ns = NetNs::new("many")?;
    let install = Installation::new()?;
    let address = |i: usize| format!("10.1.{}.{}", i / 250, i % 250 + 1);
    ns.ip([
        "link add eth0 type veth peer name eth1",
        "link set eth0 up",
        "link set eth1 up",
        "address add 10.0.0.1/8 dev eth0",
    ])?;
    ns.ip((0..count).map(|i| format!("address add {}/32 dev eth0", address(i))))?;
    let lifetime = while_lives(std::process::id())?;
    let (lends, ends) = ns.within(|| -> Result<_> {
        let engine = Engine::new(Paths::under(install.root()), |_| {});
        let timed = |work: &dyn Fn(&str, usize) -> Result<()>| -> Result<Vec<Duration>> {
            let one = |i| {
                let start = Instant::now();
                work(&format!("h{i}"), i)?;
                Ok(start.elapsed())
            };
            (0..count).map(one).collect()
        };
        let lends = timed(&|of, i| {
            engine.lend(&spec(of, &[&address(i)])?, &lifetime, &by())?;
            Ok(())
        })?;
        let ends = timed(&|of, _| Ok(engine.close(&name(of), false)?))?;
        Ok((lends, ends))
    })??;
    let middle = |part: &[Duration]| {
        let mut sorted = part.to_vec();
        sorted.sort();
        sorted[sorted.len() / 2]
    };
    let few = middle(&lends[1..20]);
    let many = middle(&lends[count - 20..]);
    println!("lend: {few:?} with few, {many:?} with {count}");
    println!(
        "end: {:?} with {count}, {:?} with few",
        middle(&ends[..20]),
        middle(&ends[count - 20..])
    );
    // A hundredth of what one costs, for each that is there, would be too much.
    ensure!(many < few * 5, "{many:?} with {count}, {few:?} with few");
    Ok(())
}
