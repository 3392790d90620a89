//! One connection's bytes, whatever carries them: TCP, TLS over TCP, or a Unix socket.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustls::pki_types::CertificateDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Go's own words.
const HTTP_ON_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// What was accepted, before TLS.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// Ends both directions, for every clone of the socket.
    pub(crate) fn shutdown(&self) {
        // A peer that is already gone makes this fail, which is what we want anyway.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    /// Whether the first byte that comes is a letter, as in `GET`; it stays where it is.
    pub(crate) fn speaks_text(&self) -> bool {
        let mut first = [0];
        match self {
            Self::Tcp(stream) => {
                stream.peek(&mut first).is_ok_and(|count| count == 1) && first[0].is_ascii_alphabetic()
            }
            Self::Unix(_) => true,
        }
    }

    pub(crate) fn peer(&self) -> IpAddr {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        match self {
            Self::Tcp(stream) => stream.peer_addr().map_or(loopback, |address| address.ip()),
            Self::Unix(_) => loopback,
        }
    }

    /// Whether the first bytes are those of a plain request.
    fn speaks_http(&self) -> bool {
        let mut start = [0; 5];
        let Self::Tcp(stream) = self else { return false };
        let seen = stream.peek(&mut start).unwrap_or(0);
        [&b"GET /"[..], b"HEAD ", b"POST ", b"PUT /", b"OPTIO", b"LIST ", b"DELET"].contains(&&start[..seen])
    }

    /// Reads what is already there, for closing over unread bytes would be an RST.
    fn drain(&mut self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
            while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
        }
    }

    /// Whether nothing comes for so long. What comes stays where it is; an end is something too.
    fn is_idle_for(&self, time: Duration) -> bool {
        // To the system, no time is no limit.
        if time.is_zero() {
            return true;
        }
        let _ = self.set_read_timeout(Some(time));
        let first = match self {
            Self::Tcp(stream) => recv(stream, &mut [0; 1], RecvFlags::PEEK),
            Self::Unix(stream) => recv(stream, &mut [0; 1], RecvFlags::PEEK),
        };
        let _ = self.set_read_timeout(None);
        first.err() == Some(Errno::AGAIN)
    }

    fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(time),
            Self::Unix(stream) => stream.set_read_timeout(time),
        }
    }

    /// Blocks until there is something to read, if only the end; it stays where it is.
    fn wait_for_byte_or_end(&self) -> io::Result<()> {
        let mut byte = [0];
        let flags = RecvFlags::PEEK;
        loop {
            let seen = match self {
                Self::Tcp(stream) => recv(stream, &mut byte, flags),
                Self::Unix(stream) => recv(stream, &mut byte, flags),
            };
            match seen {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes the close an RST.
    fn linger_not(&self) {
        if let Self::Tcp(stream) = self {
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection ready for HTTP.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ServerConnection, Socket>>),
}

impl Stream {
    /// Shakes hands, when there is a configuration for it.
    pub(crate) fn open(mut socket: Socket, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let Some(config) = tls else { return Ok(Self::Plain(socket)) };
        if socket.speaks_http() {
            socket.write_all(HTTP_ON_TLS)?;
            socket.drain();
            return Err(io::Error::other("client sent an HTTP request to an HTTPS server"));
        }
        let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// What the client has proved to hold: its certificate, and what it sent with it.
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Tls(stream) => {
                let chain = stream.conn.peer_certificates().unwrap_or_default();
                chain.iter().map(|certificate| certificate.clone().into_owned()).collect()
            }
        }
    }

    fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    /// Whether the peer sends nothing for so long.
    pub(crate) fn is_idle_for(&mut self, time: Duration) -> bool {
        self.socket().is_idle_for(time)
    }

    /// Says goodbye: `close_notify` on TLS, then FIN.
    pub(crate) fn close(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        self.cut();
    }

    /// FIN without a goodbye.
    pub(crate) fn cut(&mut self) {
        self.socket().shutdown();
    }

    /// RST instead of FIN, when the stream is dropped.
    pub(crate) fn reset(mut self) {
        self.socket().linger_not();
    }

    /// Writes to the socket, whatever is spoken on it.
    pub(crate) fn write_below(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket().write_all(bytes)
    }

    /// Whether the peer closes, or the server is dropped, within that time. A peer that waits for an answer sends nothing.
    pub(crate) fn is_left_within(&mut self, time: Duration) -> io::Result<bool> {
        let socket = self.socket();
        socket.set_read_timeout(Some(time))?;
        let left = socket.wait_for_byte_or_end();
        socket.set_read_timeout(None)?;
        match left {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            // An RST.
            Err(_) => Ok(true),
        }
    }

    /// Blocks until the peer closes, or the server is dropped.
    pub(crate) fn wait_for_end(&mut self) {
        let mut buffer = [0; 1024];
        while self.socket().read(&mut buffer).is_ok_and(|count| count > 0) {}
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
