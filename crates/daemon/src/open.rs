//! `Open`: a hostlet of addresses out of pools, as somebody asks for it.

use hostlet_model::{HostletSpec, Lifetime};
use hostlet_wire::{Error, Open, Opened};

use crate::draw::Drawn;
use crate::make::{Making, make};
use crate::peer::Peer;
use crate::shared::Shared;
use crate::wanted::{failed, wanted};

/// Makes the hostlet. Everything that can be wrong with the request is said before anything is drawn.
pub(crate) fn open(shared: &Shared, peer: &Peer, request: Open) -> Result<Opened, Error> {
    let config = shared.config();
    let wanted = wanted(shared, &config, peer, &request)?;
    let label = request.name.as_ref().unwrap_or(&wanted[0].pool.name);
    let name = match &request.name {
        Some(name) => name.clone(),
        None => format!("run-{}", peer.pid).parse().map_err(failed)?,
    };
    let spec = HostletSpec {
        source: request.source,
        host_loopback: request.host_loopback,
        guard: request.guard,
        raw: request.raw,
        ..HostletSpec::new(name.clone(), Vec::new())
    };
    let making = Making {
        owner: &peer.caller,
        label,
        wanted,
        spec,
        lifetime: if request.keep {
            Lifetime::Kept
        } else {
            peer.lifetime()
        },
        process: if request.keep { None } else { peer.watch() },
        program: request.program,
    };
    let drawn = make(shared, making)?;
    let addresses = drawn.iter().map(Drawn::report).collect();
    Ok(Opened { name, addresses })
}
