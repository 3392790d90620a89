//! What stands beside Vault: the sink, the proxy, the long wire.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use dev_vault::{DevVault, Dialect, Proxy, Relay, Reply, Sink, Tls};

use crate::support::{Client, Response, encode};

fn port_of(address: &str) -> SocketAddr {
    address.rsplit_once("//").unwrap().1.parse().unwrap()
}

#[test]
fn a_sink_remembers_what_strayed_to_it() {
    let sink = Sink::start(Tls::Off);
    let headers = [("X-Vault-Token", "s.leaked")];
    let response = Client::at(port_of(&sink.address())).send("PUT", "/v1/x", &headers, Some("{\"secret_id\":1}"));
    assert_eq!((response.status, response.body.as_str()), (200, "{}\n"));
    assert_eq!(sink.connections(), 1);
    let request = &sink.requests()[0];
    assert_eq!((request.line().as_str(), request.body.as_slice()), ("PUT /v1/x", &b"{\"secret_id\":1}"[..]));
    assert_eq!(request.headers.get("x-vault-token"), Some("s.leaked"));
    assert!(Sink::start(Tls::Valid).ca_pem().is_some());
}

#[test]
fn a_proxy_tunnels_and_notes_what_for() {
    let vault = DevVault::start(Dialect::Vault1_16);
    for (proxy, host) in [
        (Proxy::forward(), vault.socket_address().to_string()),
        (Proxy::to(vault.socket_address()), "vault.example.com:443".to_owned()),
    ] {
        let mut stream = TcpStream::connect(port_of(&proxy.address())).unwrap();
        write!(stream, "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut reply = [0; 39];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"HTTP/1.1 200 Connection established\r\n\r\n");
        for _ in 0..2 {
            stream.write_all(&encode("GET", "/v1/sys/health", &[], None)).unwrap();
            assert_eq!(Response::read(&mut stream).unwrap().status, 200);
        }
        assert_eq!(proxy.requests()[0].line(), format!("CONNECT {host}"));
        assert_eq!((proxy.connections(), proxy.requests().len()), (1, 1), "it does not see inside");
    }
}

#[test]
fn a_proxy_forwards_plain_requests() {
    let vault = DevVault::start(Dialect::Vault1_16);
    let proxy = Proxy::forward();
    let url = format!("{}/v1/sys/health?activecode=201", vault.address());
    let response = Client::at(port_of(&proxy.address())).send("GET", &url, &[("Proxy-Authorization", "Basic x")], None);
    assert_eq!(response.status, 201);
    let request = &vault.requests()[0];
    assert_eq!((request.path.as_str(), request.query.as_deref()), ("/v1/sys/health", Some("activecode=201")));
    assert_eq!(request.headers.get("proxy-authorization"), None);
    assert_eq!(proxy.requests()[0].line(), format!("GET {}/v1/sys/health", vault.address()));
}

#[test]
fn a_proxy_can_refuse_or_fail_to_reach() {
    let refusing = Proxy::refuse(Reply::html(407, "<p>who are you?</p>").header("Proxy-Authenticate", "Basic"));
    let response = Client::at(port_of(&refusing.address())).send("CONNECT", "vault.example.com:443", &[], None);
    assert_eq!((response.status, response.header("proxy-authenticate")), (407, Some("Basic")));
    assert_eq!(response.body, "<p>who are you?</p>");
    let forwarding = Proxy::forward();
    let unreachable = Client::at(port_of(&forwarding.address())).send("CONNECT", "192.0.2.1:443", &[], None);
    assert_eq!(unreachable.status, 502, "it leads to loopback only");
}

#[test]
fn a_long_wire_costs_a_round_trip_to_connect_and_one_per_request() {
    const DELAY: Duration = Duration::from_millis(15);
    let vault = DevVault::start(Dialect::Vault1_16);
    let relay = Relay::start(vault.socket_address(), DELAY);
    let started = Instant::now();
    let mut stream = TcpStream::connect(relay.socket_address()).unwrap();
    let mut round = || {
        stream.write_all(&encode("GET", "/v1/sys/health", &[], None)).unwrap();
        assert_eq!(Response::read(&mut stream).unwrap().status, 200);
        started.elapsed()
    };
    let mut times = vec![round()];
    times.extend((0..5).map(|_| round()));
    assert!(times[0] >= 4 * DELAY, "{times:?}");
    let fastest = times.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(fastest >= 2 * DELAY && fastest < 4 * DELAY, "the connection is set up once: {times:?}");
}
