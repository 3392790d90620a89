use std::io::{Read, Write};
use std::time::Duration;

use dev_vault::{DevVault, Fault, On, Reply, Sink, Tls};

use crate::support::parallel::each;
use crate::support::{ROLE, World};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

/// The way to log in and the path that redirects, for each request that we make.
const STEPS: [(&str, &str); 6] = [
    ("wrapping-token", "sys/wrapping/lookup"),
    ("wrapping-token", "sys/wrapping/unwrap"),
    ("wrapping-token", "auth/approle/login"),
    ("wrapping-token", "exoscale/apikey/gitlab-ci-runner"),
    ("generator-token", "auth/approle/role/gitlab-ci-runner/secret-id"),
    ("id-token", "auth/gitlab/login"),
];

/// Where a redirect may try to lead: `VAULT` and `SINK` are the two ports, `PATH` the path that was asked for.
const AWAY: [&str; 14] = [
    "http://127.0.0.1:SINK/v1/PATH",
    "http://localhost:SINK/v1/PATH",
    "http://localhost.:SINK/v1/PATH",
    "http://[::1]:SINK/v1/PATH",
    "http://127.0.0.1:VAULT@127.0.0.1:SINK/v1/PATH",
    "http://user:password@127.0.0.1:VAULT/v1/PATH",
    "//127.0.0.1:SINK/v1/PATH",
    "\\\\127.0.0.1:SINK\\v1\\PATH",
    "/\\127.0.0.1:SINK/v1/PATH",
    "http:\\\\127.0.0.1:SINK/v1/PATH",
    "http://127.0.0.1:VAULT/v1/sys/other",
    "/v1/../v1/sys/other",
    "relative",
    "",
];

fn fill(text: &str, world: &World, sink: &Sink, path: &str) -> String {
    let port = sink.address().rsplit(':').next().unwrap_or_default().to_owned();
    let own = world.vault.socket_address().port().to_string();
    text.replace("SINK", &port).replace("VAULT", &own).replace("PATH", path)
}

// check: 1
#[test]
fn no_redirect_leads_a_secret_to_another_place() {
    let codes = [301, 302, 303, 307, 308];
    let cases = STEPS.into_iter().flat_map(|step| {
        codes.into_iter().flat_map(move |code| AWAY.into_iter().map(move |location| (step, code, location)))
    });
    each(cases.collect(), |((method, path), code, location)| {
        let (world, sink) = (World::start(), Sink::start(Tls::Off));
        let target = fill(location, &world, &sink, path);
        world.vault.inject(On::path(path).every(), Fault::redirect(code, &target));
        let ran = world.command_as(method, EXOSCALE).run();
        let case = format!("{method} {path} {code} {target:?}: {ran:?}");
        assert_eq!(ran.code, 76, "{case}");
        ran.assert_marker(76);
        assert!(ran.stderr.contains("ci-creds: error[protocol]: ") && ran.stderr.contains("  hint: "), "{case}");
        assert!(!ran.stderr.contains("password"), "{case}");
        world.assert_no_secret_in(&ran.stderr);
        assert_eq!((sink.connections(), world.count(path)), (0, 1), "{case}");
        world.assert_nothing_left(&case);
    });
}

#[test]
fn a_standby_on_the_same_server_is_followed_once_with_everything_and_only_by_307() {
    for (method, path) in STEPS {
        for location in ["http://127.0.0.1:VAULT/v1/PATH", "/v1/PATH", "http://127.0.0.1:VAULT/v1/PATH?x=1"] {
            let (world, sink) = (World::start(), Sink::start(Tls::Off));
            let target = fill(location, &world, &sink, path);
            world.vault.inject(On::path(path), Fault::redirect(307, &target));
            world.command_as(method, EXOSCALE).run().ok();
            let requests = world.vault.requests();
            let same: Vec<_> = requests.iter().filter(|request| request.path.ends_with(path)).collect();
            assert_eq!(same.len(), 2, "{method} {path}");
            assert_eq!(
                (&same[0].method, &same[0].body, &same[0].headers),
                (&same[1].method, &same[1].body, &same[1].headers)
            );
            assert_eq!((&same[0].query, &same[1].query), (&None, &None));
        }
        for code in [301, 302, 303, 308] {
            let (world, sink) = (World::start(), Sink::start(Tls::Off));
            let target = fill("http://127.0.0.1:VAULT/v1/PATH", &world, &sink, path);
            world.vault.inject(On::path(path), Fault::redirect(code, &target));
            let ran = world.command_as(method, EXOSCALE).run();
            ran.refused(&world, 76, "protocol", &[&code.to_string(), "itself answers only 307"], &["VAULT_ADDR"]);
        }
    }
}

#[test]
fn a_redirect_in_a_circle_ends_at_the_second() {
    for (method, path) in STEPS {
        let (world, sink) = (World::start(), Sink::start(Tls::Off));
        let target = fill("http://127.0.0.1:VAULT/v1/PATH", &world, &sink, path);
        world.vault.inject(On::path(path).every(), Fault::redirect(307, &target));
        let ran = world.command_as(method, EXOSCALE).run();
        ran.refused(&world, 76, "protocol", &["redirects a second time"], &["VAULT_ADDR"]);
        assert_eq!(world.count(path), 2);
    }
}

