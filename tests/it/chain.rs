use dev_vault::{DevVault, Dialect, Tls};

use crate::support::{METHODS, ROLE, World, exports, requests_of};

/// Command lines, the requests that they end in, and the variables that they set.
const EXOSCALE: (&str, &str, &[&str]) = (
    "exoscale --role gitlab-ci-runner",
    "GET exoscale/apikey/gitlab-ci-runner",
    &["EXOSCALE_API_KEY", "EXOSCALE_API_SECRET"],
);
const SESSION: &[&str] =
    &["AWS_ACCESS_KEY_ID", "AWS_CREDENTIAL_EXPIRATION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
const AWS: [(&str, &str, &[&str]); 5] = [
    ("aws --role 365-dev", "GET aws/sts/365-dev", SESSION),
    ("aws --role federated", "GET aws/sts/federated", SESSION),
    ("aws --role session", "GET aws/sts/session", SESSION),
    ("aws --role user --via creds", "GET aws/creds/user", &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]),
    ("aws --role 365-dev --via creds", "GET aws/creds/365-dev", SESSION),
];

#[test]
fn every_identity_gets_every_credential_of_every_server_with_exactly_its_requests_on_one_connection() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        for method in METHODS {
            for (line, read, names) in std::iter::once(EXOSCALE).chain(AWS) {
                if line.contains("session") && dialect != Dialect::Vault1_16 {
                    continue;
                }
                let case = format!("{dialect} {method} {line}");
                let run = world.command_as(method, line);
                let (before, connections) = (world.vault.secrets(), world.vault.connections());
                world.vault.forget_requests();
                let ran = run.run();
                world.assert_no_secret_in(&ran.stderr);
                let set = exports(&ran.ok());
                assert_eq!(set.keys().map(String::as_str).collect::<Vec<_>>(), names, "{case}");

                let minted = world.minted_since(&before);
                assert_eq!(set[names[0]], minted.key, "{case}");
                let secret = names.iter().find(|name| name.contains("SECRET")).unwrap();
                assert_eq!(set[*secret], minted.secret, "{case}");
                assert_eq!(set.get("AWS_SESSION_TOKEN"), minted.session.as_ref(), "{case}");

                let mut expected = requests_of(method);
                expected.push(read.to_owned());
                assert_eq!(world.requests(), expected, "{case}");
                assert_eq!(world.vault.connections() - connections, 1, "{case}");
            }
        }
    }
}

