//! What other languages' standard libraries do: node, Java, Go, Python. A program of each serves
//! over HTTP, on the loopback, by family and on a shared port, asks itself, and tells what it saw.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::servers::ask::Ask;
use hostlet_testkit::servers::machines::{MACHINES, Machines, PEER, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe};

use crate::side_by_side;

/// Starts the program with its machine's addresses.
macro_rules! start {
    ("tcp", $program:literal) => {
        start!("tcp", $program, "10.0.0.5 10.0.0.6 2001:db8::5 2001:db8::6")
    };
    // First addresses alone: on a machine too, an answer leaves from there.
    ("udp", $program:literal) => {
        start!("udp", $program, "10.0.0.5 2001:db8::5")
    };
    ($mode:literal, $program:literal, $in:literal) => {
        &[
            "sh",
            "-c",
            concat!(
                "case @who@ in who-in) set ",
                $in,
                " ;; who-other) set 10.0.0.9 2001:db8::9 ;; *) set 10.0.0.1 2001:db8::1 ;; esac; exec ",
                $program,
                " @who@ ",
                $mode,
                " \"$@\""
            ),
        ]
    };
}

const NODE: Recipe = Recipe {
    name: "node",
    user: Some("nobody"),
    files: &[("server.js", include_str!("programs/server.js"))],
    setup: &[],
    command: start!("tcp", "node @dir@/server.js"),
    ready: Ready::Says("ready"),
    pid: None,
    log: None,
};

const NODE_UDP: Recipe = Recipe {
    command: start!("udp", "node @dir@/server.js"),
    ..NODE
};

const PYTHON: Recipe = Recipe {
    name: "python",
    files: &[("server.py", include_str!("programs/server.py"))],
    command: start!("tcp", "/usr/bin/python3 @dir@/server.py"),
    ..NODE
};

const PYTHON_UDP: Recipe = Recipe {
    command: start!("udp", "/usr/bin/python3 @dir@/server.py"),
    ..PYTHON
};

const GO: Recipe = Recipe {
    name: "go",
    files: &[("server.go", include_str!("programs/server.go"))],
    setup: &[&[
        "env",
        "HOME=@dir@",
        "GOFLAGS=-p=1",
        "@go@",
        "build",
        "-o",
        "@dir@/server",
        "@dir@/server.go",
    ]],
    command: start!("tcp", "@dir@/server"),
    ..NODE
};

const GO_UDP: Recipe = Recipe {
    command: start!("udp", "@dir@/server"),
    ..GO
};

/// Java keeps figures about each run in a directory in /tmp that stays, unless told not to.
const JAVA: Recipe = Recipe {
    name: "java",
    files: &[("Server.java", include_str!("programs/Server.java"))],
    setup: &[&[
        "javac",
        "-J-XX:-UsePerfData",
        "-d",
        "@dir@",
        "@dir@/Server.java",
    ]],
    command: start!(
        "tcp",
        "java -XX:-UsePerfData -XX:TieredStopAtLevel=1 -cp @dir@ Server"
    ),
    ..NODE
};

const JAVA_UDP: Recipe = Recipe {
    command: start!(
        "udp",
        "java -XX:-UsePerfData -XX:TieredStopAtLevel=1 -cp @dir@ Server"
    ),
    ..JAVA
};

#[test]
fn node_by_connection() -> Result<()> {
    on_both(
        |machines| connections(machines, &NODE, "node @dir@/server.js"),
        &[],
    )
}

#[test]
fn node_by_datagram() -> Result<()> {
    on_both(
        |machines| datagrams(machines, &NODE_UDP, &[5300, 5301]),
        &[],
    )
}

#[test]
fn python_by_connection() -> Result<()> {
    let client = "/usr/bin/python3 @dir@/server.py";
    on_both(|machines| connections(machines, &PYTHON, client), &[])
}

#[test]
fn python_by_datagram() -> Result<()> {
    let ports = [5300, 5301, 5302];
    on_both(|machines| datagrams(machines, &PYTHON_UDP, &ports), &[])
}

#[test]
fn go_by_connection() -> Result<()> {
    on_both(
        |machines| {
            machines.word("go", "go");
            connections(machines, &GO, "@dir@/server")
        },
        &[],
    )
}

#[test]
fn go_by_datagram() -> Result<()> {
    on_both(
        |machines| {
            machines.word("go", "go");
            datagrams(machines, &GO_UDP, &[5300, 5301])
        },
        &[],
    )
}

