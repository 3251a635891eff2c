use hostlet_kernel::*;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let pins = std::path::Path::new("/tmp/hl/bpf/dev");
    let k = match Kernel::open(pins).unwrap() {
        Some(k) => k,
        None => Kernel::install(pins, &Limits::default()).unwrap(),
    };
    let id: u32 = a[1].parse().unwrap();
    let cg = format!("/sys/fs/cgroup/unified/dev-{id}");
    let _ = std::fs::create_dir(&cg);
    let f = std::fs::File::open(&cg).unwrap();
    let ino = f.metadata().unwrap().ino();
    k.attach(f.as_fd()).unwrap();
    assert!(k.attached(f.as_fd()).unwrap());
    let addrs: Vec<std::net::IpAddr> = a[2..].iter().map(|s| s.parse().unwrap()).collect();
    let v4: Vec<_> = addrs
        .iter()
        .filter_map(|a| match a {
            std::net::IpAddr::V4(x) => Some(*x),
            _ => None,
        })
        .collect();
    let v6: Vec<_> = addrs
        .iter()
        .filter_map(|a| match a {
            std::net::IpAddr::V6(x) => Some(*x),
            _ => None,
        })
        .collect();
    let hid = hostlet_model::HostletId::new(id).unwrap();
    let rec = Record {
        id,
        netns: k.netns_cookie(),
        flags: RecordFlags::GUARD
            .with(RecordFlags::V4, !v4.is_empty())
            .with(RecordFlags::V6, !v6.is_empty())
            .with(RecordFlags::MANY4, v4.len() > 1)
            .with(RecordFlags::MANY6, v6.len() > 1),
        source: Default::default(),
        primary4: v4.first().copied(),
        primary6: v6.first().copied(),
        loop4: hid.loopback4(),
        loop6: Some(hid.loopback6()),
    };
    for x in &addrs {
        k.own(
            id,
            &hostlet_model::Owned::Single(*x),
            false,
            if x.is_ipv4() {
                v4.len() > 1
            } else {
                v6.len() > 1
            },
        )
        .unwrap();
    }
    k.own(
        id,
        &hostlet_model::Owned::Single(rec.loop4.into()),
        true,
        false,
    )
    .unwrap();
    k.own(
        id,
        &hostlet_model::Owned::Single(rec.loop6.unwrap().into()),
        true,
        false,
    )
    .unwrap();
    k.publish(ino, &rec).unwrap();
    assert_eq!(k.record(ino).unwrap(), Some(rec));
    for i in 1..4 {
        let _ = k.watch(i);
    }
    println!("{:?} {:?}", k.watched(), k.owners().unwrap().len());
    let e = k.events(0).unwrap();
    for e in e {
        println!("{e:?}");
    }
}
