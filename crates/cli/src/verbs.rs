//! Each verb: arguments to one call of the engine, its answer to print.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Result, bail};
use hostlet_engine::report::{ChangeReport, EventLine, Reason};
use hostlet_engine::{
    Engine, HistoryQuery, LaunchOptions, Paths, Program, caller_named, doubts_of_hostlets,
};
use hostlet_model::{HostletSpec, Name};

use crate::args::{Apply, Attach, Cli, Events, LaunchArgs, SpecArgs, Verb};
use crate::ending::End;
use crate::{docs, explain, lent, print, rules};

/// Does what the command line says.
pub fn perform(cli: Cli) -> Result<End> {
    let out = &mut io::stdout().lock();
    let root = cli.root();
    match cli.verb {
        Verb::Completions(a) => {
            docs::completions(a.shell, out)?;
            Ok(End::Done)
        }
        Verb::Man(a) => {
            if set_uid() {
                bail!("writing files is refused to users of a set-uid hostlet");
            }
            docs::man(&a.dir)?;
            Ok(End::Done)
        }
        verb => {
            let engine = Engine::new(paths(root)?, warn);
            if verb.only_reads() {
                lent::bring_up_to_date(&engine)?;
            }
            with_engine(&engine, verb, out)
        }
    }
}

/// Whether this process has more rights than the one who started it.
pub fn set_uid() -> bool {
    rustix::process::getuid() != rustix::process::geteuid()
}

fn warn(text: &str) {
    eprintln!("hostlet: warning: {text}");
}

/// Which installation. The user of a set-uid hostlet has no say in this: a root
/// of his own would have a configuration of his own.
fn paths(root: Option<PathBuf>) -> Result<Paths> {
    let Some(root) = root else {
        return Ok(Paths::system());
    };
    if set_uid() {
        bail!("--root and HOSTLET_ROOT are refused to users of a set-uid hostlet; call it without");
    }
    Ok(Paths::below(&root)?)
}

fn with_engine(engine: &Engine, verb: Verb, out: &mut dyn Write) -> Result<End> {
    match verb {
        Verb::Run(a) if !a.spec.pools.is_empty() => return lent::run(engine, a),
        Verb::Enter(a) if lent::comes_through_hostletd() => return lent::enter(engine, a),
        Verb::Create(a) if !a.spec.pools.is_empty() => lent::create(engine, a, out)?,
        Verb::Reload(a) => lent::reload(engine, &a, out)?,
        Verb::Pools(a) => lent::pools(engine, &a, out)?,
        Verb::Leases(a) => lent::leases(engine, &a, out)?,
        Verb::Sessions(a) => lent::sessions(engine, &a, out)?,
        Verb::Run(a) => {
            let name = match a.name {
                Some(name) => name,
                None => format!("run-{}", std::process::id()).parse()?,
            };
            let ending = engine.run(&spec(name, a.spec), &program(a.launch))?;
            return Ok(End::Program(ending));
        }
        Verb::Enter(a) => return Ok(End::Program(engine.enter(&a.name, &program(a.launch))?)),
        Verb::Start(a) => return Ok(End::Program(engine.start(&a.name, &program(a.launch))?)),
        Verb::Create(a) => {
            engine.create(&spec(a.name.clone(), a.spec))?;
            if a.json {
                print::json(out, &engine.show(&a.name)?)?;
            }
        }
        Verb::Remove(a) if lent::comes_through_hostletd() => lent::remove(engine, &a)?,
        Verb::Remove(a) => engine.remove(&a.name, a.kill)?,
        Verb::Grant(a) => engine.grant(&a.name, &a.address, a.assign.as_deref())?,
        Verb::Revoke(a) => engine.revoke(&a.name, &a.address)?,
        Verb::Attach(a) => attach(engine, &a, out)?,
        Verb::Apply(a) => {
            let mut printed = Ok(());
            engine.apply(a.kill, a.dry_run, &mut |plan| {
                printed = show_plan(out, &a, plan);
            })?;
            printed?;
            for line in doubts_of_hostlets(&engine.config()?) {
                warn(&line);
            }
        }
        Verb::Doctor(a) => {
            let report = engine.doctor()?;
            if a.json {
                print::json(out, &report)?
            } else {
                print::doctor(out, &report)?
            }
            if !report.usable {
                return Ok(End::Missing);
            }
        }
        verb => return read(engine, verb, out),
    }
    Ok(End::Done)
}

