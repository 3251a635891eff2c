//! Rules of the matrices of traffic and of serving.

use super::{Answers, Rule, rule};

const TRAFFIC: &[&str] = &["traffic"];
const SERVING: &[&str] = &["serving"];
const UDPLITE: &[&str] = &["udplite"];
const PING: &[&str] = &["ping"];
const SIX: &[&str] = &["ipv6", "dual"];
const DUAL: &[&str] = &["dual"];
const CONNECT: &[&str] = &["connect"];
const SENDTO: &[&str] = &["sendto"];
const TO_ALL: &[&str] = &["broadcast*", "multicast"];
const ON_WILDCARD: &[&str] = &["bound-wildcard", "port-0-wildcard"];
const ON_LOOPBACK: &[&str] = &["bound-loopback*", "port-0-loopback"];

/// Whose source the route chooses, and sockets that are bound to no address of S.
const NOT_BOUND: &[&str] = &[
    "unbound",
    "autobound",
    "reconnected",
    "connected-twice",
    "bound-foreign-*",
    "bound-broadcast*",
    "bound-multicast",
];

/// Addresses of S that are not the primary one.
const NOT_PRIMARY: &[&str] = &["own-second", "wildcard", "loopback*"];

/// What is sent does not arrive, and so no answer comes.
const LOST: &[Answers] = &[
    ("answer", "hello from {*}:{port}", "EAGAIN"),
    ("recvfrom", "back from {*}:{port}", "EAGAIN"),
];

/// It comes to an address of the machine where nobody listens.
const NOBODY: &[Answers] = &[(
    "recvfrom",
    "EAGAIN|back from {own*,loopback,foreign-hostlet}:{port}",
    "ECONNREFUSED",
)];

/// A connection that there is not: of the client, and of the server.
const NO_CONNECTION: &[Answers] = &[
    ("peer c", "{*}:{port}", "ENOTCONN"),
    ("send c", "ok|EAGAIN", "EDESTADDRREQ|EPIPE"),
    ("recv c", "back|EAGAIN", "ENOTCONN"),
    ("accept", "from {own*,loopback}:{port}", "EAGAIN"),
    ("name b", "{*}:{port}", "no-socket"),
    ("recv b", "hello", "no-socket"),
    ("send b", "ok", "no-socket"),
];

const DUAL_CONNECT: &[Answers] = &[
    ("connect", "ok|EINPROGRESS|ENETUNREACH", "EAFNOSUPPORT"),
    ("name c", "{own*,loopback}:{port}", "[::]:{port}"),
];

/// A socket of UDP-Lite has the route's source, and what leaves from there is dropped.
const ROUTED: &[Answers] = &[
    (
        "name c",
        "{own}:{port}",
        "{foreign-host,foreign-hostlet}:{port}",
    ),
    ("send", "ok", "EPERM|ENETUNREACH"),
];

