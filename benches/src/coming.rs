//! Making and removing hostlets by the thousand, and what the kernel itself takes for it.

use anyhow::Result;

use crate::crowd::Crowd;
use crate::floor::Many;
use crate::memory::{MEMINFO, kernel_kib};
use crate::report::{Better, Bound, Row};

/// What makes and removes them.
const APPLY: &str = "hostlet apply";

/// The address of the first one; the others have theirs in a network that is this machine's own.
const FIRST: &str = "192.0.2.41";

/// What a single one may take to make or remove, in milliseconds.
const EACH: Bound = Bound::AtMost(1.0);
/// And of the kernel's memory, in KiB.
const MEMORY: Bound = Bound::AtMost(16.0);
/// How many it takes to judge that: what else the kernel takes and gives back meanwhile is some MiB.
const JUDGED: u32 = 10_000;

/// How the figure of what one holds is called, of one address.
pub const ONES_MEMORY: &str = "kernel memory of one with 1 address";

/// The addresses that each hostlet has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    Single(u32),
    /// A prefix of 256 addresses.
    Prefix,
}

impl Set {
    fn text(self) -> String {
        match self {
            Self::Single(1) => "1 address".to_owned(),
            Self::Single(count) => format!("{count} addresses"),
            Self::Prefix => "a prefix of 256".to_owned(),
        }
    }

    /// Those of one of the hostlets, as the configuration has them.
    pub fn of(self, hostlet: u32) -> String {
        let ip = |n: u32| std::net::Ipv4Addr::from(0x0a00_0000 + n);
        match self {
            Self::Single(1) if hostlet == 0 => format!("\"{FIRST}\""),
            Self::Single(count) => {
                let all = (0..count).map(|n| format!("\"{}\"", ip(hostlet * count + n)));
                all.collect::<Vec<_>>().join(", ")
            }
            Self::Prefix => format!("\"{}/24\"", ip(hostlet << 8)),
        }
    }
}

/// Making and removing so many, without looking at anything else.
pub fn come_and_go(crowd: &Crowd, set: Set) -> Result<Vec<Row>> {
    let mut figures = Figures::new(crowd, set)?;
    for many in crowd.steps {
        // As many addresses as the tables have room for.
        if set == Set::Single(256) && many > 100 {
            continue;
        }
        figures.all_rounds(many, |_| Ok(()))?;
    }
    Ok(figures.rows())
}

/// The same where the process keeps open what a command opens for itself.
pub fn where_hostletd_does(crowd: &Crowd, set: Set) -> Result<Vec<Row>> {
    let (mut make, mut remove) = (Values::new(), Values::new());
    for many in crowd.steps.into_iter().filter(|many| *many <= 100) {
        let engine = crowd.that_stays();
        for round in 0..=rounds(crowd, many) {
            let made = crowd.become_many_by(&engine, many, set)?;
            let removed = crowd.become_many_by(&engine, 0, set)?;
            // In the first it opens them.
            if round > 0 {
                enter(&mut make, many, made / f64::from(many));
                enter(&mut remove, many, removed / f64::from(many));
            }
        }
    }
    let took = |what, values| {
        let what = format!("to {what} one with {}, where hostletd does it", set.text());
        let row = Row::new(what, "ms", Better::Less).command("the calls of `hostlet apply`");
        line(row, values, Some(EACH))
    };
    Ok(vec![took("make", make), took("remove", remove)])
}

/// Of how many rounds it takes the median: one alone is made quickly, and says little.
fn rounds(crowd: &Crowd, many: u32) -> usize {
    let stage = crowd.stage;
    match many {
        0..10 => stage.rounds(20),
        10..=100 => stage.rounds(5),
        _ => stage.few(3),
    }
}

/// Values, by how many there are.
pub type Values = Vec<(u32, Vec<f64>)>;

/// What making, removing and keeping one of so many takes, by how many.
pub struct Figures<'c, 's> {
    crowd: &'c Crowd<'s>,
    kernel: Many,
    set: Set,
    make: Values,
    remove: Values,
    kept: Values,
    kernel_makes: Values,
    kernel_removes: Values,
}

