//! The slow cloud: between a real server and PostgreSQL. What the server asks for is done at once and confirmed late:
//! who loses patience has made a user and does not know it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct SlowCloud {
    pub address: SocketAddr,
    made: Arc<Mutex<Vec<String>>>,
}

impl SlowCloud {
    /// `milliseconds` is how long it keeps the end of each transaction to itself.
    pub fn start(database: SocketAddr, milliseconds: RangeInclusive<u64>, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let made = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&made);
        let mut random = fastrand::Rng::with_seed(seed);
        // It ends with the process: a server may connect at any time.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(database).expect("the database listens");
                let (random, milliseconds) = (random.fork(), milliseconds.clone());
                relay(client, server, Arc::clone(&list), random, milliseconds);
            }
        });
        Self { address, made }
    }

    /// The users that it was told to make.
    pub fn made(&self) -> Vec<String> {
        self.made.lock().expect("a list").clone()
    }
}

fn relay(
    client: TcpStream,
    server: TcpStream,
    made: Arc<Mutex<Vec<String>>>,
    mut random: fastrand::Rng,
    milliseconds: RangeInclusive<u64>,
) {
    for socket in [&client, &server] {
        socket.set_nodelay(true).expect("a socket");
    }
    let ended = Arc::new(Mutex::new(false));
    let (into_server, into_client) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    let asked = Arc::clone(&ended);
    std::thread::spawn(move || {
        let mut transaction = Vec::new();
        copy(client, into_server, |bytes| {
            transaction.extend_from_slice(bytes);
            if transaction.windows(7).any(|window| window.eq_ignore_ascii_case(b"commit\0")) {
                let text = String::from_utf8_lossy(&transaction).into_owned();
                let name = text.split_once("CREATE ROLE \"").and_then(|(_, rest)| rest.split_once('"'));
                made.lock().expect("a list").extend(name.map(|(name, _)| name.to_owned()));
                transaction.clear();
                *asked.lock().expect("a mark") = true;
            }
        });
    });
    std::thread::spawn(move || {
        copy(server, into_client, |_| {
            if std::mem::take(&mut *ended.lock().expect("a mark")) {
                std::thread::sleep(Duration::from_millis(random.u64(milliseconds.clone())));
            }
        });
    });
}

/// Ends both when one side ends.
fn copy(mut from: TcpStream, mut into: TcpStream, mut see: impl FnMut(&[u8])) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        see(&buffer[..count]);
        if into.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Ended already, perhaps.
    let _ = (from.shutdown(Shutdown::Both), into.shutdown(Shutdown::Both));
}