/// The first that fits is the one.
pub(super) const RULES: &[Rule] = &[
    rule(
        "dual-connect",
        &[TRAFFIC, UDPLITE, DUAL, CONNECT, ON_WILDCARD],
        &[DUAL_CONNECT, NO_CONNECTION, LOST],
    ),
    rule(
        "dual-connect",
        &[
            TRAFFIC,
            &["tcp", "mptcp", "udp"],
            DUAL,
            CONNECT,
            &["bound-wildcard"],
        ],
        &[DUAL_CONNECT, NO_CONNECTION, LOST],
    ),
    rule(
        "dual-any",
        &[TRAFFIC, DUAL, SENDTO, &["bound-wildcard"], &["wildcard"]],
        &[&[
            (
                "answer",
                "hello from [::1]:{port}",
                "hello from [::ffff:127.0.0.1]:{port}",
            ),
            (
                "recvfrom",
                "back from [::1]:{port}",
                "back from [::ffff:127.0.0.1]:{port}",
            ),
        ]],
    ),
    rule(
        "dual-any",
        &[TRAFFIC, UDPLITE, DUAL, CONNECT, ON_WILDCARD, &["wildcard"]],
        &[&[
            ("name c", "[::1]:{port}", "[::ffff:10.0.0.5]:{port}"),
            ("peer c", "[::1]:{port}", "[::ffff:127.0.0.1]:{port}"),
        ]],
    ),
    rule(
        "udplite-connect",
        &[UDPLITE, TRAFFIC, CONNECT, NOT_BOUND],
        &[
            ROUTED,
            LOST,
            NOBODY,
            &[("peer c", "{own}:{port}", "{foreign-host}:{port}")],
        ],
    ),
    rule(
        "udplite-connect",
        &[UDPLITE, TRAFFIC, CONNECT, ON_WILDCARD, NOT_PRIMARY],
        &[&[
            ("name c", "{own-second,loopback}:{port}", "{own}:{port}"),
            ("peer c", "{loopback}:{port}", "{own}:{port}"),
            (
                "answer",
                "hello from {loopback}:{port}",
                "hello from {own}:{port}",
            ),
            (
                "recvfrom",
                "back from {loopback}:{port}",
                "back from {own}:{port}",
            ),
        ]],
    ),
    rule(
        "udplite-connect",
        &[UDPLITE, TRAFFIC, CONNECT, NOT_PRIMARY],
        &[LOST, NOBODY, &[("send", "ok", "EPERM")]],
    ),
    rule(
        "udplite-connect",
        &[
            UDPLITE,
            TRAFFIC,
            CONNECT,
            ON_LOOPBACK,
            &["foreign-*", "broadcast*", "multicast"],
        ],
        &[&[
            ("connect", "EINVAL", "ok"),
            (
                "peer c",
                "ENOTCONN",
                "{foreign-host,foreign-hostlet}:{port}",
            ),
            ("send", "EDESTADDRREQ", "EINVAL|ok"),
            ("send", "ok", "EINVAL"),
        ]],
    ),
    rule(
        "udplite-connect",
        &[
            UDPLITE,
            TRAFFIC,
            SENDTO,
            &["reconnected", "connected-twice"],
        ],
        &[
            ROUTED,
            LOST,
            &[
                ("sendto", "ok", "EINVAL|ENETUNREACH"),
                ("sendto", "EACCES", "ENETUNREACH"),
            ],
        ],
    ),
    rule(
        "udplite-wildcard",
        &[UDPLITE, TRAFFIC, SENDTO, NOT_PRIMARY],
        &[LOST],
    ),
    rule(
        "udplite-wildcard",
        &[UDPLITE, TRAFFIC, DUAL, &["own", "foreign-hostlet"]],
        &[LOST, NOBODY],
    ),
    rule(
        "udplite-wildcard",
        &[UDPLITE, TRAFFIC, DUAL, SENDTO, ON_WILDCARD],
        &[&[("recvfrom", "back from {foreign-*}:{port}", "EAGAIN")]],
    ),
    rule(
        "udplite-wildcard",
        &[
            UDPLITE,
            SERVING,
            &["bound-wildcard"],
            &["own-second", "loopback*", "broadcast*", "multicast"],
        ],
        &[LOST],
    ),
    rule(
        "udplite-wildcard",
        &[UDPLITE, SERVING, DUAL, &["bound-wildcard"], &["own"]],
        &[LOST],
    ),
    rule(
        "loopback-to-all",
        &[
            TRAFFIC,
            &["tcp", "mptcp", "udp", "udplite"],
            ON_LOOPBACK,
            TO_ALL,
        ],
        &[&[
            ("connect|sendto", "ok|EACCES|ENETUNREACH", "EINVAL"),
            ("peer c", "{to}:{port}", "ENOTCONN"),
            ("send", "ok", "EDESTADDRREQ"),
        ]],
    ),
    rule(
        "host-source",
        &[TRAFFIC, SIX, &["udp", "udplite"], &["foreign-host"]],
        &[&[(
            "recvfrom",
            "back from {foreign-host}:{port}",
            "EAGAIN|back from {own*}:{port}",
        )]],
    ),
    rule(
        "host-source",
        &[SERVING, SIX, &["by-host"], &["own*"]],
        &[&[
            ("name c|peer b", "{foreign-host}:{port}", "{to}:{port}"),
            ("accept", "from {foreign-host}:{port}", "from {to}:{port}"),
            (
                "answer",
                "hello from {foreign-host}:{port}",
                "hello from {to}:{port}",
            ),
            (
                "recvfrom",
                "back from {own*}:{port}",
                "EAGAIN|back from {to}:{port}",
            ),
        ]],
    ),
    rule(
        "udp-answer",
        &[
            &["udp"],
            TRAFFIC,
            &["own", "own-second", "loopback*", "wildcard"],
        ],
        &[&[(
            "recvfrom",
            "EAGAIN|back from {own*}:{port}",
            "back from {to}:{port}",
        )]],
    ),
    // From an address 0.0.0.0 is that one.
    rule(
        "udp-answer",
        &[&["udp"], TRAFFIC, &["*-own-second"], &["wildcard"]],
        &[&[(
            "recvfrom",
            "EAGAIN|back from {own}:{port}",
            "back from {own-second}:{port}",
        )]],
    ),
    rule(
        "udp-answer",
        &[&["udp"], SERVING, &["bound-wildcard", "unbound"]],
        &[&[(
            "recvfrom",
            "back from {own}:{port}",
            "back from {to}:{port}",
        )]],
    ),
    rule(
        "ping-bind",
        &[
            TRAFFIC,
            PING,
            &["bound-foreign-*", "bound-loopback*", "bound-own*"],
        ],
        &[&[
            ("bind", "EADDRNOTAVAIL", "ok"),
            ("address", "{own*,loopback*}", "{wildcard}"),
            ("echoed", "type 0 sequence 7 from {to}:0", "EAGAIN"),
            ("echoed", "type 129 sequence 7 from {to}:0", "EAGAIN"),
            ("connect", "EINVAL", "ENETUNREACH"),
            ("connect", "ok", "EINVAL|ENETUNREACH"),
            ("echo c -", "ok", "EDESTADDRREQ"),
        ]],
    ),
    rule(
        "ping-bind",
        &[
            TRAFFIC,
            PING,
            &["bound-foreign-*"],
            &["loopback*", "wildcard"],
        ],
        &[&[
            ("address", "{loopback}", "{foreign-host,foreign-hostlet}"),
            ("echo", "ok", "EPERM"),
        ]],
    ),
    rule(
        "ping-bind",
        &[TRAFFIC, PING, &["bound-loopback*"], SENDTO],
        &[&[("echo", "EINVAL", "ok")]],
    ),
    rule(
        "ping-again",
        &[TRAFFIC, PING, CONNECT, &["autobound", "bound-wildcard"]],
        &[&[
            ("address", "{own}", "{foreign-host,foreign-hostlet}"),
            ("echoed", "type 0 sequence 7 from {to}:0", "EAGAIN"),
            ("echoed", "type 129 sequence 7 from {to}:0", "EAGAIN"),
        ]],
    ),
    rule(
        "ping-again",
        &[TRAFFIC, PING, &["reconnected"], &["loopback*", "wildcard"]],
        &[&[
            ("address", "{loopback}", "{own}"),
            (
                "echoed",
                "type 0 sequence 7 from {loopback}:0",
                "type 0 sequence 7 from {own}:0",
            ),
        ]],
    ),
    // What it is instead.
    rule(
        "no-sctp-mptcp",
        &[&["mptcp"], &["traffic", "serving"]],
        &[&[
            ("name c", "{*}:*", "{wildcard}:*"),
            ("join", "ENOPROTOOPT", "EPROTO"),
            ("opt c mcast-if", "ENOPROTOOPT", "EINVAL"),
            ("send c", "EPIPE", "ECONNRESET"),
        ]],
    ),
];
