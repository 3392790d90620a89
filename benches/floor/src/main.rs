//! The floor of the benchmark: the chain's four requests on one connection, and nothing else.
//!
//! A program of its own, built as the release binary is. It must not get clever: no arguments, no checks, no
//! clean-up, no HTTP beyond what these four answers need. What `ci-creds` costs above it is what its care costs.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the least that works"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

type Wire = StreamOwned<ClientConnection, TcpStream>;

fn main() {
    let address = variable("VAULT_ADDR").expect("VAULT_ADDR");
    let role = variable("VAULT_APPROLE_ROLE").expect("VAULT_APPROLE_ROLE");
    let role_id = variable("VAULT_ROLE_ID").expect("VAULT_ROLE_ID");
    let wrapping_token = variable("VAULT_WRAPPING_TOKEN").expect("VAULT_WRAPPING_TOKEN");
    let authority = address.strip_prefix("https://").expect("an https address");
    let mut wire = connect(authority);

    let body = format!(r#"{{"token":"{wrapping_token}"}}"#);
    let looked_up = exchange(&mut wire, authority, "POST sys/wrapping/lookup", None, &body);
    let made_by = text(&looked_up, "creation_path");
    assert_eq!(made_by, format!("auth/approle/role/{role}/secret-id"));
    let unwrapped = exchange(&mut wire, authority, "POST sys/wrapping/unwrap", Some(&wrapping_token), "");
    let secret_id = text(&unwrapped, "secret_id");
    let body = format!(r#"{{"role_id":"{role_id}","secret_id":"{secret_id}"}}"#);
    let login = exchange(&mut wire, authority, "POST auth/approle/login", None, &body);
    let token = text(&login, "client_token");
    let key = exchange(&mut wire, authority, &format!("GET exoscale/apikey/{role}"), Some(token), "");

    let (api_key, api_secret) = (text(&key, "api_key"), text(&key, "api_secret"));
    println!("export EXOSCALE_API_KEY='{api_key}';\nexport EXOSCALE_API_SECRET='{api_secret}';");
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn connect(authority: &str) -> Wire {
    let pem = std::fs::read(variable("VAULT_CACERT").expect("VAULT_CACERT")).expect("the CA's file");
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_owned();
    let connection =
        ClientConnection::new(Arc::new(config), ServerName::try_from(host).expect("a server name")).expect("TLS");
    let socket = TcpStream::connect(authority).expect("a connection");
    socket.set_nodelay(true).expect("TCP_NODELAY");
    StreamOwned::new(connection, socket)
}

/// Sends one request in one write and reads one answer, which has a `Content-Length`.
fn exchange(wire: &mut Wire, authority: &str, line: &str, token: Option<&str>, body: &str) -> String {
    let (method, path) = line.split_once(' ').expect("METHOD path");
    let token = token.map_or(String::new(), |token| format!("X-Vault-Token: {token}\r\n"));
    let request = format!(
        "{method} /v1/{path} HTTP/1.1\r\nHost: {authority}\r\nX-Vault-Request: true\r\n{token}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.write_all(request.as_bytes()).expect("a request");
    let mut answer = Vec::with_capacity(4096);
    let mut buffer = [0; 4096];
    loop {
        let count = wire.read(&mut buffer).expect("an answer");
        assert_ne!(count, 0, "the answer of {path} is cut off");
        answer.extend_from_slice(&buffer[..count]);
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).expect("a length");
            if answer.len() - end - 4 >= length.parse::<usize>().expect("a length") {
                return String::from_utf8_lossy(&answer[end + 4..]).into_owned();
            }
        }
    }
}

/// The text of the first field of this name.
fn text<'a>(json: &'a str, name: &str) -> &'a str {
    let value = json.split(&format!("\"{name}\":\"")).nth(1).and_then(|rest| rest.split('"').next());
    value.unwrap_or_else(|| panic!("no {name} in {json}"))
}