#[test]
fn every_identity_works_over_tls_and_over_a_socket_of_this_machine() {
    let folder = tempfile::Builder::new().prefix("s.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let socket = folder.path().join("vault.sock");
    let world = World::with(DevVault::builder().tls(Tls::Valid).unix_socket(&socket));
    let ca = world.file("ca.pem", world.vault.ca_pem());
    for method in METHODS {
        for over_tls in [true, false] {
            world.vault.forget_requests();
            let before = (world.vault.connections(), world.vault.handshakes());
            let run = world.command_as(method, EXOSCALE.0);
            let run = if over_tls {
                run.env("VAULT_CACERT", &ca.display().to_string())
            } else {
                run.env("VAULT_ADDR", &format!("unix://{}", socket.display()))
            };
            let stdout = run.run().ok();
            let leases = world.vault.live_leases();
            let key = &exports(&stdout)["EXOSCALE_API_KEY"];
            assert!(leases.iter().any(|lease| lease.access_key == *key), "{method} tls={over_tls}");
            assert_eq!(world.vault.requests().len(), requests_of(method).len() + 1, "{method} tls={over_tls}");
            assert!(world.vault.requests().iter().all(|request| request.tls == over_tls), "{method}");
            let opened = (world.vault.connections() - before.0, world.vault.handshakes() - before.1);
            assert_eq!(opened, (1, usize::from(over_tls)), "{method} tls={over_tls}");
        }
    }
}

#[test]
fn each_request_of_a_wrapped_login_carries_what_vault_needs_and_nothing_else() {
    let world = World::start();
    let run = world.command_as("wrapping-token", EXOSCALE.0);
    let wrapping_token = run.variables()["VAULT_WRAPPING_TOKEN"].clone();
    run.run().ok();
    let requests = world.vault.requests();
    for request in &requests {
        assert_eq!(request.headers.all("x-vault-request").collect::<Vec<_>>(), ["true"]);
        assert_eq!(request.query, None);
        assert_eq!(request.headers.all("accept-encoding").collect::<Vec<_>>(), ["identity"]);
        for absent in ["x-vault-wrap-ttl", "x-vault-namespace", "authorization", "cookie", "referer"] {
            assert_eq!(request.headers.get(absent), None, "{}", request.line());
        }
    }
    let token = |index: usize| requests[index].headers.get("x-vault-token");
    assert_eq!((token(0), token(1), token(2)), (None, Some(wrapping_token.as_str()), None));
    assert_eq!(requests[0].json(), serde_json::json!({ "token": wrapping_token }));
    assert_eq!((requests[1].body.as_slice(), requests[3].body.as_slice()), (&b""[..], &b""[..]));
    let login = requests[2].json();
    assert_eq!(login["role_id"], world.role_id.as_str());
    assert!(world.vault.secrets().contains(login["secret_id"].as_str().unwrap()));
    assert_eq!(login.as_object().unwrap().len(), 2);
    let owner = &world.vault.live_leases()[0].accessor;
    let own = world.vault.live_tokens().into_iter().find(|token| token.accessor == *owner).unwrap();
    assert_eq!((token(3), own.path.as_str()), (Some(own.id.as_str()), "auth/approle/login"));
}

#[test]
fn a_generated_secret_id_and_an_id_token_are_sent_once_and_without_a_token() {
    let world = World::start();
    let run = world.command_as("generator-token", EXOSCALE.0);
    let generator = run.variables()["VAULT_TOKEN"].clone();
    run.run().ok();
    let requests = world.vault.requests();
    assert_eq!(requests[0].headers.get("x-vault-token"), Some(generator.as_str()));
    assert_eq!(requests[1].headers.get("x-vault-token"), None);
    assert_ne!(requests[2].headers.get("x-vault-token"), Some(generator.as_str()));

    world.vault.forget_requests();
    let run = world.command_as("id-token", EXOSCALE.0);
    let jwt = run.variables()["VAULT_ID_TOKEN"].clone();
    run.run().ok();
    let requests = world.vault.requests();
    // The mount has a default role; a role that nobody named is not sent.
    assert_eq!(requests[0].json(), serde_json::json!({ "jwt": jwt }));
    assert_eq!(requests[0].headers.get("x-vault-token"), None);
    run.env("VAULT_AUTH_ROLE", ROLE).run().ok();
    assert_eq!(world.vault.requests()[2].json(), serde_json::json!({ "jwt": jwt, "role": ROLE }));
}

#[test]
fn a_wrapping_token_may_hold_a_whole_login() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let by_path = format!("{} --creation-path auth/approle/login", EXOSCALE.0);
        let by_path = world.command(&by_path);
        for run in [world.command(EXOSCALE.0).env("VAULT_APPROLE_ROLE", &ROLE.to_uppercase()), by_path] {
            let login = serde_json::json!({ "role_id": world.role_id, "secret_id": world.secret_id() });
            let wrapped = world.vault.write_wrapped("auth/approle/login", login, "60s");
            world.vault.forget_requests();
            run.env("VAULT_WRAPPING_TOKEN", &wrapped).run().ok();
            let expected = ["POST sys/wrapping/lookup", "POST sys/wrapping/unwrap", EXOSCALE.1];
            assert_eq!(world.requests(), expected, "{dialect}");
        }
    }
}

#[test]
fn a_wrapping_token_of_any_approle_is_taken_when_no_role_is_named() {
    let world = World::start();
    let run = world.command_as("wrapping-token", EXOSCALE.0).without("VAULT_APPROLE_ROLE");
    assert!(run.run().ok().contains("export EXOSCALE_API_KEY='EXO"));
}

#[test]
fn success_revokes_nothing() {
    for method in METHODS {
        let world = World::start();
        let stdout = world.command_as(method, EXOSCALE.0).run().ok();
        let leases = world.vault.live_leases();
        assert_eq!(exports(&stdout)["EXOSCALE_API_KEY"], leases[0].access_key, "{method}");
        assert_eq!(world.count("revoke-self") + world.count("sys/leases/revoke"), 0, "{method}");
        let owner = world.vault.live_tokens().into_iter().any(|token| token.accessor == leases[0].accessor);
        assert!(owner, "the token that holds the lease is gone: {method}");
    }
}
