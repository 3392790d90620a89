//! Gives what the database engine answers the names of AWS's engine: `username` and `password` become `access_key` and
//! `secret_key`. All else passes as it is, and a caller who leaves is gone for the server too.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

pub struct Adapter {
    pub address: SocketAddr,
}

impl Adapter {
    /// In front of a server that speaks plain HTTP.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        // It ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || relay(&client, server));
            }
        });
        Self { address }
    }
}

fn relay(client: &TcpStream, server: SocketAddr) {
    let server = TcpStream::connect(server).expect("the server listens");
    for socket in [client, &server] {
        socket.set_nodelay(true).expect("a socket");
    }
    // Either side may leave at any time: that is what it is for.
    let leave = || drop((client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::copy(&mut &*client, &mut &server);
            leave();
        });
        let mut answers = BufReader::new(&server);
        while let Ok(Some(answer)) = read_answer(&mut answers) {
            if (&*client).write_all(&answer).is_err() {
                break;
            }
        }
        leave();
    });
}

/// The next answer with its new names; none when the server has no more to say.
fn read_answer(server: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if server.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        // Vault sends no answer of a login, a credential or a revocation in chunks: they are short.
        assert!(!line.to_ascii_lowercase().starts_with("transfer-encoding"), "{head}{line}");
        match line.to_ascii_lowercase().strip_prefix("content-length:") {
            Some(number) => length = number.trim().parse().expect("a length"),
            None => head += &line,
        }
    }
    let mut body = vec![0; length];
    server.read_exact(&mut body)?;
    let body = String::from_utf8(body).expect("JSON");
    let body = body.replace("\"username\":", "\"access_key\":").replace("\"password\":", "\"secret_key\":");
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    Ok(Some(format!("{head}{length}\r\n{body}").into_bytes()))
}
