//! A shell script of the operator's commands. What prints a secret stands in it as a comment.

use super::plan::PolicyPlan;
use super::text::{comment, head, mounts, secret_id_note};
use super::{hcl, right};
use crate::identity::{SecretIdMaker, SetUp};

/// The script.
pub(super) fn render(plan: &PolicyPlan) -> String {
    let body = body(plan);
    format!("#!/bin/sh\n{}{body}", head(plan, "Sets up the policy and the login of a job.", &body))
}

fn body(plan: &PolicyPlan) -> String {
    let cli = plan.cli.name();
    let mut text = comment([mounts(plan)]);
    text.push_str(&mounting(plan, cli));
    text.push_str("set -eu\n");
    if let Some(namespace) = &plan.namespace {
        text.push_str(&format!("export {}='{namespace}'\n", plan.cli.namespace_variable()));
    }
    text.push_str(&format!("\n{}", write_policy(cli, &plan.name, &hcl::blocks(&right::of_the_job(plan)))));
    let maker = right::of_the_maker(plan);
    if let Some((end, right)) = &maker {
        let name = format!("{}-{end}", plan.name);
        text.push_str(&format!("\n{}", write_policy(cli, &name, &hcl::blocks(std::slice::from_ref(right)))));
    }
    match plan.set_up {
        SetUp::JwtRole => text.push_str(&format!("\n{}", jwt_role(plan, cli))),
        SetUp::Token => {}
        SetUp::AppRole(_) => {
            text.push_str(&format!("\n{}", approle(plan, cli)));
        }
    }
    text + &hand_out(plan, cli, maker.map(|(end, _)| end))
}

fn write_policy(cli: &str, name: &str, blocks: &str) -> String {
    format!("{cli} policy write {name} - <<'HCL'\n{blocks}HCL\n")
}

/// How to mount the login, where it is not. A second `auth enable` of a path fails, so it stands in a comment.
fn mounting(plan: &PolicyPlan, cli: &str) -> String {
    let (mount, issuer) = (&plan.mount, quoted(&plan.binding.issuer));
    match plan.set_up {
        SetUp::Token => String::new(),
        SetUp::JwtRole => format!(
            "#   {cli} auth enable -path={mount} jwt\n\
             #   {cli} write auth/{mount}/config oidc_discovery_url={issuer} bound_issuer={issuer}\n"
        ),
        SetUp::AppRole(_) => format!("#   {cli} auth enable -path={mount} approle\n"),
    }
}

/// A write to a role keeps what it does not name: an old `bound_subject` stays.
fn jwt_role(plan: &PolicyPlan, cli: &str) -> String {
    let binding = &plan.binding;
    let (path, ttl) = (format!("auth/{}/role/{}", plan.mount, plan.role), plan.ttl.as_secs());
    let note =
        format!("If the role exists, {cli} delete {path} first: a write keeps each field that it does not name.");
    let list = |items: &[String]| items.iter().map(|item| json(item)).collect::<Vec<_>>().join(", ");
    let claims: Vec<_> =
        binding.claims.iter().map(|(name, value)| format!("{}: {}", json(name), json(value))).collect();
    let fields = [
        ("role_type", json("jwt")),
        ("user_claim", json(&binding.user_claim)),
        ("bound_audiences", format!("[{}]", list(&binding.audiences))),
        ("bound_claims", format!("{{ {} }}", claims.join(", "))),
        ("token_policies", format!("[{}]", json(&plan.name))),
        ("token_no_default_policy", "true".into()),
        ("token_ttl", format!("\"{ttl}s\"")),
        ("token_max_ttl", format!("\"{ttl}s\"")),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
    format!("{}{cli} write {path} - <<'JSON'\n{{\n{}\n}}\nJSON\n", comment([note]), fields.join(",\n"))
}

fn approle(plan: &PolicyPlan, cli: &str) -> String {
    let ttl = plan.ttl.as_secs();
    format!(
        "{}{cli} write auth/{}/role/{} \\\n    token_policies={} token_no_default_policy=true token_ttl={ttl}s \
         token_max_ttl={ttl}s \\\n    secret_id_num_uses=1 secret_id_ttl=10m\n",
        comment([secret_id_note(plan)]),
        plan.mount,
        plan.role,
        plan.name,
    )
}

/// How the job gets what it logs in with: commands that print a secret.
fn hand_out(plan: &PolicyPlan, cli: &str, maker: Option<&str>) -> String {
    let path = plan.secret_id_path();
    let mut lines = Vec::new();
    if matches!(plan.set_up, SetUp::AppRole(_)) {
        lines.push(("The role ID, for VAULT_ROLE_ID:", {
            format!("{cli} read -field=role_id auth/{}/role/{}/role-id", plan.mount, plan.role)
        }));
    }
    let token = |name: &str, ttl: &str| {
        format!("{cli} token create -field=token -orphan -no-default-policy -policy={name} -ttl={ttl}")
    };
    let name = format!("{}-{}", plan.name, maker.unwrap_or_default());
    match plan.set_up {
        SetUp::AppRole(SecretIdMaker::Operator) => {
            lines.push(("A secret ID, for VAULT_SECRET_ID:", format!("{cli} write -field=secret_id -f {path}")))
        }
        SetUp::AppRole(SecretIdMaker::Wrapper) => {
            lines.push(("The token of whoever starts the jobs:", token(&name, "768h")));
            lines.push((
                "With that token, a wrapping token for each job, for VAULT_WRAPPING_TOKEN:",
                format!("{cli} write -wrap-ttl=5m -field=wrapping_token -f {path}"),
            ));
        }
        SetUp::AppRole(SecretIdMaker::Generator) => {
            lines.push(("The generator token, for VAULT_TOKEN, beside VAULT_APPROLE_ROLE:", token(&name, "768h")));
        }
        SetUp::Token => {
            lines.push(("The token, for VAULT_TOKEN:", token(&plan.name, &format!("{}s", plan.ttl.as_secs()))));
        }
        SetUp::JwtRole => {}
    }
    let line = |(what, command): &(&str, String)| format!("# {what}\n#   {command}\n");
    let lines: String = lines.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("\n# These commands print a secret, and do not run here.\n{lines}") }
}

/// A text as JSON: no line break of it ends the document around it.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text as a word of the shell, in a comment.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
