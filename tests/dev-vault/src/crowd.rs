//! A port that lets nobody in: its queue is full, and the system drops whoever knocks, without a word.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Such a port, for as long as this lives.
#[derive(Debug)]
pub struct Crowd {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Crowd {
    /// Takes a port and fills its queue.
    ///
    /// # Panics
    /// When no port can be had, or the system lets everybody in.
    #[must_use]
    pub fn gather() -> Self {
        /// The first two or three get in at once; on loopback, who is not in by then is left outside.
        const OUTSIDE: Duration = Duration::from_millis(500);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port can be had");
        rustix::net::listen(&listener, 0).expect("the shortest queue");
        let address = listener.local_addr().expect("its port");
        let mut queue = Vec::new();
        for _ in 0..100 {
            match TcpStream::connect_timeout(&address, OUTSIDE) {
                Ok(stream) => queue.push(stream),
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Self { address, _listener: listener, _queue: queue };
                }
                Err(error) => panic!("a full queue answers: {error}"),
            }
        }
        panic!("this system's queues are never full");
    }

    /// Where nobody gets in.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
