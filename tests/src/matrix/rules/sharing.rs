//! Rules of the matrix of sharing.

use super::{Answers, Rule, rule};

const SHARING: &[&str] = &["sharing"];
const DELIVERY: &[&str] = &["delivery"];
const TCP: &[&str] = &["tcp", "mptcp"];

/// Whether a second socket of the port may be bound: the name shows it as well.
const MAY: &[Answers] = &[
    ("bind b", "EADDRINUSE", "ok"),
    ("name b", "{wildcard}:0", "{*}:5300"),
];
const MAY_NOT: &[Answers] = &[
    ("bind b", "ok", "EADDRINUSE"),
    ("name b", "{*}:5300", "{wildcard}:0"),
];

/// Which of two has it.
const WHICH: &[Answers] = &[
    ("accept-any", "a from {*}:{port}", "b from {*}:{port}"),
    ("accept-any", "b from {*}:{port}", "a from {*}:{port}"),
    ("which", "a", "b"),
    ("which", "b", "a"),
    ("drain", "0", "1"),
    ("drain", "1", "0"),
];

/// The first that fits is the one.
pub(super) const RULES: &[Rule] = &[
    rule("reuse-after-bind", &[SHARING, &["*-late"]], &[MAY_NOT]),
    rule("reuse-after-bind", &[SHARING, &["*-undone"]], &[MAY]),
    // A machine remembers as well who has bound there meanwhile.
    rule(
        "reuse-after-bind",
        &[
            SHARING,
            &["tcp*", "mptcp*"],
            &["port-undone"],
            &["wildcard", "wildcard4"],
        ],
        &[MAY_NOT],
    ),
    rule(
        "reuse-user",
        &[SHARING, &["user"], &["both", "port"]],
        &[MAY],
    ),
    rule(
        "reuse-listen",
        &[SHARING, TCP, DELIVERY, &["reuseaddr"]],
        &[&[
            ("listen b", "EADDRINUSE", "ok"),
            ("connect", "ECONNREFUSED", "ok"),
            ("accept-any", "EAGAIN", "b from {*}:{port}"),
            ("accept-any", "a from {*}:{port}", "b from {*}:{port}"),
        ]],
    ),
    rule(
        "reuse-delivery",
        &[
            SHARING,
            DELIVERY,
            &["wildcard4", "wildcard", "mapped-wildcard"],
            &["own4"],
        ],
        &[WHICH],
    ),
    rule(
        "reuse-delivery",
        &[SHARING, DELIVERY, &["wildcard6"], &["own6"]],
        &[WHICH],
    ),
    rule(
        "reuse-delivery",
        &[SHARING, DELIVERY, &["wildcard"], &["mapped-wildcard"]],
        &[WHICH],
    ),
    rule(
        "reuse-delivery",
        &[
            SHARING,
            DELIVERY,
            &["wildcard", "mapped-wildcard"],
            &["wildcard4"],
        ],
        &[WHICH],
    ),
    rule(
        "reuse-delivery",
        &[SHARING, DELIVERY, &["udp"], &["wildcard"], &["wildcard6"]],
        &[WHICH],
    ),
    rule(
        "reuse-delivery",
        &[
            SHARING,
            DELIVERY,
            TCP,
            &["reuseport"],
            &["mapped"],
            &["second4"],
        ],
        &[WHICH],
    ),
];
