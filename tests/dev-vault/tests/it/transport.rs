//! TLS in its variants, the Unix socket, and starting and stopping.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dev_vault::{DevVault, Dialect, Fault, On, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};

use crate::support::{Response, encode, eventually};

type TlsStream = StreamOwned<ClientConnection, TcpStream>;

fn connect(vault: &DevVault, name: &str, with_certificate: bool) -> Result<TlsStream, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(vault.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = if with_certificate {
        let identity = vault.client_identity();
        let certificate = CertificateDer::from_pem_slice(identity.cert_pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
        builder.with_client_auth_cert(vec![certificate], key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(vault.socket_address()).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| error.to_string())?;
    }
    Ok(StreamOwned::new(connection, socket))
}

fn health(stream: &mut (impl Read + Write)) -> Option<Response> {
    stream.write_all(&encode("GET", "/v1/sys/health", &[], None)).ok()?;
    Response::read(stream)
}

fn start(tls: Tls) -> DevVault {
    DevVault::builder().dialect(Dialect::Vault1_16).tls(tls).start()
}

#[test]
fn a_good_certificate_is_good_for_both_names() {
    let vault = start(Tls::Valid);
    assert!(vault.address().starts_with("https://127.0.0.1:"));
    for name in ["127.0.0.1", "localhost"] {
        let mut stream = connect(&vault, name, false).unwrap();
        assert_eq!(health(&mut stream).unwrap().status, 200);
        assert_eq!(health(&mut stream).unwrap().status, 200, "on the same connection");
    }
    assert!(vault.requests().iter().all(|request| request.tls));
    assert_eq!((vault.connections(), vault.handshakes(), vault.requests().len()), (2, 2, 4));
}

#[test]
fn bad_certificates_are_bad_in_their_own_way() {
    for (tls, reason) in
        [(Tls::Expired, "expired"), (Tls::NotYetValid, "not valid yet"), (Tls::WrongName, "not valid for name")]
    {
        let vault = start(tls);
        let error = connect(&vault, "127.0.0.1", false).err().unwrap();
        assert!(error.contains(reason), "{tls:?}: {error}");
        assert!(vault.requests().is_empty());
    }
}

#[test]
fn an_old_server_speaks_tls_1_2() {
    let vault = start(Tls::Tls12Only);
    let mut stream = connect(&vault, "127.0.0.1", false).unwrap();
    assert_eq!(stream.conn.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(health(&mut stream).unwrap().status, 200);
}

#[test]
fn a_server_can_insist_on_a_client_certificate() {
    let vault = DevVault::builder().tls(Tls::Valid).require_client_certificate().start();
    assert_eq!(health(&mut connect(&vault, "127.0.0.1", true).unwrap()).unwrap().status, 200);
    let refused = connect(&vault, "127.0.0.1", false).ok().and_then(|mut stream| health(&mut stream));
    assert!(refused.is_none());
    assert!(eventually(|| (vault.handshakes(), vault.failed_handshakes().len()) == (1, 1)));
}

#[test]
fn a_cut_answer_over_tls_ends_without_goodbye() {
    let vault = start(Tls::Valid);
    vault.inject(On::any(), Fault::cut_answer(30));
    let mut stream = connect(&vault, "127.0.0.1", false).unwrap();
    stream.write_all(&encode("GET", "/v1/sys/health", &[], None)).unwrap();
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).unwrap_err();
    assert_eq!((bytes.len(), error.kind()), (30, std::io::ErrorKind::UnexpectedEof));
}

#[test]
fn a_handshake_can_be_denied() {
    let vault = start(Tls::Valid);
    vault.inject(On::connection(), Fault::close_before_handshake());
    assert!(connect(&vault, "127.0.0.1", false).is_err());
    assert!(connect(&vault, "127.0.0.1", false).is_ok());
    assert!(eventually(|| (vault.connections(), vault.handshakes()) == (2, 1)));
}

#[test]
fn plain_http_on_a_tls_port_is_answered_like_go_does() {
    let vault = start(Tls::Valid);
    let mut stream = TcpStream::connect(vault.socket_address()).unwrap();
    stream.write_all(&encode("GET", "/v1/sys/health", &[], None)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{text}");
    assert!(text.ends_with("Client sent an HTTP request to an HTTPS server.\n"));
}

#[test]
fn a_unix_socket_is_served_too_and_removed_in_the_end() {
    let path = std::env::temp_dir().join(format!("dev-vault-{}.sock", std::process::id()));
    let vault = DevVault::builder().unix_socket(&path).start();
    assert_eq!(vault.unix_socket(), Some(path.as_path()));
    assert_eq!(health(&mut UnixStream::connect(&path).unwrap()).unwrap().status, 200);
    drop(vault);
    assert!(!path.exists());
}

#[test]
fn starting_and_stopping_takes_milliseconds_with_connections_open() {
    let started = Instant::now();
    for _ in 0..10 {
        let vault = start(Tls::Valid);
        let _idle = TcpStream::connect(vault.socket_address()).unwrap();
    }
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
}

#[test]
fn nothing_but_loopback_is_bound() {
    assert!(DevVault::start(Dialect::Vault1_8).socket_address().ip().is_loopback());
}

#[test]
#[should_panic(expected = "a thread of the double panicked: the test's own rewriting failed")]
fn a_panic_inside_surfaces_when_the_server_is_dropped() {
    let vault = DevVault::start(Dialect::Vault1_16);
    vault.inject(On::any(), Fault::rewrite(Box::new(|_| panic!("the test's own rewriting failed"))));
    assert!(health(&mut TcpStream::connect(vault.socket_address()).unwrap()).is_none());
    drop(vault);
}
