//! Every fault, told by what the client sees and by what the server did.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use dev_vault::{Dialect, Fault, On, Recorded, Reply};
use serde_json::json;

use crate::setup::Team;
use crate::support::{Response, encode};

const PATH: &str = "/v1/exoscale/apikey/ci";

struct Scene {
    team: Team,
    token: String,
}

impl Scene {
    fn new(fault: Fault) -> Self {
        let team = Team::new(Dialect::Vault1_16);
        let token = team.token();
        team.vault.forget_requests();
        team.vault.inject(On::get("/apikey/ci"), fault);
        Self { team, token }
    }

    fn ask(&self) -> Option<Response> {
        self.team.client.try_send("GET", PATH, &[("X-Vault-Token", &self.token)], None)
    }

    fn minted(&self) -> usize {
        self.team.vault.minted().values().sum()
    }

    fn last(&self) -> Recorded {
        self.team.vault.requests().pop().expect("a request")
    }

    /// Whatever the fault was, it is spent, and the next request is well.
    fn is_over(&self) -> bool {
        self.ask().is_some_and(|response| response.status == 200 && response.json()["data"].is_object())
    }

    /// Sends the request and reads what comes, to the end.
    fn raw(&self) -> (Vec<u8>, Option<ErrorKind>) {
        let mut stream = self.team.client.connect();
        stream.write_all(&encode("GET", PATH, &[("X-Vault-Token", &self.token)], None)).unwrap();
        let mut bytes = Vec::new();
        let error = stream.read_to_end(&mut bytes).err().map(|error| error.kind());
        (bytes, error)
    }
}

#[test]
fn a_cut_request_was_never_processed() {
    let scene = Scene::new(Fault::cut_request(60));
    assert!(scene.ask().is_none());
    let request = scene.last();
    assert_eq!((request.fault, request.complete, request.processed), (Some("cut_request"), false, false));
    assert_eq!((request.status, request.read), (None, 60), "the rest was sent, and not read");
    assert_eq!(scene.minted(), 0);
    assert!(scene.is_over());
}

#[test]
fn a_cut_request_is_read_to_the_byte() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.inject(On::write("/login"), Fault::cut_request(70));
    let mut stream = team.client.connect();
    let raw = encode("PUT", "/v1/auth/approle/login", &[], Some("{\"role_id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"));
    stream.write_all(&raw[..70]).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed without waiting for more");
    assert_eq!(team.vault.requests()[0].read, 70);
}

#[test]
fn a_fault_also_meets_a_connection_that_is_already_waiting() {
    let team = Team::new(Dialect::Vault1_16);
    let mut stream = team.client.connect();
    let health = encode("GET", "/v1/sys/health", &[], None);
    stream.write_all(&health).unwrap();
    assert_eq!(Response::read(&mut stream).unwrap().status, 200);
    team.vault.inject(On::any(), Fault::cut_request(health.len() - 3));
    stream.write_all(&health).unwrap();
    assert!(Response::read(&mut stream).is_none());
    assert_eq!(team.vault.requests()[1].read, health.len() - 3);
}

#[test]
fn a_dropped_request_was_read_and_not_processed() {
    let scene = Scene::new(Fault::drop_request());
    assert!(scene.ask().is_none());
    let request = scene.last();
    assert!(request.complete && !request.processed);
    assert_eq!(scene.minted(), 0);
    assert!(scene.is_over());
}

#[test]
fn a_cut_answer_was_processed_and_ends_with_fin() {
    let scene = Scene::new(Fault::cut_answer(40));
    let (bytes, error) = scene.raw();
    assert_eq!((bytes.len(), error), (40, None));
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!((scene.last().status, scene.last().processed), (Some(200), true));
    assert_eq!((scene.minted(), scene.team.vault.live_leases().len()), (1, 1), "the key exists, nobody knows it");
    assert!(scene.is_over());
}

#[test]
fn a_reset_answer_ends_with_rst() {
    let scene = Scene::new(Fault::reset_answer(0));
    let (bytes, error) = scene.raw();
    assert_eq!((bytes.len(), error), (0, Some(ErrorKind::ConnectionReset)));
    assert_eq!(scene.minted(), 1);
    assert!(scene.is_over());
}

