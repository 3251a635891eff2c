//! Names, ids, addresses, ranges and who may: what is read is printed so that it is read as the same. And the small files that the
//! NSS module reads.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use hostlet_model::config::{Exclude, ProgramPattern, Who};
use hostlet_model::names::{MAX_ADDRESSES, MAX_LENGTH, OwnNames};
use hostlet_model::{AddressRange, AddressSpec, HostLoopback, Name, Owned, SourcePolicy};

/// What is done with an input.
pub fn run(input: &[u8]) {
    let [which, input @ ..] = input else { return };
    let text = String::from_utf8_lossy(input);
    match which % 9 {
        0 => word::<Name>(&text),
        1 => word::<AddressSpec>(&text),
        2 => word::<AddressRange>(&text),
        3 => word::<Owned>(&text),
        4 => word::<Who>(&text),
        5 => word::<HostLoopback>(&text),
        6 => word::<Exclude>(&text),
        7 => {
            word::<ProgramPattern>(&text);
            word::<SourcePolicy>(&text);
        }
        _ => names(input),
    }
}

fn word<T: FromStr + Display + PartialEq + Debug>(text: &str)
where
    T::Err: Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            match printed.parse::<T>() {
                Ok(again) => assert_eq!(again, value, "{printed}"),
                Err(why) => panic!("{text:?} is printed as {printed:?}, which is refused: {why}"),
            }
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

fn names(file: &[u8]) {
    let Some(names) = OwnNames::parse(file) else {
        return;
    };
    assert!(names.addresses.len() <= MAX_ADDRESSES && names.is_of(&names.cgroup));
    let text = names.render();
    assert!(text.len() <= MAX_LENGTH);
    assert_eq!(OwnNames::parse(text.as_bytes()), Some(names));
}
