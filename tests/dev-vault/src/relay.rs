//! A wire with a length: a TCP relay that holds each direction back, for benchmarks with a round trip.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use crate::listener::{Listener, Pool};
use crate::stream::Socket;

/// A running relay.
pub struct Relay {
    listener: Listener,
}

impl Relay {
    /// Relays to a loopback address; every byte takes `delay` in each direction, and setting up a connection takes a
    /// round trip.
    ///
    /// # Panics
    /// When the address is not loopback, or no port can be had.
    #[must_use]
    pub fn start(to: SocketAddr, delay: Duration) -> Self {
        assert!(to.ip().is_loopback(), "{to} is not loopback");
        let pool = Arc::new(Pool::default());
        let watched = Arc::clone(&pool);
        let listener = Listener::start(pool, None, move |socket, number| {
            if let Socket::Tcp(client) = socket {
                // A connection that breaks ends both sides; there is nothing to report.
                let _ = relay(client, number, to, delay, &watched);
            }
        })
        .expect("a loopback port can be had");
        Self { listener }
    }

    /// The near end.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        self.listener.address
    }
}

fn relay(client: TcpStream, number: usize, to: SocketAddr, delay: Duration, pool: &Pool) -> std::io::Result<()> {
    let server = TcpStream::connect(to)?;
    server.set_nodelay(true)?;
    pool.watch(number, &Socket::Tcp(server.try_clone()?))?;
    // The kernel has accepted at once. On a wire of this length the client could send only a round trip later.
    let open = Instant::now() + 2 * delay;
    let (client_out, server_out) = (client.try_clone()?, server.try_clone()?);
    std::thread::scope(|scope| {
        for (from, into) in [(client, server_out), (server, client_out)] {
            let (send, receive) = mpsc::channel();
            scope.spawn(move || take(from, &send, open, delay));
            scope.spawn(move || deliver(&receive, into, pool));
        }
    });
    Ok(())
}

/// Bytes and the moment at which they arrive; no bytes are the end.
type Parcel = (Instant, Vec<u8>);

fn take(mut from: TcpStream, parcels: &Sender<Parcel>, open: Instant, delay: Duration) {
    let mut buffer = [0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        let arrival = Instant::now().max(open) + delay;
        if parcels.send((arrival, buffer[..count].to_vec())).is_err() || count == 0 {
            return;
        }
    }
}

fn deliver(parcels: &Receiver<Parcel>, mut into: TcpStream, pool: &Pool) {
    for (arrival, bytes) in parcels {
        if pool.stop.sleep(arrival.saturating_duration_since(Instant::now())) || into.write_all(&bytes).is_err() {
            break;
        }
        if bytes.is_empty() {
            let _ = into.shutdown(Shutdown::Write);
            return;
        }
    }
    let _ = into.shutdown(Shutdown::Both);
}