#[test]
fn a_server_can_hang_before_or_after_it_has_acted() {
    for (fault, minted) in [(Fault::hang_before(), 0), (Fault::hang_after(), 1)] {
        let scene = Scene::new(fault);
        let mut stream = scene.team.client.connect();
        stream.set_read_timeout(Some(Duration::from_millis(80))).unwrap();
        stream.write_all(&encode("GET", PATH, &[("X-Vault-Token", &scene.token)], None)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(scene.team.vault.wait_for_requests(1, Duration::from_secs(5)));
        assert_eq!(scene.minted(), minted);
        assert!(scene.is_over());
    }
}

#[test]
fn dropping_a_hanging_server_does_not_hang() {
    let scene = Scene::new(Fault::hang_before());
    let mut stream = scene.team.client.connect();
    stream.write_all(&encode("GET", PATH, &[], None)).unwrap();
    assert!(scene.team.vault.wait_for_requests(1, Duration::from_secs(5)));
    let started = Instant::now();
    drop(scene);
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn an_answer_can_be_put_in_vaults_place_or_after_its_act() {
    let reply = || Reply::error(503, "Vault is sealed").header("Retry-After", "0");
    for (fault, minted) in [(Fault::answer(reply()), 0), (Fault::answer_after(reply()), 1)] {
        let scene = Scene::new(fault);
        let response = scene.ask().unwrap();
        assert_eq!((response.status, response.error()), (503, "Vault is sealed".to_owned()));
        assert_eq!(response.header("retry-after"), Some("0"));
        assert_eq!(scene.minted(), minted);
        assert_eq!((scene.last().status, scene.last().processed), (Some(503), minted == 1));
        assert!(scene.is_over());
    }
}

#[test]
fn answers_can_be_pages_or_empty_or_strange() {
    let replies = [
        (Reply::html(502, "<h1>Bad Gateway</h1>"), 502, "text/html", "<h1>Bad Gateway</h1>"),
        (Reply::status(200), 200, "application/json", ""),
        (Reply::status(204), 204, "application/json", ""),
        (Reply::status(473), 473, "application/json", ""),
        (Reply::json(404, &json!({ "data": null })), 404, "application/json", "{\"data\":null}\n"),
        (Reply::status(200).body("{\"data\":"), 200, "application/json", "{\"data\":"),
    ];
    for (reply, status, kind, body) in replies {
        let response = Scene::new(Fault::answer(reply)).ask().unwrap();
        assert_eq!((response.status, response.header("content-type")), (status, Some(kind)));
        assert_eq!(response.body, body);
    }
}

#[test]
fn a_redirect_carries_its_location_and_no_body() {
    let scene = Scene::new(Fault::redirect(307, "https://elsewhere.example.com/v1/x?y"));
    let response = scene.ask().unwrap();
    assert_eq!((response.status, response.body.as_str()), (307, ""));
    assert_eq!(response.header("location"), Some("https://elsewhere.example.com/v1/x?y"));
    assert_eq!(scene.minted(), 0);
}

#[test]
fn raw_bytes_are_sent_as_they_are() {
    let scene = Scene::new(Fault::raw(*b"SSH-2.0-OpenSSH_9.6\r\n"));
    assert_eq!(scene.raw(), (b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), None));
    assert!(scene.is_over());
}

#[test]
fn a_dripping_answer_takes_its_time_and_arrives() {
    let scene = Scene::new(Fault::drip(50, Duration::from_millis(5)));
    let started = Instant::now();
    let response = scene.ask().unwrap();
    assert!(response.json()["data"]["api_key"].is_string());
    let pieces = u32::try_from(response.body.len() / 50).unwrap();
    assert!(started.elapsed() >= pieces * Duration::from_millis(5));
    assert!(scene.is_over());
}

#[test]
fn a_delayed_request_is_processed_late() {
    let scene = Scene::new(Fault::delay(Duration::from_millis(60)));
    let started = Instant::now();
    assert_eq!(scene.ask().unwrap().status, 200);
    assert!(started.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_rewritten_answer_has_what_the_test_made_of_it() {
    let scene = Scene::new(Fault::rewrite(Box::new(|mut answer| {
        answer["data"]["api_key"] = json!(["not", "a", "string"]);
        answer
    })));
    let response = scene.ask().unwrap();
    assert_eq!(response.json()["data"]["api_key"], json!(["not", "a", "string"]));
    assert!(response.json()["lease_id"].is_string());
    assert_eq!(scene.minted(), 1);
    let scene = Scene::new(Fault::rewrite_bytes(Box::new(|mut body| {
        body.truncate(10);
        body
    })));
    assert_eq!(scene.ask().unwrap().body.len(), 10, "and its length fits");
}

#[test]
fn an_endless_answer_ends_when_the_client_goes_or_at_its_limit() {
    let scene = Scene::new(Fault::endless(u64::MAX));
    let mut stream = scene.team.client.connect();
    stream.write_all(&encode("GET", PATH, &[], None)).unwrap();
    let mut buffer = vec![0; 1 << 20];
    stream.read_exact(&mut buffer).unwrap();
    assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    drop(stream);
    let scene = Scene::new(Fault::endless(1 << 20));
    let (bytes, _) = scene.raw();
    assert!((1 << 20..2 << 20).contains(&bytes.len()), "{}", bytes.len());
    assert_eq!(scene.minted(), 0);
}

#[test]
fn a_connection_can_be_closed_before_anything_is_said() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.inject(On::connection().nth(2), Fault::close_before_handshake());
    let health = || team.client.try_send("GET", "/v1/sys/health", &[], None).map(|response| response.status);
    assert_eq!([health(), health(), health()], [Some(200), None, Some(200)]);
    assert_eq!(team.vault.connections(), 3);
    assert_eq!(team.vault.requests().len(), 2);
}

#[test]
fn faults_can_be_disarmed() {
    let scene = Scene::new(Fault::drop_request());
    scene.team.vault.clear_faults();
    assert!(scene.is_over());
}

#[test]
fn the_record_has_every_request_in_order_and_to_the_letter() {
    let team = Team::new(Dialect::Vault1_16);
    let mut stream = team.client.connect();
    for (method, path, body) in
        [("GET", "/v1/sys/health?activecode=200", None), ("PUT", "/v1/aws%2Fsts/x", Some("{\"ttl\": 1}"))]
    {
        stream.write_all(&encode(method, path, &[("X-Vault-Token", "t"), ("X-Vault-Token", "u")], body)).unwrap();
        Response::read(&mut stream).unwrap();
    }
    let requests = team.vault.requests();
    let lines: Vec<String> = requests.iter().map(Recorded::line).collect();
    assert_eq!(lines, ["GET /v1/sys/health", "PUT /v1/aws%2Fsts/x"]);
    assert_eq!(requests[0].query.as_deref(), Some("activecode=200"));
    assert_eq!((requests[1].body.as_slice(), requests[1].json()), (&b"{\"ttl\": 1}"[..], json!({ "ttl": 1 })));
    assert_eq!(requests[1].headers.all("x-vault-token").collect::<Vec<_>>(), ["t", "u"]);
    assert_eq!(requests.iter().map(|request| request.connection).collect::<Vec<_>>(), [1, 1], "one connection");
    assert_eq!(requests.iter().map(|request| request.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(requests.iter().map(|request| request.status).collect::<Vec<_>>(), [Some(200), Some(403)]);
}

#[test]
fn chunked_requests_are_read_like_others() {
    let team = Team::new(Dialect::Vault1_16);
    let body = json!({ "role_id": team.role_id(), "secret_id": team.secret_id(json!({})) }).to_string();
    let (a, b) = body.split_at(10);
    let chunks = format!("{:x}\r\n{a}\r\n{:x};x=y\r\n{b}\r\n0\r\nTrailer: z\r\n\r\n", a.len(), b.len());
    let mut stream = team.client.connect();
    let head = encode("PUT", "/v1/auth/approle/login", &[("Transfer-Encoding", "chunked")], None);
    stream.write_all(&head).unwrap();
    stream.write_all(chunks.as_bytes()).unwrap();
    assert_eq!(Response::read(&mut stream).unwrap().status, 200);
    assert_eq!(team.vault.requests()[0].body, body.as_bytes());
}

#[test]
fn waiting_for_requests_ends_in_time() {
    let team = Team::new(Dialect::Vault1_16);
    assert!(!team.vault.wait_for_requests(1, Duration::from_millis(20)));
}

#[test]
fn a_client_that_leaves_while_the_cloud_works_leaves_a_key_without_a_lease() {
    let scene = Scene::new(Fault::slow_cloud(Duration::from_secs(60)));
    let mut stream = scene.team.client.connect();
    stream.write_all(&encode("GET", PATH, &[("X-Vault-Token", &scene.token)], None)).unwrap();
    assert!(scene.team.vault.wait_for_requests(1, Duration::from_secs(20)));
    assert_eq!(scene.minted(), 0);
    drop(stream);
    let started = Instant::now();
    while scene.team.vault.keys_without_a_lease().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "the end of the connection was not seen");
        std::thread::yield_now();
    }
    assert_eq!((scene.minted(), scene.team.vault.live_leases()), (1, vec![]));
    assert!(scene.is_over());
    assert_eq!(scene.team.vault.keys_without_a_lease().len(), 1, "a key with a lease is none of them");
}

#[test]
fn a_client_that_waits_for_a_slow_cloud_gets_its_key_with_a_lease() {
    let delay = Duration::from_millis(300);
    let scene = Scene::new(Fault::slow_cloud(delay));
    let started = Instant::now();
    assert!(scene.is_over());
    assert!(started.elapsed() >= delay);
    assert_eq!((scene.team.vault.live_leases().len(), scene.team.vault.keys_without_a_lease().len()), (1, 0));
}
