//! When a new credential is read, and what is served meanwhile.

use std::time::{Duration, Instant};

use dev_vault::{Fault, On, Reply, TokenIssuer, TokenWire};
use serde_json::json;

use super::{AWS, Served, exec, minted, shorten};
use crate::support::{AUDIENCE, ROLE, World, tool};

const READ: &str = "/aws/sts/365-dev";

/// Asks until the answer fits.
fn wait_for(served: &Served, what: &str, fits: impl Fn(&super::Reply) -> bool) -> super::Reply {
    let begun = Instant::now();
    loop {
        let reply = served.get();
        if fits(&reply) {
            return reply;
        }
        assert!(begun.elapsed() < Duration::from_secs(25), "{what}: {reply:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_new_credential_is_served_at_half_of_a_short_life_and_the_old_one_until_then() {
    let world = World::start();
    // Ten of these seconds are served, and five are half of them.
    shorten(&world, 15);
    let served = Served::start(&world, "secret-id", AWS);
    let (begun, first) = (Instant::now(), served.get().key());
    let second = wait_for(&served, "the second", |reply| reply.key() != first).key();
    assert!((3..8).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    wait_for(&served, "the third", |reply| ![&first, &second].contains(&&reply.key()));
    assert!((8..13).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let ran = served.end();
    assert_eq!((minted(&world), ran.stderr.as_str(), world.count("approle/login")), (3, "", 1));
}

#[test]
fn callers_in_any_number_read_nothing() {
    let world = World::start();
    shorten(&world, 15);
    let served = Served::start(&world, "secret-id", AWS);
    let begun = Instant::now();
    let count = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while begun.elapsed() < Duration::from_secs(7) {
                    served.get().key();
                    count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    served.end();
    assert!(count.into_inner() > 200);
    assert_eq!(minted(&world), 2);
}

#[test]
fn a_read_that_takes_long_keeps_nobody_waiting_and_is_the_only_one() {
    let world = World::start();
    shorten(&world, 15);
    let served = Served::start(&world, "secret-id", AWS);
    world.vault.clear_faults();
    world.vault.inject(On::path(READ), Fault::slow_cloud(Duration::from_secs(3)));
    let (begun, first) = (Instant::now(), served.get().key());
    loop {
        let asked = Instant::now();
        let key = served.get().key();
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        if key != first {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    assert!(begun.elapsed() > Duration::from_secs(6), "{:?}", begun.elapsed());
    served.end();
    assert_eq!(minted(&world), 2);
}

#[test]
fn while_vault_fails_the_old_one_is_served_to_its_end_then_the_reason_and_then_a_new_one() {
    let world = World::start();
    shorten(&world, 15);
    let served = Served::start(&world, "secret-id", AWS);
    let first = served.get().key();
    world.vault.clear_faults();
    let denied = "1 error occurred:\n\t* permission denied\n\n";
    world.vault.inject(On::path(READ).every(), Fault::answer(Reply::error(403, denied)));
    let begun = Instant::now();
    let failure = wait_for(&served, "a failure", |reply| reply.status != 200 || reply.key() != first);
    assert!((6..13).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!((failure.status, failure.json()["code"].as_str()), (500, Some("CiCredsExpired")), "{failure:?}");
    let message = failure.json()["message"].as_str().expect("a message").to_owned();
    for word in ["no new credential of aws/sts/365-dev", "denied", "path \\\"aws/sts/365-dev\\\""] {
        let shown = failure.body.contains(word) || message.contains(word);
        assert!(shown, "{word}: {failure:?}");
    }
    assert!(message.len() <= 300 && !message.contains('\n'), "{message}");
    world.assert_no_secret_in(&failure.body);
    // Each attempt is two requests here, because a policy may grant the other form. The pauses are 1, 2, 4 seconds, less
    // up to a half.
    let asked = world.count("aws/sts/365-dev");
    assert!(asked <= 2 + 2 * 6, "{asked} requests");
    world.vault.clear_faults();
    wait_for(&served, "a new one", |reply| reply.status == 200 && reply.key() != first);
    let ran = served.end();
    assert_eq!(ran.stderr.matches("warning: no new credential").count(), 1, "{ran:?}");
    assert_eq!(minted(&world), 2);
}

#[test]
fn a_login_that_vault_does_not_know_any_more_is_made_anew_where_the_identity_is_good_for_that() {
    for (method, again) in [("id-token", true), ("secret-id", false)] {
        let world = World::start();
        shorten(&world, 15);
        let served = Served::start(&world, method, AWS);
        let first = served.get().key();
        let logins = world.vault.live_tokens().into_iter().filter(|token| token.path.ends_with("/login"));
        for login in logins {
            world.vault.write("auth/token/revoke-accessor", json!({ "accessor": login.accessor }));
        }
        if again {
            wait_for(&served, "a new one", |reply| reply.key() != first);
        } else {
            let failure = wait_for(&served, "a failure", |reply| reply.status == 500);
            assert!(failure.body.contains("no new credential"), "{failure:?}");
        }
        let ran = served.end();
        assert_eq!(ran.stderr.contains("no new credential"), !again, "{ran:?}");
        let count = requests_of_logins(&world);
        assert_eq!((count, minted(&world)), if again { (2, 2) } else { (1, 1) }, "{method}");
        world.assert_nothing_left(&method);
    }
}

/// GitHub's tokens last for five minutes, and the command may run for hours.
#[test]
fn a_later_login_of_a_job_that_requests_its_id_token_has_a_new_one() {
    let world = World::start();
    shorten(&world, 15);
    let token = world.id_token();
    let proof = "proof-of-this-one-job-0123456789";
    let sign = move |_: &str| token.clone().claim("jti", format!("{:?}", Instant::now())).sign();
    let issuer = TokenIssuer::start(TokenWire::Github, proof, Vec::new(), sign);
    let script = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN; read end";
    let line = format!("{AWS} --id-token-audience {AUDIENCE} -- sh -c");
    let run = world.command(&line).arg(script).env("VAULT_AUTH_PATH", "gitlab").env("GITHUB_ACTIONS", "true");
    let run = run.env("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.url()).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", proof);
    let served = Served::of(&run.env("VAULT_AUTH_ROLE", ROLE));
    let first = served.get().key();
    let logins = world.vault.live_tokens().into_iter().filter(|token| token.path.ends_with("/login"));
    for login in logins {
        world.vault.write("auth/token/revoke-accessor", json!({ "accessor": login.accessor }));
    }
    wait_for(&served, "a new one", |reply| reply.key() != first);
    let ran = served.end();
    assert_eq!((ran.stderr.as_str(), issuer.requests().len()), ("", 2), "{ran:?}");
    let sent = world.vault.requests().into_iter().filter(|request| request.path.ends_with("/login"));
    let sent: std::collections::BTreeSet<_> = sent.map(|request| request.json()["jwt"].to_string()).collect();
    assert_eq!(sent.len(), 2, "one token served both logins");
    world.assert_nothing_left(&"an ID token that was requested again");
}

/// The program that signs is a child beside the command, and takes its time.
#[test]
fn while_a_program_signs_the_id_token_of_a_later_login_the_endpoint_answers_and_the_programs_end_is_not_missed() {
    let world = World::start();
    shorten(&world, 12);
    let (token, gate, calls) = (world.file("token", &world.id_token().sign()), world.path("gate"), world.path("calls"));
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let [token, gate_text, calls_text] = [&token, &gate, &calls].map(|path| path.display().to_string());
    // The first call is answered at once. The second one waits for the test.
    let program = format!(
        "#!/bin/sh\nif test -e {calls_text}; then echo >>{calls_text}; read line <{gate_text}; else >{calls_text}; fi\n\
         cat {token}\n"
    );
    let folder = world.path("tools");
    std::fs::create_dir(&folder).expect("a folder");
    tool::install(&world.file("program", &program), &folder.join("buildkite-agent"), "0755");
    let script = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN; read end";
    let line = format!("{AWS} --id-token-audience {AUDIENCE} -- sh -c");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let run = world.command(&line).arg(script).env("VAULT_AUTH_PATH", "gitlab").env("VAULT_AUTH_ROLE", ROLE);
    let served = Served::of(&run.env("BUILDKITE", "true").env("PATH", &path).env("WORKSPACE", "/nowhere"));
    let first = served.get().key();
    let logins = world.vault.live_tokens().into_iter().filter(|token| token.path.ends_with("/login"));
    for login in logins {
        world.vault.write("auth/token/revoke-accessor", json!({ "accessor": login.accessor }));
    }
    let begun = Instant::now();
    while std::fs::read(&calls).expect("a file").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(25), "it was not called again");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The program would have ten seconds. botocore gives up after two.
    let asked = Instant::now();
    served.get();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    std::fs::write(&gate, "\n").expect("it reads");
    wait_for(&served, "a new one", |reply| reply.status == 200 && reply.key() != first);
    let ran = served.end();
    assert_eq!((ran.stderr.as_str(), requests_of_logins(&world)), ("", 2), "{ran:?}");
    world.assert_nothing_left(&"an ID token that a program signed");
}

fn requests_of_logins(world: &World) -> usize {
    world.requests().iter().filter(|line| line.ends_with("/login")).count()
}

#[test]
fn a_read_that_is_under_way_when_the_command_ends_is_waited_for_and_revoked() {
    let world = World::start();
    world.vault.write("aws/config/lease", json!({ "lease": "16s", "lease_max": "16s" }));
    let line = "exec aws --role user --via creds --serve";
    let served = Served::start(&world, "secret-id", line);
    world.vault.inject(On::path("/aws/creds/user"), Fault::slow_cloud(Duration::from_secs(1)));
    let before = world.count("aws/creds/user");
    let begun = Instant::now();
    while world.count("aws/creds/user") == before {
        assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", world.requests());
        std::thread::sleep(Duration::from_millis(10));
    }
    served.end();
    assert_eq!(minted(&world), 2);
    world.assert_nothing_left(&"a read under way");
    assert!(world.vault.keys_without_a_lease().is_empty() && world.vault.live_keys().is_empty());
}

#[test]
fn the_login_is_kept_alive_beside_the_credential_although_ttl_is_shorter() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_ttl": "6s", "token_max_ttl": "1h" }));
    shorten(&world, 15);
    let ran = exec(&world, "secret-id", &format!("{AWS} --ttl 15m"), &["sleep", "12"]).run();
    assert!(ran.code == 0 && !ran.stderr.contains("expires at"), "{ran:?}");
    assert!(world.count("renew-self") >= 2 && minted(&world) == 3, "{:?}", world.requests());
    let ttl = world.vault.requests().iter().filter(|request| request.json()["ttl"] == "900s").count();
    assert_eq!(ttl, 3);
}
