//! The compiled programs as Linux 6.1 to 6.2 walk them (row C8), on whatever kernel this runs.
//!
//! Before it looks at what a program does, the verifier goes through its instructions depth first. A jump may
//! lead back to one on the way; an instruction that just goes on to the next may not, which later kernels do
//! not mind: 'back-edge from insn'. Where clang puts the blocks of a loop is not in our hands, so it is looked
//! at here.

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostlet.bpf.o"));

/// Bytes of an instruction.
const SIZE: usize = 8;

/// Where an instruction leads: where to when it just goes on, and the jumps.
fn leads(insn: &[u8], at: usize) -> (Option<usize>, Vec<usize>) {
    let (code, off) = (insn[0], i16::from_le_bytes([insn[2], insn[3]]));
    let (class, operation) = (code & 0x07, code & 0xf0);
    let to = at.wrapping_add_signed(isize::from(off) + 1);
    match (class, operation) {
        (0x05, 0x90) => (None, vec![]),         // exit
        (0x05, 0x00) => (None, vec![to]),       // goto
        (0x05, 0x80) => (Some(at + 1), vec![]), // call
        (0x05 | 0x06, _) => (None, vec![at + 1, to]),
        _ => (Some(at + 1), vec![]),
    }
}

/// The first instruction of a function that goes on to one that is on the way to it.
fn goes_back(code: &[u8]) -> Option<usize> {
    #[derive(Clone, PartialEq)]
    enum State {
        New,
        OnTheWay,
        Done,
    }
    let mut states = vec![State::New; code.len() / SIZE];
    // With what is to be followed of each, last first.
    let mut way: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut next = Some(0);
    loop {
        if let Some(at) = next.take() {
            let (goes_on, mut jumps) = leads(&code[at * SIZE..], at);
            states[at] = State::OnTheWay;
            if goes_on.is_some_and(|to| states[to] == State::OnTheWay) {
                return Some(at);
            }
            jumps.extend(goes_on);
            jumps.reverse();
            way.push((at, jumps));
        }
        let (at, open) = way.last_mut()?;
        match open.pop() {
            Some(to) => next = (states[to] == State::New).then_some(to),
            None => {
                states[*at] = State::Done;
                way.pop();
            }
        }
    }
}

#[test]
fn no_instruction_just_goes_back() {
    let object = object::File::parse(OBJECT).expect("the compiled programs are an ELF object");
    let functions: Vec<_> = object
        .symbols()
        .filter(|s| s.kind() == SymbolKind::Text && s.size() > 0)
        .collect();
    assert!(functions.len() > 20, "the programs have their symbols");
    let mut wrong = Vec::new();
    for function in functions {
        let name = function.name().expect("a name");
        let section = function.section_index().expect("a section");
        let section = object.section_by_index(section).expect("it is there");
        let code = section
            .data_range(function.address(), function.size())
            .expect("readable")
            .expect("within its section");
        if let Some(at) = goes_back(code) {
            wrong.push(format!("{name}, instruction {at}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "Linux 6.1 refuses these; give the loop one place to turn back (see `learn.h`):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn going_back_is_told_from_jumping_back() {
    let goto = |off: i16| {
        [
            0x05,
            0,
            off.to_le_bytes()[0],
            off.to_le_bytes()[1],
            0,
            0,
            0,
            0,
        ]
    };
    let jeq = |off: i16| {
        [
            0x15,
            0,
            off.to_le_bytes()[0],
            off.to_le_bytes()[1],
            0,
            0,
            0,
            0,
        ]
    };
    let (mov, exit) = ([0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]);
    // Into the middle of a loop whose way back goes on to there.
    assert_eq!(goes_back(&[goto(1), mov, jeq(-2), exit].concat()), Some(1));
    assert_eq!(goes_back(&[mov, mov, jeq(-2), exit].concat()), None);
    assert_eq!(
        goes_back(&[goto(2), mov, goto(0), jeq(-3), exit].concat()),
        None
    );
}
