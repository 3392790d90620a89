use std::io::{Read, Write};
use std::net::TcpListener;

use dev_vault::{Builder, DevVault, Issuer, Tls};

use crate::support::{METHODS, Ran, Run, World};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

fn tls(tls: Tls) -> World {
    World::with(DevVault::builder().tls(tls))
}

/// A run with its inputs and the server's own CA.
fn trusting(world: &World, line: &str) -> Run {
    world.command_as("wrapping-token", line).env("VAULT_CACERT_BYTES", world.vault.ca_pem())
}

/// The handshake or the settings stopped it: the server saw no request.
fn refused(ran: Ran, world: &World, code: i32, words: &[&str], hint: &[&str]) {
    let kind = if code == 76 { "protocol" } else { "config" };
    ran.refused(world, code, kind, words, hint);
    assert_eq!(world.vault.requests().len(), 0);
    // What certificates say does not change in half a second: one connection is enough, or none.
    assert!(world.vault.connections() <= 1, "{} connections", world.vault.connections());
}

// check: 12
#[test]
fn an_untrusted_certificate_ends_the_run_before_any_request() {
    let world = tls(Tls::Valid);
    let other = tls(Tls::Valid);
    let foreign = trusting(&world, EXOSCALE).env("VAULT_CACERT_BYTES", &world.vault.client_identity().cert_pem);
    refused(foreign.run(), &world, 76, &["signed by an unknown CA"], &["--ca-file", "VAULT_CACERT"]);
    // The CA was made anew under its old name, and the job has the old one.
    let world = tls(Tls::Valid);
    let old = trusting(&world, EXOSCALE).env("VAULT_CACERT_BYTES", other.vault.ca_pem());
    refused(old.run(), &world, 76, &["signed by a different CA of the same name"], &["--ca-file", "VAULT_CACERT"]);
    assert_eq!(world.vault.handshakes(), 0);

    let cases: [(Tls, &[&str], &[&str]); 3] = [
        (Tls::Expired, &["expired on 2021-01-01T00:00:00Z", "the clock here says 20"], &["renew"]),
        (Tls::NotYetValid, &["not valid yet before 2090-01-01T00:00:00Z"], &["clock"]),
        (Tls::WrongName, &["is for another name", "vault.invalid"], &["VAULT_TLS_SERVER_NAME"]),
    ];
    for (how, words, hint) in cases {
        let world = tls(how);
        refused(trusting(&world, EXOSCALE).run(), &world, 76, words, hint);
    }
}

// check: 12
#[test]
fn a_refused_certificate_says_its_own_reason_and_the_exact_change() {
    let cases: [(Tls, &[&str], &str); 4] = [
        (Tls::WrongName, &["is for another name: it is for vault.invalid, not for 127.0.0.1"], "VAULT_ADDR"),
        (Tls::NoName, &["has no subject alternative name", "127.0.0.1"], "subjectAltName=IP:127.0.0.1"),
        (Tls::ClientsOnly, &["is not for servers", "lacks serverAuth"], "extendedKeyUsage=serverAuth"),
        (Tls::Sha1, &["is signed with SHA-1"], "SHA-256"),
    ];
    for (how, words, hint) in cases {
        let world = tls(how);
        refused(trusting(&world, EXOSCALE).run(), &world, 76, words, &[hint]);
    }
    let world = tls(Tls::NoName);
    let run = trusting(&world, EXOSCALE).env("VAULT_TLS_SERVER_NAME", "vault.example.com");
    refused(run.run(), &world, 76, &["does not cover vault.example.com"], &["subjectAltName=DNS:vault.example.com"]);
}

// check: 12
#[test]
fn keys_on_p_521_are_believed_in_a_ca_and_in_a_server() {
    let world = tls(Tls::P521);
    trusting(&world, EXOSCALE).run().ok();
    let world = tls(Tls::P521);
    let run = trusting(&world, EXOSCALE).env("VAULT_CACERT_BYTES", tls(Tls::Sha1).vault.ca_pem());
    refused(run.run(), &world, 76, &["signed by an unknown CA"], &["--ca-file"]);
}