// check: 14
#[test]
fn a_redirect_has_no_more_time_than_the_request_that_led_to_it() {
    let world = World::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let here = format!("HTTP/1.1 307 x\r\nLocation: {address}/v1/auth/gitlab/login\r\nContent-Length: 0\r\n");
    let refusal = "{\"errors\":[\"missing role\"]}";
    let refused = format!(
        "HTTP/1.1 400 x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{refusal}",
        refusal.len()
    );
    std::thread::spawn(move || {
        for answer in [format!("{here}\r\n"), refused] {
            let (mut connection, _) = listener.accept().unwrap();
            let _ = connection.read(&mut [0; 65536]);
            // Each answer is in time, and both together are not.
            std::thread::sleep(Duration::from_millis(1_200));
            let _ = connection.write_all(&answer.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").into_bytes());
        }
    });
    let run = world.command_as("id-token", &format!("{EXOSCALE} --timeout 2s")).env("VAULT_ADDR", &address);
    run.run().refused(&world, 69, "unavailable", &["no complete answer", "in 2 s"], &["--timeout"]);
}

#[test]
fn what_goes_wrong_behind_a_redirect_is_told_of_the_server_there() {
    let world = World::start();
    // Nobody listens there, and the system gives the port to nobody who asks for any.
    let closed = "127.0.0.1:1";
    world.vault.inject(
        On::path("gitlab/login").every(),
        Fault::redirect(307, &format!("http://{closed}/v1/auth/gitlab/login")),
    );
    let line = format!("{EXOSCALE} --redirect-host http://{closed} --retries 0");
    let ran = world.command_as("id-token", &line).run();
    ran.refused(&world, 69, "unavailable", &[&format!("cannot reach {closed}: connection refused")], &["network"]);
}

#[test]
fn another_server_is_followed_when_it_was_allowed_by_name() {
    // One server by two names: to the client, `localhost` is another host.
    let world = World::with(DevVault::builder().tls(Tls::Valid));
    let port = world.vault.socket_address().port();
    for (method, path) in STEPS {
        let run = |line: &str| {
            world.vault.clear_faults();
            let target = format!("https://localhost:{port}/v1/{path}");
            world.vault.inject(On::path(path), Fault::redirect(307, &target));
            world.command_as(method, line).env("VAULT_CACERT_BYTES", world.vault.ca_pem()).run()
        };
        run(&format!("{EXOSCALE} --redirect-host localhost:{port}")).ok();
        let allow = format!("--redirect-host localhost:{port}");
        let words = [&format!("localhost:{port}"), "no secret was sent there"];
        run(EXOSCALE).refused(&world, 76, "protocol", &words, &[&allow]);
        // Another port of the allowed host is another server.
        run(&format!("{EXOSCALE} --redirect-host localhost:{}", port ^ 1)).refused(
            &world,
            76,
            "protocol",
            &words,
            &[&allow],
        );
    }
}

// check: 1
#[test]
fn https_is_never_left_for_http_even_to_an_allowed_host() {
    let (world, sink) = (World::with(DevVault::builder().tls(Tls::Valid)), Sink::start(Tls::Off));
    let host = sink.address();
    for (method, path) in STEPS {
        world.vault.clear_faults();
        world.vault.inject(On::path(path), Fault::redirect(307, &format!("{host}/v1/{path}")));
        let run = world.command_as(method, &format!("{EXOSCALE} --redirect-host {host}"));
        let ran = run.env("VAULT_CACERT_BYTES", world.vault.ca_pem()).run();
        ran.refused(&world, 76, "protocol", &["from https to http", "nothing was sent there"], &[]);
    }
    assert_eq!(sink.connections(), 0);
}

#[test]
fn a_token_is_not_carried_away_by_its_own_revocation() {
    for code in [301, 302, 303, 307, 308] {
        let (world, sink) = (World::start(), Sink::start(Tls::Off));
        world.vault.inject(On::path(&format!("apikey/{ROLE}")), Fault::cut_answer(0));
        let target = format!("{}/v1/auth/token/revoke-self", sink.address());
        world.vault.inject(On::path("revoke-self").every(), Fault::redirect(code, &target));
        let ran = world.command_as("secret-id", EXOSCALE).run();
        ran.refused(&world, 80, "leak", &["may be left, until"], &["vault lease revoke"]);
        assert_eq!(sink.connections(), 0, "{code}");
    }
}

#[test]
fn a_redirect_over_a_socket_is_refused() {
    let folder = tempfile::Builder::new().prefix("s.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let socket = folder.path().join("vault.sock");
    let (world, sink) = (World::with(DevVault::builder().unix_socket(&socket)), Sink::start(Tls::Off));
    world.vault.inject(On::any().every(), Fault::redirect(307, &sink.address()));
    let run = world.command_as("token", EXOSCALE).env("VAULT_ADDR", &format!("unix://{}", socket.display()));
    // Whoever answers the read of somebody else's token may stand before a Vault that has done its work.
    run.run().refused(&world, 80, "leak", &["a lease under", "may be left", "redirects"], &[]);
    assert_eq!(sink.connections(), 0);
}

#[test]
fn a_redirect_that_does_not_say_where_to_is_told_as_one() {
    each(vec![301, 302, 307, 308], |code| {
        let world = World::start();
        world.vault.inject(On::path("auth/gitlab/login").every(), Fault::answer(Reply::status(code)));
        let ran = world.command_as("id-token", EXOSCALE).run().failed(76, "protocol");
        assert!(ran.stderr.contains(&format!("answers {code} without a new address")), "{ran:?}");
        assert_eq!(world.count("auth/gitlab/login"), 1);
    });
}
