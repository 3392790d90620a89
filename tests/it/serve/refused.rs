//! Who gets no answer: everybody but a program with the token, and whoever takes too long or too much.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{AWS, Served, reply};
use crate::support::World;

// check: 8
#[test]
fn a_wrong_token_a_wrong_host_and_a_browser_are_refused_without_a_reason() {
    let world = World::start();
    let served = Served::start(&world, "secret-id", AWS);
    let good = served.request();
    assert_eq!(served.send(&good).status, 200);
    let (host, token) = (format!("Host: {}\r\n", served.authority), format!("Authorization: {}\r\n", served.token));
    let port = served.address().port();
    let with = |header: &str| good.replace("Accept:", &format!("{header}\r\nAccept:"));
    let mut last = served.token.clone();
    let end = if last.pop() == Some('0') { '1' } else { '0' };
    last.push(end);
    for (what, text) in [
        ("no token", good.replace(&token, "")),
        ("an empty token", good.replace(&token, "Authorization:\r\n")),
        ("a token that differs in its last character", good.replace(&served.token, &last)),
        ("a shorter token", good.replace(&served.token, &served.token[1..])),
        ("a scheme", good.replace("Authorization: ", "Authorization: Bearer ")),
        ("two tokens", with(token.trim_end())),
        (
            "the token in the URL",
            good.replace(&token, "").replace("credentials ", &format!("credentials?{} ", served.token)),
        ),
        ("no host", good.replace(&host, "")),
        ("localhost", good.replace(&host, &format!("Host: localhost:{port}\r\n"))),
        ("a name that leads here", good.replace(&host, &format!("Host: evil.example:{port}\r\n"))),
        ("no port", good.replace(&host, "Host: 127.0.0.1\r\n")),
        ("two hosts", with("Host: evil.example")),
        ("another path", good.replace("/get-credentials", "/")),
        ("a query", good.replace("/get-credentials", "/get-credentials?x=1")),
        ("an absolute URL", good.replace("GET /", &format!("GET http://evil.example:{port}/"))),
        ("POST", good.replace("GET", "POST").replace("Accept:", "Content-Length: 0\r\nAccept:")),
        ("OPTIONS", good.replace("GET", "OPTIONS")),
        ("Origin", with("Origin: null")),
        ("Referer", with("Referer: https://evil.example/")),
        ("Sec-Fetch", with("Sec-Fetch-Site: cross-site")),
        ("a proxy", with("X-Forwarded-For: 10.0.0.1")),
    ] {
        let reply = served.send(&text);
        assert!(reply.status == 403 || (reply.status == 400 && reply.body.is_empty()), "{what}: {reply:?}");
        if reply.status == 403 {
            assert_eq!(reply.body, r#"{"code":"Forbidden","message":"ci-creds refuses this request"}"#, "{what}");
        }
        assert!(!reply.head.contains("access-control"), "{what}: {reply:?}");
    }
    assert_eq!(served.get().status, 200);
    served.end();
}

#[test]
fn no_other_address_of_this_machine_leads_to_the_endpoint() {
    let world = World::start();
    let served = Served::start(&world, "secret-id", AWS);
    let port = served.address().port();
    // What a packet to elsewhere would leave from; nothing is sent.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()).map(|own| own.ip().to_string()).ok();
    let others = own.into_iter().filter(|own| !own.starts_with("127.") && own != "0.0.0.0");
    for other in others.chain(["127.0.0.2".into(), "[::1]".into()]) {
        let address: SocketAddr = format!("{other}:{port}").parse().expect("an address");
        assert!(TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_err(), "{other}");
    }
    served.end();
}

#[test]
fn what_is_too_large_too_slow_or_too_much_keeps_nobody_else_from_an_answer() {
    let world = World::start();
    let served = Served::start(&world, "secret-id", AWS);
    let large = served.request().replace("Accept:", &format!("X-Filler: {}\r\nAccept:", "x".repeat(9000)));
    assert_ne!(served.send(&large).status, 200);
    for rubbish in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "{\"a\":1}\r\n\r\n"] {
        assert_ne!(served.send(rubbish).status, 200, "{rubbish:?}");
    }
    let open = |text: &str| {
        let mut stream = TcpStream::connect(served.address()).expect("a connection");
        stream.write_all(text.as_bytes()).expect("written");
        stream
    };
    // More than are held at once: the request behind them gets its answer when theirs have had their two seconds.
    let idle: Vec<_> = (0..80).map(|index| open(["", "GET /get-cred"][index % 2])).collect();
    let begun = Instant::now();
    assert_eq!(served.get().status, 200);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    for stream in idle {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        assert_eq!(reply(stream).body, "");
    }
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    served.end();
}