fn self_signed(how: Tls, issuer: Issuer) -> World {
    World::with(DevVault::builder().tls(how).issuer(issuer))
}

// check: 12
#[test]
fn a_self_signed_certificate_is_believed_when_it_is_named_itself() {
    for issuer in [Issuer::Itself, Issuer::ItselfAsCa] {
        let world = self_signed(Tls::Valid, issuer);
        let file = world.file("server.pem", world.vault.server_pem()).display().to_string();
        world.command_as("token", EXOSCALE).env("VAULT_CACERT", &file).run().ok();
        // Beside others, whatever their order.
        let both = format!("{}{}", tls(Tls::Valid).vault.ca_pem(), world.vault.server_pem());
        trusting(&world, EXOSCALE).env("VAULT_CACERT_BYTES", &both).run().ok();
    }
    // One that a CA has signed is believed by itself, as well as by its CA.
    let world = tls(Tls::Valid);
    trusting(&world, EXOSCALE).env("VAULT_CACERT_BYTES", world.vault.server_pem()).run().ok();
}

// check: 12
#[test]
fn a_certificate_that_is_named_itself_is_still_held_against_name_date_and_purpose() {
    let cases: [(Tls, &[&str], &[&str]); 5] = [
        (Tls::Expired, &["expired on 2021-01-01T00:00:00Z"], &["renew"]),
        (Tls::NotYetValid, &["not valid yet before 2090-01-01T00:00:00Z"], &["clock"]),
        (Tls::WrongName, &["is for another name: it is for", "not for 127.0.0.1"], &["VAULT_TLS_SERVER_NAME"]),
        (Tls::NoName, &["has no subject alternative name"], &["subjectAltName=IP:127.0.0.1"]),
        (Tls::ClientsOnly, &["is not for servers"], &["serverAuth"]),
    ];
    for issuer in [Issuer::Ca, Issuer::Itself, Issuer::ItselfAsCa] {
        for (how, words, hint) in cases {
            let world = self_signed(how, issuer);
            let run = trusting(&world, EXOSCALE).env("VAULT_CACERT_BYTES", world.vault.server_pem());
            refused(run.run(), &world, 76, words, hint);
        }
    }
}

// check: 12
#[test]
fn another_certificate_of_the_same_name_is_not_the_one_that_was_named() {
    for issuer in [Issuer::Itself, Issuer::ItselfAsCa] {
        let another = self_signed(Tls::Valid, issuer);
        for named in [another.vault.server_pem(), tls(Tls::Valid).vault.ca_pem()] {
            let world = self_signed(Tls::Valid, issuer);
            let run = trusting(&world, EXOSCALE).env("VAULT_CACERT_BYTES", named);
            let words = ["is self-signed and not trusted"];
            refused(run.run(), &world, 76, &words, &["--ca-file", "VAULT_CACERT"]);
            assert_eq!(world.vault.handshakes(), 0);
        }
    }
}

#[test]
fn a_server_name_of_ones_own_is_asked_for_and_checked() {
    let world = tls(Tls::WrongName);
    trusting(&world, EXOSCALE).env("VAULT_TLS_SERVER_NAME", "vault.invalid").run().ok();
    trusting(&world, &format!("{EXOSCALE} --tls-server-name vault.invalid")).run().ok();
    let host = world.vault.socket_address().to_string();
    assert!(world.vault.requests().iter().all(|request| request.headers.get("host") == Some(host.as_str())));
    let world = tls(Tls::WrongName);
    let run = trusting(&world, EXOSCALE).env("VAULT_TLS_SERVER_NAME", "other.invalid");
    refused(run.run(), &world, 76, &["is for another name"], &["VAULT_TLS_SERVER_NAME"]);
}

