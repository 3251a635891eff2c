//! Somebody else's client against our server.

use std::os::unix::net::UnixListener;

use hostlet_wire::{DESCRIPTION, Limits, serve_connection};
use serde_json::{Value, json};
use varlink::{
    Connection, ErrorKind, MethodCall, OrgVarlinkServiceClient, OrgVarlinkServiceInterface,
};

use crate::desk::Desk;

#[test]
fn the_varlink_crate_finds_its_way() {
    let dir = std::env::temp_dir().join(format!("hostlet-interop-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("hostletd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let served = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve_connection(&stream, &mut Desk::default(), &Limits::default())
    });
    let connection = Connection::with_address(format!("unix:{}", path.display()).as_str()).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();

    let mut about = OrgVarlinkServiceClient::new(connection.clone());
    assert_eq!(about.get_info().unwrap().product, "hostletd");
    for (interface, starts) in [("io.hostlet", "# "), ("org.varlink.service", "# ")] {
        let text = about.get_interface_description(interface).unwrap();
        let text = text.description.unwrap();
        assert!(text.starts_with(starts), "{text}");
        assert!(
            text.contains(&format!("\ninterface {interface}\n")),
            "{text}"
        );
    }
    let ours = about.get_interface_description("io.hostlet").unwrap();
    assert_eq!(ours.description.as_deref(), Some(DESCRIPTION));

    let call = |method: &'static str, parameters: Value| {
        MethodCall::<Value, Value, varlink::Error>::new(connection.clone(), method, parameters)
            .call()
    };
    let opened = call("io.hostlet.Open", json!({"pools": ["office"]})).unwrap();
    assert_eq!(opened["addresses"][0]["address"], "192.0.2.100");
    assert_eq!(
        call("io.hostlet.Close", json!({"name": "web"})).unwrap(),
        json!({})
    );

    let no = call("io.hostlet.Open", json!({"pools": ["empty"]})).unwrap_err();
    match no.kind() {
        ErrorKind::VarlinkErrorReply(reply) => {
            assert_eq!(reply.error.as_deref(), Some("io.hostlet.NoAddress"));
            assert_eq!(reply.parameters.as_ref().unwrap()["pool"], "empty");
        }
        other => panic!("{other:?}"),
    }
    let no = call("io.hostlet.Nothing", json!({})).unwrap_err();
    assert_eq!(
        no.kind(),
        &ErrorKind::MethodNotFound("io.hostlet.Nothing".to_owned())
    );
    let no = call("io.hostlet.Join", json!({})).unwrap_err();
    assert_eq!(no.kind(), &ErrorKind::InvalidParameter("name".to_owned()));

    MethodCall::<Value, Value, varlink::Error>::new(
        connection.clone(),
        "io.hostlet.Pools",
        json!({}),
    )
    .oneway()
    .unwrap();
    assert!(call("io.hostlet.Leases", json!({})).is_ok());
    drop((about, connection));
    assert!(matches!(
        served.join().unwrap(),
        hostlet_wire::Ended::Closed
    ));
}
