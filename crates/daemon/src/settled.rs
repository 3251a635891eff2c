//! The configuration that hostletd took over last. Where the file is broken when hostletd is started, holders are not to lose
//! their leases for it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

/// Rules and pools say who may what: the copy is not for those who may not read the configuration.
fn write(new: &Path, text: &[u8]) -> io::Result<()> {
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)?;
    file.write_all(text)
}

/// Keeps a copy of the configuration that is in force now, where the file still says that.
pub(crate) fn keep(paths: &Paths, now: &Config) {
    let last = path(paths);
    let kept = match fs::read_to_string(&paths.config) {
        Ok(text) if Config::parse(&text, "").as_ref() != Ok(now) => return,
        Ok(text) => {
            let new = last.with_extension("new");
            write(&new, text.as_bytes()).and_then(|()| fs::rename(&new, &last))
        }
        // Without a file there is nothing to be broken.
        Err(_) => match fs::remove_file(&last) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
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
