//! Mount, role and what the role demands.

use dev_vault::{GitlabKeys, GitlabToken};
use serde_json::json;

use super::{EVERYWHERE, OPENBAO, On, Row, row};
use crate::support::ISSUER;

fn keys() -> serde_json::Value {
    json!({ "jwt_validation_pubkeys": [GitlabToken::public_key_pem()], "bound_issuer": ISSUER })
}

pub fn rows() -> Vec<Row> {
    [mounts(), tokens(), claims(), approles()].into_iter().flatten().collect()
}

fn mounts() -> Vec<Row> {
    vec![
        row("the login's mount does not exist", |bench| bench.set("VAULT_AUTH_PATH", "gitlba")).on(EVERYWHERE).fails(
            "auth-mount",
            77,
            "gitlba",
        ),
        row("the login's mount is an AppRole's", |bench| bench.set("VAULT_AUTH_PATH", "approle")).on(EVERYWHERE).fails(
            "auth-mount",
            78,
            "AppRole",
        ),
        row("the AppRole's mount does not exist", |bench| bench.set("CI_CREDS_AUTH_MOUNT", "approlle"))
            .by("secret-id")
            .on(EVERYWHERE)
            .fails("auth-mount", 77, "approlle"),
        row("the AppRole's mount is that of ID tokens", |bench| bench.set("CI_CREDS_AUTH_MOUNT", "gitlab"))
            .by("secret-id")
            .on(EVERYWHERE)
            .fails("auth-mount", 78, "gitlab"),
        row("the mount of ID tokens was never configured", |bench| {
            let keys = GitlabKeys::start();
            let issuer = keys.issuer_url();
            bench.claim(|token| token.issuer(&issuer));
            bench.keep(keys);
            bench.own_mount(&json!(null));
        })
        .on(OPENBAO)
        .fails("auth-mount", 78, "could not load configuration"),
        row("the role of the login does not exist", |bench| bench.set("VAULT_AUTH_ROLE", "nope")).on(EVERYWHERE).fails(
            "auth-role",
            77,
            "there is no role nope",
        ),
        row("no role is named, and the mount has no default", |bench| {
            bench.own_mount(&keys());
            bench.unset("VAULT_AUTH_ROLE");
        })
        .on(EVERYWHERE)
        .fails("auth-role", 77, "default_role"),
        row("the role is one for browsers", |bench| {
            let fields =
                json!({ "role_type": "oidc", "allowed_redirect_uris": ["http://localhost:8250/oidc/callback"] });
            bench.write_role(&fields);
        })
        .on(EVERYWHERE)
        .fails("auth-role", 77, "browser"),
        row("the role ID is that of no role", |bench| {
            bench.set("VAULT_ROLE_ID", "11111111-2222-3333-4444-555555555555")
        })
        .by("secret-id")
        .on(EVERYWHERE)
        .fails("auth-role", 77, "VAULT_ROLE_ID"),
    ]
}