// check: 18
#[test]
fn a_server_name_leads_no_secret_to_another_place_than_the_address_says() {
    let evil = tls(Tls::Valid);
    let address = format!("https://vault.example.com:{}", evil.vault.socket_address().port());
    for name in ["127.0.0.1", "x@127.0.0.1", "x@localhost", "localhost/", "localhost#", "localhost%2e", "[::1]"] {
        let run = evil.command_as("id-token", EXOSCALE).env("VAULT_CACERT_BYTES", evil.vault.ca_pem());
        let ran = run.env("VAULT_ADDR", &address).env("VAULT_TLS_SERVER_NAME", name).run();
        refused(ran, &evil, 78, &["TLS server name", "VAULT_TLS_SERVER_NAME"], &["vault.example.com"]);
    }
    assert_eq!(evil.vault.connections(), 0);
    // The address's own host says nothing new.
    let run = trusting(&evil, EXOSCALE).env("VAULT_TLS_SERVER_NAME", "127.0.0.1");
    run.run().ok();
}

#[test]
fn tls_1_2_is_enough() {
    let world = tls(Tls::Tls12Only);
    for method in METHODS {
        world.command_as(method, EXOSCALE).env("VAULT_CACERT_BYTES", world.vault.ca_pem()).run().ok();
    }
}

/// What a server says to a ClientHello when TLS 1.1 is the last that it knows: it takes no part in anything newer, or
/// it answers with its own.
fn answers_of_tls_1_1() -> [(&'static str, Vec<u8>); 2] {
    let alert = vec![21, 3, 1, 0, 2, 2, 70];
    // Handshake record, ServerHello: version, 32 random bytes, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    let hello = [&[2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0x00, 0x2f, 0]].concat();
    let record = [&[22, 3, 2, 0, 42][..], &hello].concat();
    [("alert", alert), ("ServerHello", record)]
}

// check: 12
#[test]
fn a_server_that_knows_tls_1_1_at_most_is_refused_at_its_first_word() {
    for (what, answer) in answers_of_tls_1_1() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut hello = [0; 4096];
            let read = connection.read(&mut hello).unwrap();
            connection.write_all(&answer).unwrap();
            // All that comes afterwards, to the end: an alert at most, and no second connection.
            let mut rest = Vec::new();
            let _ = connection.read_to_end(&mut rest);
            listener.set_nonblocking(true).unwrap();
            (hello[..read].to_vec(), rest, listener.accept().is_ok())
        });
        let world = tls(Tls::Valid);
        let ran = trusting(&world, EXOSCALE).env("VAULT_ADDR", &address).run();
        let words = ["does not offer TLS 1.2 or later"];
        refused(ran, &world, 76, &words, &["tls_min_version", "tls12"]);
        let (hello, rest, again) = server.join().unwrap();
        // A handshake record whose body is a ClientHello; afterwards nothing that could be a request.
        assert_eq!((hello[0], hello[5]), (22, 1), "{what}");
        assert!(rest.is_empty() || (rest[0] == 21 && rest.len() == 7), "{what}: {rest:?}");
        assert!(!again, "{what}: a second connection");
    }
}

// check: 12
#[test]
fn a_ca_is_named_by_file_text_or_folder() {
    let world = tls(Tls::Valid);
    let pem = world.vault.ca_pem().to_owned();
    let file = world.file("ca.pem", &pem).display().to_string();
    std::fs::create_dir(world.path("cas")).unwrap();
    world.file("cas/a-readme.txt", "not a certificate\n");
    world.file("cas/b.pem", tls(Tls::Valid).vault.ca_pem());
    world.file("cas/c.pem", &pem);
    std::fs::create_dir(world.path("cas/folder")).unwrap();
    let folder = world.path("cas").display().to_string();
    let run = |line: &str| world.command_as("token", line);
    run(EXOSCALE).env("VAULT_CACERT", &file).run().ok();
    run(EXOSCALE).env("VAULT_CACERT_BYTES", &pem).run().ok();
    run(EXOSCALE).env("VAULT_CAPATH", &folder).run().ok();
    run(&format!("{EXOSCALE} --ca-file {file}")).env("VAULT_CACERT", "/nonexistent").run().ok();
    run(&format!("{EXOSCALE} --ca-path {folder}")).run().ok();
    // A flag counts before every variable, and a variable before every file.
    let wrong = tls(Tls::Valid).vault.ca_pem().to_owned();
    for variable in ["VAULT_CACERT", "VAULT_CACERT_BYTES", "VAULT_CAPATH"] {
        for flag in [format!("--ca-path {folder}"), format!("--ca-file {file}")] {
            run(&format!("{EXOSCALE} {flag}")).env(variable, &wrong).run().ok();
        }
    }
    let config =
        world.file("config.toml", "ca-file = '/nonexistent'\nca-path = '/nonexistent'\n").display().to_string();
    for (variable, value) in [("VAULT_CACERT", &file), ("VAULT_CACERT_BYTES", &pem), ("VAULT_CAPATH", &folder)] {
        run(EXOSCALE).env("CI_CREDS_CONFIG", &config).env(variable, value).run().ok();
    }
    assert_eq!(world.vault.requests().len(), 14);
}

