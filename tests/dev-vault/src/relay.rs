//! A wire: a TCP relay that holds each direction back, for a round trip, or that forgets who is silent, as a NAT does.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::listener::{Listener, Pool};
use crate::lock;
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
        Self::run(Wire { to, delay, forgets_after: None })
    }

    /// Relays at once, and forgets a connection on which nothing was sent for so long: what comes then goes nowhere, and
    /// nobody is told.
    ///
    /// # Panics
    /// When the address is not loopback, or no port can be had.
    #[must_use]
    pub fn forgetful(to: SocketAddr, idle: Duration) -> Self {
        Self::run(Wire { to, delay: Duration::ZERO, forgets_after: Some(idle) })
    }

    fn run(wire: Wire) -> Self {
        assert!(wire.to.ip().is_loopback(), "{} is not loopback", wire.to);
        let pool = Arc::new(Pool::default());
        let watched = Arc::clone(&pool);
        let listener = Listener::start(pool, None, move |socket, number| {
            if let Socket::Tcp(client) = socket {
                // A connection that breaks ends both sides; there is nothing to report.
                let _ = relay(client, number, wire, &watched);
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

#[derive(Clone, Copy)]
struct Wire {
    to: SocketAddr,
    delay: Duration,
    forgets_after: Option<Duration>,
}

fn relay(client: TcpStream, number: usize, wire: Wire, pool: &Pool) -> std::io::Result<()> {
    let server = TcpStream::connect(wire.to)?;
    server.set_nodelay(true)?;
    pool.watch(number, &Socket::Tcp(server.try_clone()?))?;
    // The kernel has accepted at once. On a wire of this length the client could send only a round trip later.
    let open = Instant::now() + 2 * wire.delay;
    let used = Mutex::new(Instant::now());
    let (client_out, server_out) = (client.try_clone()?, server.try_clone()?);
    std::thread::scope(|scope| {
        let used = &used;
        for (from, into) in [(client, server_out), (server, client_out)] {
            let (send, receive) = mpsc::channel();
            scope.spawn(move || take(from, &send, open, wire, used));
            scope.spawn(move || deliver(&receive, into, pool));
        }
    });
    Ok(())
}

/// Bytes and the moment at which they arrive; no bytes are the end.
type Parcel = (Instant, Vec<u8>);

fn take(mut from: TcpStream, parcels: &Sender<Parcel>, open: Instant, wire: Wire, used: &Mutex<Instant>) {
    let mut buffer = [0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        let now = Instant::now();
        let idle = now.duration_since(std::mem::replace(&mut *lock(used), now));
        if wire.forgets_after.is_some_and(|limit| idle >= limit) {
            // The ends of the connection stay open, and hear nothing more of each other.
            while from.read(&mut buffer).is_ok_and(|count| count > 0) {}
            return;
        }
        let arrival = now.max(open) + wire.delay;
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
