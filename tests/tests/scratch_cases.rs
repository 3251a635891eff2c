//! scratch
use hostlet_testkit::agent::Agent;
use hostlet_testkit::lan::Lan;
use std::collections::BTreeMap;
fn run(lan: &Lan, steps: &[(String, String)]) -> Vec<String> {
    let mut agents: BTreeMap<String, Agent> = BTreeMap::new();
    agents.insert("in".into(), lan.start("in").unwrap());
    for (a, _) in steps {
        if !agents.contains_key(a) {
            agents.insert(a.clone(), lan.start(a).unwrap());
        }
    }
    let mut out = vec![];
    for (a, l) in steps {
        let mut line = l.clone();
        while let Some((before, rest)) = line.clone().split_once('{') {
            let (name, after) = rest.split_once('}').unwrap();
            let (actor, socket) = name.split_once('.').unwrap();
            let port = agents
                .get_mut(actor)
                .unwrap()
                .ask(&format!("raw-port {socket}"))
                .unwrap();
            line = format!("{before}{port}{after}");
        }
        out.push(
            agents
                .get_mut(a)
                .unwrap()
                .ask(&line)
                .unwrap_or_else(|e| format!("!! {e:#}")),
        );
    }
    for (n, a) in agents {
        if let Err(e) = a.finish() {
            println!("{n}: {e}");
        }
    }
    out
}
#[test]
fn scratch() {
    let text = std::fs::read_to_string(std::env::var("SCRIPTS").unwrap()).unwrap();
    let only = std::env::var("ONLY").ok();
    for block in text.split("###").skip(1) {
        let (head, body) = block.split_once('\n').unwrap();
        if let Some(o) = &only {
            if !head.contains(o.as_str()) {
                continue;
            }
        }
        let mut set = "two".to_owned();
        let mut options: Vec<String> = vec![];
        let mut steps = vec![];
        let mut raw = vec![];
        for l in body.lines() {
            let l0 = l.split('#').next().unwrap().trim();
            if l0.is_empty() {
                continue;
            }
            let call = l0.split("=>").next().unwrap().trim().to_owned();
            let w: Vec<&str> = call.split_whitespace().collect();
            if w[0] == "set" {
                set = w[1].into();
                raw.push(call);
                continue;
            }
            if w[0] == "hostlet" {
                options = w[1..].iter().map(|s| s.to_string()).collect();
                raw.push(call);
                continue;
            }
            let (actor, child) = w[0].split_once('/').unwrap_or((w[0], ""));
            let mut line = w[1..].join(" ");
            if !child.is_empty() {
                line = format!("/{child} {line}");
            }
            steps.push((actor.to_owned(), line));
            raw.push(call);
        }
        println!("###{head}");
        let real = run(&Lan::real(&set).unwrap(), &steps);
        let lets = run(&Lan::hostlets(&set, &options).unwrap(), &steps);
        let mut i = 0;
        for r in raw {
            let w = r.split_whitespace().next().unwrap();
            if w == "set" || w == "hostlet" {
                println!("        {r}");
                continue;
            }
            let (a, b) = (&real[i], &lets[i]);
            i += 1;
            let mark = if a != b { "!" } else { " " };
            if a != b {
                println!("{mark}       {r} => {a} / {b}");
            } else if a == "ok" {
                println!("        {r}");
            } else {
                println!("        {r} => {a}");
            }
        }
    }
}