fn read(engine: &Engine, verb: Verb, out: &mut dyn Write) -> Result<End> {
    match verb {
        Verb::List(a) => {
            let all = engine.list(a.name.as_ref())?;
            if a.json {
                print::json(out, &all)?
            } else {
                print::list(out, &all)?
            }
        }
        Verb::Show(a) => {
            let one = engine.show(&a.name)?;
            if a.json {
                print::json(out, &one)?
            } else {
                print::show(out, &one)?
            }
        }
        Verb::Members(a) => {
            let all = engine.members(a.name.as_ref())?;
            if a.json {
                print::json(out, &all)?
            } else {
                print::members(out, &all)?
            }
        }
        Verb::Sockets(a) => {
            let all = engine.sockets(a.name.as_ref())?;
            if a.json {
                print::json(out, &all)?
            } else {
                print::sockets(out, &all, a.kernel)?
            }
        }
        Verb::Check(a) => {
            let found = engine.check(a.name.as_ref())?;
            if a.json {
                print::json(out, &found)?
            } else {
                print::findings(out, &found)?
            }
            // How somebody logged in is told, and is as it should be.
            if found.iter().any(|f| f.reason != Reason::Login) {
                return Ok(End::Found);
            }
        }
        Verb::Explain(a) => match (&a.name, &a.call) {
            (Some(name), Some(call)) => {
                let Some(call) = explain::call(call) else {
                    bail!("this call is not explained");
                };
                let report = engine.explain(name, &call)?;
                if a.json {
                    print::json(out, &report)?
                } else {
                    print::explained(out, &report)?
                }
            }
            _ => rules::explain(engine, &a, out)?,
        },
        Verb::Events(a) => events(engine, &a, out)?,
        Verb::History(a) => {
            // The store goes by names; a user whose account is gone has but a number.
            let uid: Option<u32> = a.user.as_ref().and_then(|user| user.parse().ok());
            let query = HistoryQuery {
                hostlet: a.name.or(a.hostlet),
                address: a.address,
                user: a.user.clone().filter(|_| uid.is_none()),
                since: a.since,
                until: a.until,
            };
            let mut rows = engine.history(&query)?;
            rows.retain(|row| uid.is_none_or(|uid| row.uid == uid));
            if let Some(user) = query.user.as_ref().filter(|_| rows.is_empty()) {
                // An account that is gone has its name in the history yet.
                let of_that_name = HistoryQuery {
                    user: Some(user.clone()),
                    ..HistoryQuery::default()
                };
                if caller_named(user).is_none() && engine.history(&of_that_name)?.is_empty() {
                    bail!(
                        "there is no user '{user}', and none of that name is in the history: getent passwd lists those that there are"
                    );
                }
            }
            if a.json {
                print::json(out, &rows)?
            } else {
                let asked = HistoryQuery {
                    user: a.user,
                    ..query
                };
                print::history(out, &rows, &asked)?
            }
        }
        _ => {}
    }
    Ok(End::Done)
}

/// The plan is on the screen before anything is done.
fn show_plan(out: &mut dyn Write, a: &Apply, plan: &[ChangeReport]) -> io::Result<()> {
    if a.json {
        let document = serde_json::json!({ "dry_run": a.dry_run, "changes": plan });
        print::json(out, &document)?;
    } else {
        print::plan(out, plan)?;
    }
    out.flush()
}

fn attach(engine: &Engine, a: &Attach, out: &mut dyn Write) -> Result<()> {
    let report = match &a.cgroup {
        Some(dir) => engine.attach_cgroup(&a.name, dir)?,
        None => engine.attach_pids(&a.name, &a.pid)?,
    };
    if a.json {
        print::json(out, &report)?;
    } else {
        print::attached(out, &report)?;
    }
    if !report.outside.is_empty() {
        eprintln!(
            "hostlet: warning: these sockets were open before and stay outside {}; restart the program with `hostlet run` or `hostlet enter` to have them inside:",
            report.name
        );
        print::findings(&mut io::stderr().lock(), &report.outside)?;
    }
    Ok(())
}

fn events(engine: &Engine, a: &Events, out: &mut dyn Write) -> Result<()> {
    let (mut failed, mut some, mut lost) = (None, false, false);
    let kept = engine.events(a.name.as_ref(), a.since, a.follow, &mut |line| {
        match line {
            EventLine::Event(_) => some = true,
            EventLine::Lost(_) => lost = true,
        }
        let printed = if a.json {
            print::json_line(out, line)
        } else {
            print::event(out, line)
        };
        match printed.and_then(|()| if a.follow { out.flush() } else { Ok(()) }) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if !some && !a.json {
        match &a.name {
            Some(name) if lost => writeln!(out, "No event of {name} is left.")?,
            _ if !kept => writeln!(
                out,
                "No events: the kernel keeps them while there is a hostlet, and there is none. 'hostlet events -f' shows them as they come."
            )?,
            _ => writeln!(out, "Nothing was refused.")?,
        }
    }
    Ok(())
}

fn spec(name: Name, a: SpecArgs) -> HostletSpec {
    HostletSpec {
        assign: a.assign,
        source: a.source,
        host_loopback: a.host_loopback,
        guard: !a.no_guard,
        raw: a.raw,
        ..HostletSpec::new(name, a.addresses)
    }
}

/// The program that the words of a command line mean.
pub fn program(a: LaunchArgs) -> Program {
    let mut words = a.program.into_iter();
    Program {
        // clap demands at least one word.
        file: words.next().unwrap_or_default(),
        args: words.collect(),
        options: LaunchOptions {
            user: a.user,
            group: a.group,
            workdir: a.workdir,
            env: a.env,
            keep_capabilities: a.keep_capability,
            keep_fds: a.keep_fd,
        },
    }
}
