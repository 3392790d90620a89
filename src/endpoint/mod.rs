//! The container credentials endpoint of the AWS SDKs, on loopback: an HTTP server with one document, for those who know
//! its token. The only user of hyper's server.
//!
//! It knows neither Vault nor AWS: what it answers is [`EndpointAnswer`], asked for at each request.

mod gate;

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::Secret;

use gate::Gate;

/// So many connections are held at once. Others wait until the system's queue has their turn.
const MOST_CONNECTIONS: usize = 64;
/// So long one connection has. botocore gives up after two seconds too.
const PATIENCE: Duration = Duration::from_secs(2);
/// So large a request may be, in bytes. SDKs send fewer than 500. hyper takes no smaller limit.
const LARGEST_REQUEST: usize = 8192;
/// Until the system may have open files again.
const FILES_PAUSE: Duration = Duration::from_millis(50);
/// For everybody who is not let in. It does not say why.
const FORBIDDEN: &str = r#"{"code":"Forbidden","message":"ci-creds refuses this request"}"#;

/// What the endpoint answers: a document of JSON.
pub(crate) enum EndpointAnswer {
    /// A credential.
    Credential(Secret),
    /// Why there is none.
    Failure(String),
}

/// An endpoint whose port is open.
pub(crate) struct Endpoint {
    listener: TcpListener,
    gate: Gate,
    uri: String,
}

impl Endpoint {
    /// Opens a port of 127.0.0.1 that the system chooses. Returns the token that a request must bring, which is 256 random
    /// bits, beside it. Inside a runtime.
    ///
    /// # Errors
    /// [`Kind::Os`] when the system gives no port or no random bytes.
    pub(crate) async fn open(host: &Host) -> Result<(Self, Secret)> {
        let failed = |cause| Error::new(Kind::Os, "cannot open a port on 127.0.0.1 (--serve)").cause(cause);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let authority = listener.local_addr().map_err(failed)?.to_string();
        let token = Secret::new(host.draw_word()? + &host.draw_word()?);
        let uri = format!("http://{authority}{}", gate::PATH);
        let gate = Gate::new(authority, &token, host.draw_bytes::<32>()?.as_slice());
        Ok((Self { listener, gate, uri }, token))
    }

    /// Where it is: `http://127.0.0.1:PORT/get-credentials`. A literal address, because the SDK for JavaScript takes no
    /// other one of loopback and the one for Kotlin no name; and a path, because the one for Ruby wants one.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// Answers every request. Dropping the future closes the connections.
    pub(crate) async fn serve(&self, answer: impl Fn() -> EndpointAnswer) -> Infallible {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < MOST_CONNECTIONS => match accepted {
                    Ok((stream, _)) => open.push(self.hold(stream, &answer)),
                    Err(_) => sleep(FILES_PAUSE).await,
                },
                Some(()) = open.next(), if !open.is_empty() => {}
            }
        }
    }

    /// One request, and the end of its connection. What goes wrong on it is its caller's to see.
    async fn hold(&self, stream: TcpStream, answer: &impl Fn() -> EndpointAnswer) {
        let service = service_fn(|request| ready(Ok::<_, Infallible>(self.respond(&request, answer))));
        let connection = http1::Builder::new()
            .keep_alive(false)
            .auto_date_header(false)
            .max_buf_size(LARGEST_REQUEST)
            .serve_connection(TokioIo::new(stream), service);
        let _ = timeout(PATIENCE, connection).await;
    }

    fn respond<B>(&self, request: &Request<B>, answer: &impl Fn() -> EndpointAnswer) -> Response<String> {
        let (status, text) = match self.gate.lets_in(request).then(answer) {
            Some(EndpointAnswer::Credential(document)) => (StatusCode::OK, document.expose().to_owned()),
            Some(EndpointAnswer::Failure(document)) => (StatusCode::INTERNAL_SERVER_ERROR, document),
            None => (StatusCode::FORBIDDEN, FORBIDDEN.to_owned()),
        };
        let mut response = Response::new(text);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
