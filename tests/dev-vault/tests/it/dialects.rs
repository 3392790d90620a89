//! Where the servers differ: every row of it, once per dialect.

use dev_vault::{DevVault, Dialect};
use serde_json::json;

use crate::setup::{SECRET_ID, Team, keys, text};

/// Runs a check once per dialect and compares with what each is to give.
fn each<T: PartialEq + std::fmt::Debug>(check: impl Fn(&Team) -> T, expected: [T; 3]) {
    for (dialect, expected) in Dialect::ALL.into_iter().zip(expected) {
        assert_eq!(check(&Team::new(dialect)), expected, "{dialect}");
    }
}

/// Status and first error of a request.
fn refusal(team: &Team, method: &str, path: &str, token: &str, body: Option<&str>) -> (u16, String) {
    let headers = [("X-Vault-Token", token)];
    let headers = if token.is_empty() { &headers[..0] } else { &headers[..] };
    let response = team.client.send(method, &format!("/v1/{path}"), headers, body);
    (response.status, response.error())
}

fn same<T: Clone>(value: T) -> [T; 3] {
    [value.clone(), value.clone(), value]
}

fn refused(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

#[test]
fn dialects_are_named_and_parsed() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.to_string().parse(), Ok(dialect));
    }
    assert!("vault-0.1".parse::<Dialect>().is_err());
}

#[test]
fn without_a_token_old_vault_misses_it_and_new_servers_deny() {
    let denied = refused(403, "permission denied");
    let expected = [refused(400, "missing client token"), denied.clone(), denied];
    each(|team| refusal(team, "GET", "auth/token/lookup-self", "", None), expected.clone());
    each(|team| refusal(team, "PUT", "auth/nowhere/login", "", Some("{}")), expected);
}

#[test]
fn an_unknown_token_is_denied_bare_everywhere() {
    each(
        |team| refusal(team, "GET", "auth/token/lookup-self", "s.nope", None),
        same(refused(403, "permission denied")),
    );
}

#[test]
fn root_is_told_about_a_missing_mount_in_each_ones_words() {
    let new = refused(404, "no handler for route \"exo/apikey/x\". route entry not found.");
    let expected = [refused(404, "no handler for route 'exo/apikey/x'"), new.clone(), new];
    each(|team| refusal(team, "GET", "exo/apikey/x", &team.vault.root_token(), None), expected);
}

#[test]
fn anyone_else_is_denied_on_a_missing_mount() {
    let denied = refused(403, "1 error occurred:\n\t* permission denied\n\n");
    each(|team| refusal(team, "GET", "exo/apikey/x", &team.token(), None), same(denied));
}

#[test]
fn a_sealed_server_says_so_and_old_vault_says_more_to_a_token() {
    let sealed = refused(503, "Vault is sealed");
    let check = |with_token: bool| {
        move |team: &Team| {
            let token = if with_token { team.vault.root_token() } else { String::new() };
            team.vault.write("sys/seal", json!({}));
            refusal(team, "GET", "exoscale/apikey/ci", &token, None)
        }
    };
    let with_token = refused(503, "error performing token check: Vault is sealed");
    each(check(true), [with_token, sealed.clone(), sealed.clone()]);
    each(check(false), same(sealed));
}

#[test]
fn unsealing_brings_everything_back() {
    let team = Team::new(Dialect::OpenBao);
    let token = team.token();
    team.vault.write("sys/seal", json!({}));
    assert_eq!(team.client.get("sys/health", "").status, 503);
    team.vault.unseal();
    assert_eq!(team.client.get("auth/token/lookup-self", &token).status, 200);
}

