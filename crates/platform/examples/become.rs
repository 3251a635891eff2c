//! Becomes a program, as an unprivileged member of a hostlet does:
//! `become [--workdir D] [--env K=V] [--clear-env] [--keep-fd N] [--allow-family N] [--open] -- PROGRAM ARGS…`.

use std::env;
use std::process::ExitCode;

use hostlet_platform::launch::{Exec, exec};

fn parse() -> Result<Exec, Box<dyn std::error::Error>> {
    let mut args = env::args_os().skip(1);
    let mut what = Exec::new("");
    loop {
        let option = args.next().ok_or("no program")?;
        let option = option.to_str().ok_or("options are text")?;
        let mut value = || {
            args.next()
                .and_then(|v| v.into_string().ok())
                .ok_or("no value")
        };
        match option {
            "--" => break,
            "--workdir" => what.workdir = Some(value()?.into()),
            "--clear-env" => what.clear_env = true,
            "--env" => {
                let pair = value()?;
                let (name, text) = pair.split_once('=').ok_or("K=V")?;
                what.env.push((name.into(), text.into()));
            }
            "--keep-fd" => what.keep_fds.push(value()?.parse()?),
            "--allow-family" => what.allow_families.push(value()?.parse()?),
            "--open" => what.restrict_families = false,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    what.program = args.next().ok_or("no program")?;
    what.args = args.collect();
    Ok(what)
}

fn main() -> ExitCode {
    match parse() {
        Ok(what) => {
            let error = exec(what);
            eprintln!("become: {error}");
            ExitCode::from(error.exit_code() as u8)
        }
        Err(error) => {
            eprintln!("become: {error}");
            ExitCode::from(2)
        }
    }
}
