//! An HTTP proxy on loopback: `CONNECT` tunnels and plain requests, to loopback only, or a refusal.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use crate::fault::Reply;
use crate::http::Head;
use crate::journal::{Journal, Recorded};
use crate::listener::{Listener, Pool};
use crate::reader::Reader;
use crate::stream::{Socket, Stream};

/// A running proxy.
pub struct Proxy {
    journal: Arc<Journal>,
    listener: Listener,
}

#[derive(Clone)]
enum Manner {
    Forward,
    /// Whatever host is asked for, it is here.
    To(SocketAddr),
    Refuse(Reply),
}

impl Proxy {
    /// Forwards to the loopback address that a request names.
    #[must_use]
    pub fn forward() -> Self {
        Self::start(Manner::Forward)
    }

    /// Forwards everything to one address, so that a test can use names that do not exist.
    ///
    /// # Panics
    /// When the address is not loopback.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        assert!(address.ip().is_loopback(), "{address} is not loopback");
        Self::start(Manner::To(address))
    }

    /// Answers everything like this: 407, 502, a page.
    #[must_use]
    pub fn refuse(reply: Reply) -> Self {
        Self::start(Manner::Refuse(reply))
    }

    fn start(manner: Manner) -> Self {
        let journal = Arc::new(Journal::default());
        let (seen, pool) = (Arc::clone(&journal), Arc::new(Pool::default()));
        let watched = Arc::clone(&pool);
        let listener = Listener::start(pool, None, move |socket, number| {
            seen.connected();
            // A peer that goes away mid-way is the test's business, not an error of the proxy.
            let _ = serve(socket, number, &manner, &seen, &watched);
        })
        .expect("a loopback port can be had");
        Self { journal, listener }
    }

    /// For `HTTPS_PROXY` and `VAULT_PROXY_ADDR`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.listener.address)
    }

    /// How many connections came.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.journal.connections()
    }

    /// The requests to the proxy itself: `CONNECT host:port`, or `GET http://…`.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.journal.requests()
    }
}

fn serve(socket: Socket, number: usize, manner: &Manner, journal: &Journal, pool: &Pool) -> io::Result<()> {
    let client = socket.try_clone()?;
    let mut reader = Reader::new(Stream::Plain(socket));
    let Ok(head) = reader.head() else { return Ok(()) };
    let Ok(body) = reader.body(&head) else { return Ok(()) };
    let sequence =
        journal.arrived(Recorded { complete: true, body: body.clone(), ..Recorded::new(number, false, &head) });
    if let Manner::Refuse(reply) = manner {
        journal.update(sequence, |request| request.status = Some(reply.0.status));
        reader.stream.write_all(&reply.0.encode("GET", false, std::time::SystemTime::now()))?;
        reader.stream.close();
        return Ok(());
    }
    let tunnel = head.method == "CONNECT";
    let (host, path) = if tunnel { (head.target.as_str(), "") } else { split(&head.target) };
    let upstream = match manner {
        Manner::To(address) => TcpStream::connect(address),
        _ => loopback(host).and_then(TcpStream::connect),
    };
    let status = if upstream.is_ok() { 200 } else { 502 };
    journal.update(sequence, |request| request.status = Some(status));
    let Ok(mut upstream) = upstream else {
        return reader.stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    pool.watch(number, &Socket::Tcp(upstream.try_clone()?))?;
    if tunnel {
        reader.stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        upstream.write_all(&origin_form(&head, path, &body))?;
    }
    let back = upstream.try_clone()?;
    std::thread::scope(|scope| {
        scope.spawn(|| pump(Socket::Tcp(back), client));
        pump_from(&mut reader, upstream);
    });
    Ok(())
}

/// `http://host:port/path` as host and path.
fn split(target: &str) -> (&str, &str) {
    let rest = target.strip_prefix("http://").unwrap_or(target);
    rest.find('/').map_or((rest, "/"), |at| rest.split_at(at))
}

fn loopback(host: &str) -> io::Result<SocketAddr> {
    let address = host.replace("localhost", "127.0.0.1").parse::<SocketAddr>().map_err(io::Error::other)?;
    if address.ip().is_loopback() { Ok(address) } else { Err(io::Error::other("not loopback")) }
}

/// The request for the origin, which closes afterwards: one plain request per connection.
fn origin_form(head: &Head, path: &str, body: &[u8]) -> Vec<u8> {
    let mut raw = format!("{} {path} HTTP/1.1\r\n", head.method);
    for (name, value) in head.headers.iter() {
        let hop = ["connection", "proxy-connection", "proxy-authorization", "content-length", "transfer-encoding"];
        if !hop.contains(&name.to_ascii_lowercase().as_str()) {
            raw.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    raw.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()));
    [raw.as_bytes(), body].concat()
}

fn pump(mut from: Socket, mut to: Socket) {
    let _ = io::copy(&mut from, &mut to);
    to.shutdown();
}

fn pump_from(reader: &mut Reader<Stream>, mut to: TcpStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count) = reader.stream.read(&mut buffer) {
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