#[test]
fn an_unparsable_ttl_is_an_internal_error_in_old_vault_only() {
    let text = "error converting input soon for field \"ttl\": strconv.ParseInt: parsing \"soon\": invalid syntax";
    let new = refused(400, &format!("Field validation failed: {text}"));
    let bao = "Field validation failed: error converting input for field \"ttl\": time: invalid duration \"soon\"";
    let old = refused(500, &format!("1 error occurred:\n\t* {text}\n\n"));
    let check = |team: &Team| refusal(team, "PUT", "aws/sts/deploy", &team.token(), Some(r#"{"ttl":"soon"}"#));
    each(check, [old, new, refused(400, bao)]);
}

#[test]
fn an_unknown_aws_role_is_quoted_differently() {
    let new = refused(400, "Role \"nope\" not found");
    let check = |team: &Team| refusal(team, "PUT", "aws/sts/nope", &team.token(), Some("{}"));
    each(check, [refused(400, "Role 'nope' not found"), new.clone(), new]);
}

#[test]
fn the_secret_id_answer_counts_uses_in_new_servers() {
    let check = |team: &Team| {
        let answer = team.vault.write(SECRET_ID, json!({ "num_uses": 3 }));
        answer["data"]["secret_id_num_uses"].as_u64()
    };
    each(check, [None, Some(3), Some(3)]);
}

#[test]
fn the_auth_block_grew_two_fields() {
    let check = |team: &Team| {
        let auth = team.approle_login(&team.secret_id(json!({}))).json()["auth"].clone();
        let keys = keys(&auth);
        (keys.contains(&"num_uses".to_owned()), keys.contains(&"mfa_requirement".to_owned()))
    };
    each(check, [(false, false), (true, true), (true, true)]);
}

#[test]
fn approle_refusals_are_told_apart_by_old_vault_only() {
    let merged = refused(400, "invalid role or secret ID");
    let wrong_role =
        |team: &Team| refusal(team, "PUT", "auth/approle/login", "", Some(r#"{"role_id":"x","secret_id":"x"}"#));
    each(wrong_role, [refused(400, "invalid role ID"), merged.clone(), merged.clone()]);
    let wrong_secret = |team: &Team| {
        let response = team.approle_login("nope");
        (response.status, response.error())
    };
    each(wrong_secret, [refused(400, "invalid secret id"), merged.clone(), merged]);
    let alias = refused(500, "failed to determine alias name from login request");
    let no_role = |team: &Team| refusal(team, "PUT", "auth/approle/login", "", Some(r#"{"secret_id":"x"}"#));
    each(no_role, [refused(400, "missing role_id"), alias, refused(500, "missing role_id")]);
    let no_secret = |team: &Team| (team.approle_login("").status, team.approle_login("").error());
    each(no_secret, same(refused(400, "missing secret_id")));
}

#[test]
fn a_read_of_an_approle_login_dies_before_its_operation_is_looked_at() {
    let alias = refused(500, "failed to determine alias name from login request");
    let expected = [refused(405, "unsupported operation"), alias, refused(500, "missing role_id")];
    each(|team| refusal(team, "GET", "auth/approle/login", "", None), expected);
}

#[test]
fn sts_answers_have_the_fields_of_their_time() {
    let check = |team: &Team| {
        let answer = team.client.put("aws/sts/deploy", &team.token(), &json!({ "ttl": "20m" })).json();
        assert_eq!(answer["renewable"], false);
        assert_eq!(answer["lease_duration"], 1_200);
        keys(&answer["data"]).join(" ")
    };
    each(
        check,
        [
            "access_key arn secret_key security_token",
            "access_key arn secret_key security_token session_token ttl",
            "access_key arn secret_key security_token ttl",
        ]
        .map(str::to_owned),
    );
}

#[test]
fn iam_users_have_a_null_token_under_the_name_of_the_time() {
    let check = |team: &Team| {
        let answer = team.client.get("aws/creds/user", &team.token()).json();
        assert_eq!(answer["renewable"], true);
        let data = answer["data"].clone();
        let null = data.as_object().unwrap().iter().find(|(_, value)| value.is_null());
        (null.map(|(name, _)| name.clone()).unwrap(), data.as_object().unwrap().len())
    };
    let old = ("security_token".to_owned(), 3);
    each(check, [old.clone(), ("session_token".to_owned(), 3), old]);
}

#[test]
fn session_tokens_are_a_role_type_of_vault_1_16_only() {
    let check = |team: &Team| {
        let role = json!({ "credential_type": "session_token" });
        let made = team.vault.request("POST", "aws/roles/mfa", Some(&team.vault.root_token()), &[], Some(&role));
        let data = team.client.get("aws/sts/mfa", &team.vault.root_token()).json()["data"].clone();
        (made.status, data.as_object().map(|data| data.keys().cloned().collect::<Vec<_>>().join(" ")))
    };
    let fields = Some("access_key secret_key session_token ttl".to_owned());
    each(check, [(400, None), (204, fields), (400, None)]);
}

#[test]
fn kv_metadata_has_custom_metadata_in_new_servers() {
    let check = |team: &Team| {
        team.vault.write("sys/mounts/kv", json!({ "type": "kv-v2" }));
        team.vault.write("kv/data/a", json!({ "data": { "k": "v" } }));
        keys(&team.vault.read("kv/data/a")["data"]["metadata"]).contains(&"custom_metadata".to_owned())
    };
    each(check, [false, true, true]);
}

#[test]
fn health_and_seal_status_have_the_fields_of_their_server() {
    let check = |team: &Team| {
        let health = keys(&team.client.get("sys/health", "").json());
        let seal = keys(&team.client.get("sys/seal-status", "").json());
        let has = |keys: &[String], name: &str| keys.iter().any(|key| key == name);
        [
            has(&health, "performance_standby"),
            has(&health, "enterprise"),
            has(&health, "clock_skew_ms"),
            has(&health, "cluster_name"),
            has(&seal, "build_date"),
            has(&seal, "commit_date"),
        ]
    };
    each(
        check,
        [
            [true, false, false, true, false, false],
            [true, true, true, true, true, false],
            [false, false, false, true, false, true],
        ],
    );
}

#[test]
fn tokens_look_like_their_servers_tokens() {
    let check = |team: &Team| {
        let service = team.token();
        team.approle(json!({ "token_type": "batch" }));
        let batch = team.token();
        let prefix = |token: &str| token.split_once('.').unwrap().0.to_owned();
        (prefix(&service), service.len() > 90, prefix(&batch), batch.len() > 90)
    };
    let short = ("s".to_owned(), false, "b".to_owned(), true);
    each(check, [short.clone(), ("hvs".to_owned(), true, "hvb".to_owned(), true), short]);
}

#[test]
fn the_envelope_names_its_mount_type_in_vault_1_16_only() {
    let check = |team: &Team| {
        let token = team.token();
        let read = team.client.get("exoscale/apikey/ci", &token).json();
        let login = team.approle_login(&team.secret_id(json!({}))).json();
        let named =
            |answer: &serde_json::Value| answer.get("mount_type").and_then(|kind| kind.as_str().map(str::to_owned));
        (named(&read), named(&login))
    };
    each(check, [(None, None), (Some("exoscale".to_owned()), Some(String::new())), (None, None)]);
}

#[test]
fn the_namespace_header_is_ignored_and_echoed_by_vault_and_heeded_by_openbao() {
    let check = |team: &Team| {
        let headers = [("X-Vault-Token", &*team.vault.root_token()), ("X-Vault-Namespace", "team-a")];
        let response = team.client.send("GET", "/v1/auth/token/lookup-self", &headers, None);
        (response.status, response.error(), response.header("x-vault-namespace").map(str::to_owned))
    };
    let echoed = (200, String::new(), Some("team-a".to_owned()));
    each(check, [echoed.clone(), echoed, (404, "namespace not found".to_owned(), None)]);
}

#[test]
fn an_openbao_namespace_has_its_own_mounts_policies_and_tokens() {
    let vault = DevVault::start(Dialect::OpenBao);
    let root = vault.root_token();
    vault.write("sys/namespaces/team-a", json!({}));
    let inside = [("X-Vault-Namespace", "team-a/")];
    let write = |path: &str, body: serde_json::Value| {
        let answer = vault.request("POST", path, Some(&root), &inside, Some(&body));
        assert!(answer.status < 300, "{path}: {:?}", answer.errors());
        answer.json()
    };
    write("sys/mounts/kv", json!({ "type": "kv" }));
    write("kv/a", json!({ "k": "v" }));
    write("sys/policies/acl/reader", json!({ "policy": r#"path "kv/*" { capabilities = ["read"] }"# }));
    let token = text(&write("auth/token/create", json!({ "policies": "reader" }))["auth"]["client_token"]);
    assert!(token.matches('.').count() == 2, "{token} carries its namespace");
    let read = |path: &str, headers: &[(&str, &str)]| vault.request("GET", path, Some(&token), headers, None).status;
    assert_eq!(read("kv/a", &inside), 200);
    assert_eq!(read("team-a/kv/a", &[]), 200, "the path names the namespace too");
    assert_eq!(read("kv/a", &[]), 403, "and outside it the token is nobody");
    assert_eq!(vault.request("GET", "kv/a", Some(&root), &[("X-Vault-Namespace", "root")], None).status, 404);
    let wrapped = [("X-Vault-Namespace", "team-a"), ("X-Vault-Wrap-TTL", "60s")];
    let wrapped = vault.request("GET", "kv/a", Some(&token), &wrapped, None).json();
    assert_eq!(wrapped["wrap_info"]["creation_path"], "kv/a");
}

#[test]
fn what_an_openbao_token_does_with_itself_is_done_in_its_own_namespace() {
    let vault = DevVault::start(Dialect::OpenBao);
    let root = vault.root_token();
    vault.write("sys/namespaces/team-a", json!({}));
    vault.write("sys/namespaces/team-b", json!({}));
    let within = |namespace: &str, method: &str, path: &str, token: &str, wrap: bool| {
        let headers = [("X-Vault-Namespace", namespace), ("X-Vault-Wrap-TTL", "60s")];
        let body = (method == "POST").then(|| json!({ "policies": "default" }));
        vault.request(method, path, Some(token), &headers[..1 + usize::from(wrap)], body.as_ref())
    };
    for elsewhere in ["", "team-b"] {
        let token = text(&within("team-a", "POST", "auth/token/create", &root, false).json()["auth"]["client_token"]);
        for (method, path, status) in [
            ("GET", "auth/token/lookup-self", 200),
            ("POST", "auth/token/renew-self", 200),
            ("POST", "sys/capabilities-self", 403),
            ("POST", "auth/token/revoke-self", 204),
            ("GET", "auth/token/lookup-self", 403),
        ] {
            assert_eq!(within(elsewhere, method, path, &token, false).status, status, "{elsewhere:?} {path}");
        }
        let wrapped = within("team-a", "POST", "sys/wrapping/wrap", &root, true).json();
        let wrapped = text(&wrapped["wrap_info"]["token"]);
        let headers = [("X-Vault-Namespace", elsewhere)];
        let unwrapped = vault.request("POST", "sys/wrapping/unwrap", Some(&wrapped), &headers, None);
        assert_eq!(
            (unwrapped.status, &unwrapped.json()["data"]),
            (200, &json!({ "policies": "default" })),
            "{elsewhere:?}"
        );
    }
}

#[test]
fn unrecognized_fields_are_a_warning_in_new_servers() {
    let check = |team: &Team| {
        let body = json!({ "ttl": "20m", "zone": "x", "role_arnn": "y" });
        let answer = team.client.put("aws/sts/deploy", &team.token(), &body).json();
        answer["warnings"][0].as_str().map(str::to_owned)
    };
    let warning = Some("Endpoint ignored these unrecognized parameters: [role_arnn zone]".to_owned());
    each(check, [None, warning.clone(), warning]);
}

#[test]
fn bad_json_is_refused_in_each_ones_words() {
    let check = |team: &Team| {
        refusal(team, "PUT", "auth/approle/login", "", Some("{nope")).1.split(':').next().unwrap().to_owned()
    };
    let old = "error parsing JSON".to_owned();
    each(check, [old.clone(), old, "failed to decode JSON input".to_owned()]);
}

#[test]
fn the_short_names_of_lease_endpoints_are_vaults_only() {
    let check = |team: &Team| {
        let token = team.token();
        let lease = text(&team.client.get("exoscale/apikey/ci", &token).json()["lease_id"]);
        let body = json!({ "lease_id": lease });
        team.client.put("sys/renew", &team.vault.root_token(), &body).status
    };
    each(check, [200, 200, 404]);
}