impl<'c, 's> Figures<'c, 's> {
    /// None yet.
    pub fn new(crowd: &'c Crowd<'s>, set: Set) -> Result<Self> {
        Ok(Self {
            crowd,
            kernel: Many::new(crowd.stage)?,
            set,
            make: Vec::new(),
            remove: Vec::new(),
            kept: Vec::new(),
            kernel_makes: Vec::new(),
            kernel_removes: Vec::new(),
        })
    }

    /// Makes and removes so many in as many rounds as it needs; in each something may be looked at meanwhile, which is told whether it is
    /// the last.
    pub fn all_rounds(
        &mut self,
        many: u32,
        mut meanwhile: impl FnMut(bool) -> Result<()>,
    ) -> Result<()> {
        let rounds = rounds(self.crowd, many);
        for round in 1..=rounds {
            self.made(many)?;
            let looked = meanwhile(round == rounds);
            self.removed(many)?;
            looked?;
        }
        Ok(())
    }

    fn made(&mut self, many: u32) -> Result<()> {
        // A few hundred find room in what the kernel has in reserve, and do not stand out from what else it does.
        let before = (many >= 1_000).then(kernel_kib).transpose()?;
        let took = self.crowd.become_many(many, self.set)?;
        enter(&mut self.make, many, took / f64::from(many));
        if let Some(before) = before {
            let kept = kernel_kib()? - before;
            enter(&mut self.kept, many, kept / f64::from(many));
        }
        Ok(())
    }

    /// And then what the kernel takes, by turns with it.
    fn removed(&mut self, many: u32) -> Result<()> {
        let took = self.crowd.become_many(0, self.set)?;
        enter(&mut self.remove, many, took / f64::from(many));
        let addresses = match self.set {
            Set::Single(count) => count.to_string(),
            Set::Prefix => "prefix".to_owned(),
        };
        let (makes, removes) = self.kernel.took(many, &addresses)?;
        enter(&mut self.kernel_makes, many, makes / f64::from(many));
        enter(&mut self.kernel_removes, many, removes / f64::from(many));
        Ok(())
    }

    /// All of them.
    pub fn rows(self) -> Vec<Row> {
        let text = self.set.text();
        let took = |what, values, kernel: Values| {
            let row = Row::new(format!("to {what} one with {text}"), "ms", Better::Less);
            let row = line(row.command(APPLY), values, Some(EACH));
            kernel
                .into_iter()
                .fold(row, |row, (many, values)| row.part_at(many, values))
        };
        let mut rows = vec![
            took("make", self.make, self.kernel_makes),
            took("remove", self.remove, self.kernel_removes),
        ];
        if self.kept.is_empty() {
            return rows;
        }
        let judged = self.kept.iter().any(|(many, _)| *many == JUDGED);
        let what = format!("kernel memory of one with {text}");
        let row = Row::new(what, "KiB", Better::Less).command(format!("{APPLY}; {MEMINFO}"));
        let row = line(row, self.kept, None);
        rows.push(match judged {
            true => row.goal(&self::text(JUDGED), MEMORY),
            false => row,
        });
        rows
    }
}

/// Enters a value of so many.
pub fn enter(all: &mut Values, many: u32, value: f64) {
    match all.iter_mut().find(|(at, _)| *at == many) {
        Some((_, values)) => values.push(value),
        None => all.push((many, vec![value])),
    }
}

/// A line over how many there are, with a goal for each number.
pub fn line(mut row: Row, values: Values, goal: Option<Bound>) -> Row {
    let numbers: Vec<u32> = values.iter().map(|(many, _)| *many).collect();
    for (many, values) in values {
        row = row.at(many, values);
    }
    for many in numbers {
        if let Some(goal) = goal {
            row = row.goal(&text(many), goal);
        }
    }
    row
}

/// How a number names a place of a line.
pub fn text(number: u32) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", number / 1000, number % 1000),
    }
}
