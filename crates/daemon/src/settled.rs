//! The configuration that hostletd took over last. Where the file is broken when hostletd is started, holders are not to lose
//! their leases for it.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use hostlet_engine::{Engine, Paths};
use hostlet_model::config::Config;

use crate::log;

fn path(paths: &Paths) -> PathBuf {
    paths.db.with_file_name("hostletd.toml")
}

/// The configuration as it is, or else as it was; and whether it is as it is.
pub(crate) fn load(engine: &Engine) -> Result<(Config, bool)> {
    let wrong = match engine.config() {
        Ok(config) => return Ok((config, true)),
        Err(wrong) => wrong,
    };
    let last = path(engine.paths());
    let text = fs::read_to_string(&last).ok();
    let config = text.and_then(|text| Config::parse(&text, &last.display().to_string()).ok());
    let Some(config) = config else {
        return Err(wrong.into());
    };
    log::warning(format_args!(
        "{wrong}; until that is mended and reloaded, the configuration that was in force last counts ({})",
        last.display()
    ));
    Ok((config, false))
}

/// Keeps a copy of the configuration that is in force now.
pub(crate) fn keep(paths: &Paths) {
    let last = path(paths);
    let kept = match fs::read(&paths.config) {
        Ok(text) => {
            let new = last.with_extension("new");
            fs::write(&new, text).and_then(|()| fs::rename(&new, &last))
        }
        // Without a file there is nothing to be broken.
        Err(_) => match fs::remove_file(&last) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done,
        },
    };
    if let Err(error) = kept {
        log::warning(format_args!(
            "cannot keep a copy of the configuration in {}: {error}",
            last.display()
        ));
    }
}
