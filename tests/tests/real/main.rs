//! Row A18 with what people run: server programs as Debian ships them, with configurations as it
//! ships them, two of each in two hostlets and a third on their host, all on the same port. Each
//! scenario is performed on three real machines as well, with the same expectations, and the
//! programs' logs must be the same. They need root and what `scripts/install-missing test` brings.

use anyhow::{Context, Result};
use hostlet_testkit::servers::ask::Ask;
use hostlet_testkit::servers::machines::Machines;
use hostlet_testkit::servers::recipe::{Recipe, Server};

mod apache;
mod caches;
mod chrony;
mod dns;
mod haproxy;
mod iperf;
mod languages;
mod nginx;
mod postgresql;
mod sshd;

/// The same program on the same port of several machines, the first of which is nobody's hostlet
/// where it is one of them: each is asked from everywhere when it was started, while one is killed,
/// when that is there again, and after the others were restarted. Gives them in the order of the
/// names.
fn side_by_side<'a>(
    machines: &'a Machines,
    recipe: &'static Recipe,
    ask: &Ask,
    names: &[&'static str],
    ready: impl Fn(&Server<'a>) -> Result<()>,
) -> Result<Vec<Server<'a>>> {
    let mut servers = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let server = machines.serve(recipe, name)?;
        ready(&server)?;
        servers.push(server);
        machines.expect(ask, &names[..=n])?;
    }
    let n = names.len();
    let one = servers.get_mut(n - 2).context("two at least")?;
    one.kill()?;
    let mut left = names.to_vec();
    left.remove(n - 2);
    machines.expect(ask, &left).context("when one was killed")?;
    one.again().context("after it was killed")?;
    ready(one)?;
    let other = servers.last_mut().context("two at least")?;
    other.stop()?;
    other.again().context("restarted at once")?;
    ready(other)?;
    machines.expect(ask, names).context("after restarts")?;
    if names[0] == "host" {
        let host = &mut servers[0];
        host.stop()?;
        machines
            .expect(ask, &names[1..])
            .context("without the host's")?;
        host.again()
            .context("the host's, beside hostlets that have its port")?;
        ready(host)?;
        machines
            .expect(ask, names)
            .context("with the host's again")?;
    }
    Ok(servers)
}
