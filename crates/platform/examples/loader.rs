//! The launcher without the rest of hostlet: `loader CGROUP-DIRECTORY [OPTION]... -- PROGRAM ARGS…`.
//!
//! Options: `--user U`, `--group G`, `--workdir D`, `--env K=V`, `--clear-env`, `--keep-capability C`,
//! `--keep-fd N`, `--hide D`, `--show D`, `--allow-family N`, `--open` (no confinement).

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use hostlet_platform::cgroup::Cgroup;
use hostlet_platform::launch::{Launch, LaunchError, SignalHold, end_like, start};

type Failure = Box<dyn std::error::Error>;

fn parse() -> Result<Launch, Failure> {
    let mut args = env::args_os().skip(1);
    let dir = args.next().ok_or("which cgroup?")?;
    let cgroup = Cgroup::open_path(Path::new(&dir))?.try_clone_fd()?;
    let mut launch = Launch::new("", cgroup);
    loop {
        let option = args.next().ok_or("no program")?;
        let option = option.to_str().ok_or("options are text")?;
        if option == "--" {
            break;
        }
        let mut value = || -> Result<String, Failure> {
            let value: OsString = args.next().ok_or("no value")?;
            Ok(value.into_string().map_err(|_| "values are text")?)
        };
        match option {
            "--user" => launch.user = Some(value()?),
            "--group" => launch.group = Some(value()?),
            "--workdir" => launch.workdir = Some(value()?.into()),
            "--clear-env" => launch.clear_env = true,
            "--env" => {
                let pair = value()?;
                let (name, text) = pair.split_once('=').ok_or("K=V")?;
                launch.env.push((name.into(), text.into()));
            }
            "--keep-capability" => launch.keep_capabilities.push(value()?),
            "--keep-fd" => launch.keep_fds.push(value()?.parse()?),
            "--hide" => launch.hide.push(value()?.into()),
            "--show" => launch.show.push(value()?.into()),
            "--allow-family" => launch.allow_families.push(value()?.parse()?),
            "--open" => {
                launch.confine = false;
                launch.restrict_families = false;
            }
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    launch.program = args.next().ok_or("no program")?;
    launch.args = args.collect();
    Ok(launch)
}

fn main() -> ExitCode {
    let launch = match parse() {
        Ok(launch) => launch,
        Err(error) => {
            eprintln!("loader: {error}");
            return ExitCode::from(2);
        }
    };
    let run = || -> Result<_, LaunchError> {
        let hold = SignalHold::new()?;
        start(launch, &hold)?.wait(&hold, &mut [])
    };
    match run() {
        Ok(ending) => end_like(ending),
        Err(error) => {
            eprintln!("loader: {error}");
            ExitCode::from(error.exit_code() as u8)
        }
    }
}
