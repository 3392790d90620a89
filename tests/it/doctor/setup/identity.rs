//! The secret of the job, before it is sent.

use serde_json::json;

use super::bench::Bench;
use super::{EVERYWHERE, Row, row};
use crate::support::text;

/// What makes wrapping tokens for the job makes another one.
fn wrap_again(bench: &mut Bench<'_>) {
    let token = bench.site.wrapped();
    bench.set("VAULT_WRAPPING_TOKEN", &token);
}

fn spend(bench: &mut Bench<'_>) {
    let token = bench.run.variables()["VAULT_WRAPPING_TOKEN"].clone();
    let (status, _) = bench.operator.send("POST", "sys/wrapping/unwrap", &[], &json!({ "token": token }));
    assert_eq!(status, 200);
    supply_another(bench);
}

/// A new one is what the hint asks for.
fn supply_another(bench: &mut Bench<'_>) {
    let token = bench.site.wrapped();
    bench.supply("VAULT_WRAPPING_TOKEN", &token);
}

pub fn rows() -> Vec<Row> {
    vec![
        row("the ID token has expired", |bench| {
            bench.claim(|token| token.expires_in(-600).not_before_in(-1200).issued_in(-1200))
        })
        .on(EVERYWHERE)
        .fails("identity", 77, "expired")
        .mended_by(|bench| bench.claim(|token| token.expires_in(600))),
        row("the wrapping token is spent", spend).by("wrapping-token").on(EVERYWHERE).fails(
            "identity",
            79,
            "already used",
        ),
        row("the wrapping token holds what somebody wrapped", |bench| {
            let body = json!({ "secret_id": bench.site.secret_id() });
            let token = bench.operator.wrap("sys/wrapping/wrap", &body);
            bench.set("VAULT_WRAPPING_TOKEN", &token);
        })
        .by("wrapping-token")
        .on(EVERYWHERE)
        .fails("identity", 79, "sys/wrapping/wrap")
        .mended_by(wrap_again),
        row("the wrapping token is of another AppRole", |bench| {
            let other = format!("auth/approle/role/{}-other", bench.name);
            bench.operator.write(&other, &json!({ "token_policies": [bench.name] }));
            let token = bench.operator.wrap(&format!("{other}/secret-id"), &json!({}));
            let name = bench.name.clone();
            bench.set("VAULT_APPROLE_ROLE", &name);
            bench.set("VAULT_WRAPPING_TOKEN", &token);
            let role_id = text(&bench.operator.read(&format!("{other}/role-id"))["data"]["role_id"]);
            bench.set("VAULT_ROLE_ID", &role_id);
            bench.supply("VAULT_APPROLE_ROLE", &format!("{name}-other"));
        })
        .by("wrapping-token")
        .on(EVERYWHERE)
        .fails("identity", 78, "was made by"),
        row("the wrapping token is a token that wraps nothing", |bench| {
            let token = bench.new_token(&json!({}));
            bench.set("VAULT_WRAPPING_TOKEN", &token);
            supply_another(bench);
        })
        .by("wrapping-token")
        .on(EVERYWHERE)
        .fails("identity", 79, "VAULT_WRAPPING_TOKEN"),
        row("a wrapped secret ID has no role ID beside it", |bench| bench.unset("VAULT_ROLE_ID"))
            .by("wrapping-token")
            .fails("identity", 66, "VAULT_ROLE_ID"),
    ]
}
