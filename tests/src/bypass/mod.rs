//! Ways out of a hostlet: each that is known, tried, and judged where it would come out.
//!
//! An attempt is stopped when nothing with a foreign source arrives and nothing foreign is
//! received, whatever the calls said: sniffers at the peer's machine and at the host see
//! every packet. Each is also made by a process outside all hostlets, where it must work
//! (or says why it cannot), so that one which cannot fail is noticed; and without the
//! guard, which tells what the guard alone stopped.
//!
//! Who stopped it counts too: every refusal has to be the documented one, and what a hook
//! refuses has to be told as an event. So a layer that is gone is missed, though there is
//! another behind it.

mod absent;
mod bench;
mod calls;
mod cgroups;
mod ending;
mod expected;
mod judging;
mod kernel;
mod kinds;
mod life;
mod loopbacks;
mod processes;
mod quarrels;
mod receiving;
mod report;
mod waiting;

pub use absent::{Absence, MAY_BE_ABSENT, Sign};
pub use bench::Bench;
pub use report::{Outcome, Row, Tally, absent_table, perform, table};

/// What stops an attempt first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// A program at a call of the cgroup.
    Hook,
    /// The check of every packet.
    Guard,
    /// The check of every packet, and where that is off the kernel.
    GuardAndKernel,
    /// The check of every packet, and where that is off a program at a call.
    GuardAndHook,
    /// The choice of who gets a packet.
    Lookup,
    /// The launcher's filter of system calls.
    Seccomp,
    /// A capability that the launcher took away.
    Capability,
    /// The launcher's mount namespace.
    Mounts,
    /// The launcher, or hostlet itself, otherwise.
    Product,
    /// The kernel's own rules between users and namespaces.
    Kernel,
    /// Nothing.
    Nothing,
}

impl Layer {
    /// As the documents call it.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Hook => "hook",
            Layer::Guard => "guard",
            Layer::GuardAndKernel => "guard, kernel",
            Layer::GuardAndHook => "guard, hook",
            Layer::Lookup => "lookup",
            Layer::Seccomp => "seccomp",
            Layer::Capability => "capabilities",
            Layer::Mounts => "mounts",
            Layer::Product => "hostlet",
            Layer::Kernel => "kernel",
            Layer::Nothing => "–",
        }
    }
}

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// A member that is an ordinary user.
    User,
    /// A member that is root, with what the launcher leaves it.
    Root,
}

/// What must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing comes out.
    Stopped,
    /// It works, and cannot but.
    Possible,
    /// Is not tried by these.
    NotTried,
}

/// What a process outside all hostlets gets by the same attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It works for root, where the machine has what it takes.
    Works,
    /// It works for nobody, and why.
    Never(&'static str),
}

/// What is found by an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// What came out; none when it was stopped.
    pub out: Option<String>,
    /// The last thing that was refused, or what else is to be told.
    pub refused: String,
    /// What who tries did, and was answered.
    pub steps: Vec<Said>,
    /// The first answer that is not the documented one.
    pub surprise: Option<String>,
    /// The errors of the refusals that the kernel programs told of as events.
    pub told: Vec<String>,
}

/// A step, and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What was done, in a word or two.
    pub op: String,
    /// The answer.
    pub said: String,
}

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub enum How {
    /// Lines that probes perform, see [`Bench`].
    Script(&'static str),
    /// Otherwise.
    Code(fn(&mut Bench, Who) -> anyhow::Result<Finding>),
}

/// An attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Its name, for the table.
    pub id: &'static str,
    /// What is tried.
    pub what: &'static str,
    /// What stops it.
    pub layer: Layer,
    /// What an ordinary user gets.
    pub user: Wanted,
    /// What root gets.
    pub root: Wanted,
    /// What remains, or what to do about it.
    pub remains: &'static str,
    /// What a process outside gets.
    pub control: Control,
    /// How it is done.
    pub how: How,
}

/// An attempt that is to be stopped, and works outside.
const fn script(
    id: &'static str,
    what: &'static str,
    layer: Layer,
    script: &'static str,
) -> Attempt {
    Attempt {
        id,
        what,
        layer,
        user: Wanted::Stopped,
        root: Wanted::Stopped,
        remains: "",
        control: Control::Works,
        how: How::Script(script),
    }
}

/// The same by a function, which is its own control.
const fn code(
    id: &'static str,
    what: &'static str,
    layer: Layer,
    how: fn(&mut Bench, Who) -> anyhow::Result<Finding>,
) -> Attempt {
    Attempt {
        how: How::Code(how),
        ..script(id, what, layer, "")
    }
}

impl Attempt {
    const fn never(self, why: &'static str) -> Attempt {
        Attempt {
            control: Control::Never(why),
            ..self
        }
    }

    const fn remains(self, remains: &'static str) -> Attempt {
        Attempt { remains, ..self }
    }

    const fn possible(self, remains: &'static str) -> Attempt {
        Attempt {
            user: Wanted::Possible,
            root: Wanted::Possible,
            remains,
            ..self
        }
    }

    const fn root_can(self, remains: &'static str) -> Attempt {
        Attempt {
            root: Wanted::Possible,
            remains,
            ..self
        }
    }

    const fn root_only(self) -> Attempt {
        Attempt {
            user: Wanted::NotTried,
            ..self
        }
    }

    /// What this one gets.
    pub fn wanted(&self, who: Who) -> Wanted {
        match who {
            Who::User => self.user,
            Who::Root => self.root,
        }
    }
}

/// All attempts, by group.
pub const ALL: &[(&str, &[Attempt])] = &[
    ("calls", calls::ATTEMPTS),
    ("receiving", receiving::ATTEMPTS),
    ("loopbacks", loopbacks::ATTEMPTS),
    ("kinds", kinds::ATTEMPTS),
    ("cgroups", cgroups::ATTEMPTS),
    ("processes", processes::ATTEMPTS),
    ("kernel", kernel::ATTEMPTS),
    ("life", life::ATTEMPTS),
    ("waiting", waiting::ATTEMPTS),
    ("quarrels", quarrels::ATTEMPTS),
];
