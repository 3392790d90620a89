//! Which connection a request goes on: the one that is kept, when it is alive as far as this system knows, or a new one.
//!
//! A connection that the server has ended loses the next request, and nobody can tell whether that was done before the
//! end. The kernel knows which bytes were acknowledged (`TCP_INFO`), but reqwest lends no socket and no library here has
//! the call. It would be no proof either: Linux does not count what a reset acknowledges.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::Version;
use reqwest::header::CONNECTION;

use crate::error::Result;

/// A connection that was silent for so long is not used again: it may have been ended, or forgotten by what stands in
/// between, without our hearing of it. The shortest limits in the field are Node's and Apache's: five seconds.
const IDLE: Duration = Duration::from_secs(1);

/// So long an end may lag behind its answer: what a server takes from one call to the next. It is waited for where a
/// request that spends would be the first on a kept connection. tokio counts in milliseconds.
const LAG: Duration = Duration::from_millis(1);

/// The connections to one server, and to where it redirects.
pub(super) struct Connections {
    /// Keeps one between requests.
    kept: reqwest::Client,
    /// Makes a new one for each request. Built when it is needed, which most runs never see.
    fresh: OnceCell<reqwest::Client>,
    /// What it is built of.
    spare: RefCell<Option<reqwest::ClientBuilder>>,
    /// Our end of the connection that each start of a URL was last answered on, if it was to be kept. A Unix socket's has
    /// no address.
    ends: RefCell<BTreeMap<String, Option<SocketAddr>>>,
    /// Whether the next one may be kept.
    trust: Cell<KeepAlive>,
}

/// What a server has shown of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeepAlive {
    /// Nothing: no connection has been used twice yet.
    None,
    /// It answers on a connection that was kept.
    Earned,
    /// It ended one without a word, and will do it again.
    Lost,
}

impl Connections {
    /// `builder` makes equal clients. Nothing is opened yet.
    pub(super) fn new(builder: impl Fn() -> Result<reqwest::ClientBuilder>) -> Result<Self> {
        Ok(Self {
            kept: super::setup::build(builder()?.pool_max_idle_per_host(1).pool_idle_timeout(IDLE))?,
            fresh: OnceCell::new(),
            spare: RefCell::new(Some(builder()?.pool_max_idle_per_host(0))),
            ends: RefCell::default(),
            trust: Cell::new(KeepAlive::None),
        })
    }

    /// Who sends the next request. `spends`: a lost one costs something that is not had again.
    pub(super) async fn next(&self, spends: bool) -> &reqwest::Client {
        if self.trust.get() == KeepAlive::Lost {
            return self.fresh();
        }
        if spends && self.trust.get() == KeepAlive::None && !self.ends.borrow().is_empty() {
            tokio::time::sleep(LAG).await;
        }
        // We send on as soon as an answer is there, in the same turn of the runtime: an end that came behind the answer
        // would not be seen. In one turn the system is asked for it, in the other the connection takes notice.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        &self.kept
    }

    /// A connection broke before an answer was there. Who sends in its place, if it can have been a kept one.
    pub(super) fn note_loss(&self) -> Option<&reqwest::Client> {
        if self.ends.borrow().is_empty() {
            return None;
        }
        self.trust.set(KeepAlive::Lost);
        Some(self.fresh())
    }

    /// Its settings are those of the kept one, which was built: this one does not fail.
    fn fresh(&self) -> &reqwest::Client {
        let built = || self.spare.take().and_then(|builder| super::setup::build(builder).ok());
        self.fresh.get_or_init(|| built().unwrap_or_else(|| self.kept.clone()))
    }

    /// Nothing is sent for so long: a new connection after it says nothing about the server.
    pub(super) fn note_pause(&self, duration: Duration) {
        if duration >= IDLE {
            self.ends.borrow_mut().clear();
        }
    }

    /// An answer came. On another connection than the one before it, though that one was to be kept: it was ended.
    pub(super) fn note_answer(&self, base: &str, response: &reqwest::Response) {
        let end = response.extensions().get::<HttpInfo>().map(HttpInfo::local_addr);
        let said = response.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let mut words = said.flat_map(|text| text.split(',')).map(str::trim);
        let kept = response.version() >= Version::HTTP_11 && !words.any(|word| word.eq_ignore_ascii_case("close"));
        let mut ends = self.ends.borrow_mut();
        match ends.get(base) {
            Some(before) if *before != end => self.trust.set(KeepAlive::Lost),
            Some(_) if self.trust.get() == KeepAlive::None => self.trust.set(KeepAlive::Earned),
            _ => {}
        }
        if kept {
            ends.insert(base.to_owned(), end);
        } else {
            ends.remove(base);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::super::fault;
    use super::*;

    /// A server that answers, and resets the connection when it is told to, over bytes that it left unread; then it
    /// answers on another one.
    struct Server {
        url: String,
        connections: Connections,
        tell: Sender<()>,
        done: Receiver<()>,
    }

    impl Server {
        fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let ((tell, told), (say_done, done)) = (channel(), channel());
            std::thread::spawn(move || {
                for wanted in [1, 4096] {
                    let (mut stream, _) = listener.accept().unwrap();
                    assert!(stream.read(&mut vec![0; wanted]).unwrap() > 0);
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
                    let _ = told.recv();
                    drop(stream);
                    let _ = say_done.send(());
                }
            });
            let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
            let tls = tls.with_safe_default_protocol_versions().unwrap();
            let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
            let client = || Ok(reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls.clone()));
            Self { url, connections: Connections::new(client).unwrap(), tell, done }
        }

        async fn ask(&self, client: &reqwest::Client) -> Result<(), reqwest::Error> {
            let answer = client.get(&self.url).send().await?;
            self.connections.note_answer(&self.url, &answer);
            answer.bytes().await.map(|_| ())
        }

        /// Behind this the reset is in this system, and nobody has told the runtime.
        fn reset(&self) {
            self.tell.send(()).unwrap();
            self.done.recv().unwrap();
        }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn what_a_dead_connection_does_not_take_was_not_sent() {
        run(async {
            let server = Server::start();
            server.ask(&server.connections.kept).await.unwrap();
            server.reset();
            let error = server.ask(&server.connections.kept).await.unwrap_err();
            assert!(fault::is_unsent(&error), "{error:?}");
        });
    }

    #[test]
    fn an_end_that_has_arrived_is_seen_before_the_next_request_and_no_connection_is_kept_from_then_on() {
        run(async {
            let server = Server::start();
            server.ask(server.connections.next(false).await).await.unwrap();
            server.reset();
            server.ask(server.connections.next(false).await).await.unwrap();
            assert_eq!(server.connections.trust.get(), KeepAlive::Lost);
        });
    }

    #[test]
    fn an_end_that_lags_behind_is_waited_for_before_the_first_request_that_spends() {
        run(async {
            let server = Server::start();
            server.ask(server.connections.next(true).await).await.unwrap();
            // The end comes two turns later: by then, who does not wait has decided.
            let lagging = async {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                server.reset();
            };
            let (client, ()) = tokio::join!(server.connections.next(true), lagging);
            server.ask(client).await.unwrap();
            assert_eq!(server.connections.trust.get(), KeepAlive::Lost);
        });
    }
}