/// By a Go whose listeners are MPTCP's unless told otherwise.
#[test]
#[ignore = "scripts/suites go-mptcp-servers runs it, with a Go that it fetches"]
fn go_multipath_by_connection() -> Result<()> {
    let go = std::env::var("HOSTLET_MULTIPATH_GO").context(
        "HOSTLET_MULTIPATH_GO does not say where Go 1.24 is: run scripts/suites go-mptcp-servers",
    )?;
    on_both(
        |machines| {
            machines.word("go", &go);
            connections(machines, &GO, "@dir@/server")?;
            multipath(machines)
        },
        &[],
    )
}

/// It listens by MPTCP on a machine, and in a hostlet has asked for it.
fn multipath(machines: &Machines) -> Result<()> {
    if let Some(install) = machines.lan().install() {
        let told = install.run(machines.lan().host(), &["events", "in", "--json"])?;
        let asked = told
            .lines()
            .any(|line| line.contains("EPROTONOSUPPORT") && line.contains("\"socket\""));
        ensure!(asked, "nobody asked for MPTCP: {told}");
        return Ok(());
    }
    let protocols = machines.run("in", &["cat", "/proc/net/protocols"])?;
    let mut words = protocols
        .lines()
        .find(|line| line.starts_with("MPTCP "))
        .context("a kernel with MPTCP")?
        .split_whitespace();
    let sockets: u32 = words.nth(2).context("a count")?.parse()?;
    ensure!(sockets > 0, "nobody listens by MPTCP:\n{protocols}");
    Ok(())
}

#[test]
fn java_by_connection() -> Result<()> {
    on_both(
        |machines| connections(machines, &JAVA, "java -XX:-UsePerfData -cp @dir@ Server"),
        &[],
    )
}

#[test]
fn java_by_datagram() -> Result<()> {
    on_both(
        |machines| datagrams(machines, &JAVA_UDP, &[5300, 5301]),
        &[],
    )
}

fn connections(machines: &Machines, recipe: &'static Recipe, client: &str) -> Result<()> {
    let all = ["host", "in", "other"];
    let servers = side_by_side(machines, recipe, &Ask::http(8080), &all, |_| Ok(()))?;
    let mut others = vec![
        Ask::http(8081).at_loopback(),
        Ask::tcp(8082, "?\n"),
        Ask::tcp(8083, "?\n"),
    ];
    if recipe.name == "python" {
        others.push(Ask::tcp(8085, "?\n"));
    }
    for ask in &others {
        machines
            .expect(ask, &all)
            .with_context(|| format!("port {}", ask.port))?;
    }
    // Who they think comes, and where to.
    for (from, four, six) in [
        ("peer", PEER[0], PEER[1]),
        ("other", "10.0.0.9", "2001:db8::9"),
    ] {
        for address in MACHINES[0].1 {
            let (host, source) = match address.contains(':') {
                true => (format!("[{address}]"), six),
                false => ((*address).to_owned(), four),
            };
            for port in [8080, 8082] {
                let url = format!("http://{host}:{port}/");
                // On 8082 no HTTP is spoken.
                let got = machines.run(from, &["curl", "-sS", "--http0.9", &url])?;
                let wanted = format!("who-in. {source} {address}");
                ensure!(short(&got) == wanted, "{from} to {url}: {got}");
            }
        }
    }
    // As clients.
    let client = servers[1].fill(client);
    let words: Vec<&str> = client.split(' ').chain(["-", "client"]).collect();
    let got = machines.run("in", &[&words[..], &["10.0.0.9", "2001:db8::9"]].concat())?;
    ensure!(
        short(&got)
            == "10.0.0.5 to 10.0.0.9: who-other. 10.0.0.5 10.0.0.9 \
                2001:db8::5 to 2001:db8::9: who-other. 2001:db8::5 2001:db8::9",
        "a client: {got}"
    );
    Ok(())
}

/// In one line, IPv6 addresses as everybody but Java writes them.
fn short(said: &str) -> String {
    let word = |word: &str| {
        let (address, colon) = match word.strip_suffix(':') {
            Some(address) => (address, ":"),
            None => (word, ""),
        };
        match address.parse::<std::net::IpAddr>() {
            Ok(address) => format!("{address}{colon}"),
            Err(_) => word.to_owned(),
        }
    };
    let words: Vec<String> = said.split_whitespace().map(word).collect();
    words.join(" ")
}

fn datagrams(machines: &Machines, recipe: &'static Recipe, ports: &[u16]) -> Result<()> {
    // Not on the host: UDP ports of wildcards are not shared with it.
    let all = ["in", "other"];
    let ask = Ask::udp(ports[0], "?");
    let _servers = side_by_side(machines, recipe, &ask, &all, |_| Ok(()))?;
    for port in &ports[1..] {
        machines
            .expect(&Ask::udp(*port, "?"), &all)
            .with_context(|| format!("port {port}"))?;
    }
    Ok(())
}