#[test]
fn a_ca_that_cannot_be_used_is_a_matter_of_configuration() {
    let world = tls(Tls::Valid);
    let garbage = world.file("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let (garbage, folder) = (garbage.display().to_string(), world.home().display().to_string());
    let run = || world.command_as("token", EXOSCALE);
    refused(run().env("VAULT_CACERT", &garbage).run(), &world, 78, &["no certificate in", "VAULT_CACERT"], &["PEM"]);
    refused(run().env("VAULT_CACERT_BYTES", "x").run(), &world, 78, &["VAULT_CACERT_BYTES"], &["PEM"]);
    refused(run().env("VAULT_CAPATH", &folder).run(), &world, 78, &["no certificate in", "VAULT_CAPATH"], &["PEM"]);
    for (path, word) in [("/nonexistent/ca.pem", "does not exist"), (folder.as_str(), "not a regular file")] {
        let ran = run().env("VAULT_CACERT", path).run().failed(78, "config");
        assert!(ran.stderr.contains(word) && ran.stderr.contains("VAULT_CACERT"), "{ran:?}");
    }
    let ran = run().env("VAULT_CAPATH", "/nonexistent").run().failed(78, "config");
    assert!(ran.stderr.contains("VAULT_CAPATH"), "{ran:?}");
    assert_eq!(world.vault.connections(), 0);
}

// check: 12
#[test]
fn no_variable_switches_the_check_of_certificates_off() {
    let world = tls(Tls::Valid);
    for (name, value) in [("VAULT_SKIP_VERIFY", "1"), ("VAULT_SKIP_VERIFY", "yes"), ("BAO_SKIP_VERIFY", "true")] {
        let ran = trusting(&world, EXOSCALE).env(name, value).run();
        refused(ran, &world, 78, &[name], &["--ca-file", "--insecure-skip-verify"]);
    }
    assert_eq!(world.vault.connections(), 0);
    trusting(&world, EXOSCALE).env("VAULT_SKIP_VERIFY", "false").run().ok();
}

#[test]
fn the_flag_that_does_works_for_this_machine_only() {
    for how in [Tls::Valid, Tls::Expired, Tls::WrongName] {
        let world = tls(how);
        world.command_as("token", &format!("{EXOSCALE} --insecure-skip-verify")).run().ok();
    }
    let world = tls(Tls::Valid);
    let run = world.command_as("token", &format!("{EXOSCALE} --insecure-skip-verify"));
    let ran = run.env("VAULT_ADDR", "https://vault.invalid:8200").run();
    refused(ran, &world, 78, &["this machine only", "vault.invalid:8200"], &["--ca-file"]);
}

// check: 12
#[test]
fn a_ca_by_the_variables_of_other_programs_is_not_believed() {
    let world = tls(Tls::Valid);
    let file = world.file("ca.pem", world.vault.ca_pem()).display().to_string();
    let folder = world.path("").display().to_string();
    let run = world.command_as("token", EXOSCALE).env("SSL_CERT_FILE", &file).env("SSL_CERT_DIR", &folder);
    let ran = run.env("CURL_CA_BUNDLE", &file).env("REQUESTS_CA_BUNDLE", &file).run();
    // Where the system has no roots at all, that is said; nowhere is the server believed.
    let code = if ran.code == 78 { 78 } else { 76 };
    refused(ran, &world, code, &[], &["--ca-file"]);
    assert_eq!(world.vault.handshakes(), 0);
}

#[test]
fn plain_http_and_tls_on_each_others_ports_are_told_apart() {
    let world = World::start();
    let address = world.vault.address().replace("http://", "https://");
    let run = world.command_as("id-token", EXOSCALE).env("VAULT_ADDR", &address);
    let other = tls(Tls::Valid);
    let ran = run.env("VAULT_CACERT_BYTES", other.vault.ca_pem()).run();
    refused(ran, &world, 76, &["does not speak TLS"], &["plain http"]);

    let world = tls(Tls::Valid);
    let address = world.vault.address().replace("https://", "http://");
    let run = world.command_as("id-token", EXOSCALE).env("VAULT_ADDR", &address);
    refused(run.run(), &world, 76, &["speaks TLS"], &["https://"]);
}

// check: 13
#[test]
fn plain_http_to_another_machine_is_refused_by_name() {
    let world = World::start();
    for address in
        ["http://vault.invalid:8200", "http://192.0.2.1:8200", "http://0.0.0.0:8200", "http://127.0.0.1.evil.invalid"]
    {
        let run = world.command_as("wrapping-token", EXOSCALE).env("VAULT_ADDR", address);
        let words = ["VAULT_ADDR", "anyone on the network path could read the token"];
        refused(run.run(), &world, 78, &words, &["https://", "--allow-plaintext"]);
    }
    let local = world.vault.address().replace("127.0.0.1", "localhost");
    world.command_as("token", EXOSCALE).env("VAULT_ADDR", &local).run().ok();
}

fn with_client_certificates() -> World {
    let builder: Builder = DevVault::builder().tls(Tls::Valid).require_client_certificate();
    World::with(builder)
}

#[test]
fn a_server_that_wants_a_client_certificate_gets_ours_or_is_said_to_want_one() {
    let world = with_client_certificates();
    let identity = world.vault.client_identity().clone();
    let cert = world.file("job.pem", &identity.cert_pem).display().to_string();
    let key = world.file("job.key", &identity.key_pem).display().to_string();
    let both = |run: Run| run.env("VAULT_CLIENT_CERT", &cert).env("VAULT_CLIENT_KEY", &key);
    both(trusting(&world, EXOSCALE)).run().ok();
    trusting(&world, &format!("{EXOSCALE} --client-cert {cert} --client-key {key}")).run().ok();

    let world = with_client_certificates();
    let ran = trusting(&world, EXOSCALE).run();
    refused(ran, &world, 76, &["client certificate"], &["VAULT_CLIENT_CERT", "--client-key"]);
    // Somebody else's certificate is no better than none.
    let ran = both(trusting(&world, EXOSCALE)).run();
    ran.refused(&world, 76, "protocol", &["client certificate"], &["VAULT_CLIENT_CERT"]);
    assert_eq!(world.vault.requests().len(), 0);
}

#[test]
fn half_a_client_identity_is_a_matter_of_configuration() {
    let world = with_client_certificates();
    let identity = world.vault.client_identity().clone();
    let cert = world.file("job.pem", &identity.cert_pem).display().to_string();
    let key = world.file("job.key", &identity.key_pem).display().to_string();
    let run = || trusting(&world, EXOSCALE);
    refused(
        run().env("VAULT_CLIENT_CERT", &cert).run(),
        &world,
        78,
        &["the client certificate", "but its key is not"],
        &["VAULT_CLIENT_KEY"],
    );
    refused(
        run().env("VAULT_CLIENT_KEY", &key).run(),
        &world,
        78,
        &["the client key", "but its certificate is not"],
        &["VAULT_CLIENT_CERT"],
    );
    let swapped = run().env("VAULT_CLIENT_CERT", &key).env("VAULT_CLIENT_KEY", &cert).run();
    refused(swapped, &world, 78, &["cannot be used"], &["PEM"]);
    assert_eq!(world.vault.connections(), 0);
}
