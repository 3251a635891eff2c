//! Becoming a program, for who is in a hostlet already and has no rights to launch one.

use std::convert::Infallible;

use hostlet_platform::launch::{Exec, exec};
use hostlet_platform::proc;

use crate::error::{Error, Result};
use crate::run::{Program, keep_fds};

/// From now on this process, and whatever it starts, gains no privileges by an exec: without that hostletd lets no user's
/// process join. It cannot be taken back.
///
/// # Errors
/// The kernel refuses.
pub fn give_up_new_privileges() -> Result<()> {
    let failed = |e| Error::file("set no_new_privs of", "/proc/self".as_ref(), e);
    proc::give_up_new_privileges().map_err(failed)
}

/// Makes this process, which is a member already, the program. It cannot gain privileges any more. Of the options, the
/// user, the group and the capabilities do not count: they are as they are.
///
/// Returns only if that fails; then this process should end.
#[must_use]
pub fn become_program(program: &Program) -> Error {
    match attempt(program) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn attempt(program: &Program) -> Result<Infallible> {
    let options = program.options.clone();
    let what = Exec {
        args: program.args.clone(),
        env: options
            .env
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
        workdir: options.workdir,
        keep_fds: keep_fds(&options.keep_fds)?,
        ..Exec::new(&program.file)
    };
    Err(exec(what).into())
}