fn tokens() -> Vec<Row> {
    vec![
        row("the audience is another one", |bench| bench.claim(|token| token.audience("https://vault.example.com/")))
            .on(EVERYWHERE)
            .fails("login", 77, "audience"),
        row("the role has no audiences, and the ID token has one", |bench| bench.write_role(&json!({ "bound_audiences": [] })))
            .on(OPENBAO)
            .fails("login", 77, "no audiences bound"),
        row("the issuer is another one", |bench| {
            bench.own_mount(&json!({ "jwt_validation_pubkeys": [GitlabToken::public_key_pem()], "bound_issuer": format!("{ISSUER}/") }));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "issuer"),
        row("the subject is another one", |bench| {
            bench.write_role(&json!({ "bound_subject": "project_path:somenamespace/someproject:ref_type:branch:ref:*" }));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "subject"),
        row("the key is another one", |bench| bench.sign = GitlabToken::sign_with_other_key)
            .on(EVERYWHERE)
            .fails("login", 77, "signature")
            .mended_by(|bench| bench.sign = GitlabToken::sign),
        row("the key of a list of keys is another one", |bench| {
            let keys = GitlabKeys::start();
            bench.own_mount(&json!({ "jwks_url": keys.jwks_url(), "bound_issuer": ISSUER }));
            bench.keep(keys);
            bench.sign = GitlabToken::sign_with_other_key;
        })
        .on(EVERYWHERE)
        .fails("login", 77, "signature")
        .mended_by(|bench| bench.sign = GitlabToken::sign),
        row("the algorithm is another one", |bench| {
            let mut config = keys();
            config["jwt_supported_algs"] = json!(["RS512"]);
            bench.own_mount(&config);
        })
        .on(EVERYWHERE)
        .fails("login", 77, "algorithm"),
        row("the list of keys is a web page", |bench| {
            let keys = GitlabKeys::start();
            let issuer = keys.issuer_url();
            bench.own_mount(&json!({ "jwks_url": format!("{issuer}/keys"), "skip_jwks_validation": true }));
            bench.claim(|token| token.issuer(&issuer));
            bench.keep(keys);
        })
        .on(EVERYWHERE)
        .fails("login", 78, "jwks_url"),
        row("the server of the list of keys is down", |bench| {
            let config = json!({ "jwks_url": "http://127.0.0.1:1/keys", "bound_issuer": ISSUER, "skip_jwks_validation": true });
            bench.own_mount(&config);
            bench.flag("--retries", "0");
        })
        .on(OPENBAO)
        .fails("login", 69, "fetch the keys")
        .mended_by(|bench| {
            bench.operator.write(&format!("auth/{}/config", bench.mount), &keys());
        }),
        row("the user_claim is one that the ID token does not have", |bench| bench.write_role(&json!({ "user_claim": "user_name" })))
            .on(EVERYWHERE)
            .fails("login", 77, "user_claim"),
        row("the user_claim is a number", |bench| bench.write_role(&json!({ "user_claim": "runner_id" })))
            .on(EVERYWHERE)
            .fails("login", 77, "user_claim"),
        row("the user_claim is empty", |bench| {
            bench.claim(|token| token.claim("nickname", ""));
            bench.write_role(&json!({ "user_claim": "nickname" }));
        })
        .on(OPENBAO)
        .fails("login", 78, "user_claim"),
        row("the groups_claim is one that the ID token does not have", |bench| bench.write_role(&json!({ "groups_claim": "groups" })))
            .on(EVERYWHERE)
            .fails("login", 77, "groups_claim"),
        row("a claim is mapped that is a list", |bench| {
            bench.claim(|token| token.claim("teams", vec!["a"]));
            bench.write_role(&json!({ "claim_mappings": { "teams": "teams" } }));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "claim_mappings"),
        row("the address of the runner is not allowed to the role", |bench| bench.write_role(&json!({ "token_bound_cidrs": ["192.0.2.0/24"] })))
            .on(EVERYWHERE)
            .fails("login", 77, "token_bound_cidrs")
            .mended_by(|bench| bench.write_role(&json!({ "token_bound_cidrs": "" }))),
    ]
}

fn claims() -> Vec<Row> {
    vec![
        row("the ID token has no time in it", |bench| {
            bench.claim(|token| token.without("exp").without("nbf").without("iat"));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "none of iat, nbf and exp")
        .mended_by(|bench| bench.token = bench.fresh_token()),
        row("the project is another one", |bench| bench.write_role(&json!({ "bound_claims": { "project_id": "1" } })))
            .on(EVERYWHERE)
            .fails("login", 77, "project_id is 365"),
        row("a bound claim is a boolean, and that of the ID token a string", |bench| {
            bench.write_role(&json!({ "bound_claims": { "project_id": "365", "ref_protected": true } }));
        })
        .on(OPENBAO)
        .fails("login", 77, "the string \"true\""),
        row("a bound claim is a string, and that of the ID token a boolean", |bench| {
            bench.claim(|token| token.claim("https://ci.corp/rerun", false));
            bench.write_role(&json!({ "bound_claims": { "https://ci.corp/rerun": "false" } }));
        })
        .on(OPENBAO)
        .fails("login", 77, "boolean"),
        row("a bound claim is one that the job does not have", |bench| {
            bench.claim(|token| token.without("environment"));
            bench.write_role(&json!({ "bound_claims": { "project_id": "365", "environment": "dev" } }));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "environment"),
        row("three bound claims are other ones", |bench| {
            bench
                .write_role(&json!({ "bound_claims": { "project_id": "1", "environment": "prod", "ref": "release" } }));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "bound_claims")
        .several(),
        row("a bound claim is a pattern, and the role takes it to the letter", |bench| {
            bench.write_role(&json!({ "bound_claims": { "project_path": "somenamespace/*" } }));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "glob")
        .taking("bound_claims_type=glob"),
        row("a claim of one's own is another one", |bench| {
            bench.claim(|token| token.claim("team", "blue"));
            bench.write_role(&json!({ "bound_claims": { "team": "red" } }));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "team is blue"),
        row("a claim that a JSON pointer names is another one", |bench| {
            bench.claim(|token| token.claim("user", json!({ "id": "u-9" })));
            bench.write_role(&json!({ "bound_claims": { "/user/id": "u-1" } }));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "/user/id is u-9"),
        row("a list of bound claims has another branch", |bench| {
            bench.write_role(&json!({ "bound_claims": { "project_id": "365", "ref": ["release", "hotfix"] } }));
        })
        .on(EVERYWHERE)
        .fails("login", 77, "ref is main"),
    ]
}

fn approles() -> Vec<Row> {
    vec![
        row("five wrong secret IDs have locked the role", |bench| {
            let role_id = bench.run.variables()["VAULT_ROLE_ID"].clone();
            let body = json!({ "role_id": role_id, "secret_id": "11111111-2222-3333-4444-555555555555" });
            for _ in 0..5 {
                bench.operator.send("POST", "auth/approle/login", &[], &body);
            }
        })
        .by("secret-id")
        .alone(|builder| builder)
        .on(OPENBAO)
        .fails("auth-mount", 77, "locks a role ID")
        .mended_by(|bench| {
            if let Some(vault) = bench.double {
                vault.advance(std::time::Duration::from_secs(16 * 60));
                let secret_id = bench.site.secret_id();
                bench.set("VAULT_SECRET_ID", &secret_id);
                return;
            }
            let mounts = bench.operator.read("sys/auth")["data"].clone();
            let accessor = crate::support::text(&mounts["approle/"]["accessor"]);
            let role_id = bench.run.variables()["VAULT_ROLE_ID"].clone();
            bench.operator.write(&format!("sys/locked-users/{accessor}/unlock/{role_id}"), &json!({}));
        }),
        row("an AppRole without a secret ID has the wrong addresses", |bench| {
            let fields = json!({ "bind_secret_id": false, "token_bound_cidrs": ["192.0.2.0/24"] });
            bench.operator.write(&bench.role(), &fields);
            bench.unset("VAULT_SECRET_ID");
            bench.set("CI_CREDS_AUTH", "secret-id");
        })
        .by("secret-id")
        .on(&[On::OpenBao, On::Real])
        .fails("token", 77, "other addresses")
        .leaving_a_login()
        .mended_by(|bench| {
            bench.operator.write(&bench.role(), &json!({ "token_bound_cidrs": "127.0.0.0/8,::1/128" }));
        }),
    ]
}
