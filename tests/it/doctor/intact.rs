//! A healthy chain: every step is good, and the server has as many tokens, leases and secret IDs as before.

use dev_vault::{DevVault, Dialect};
use serde_json::{Value, json};

use super::{mark, marks};
use crate::real_server::operator::Operator;
use crate::real_server::server::Server;
use crate::real_server::site::{Site, prepare};
use crate::support::{METHODS, ROLE, World};

const AWS: &str = "doctor aws --role 365-dev";

#[test]
fn a_healthy_chain_is_good_at_every_step_and_nothing_is_left_or_spent() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        for method in METHODS {
            let run = world.command_as(method, AWS);
            let before = counts(&world.vault);
            let ran = run.run();
            assert_eq!(ran.code, 0, "{dialect} {method}: {}\n{}", ran.stdout, ran.stderr);
            assert_eq!(counts(&world.vault), before, "{dialect} {method}");
            let marks = marks(&ran);
            assert!(marks.iter().all(|(_, mark)| mark != "FAIL"), "{dialect} {method}: {}", ran.stdout);
            let examined = if matches!(method, "id-token" | "token") { "ok" } else { "skip" };
            for step in ["token", "engine-mount", "policy", "lease"] {
                assert_eq!(mark(&marks, step), examined, "{dialect} {method} {step}: {}", ran.stdout);
            }
            assert_eq!(mark(&marks, "configuration"), "ok");
            assert_eq!(mark(&marks, "health"), "ok");
            assert_eq!(marks.iter().any(|(name, _)| name == "logout"), method == "id-token", "{}", ran.stdout);
            world.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
            // What was not spent is good for the run.
            let mut again = run.clone();
            again.arguments = vec!["aws".into(), "--role".into(), "365-dev".into()];
            again.run().ok();
        }
        assert_eq!(world.vault.minted().values().sum::<usize>(), METHODS.len(), "{dialect}");
    }
}

/// What the server has: tokens with the uses that are left of them, leases, keys in the cloud.
fn counts(vault: &DevVault) -> (Vec<String>, usize, usize) {
    let mut tokens: Vec<_> = vault.live_tokens().iter().map(|token| format!("{token:?}")).collect();
    tokens.sort();
    (tokens, vault.live_leases().len(), vault.minted().values().sum())
}

#[test]
fn a_healthy_chain_of_a_real_server_is_good_at_every_step_and_nothing_is_left() {
    let Some(server) = Server::shared() else { return };
    let policy = "path \"aws/sts/*\" { capabilities = [\"read\"] }";
    hold(&Site::on(server, "examined", policy));
}

#[test]
fn the_double_is_examined_as_a_real_server_is() {
    let vault = DevVault::start(Dialect::OpenBao);
    let operator = Operator::new(vault.socket_address(), vault.root_token());
    prepare(&operator);
    hold(&Site::at(operator.address, &operator, ROLE, "path \"aws/sts/*\" { capabilities = [\"read\"] }"));
}

fn hold(site: &Site<'_>) {
    for method in METHODS {
        let run = site.job(method, AWS);
        let before = accessors(site.operator);
        let ran = run.run();
        assert_eq!(ran.code, 0, "{method}: {}\n{}", ran.stdout, ran.stderr);
        let marks = marks(&ran);
        assert!(marks.iter().all(|(_, mark)| mark != "FAIL"), "{method}: {}", ran.stdout);
        assert_eq!(mark(&marks, "auth-role"), if method == "token" { "skip" } else { "ok" }, "{}", ran.stdout);
        let new: Vec<_> = accessors(site.operator).into_iter().filter(|one| !before.contains(one)).collect();
        let of_this_site = |accessor: &&String| {
            let body = json!({ "accessor": accessor });
            let (status, found) = site.operator.send("POST", "auth/token/lookup-accessor", &[], &body);
            status == 200
                && found["data"]["policies"].as_array().is_some_and(|all| all.iter().any(|one| one == "examined"))
        };
        assert_eq!(new.iter().filter(of_this_site).count(), 0, "{method}: a token is left");
        let mut again = run.clone();
        again.arguments.remove(0);
        again.run().ok();
    }
}

fn accessors(operator: &Operator) -> Vec<String> {
    let (_, found) = operator.send("LIST", "auth/token/accessors", &[], &Value::Null);
    found["data"]["keys"].as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}
