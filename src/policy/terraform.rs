//! Resources of Terraform's provider `hashicorp/vault`, as `terraform fmt` leaves them.

use super::plan::PolicyPlan;
use super::text::{comment, head, mounts, secret_id_note};
use super::{hcl, right};
use crate::identity::SetUp;

/// The resources.
pub(super) fn render(plan: &PolicyPlan) -> String {
    let body = body(plan);
    let about = "The policy and the login of a job, for the provider hashicorp/vault.";
    format!("{}\n{body}", head(plan, about, &body))
}

fn body(plan: &PolicyPlan) -> String {
    let mut text = comment([mounts(plan)]);
    text.push_str(&policy("job", &plan.name, &hcl::blocks(&right::of_the_job(plan)), plan));
    if let Some((end, right)) = right::of_the_maker(plan) {
        let name = format!("{}-{end}", plan.name);
        text.push_str(&format!("\n{}", policy(end, &name, &hcl::blocks(&[right]), plan)));
    }
    match plan.set_up {
        SetUp::JwtRole => text.push_str(&format!("\n{}", jwt_role(plan))),
        SetUp::Token => {}
        SetUp::AppRole(_) => {
            text.push_str(&format!("\n{}", approle(plan)));
        }
    }
    text
}

fn policy(label: &str, name: &str, blocks: &str, plan: &PolicyPlan) -> String {
    let indented: String = blocks.lines().map(indent).collect();
    let mut fields = namespace(plan);
    fields.push(("name", string(name)));
    format!("{}\n  policy = <<-HCL\n{indented}  HCL\n}}\n", open("vault_policy", label, &fields))
}

fn indent(line: &str) -> String {
    if line.is_empty() { "\n".into() } else { format!("    {line}\n") }
}

fn jwt_role(plan: &PolicyPlan) -> String {
    let binding = &plan.binding;
    let list = |items: &[String]| items.iter().map(|item| string(item)).collect::<Vec<_>>().join(", ");
    let claims: Vec<_> =
        binding.claims.iter().map(|(name, value)| format!("{} = {}", string(name), string(value))).collect();
    let mut fields = namespace(plan);
    fields.extend([
        ("backend", string(&plan.mount)),
        ("role_name", string(&plan.role)),
        ("role_type", string("jwt")),
        ("user_claim", string(&binding.user_claim)),
        ("bound_audiences", format!("[{}]", list(&binding.audiences))),
        ("bound_claims", format!("{{ {} }}", claims.join(", "))),
    ]);
    fields.extend(token(plan));
    open("vault_jwt_auth_backend_role", "job", &fields) + "}\n"
}

fn approle(plan: &PolicyPlan) -> String {
    let mut fields = namespace(plan);
    fields.extend([("backend", string(&plan.mount)), ("role_name", string(&plan.role))]);
    fields.extend(token(plan));
    fields.extend([("secret_id_num_uses", "1".into()), ("secret_id_ttl", "600".into())]);
    comment([secret_id_note(plan)]) + &open("vault_approle_auth_backend_role", "job", &fields) + "}\n"
}

/// What both roles say of the token.
fn token(plan: &PolicyPlan) -> [(&'static str, String); 4] {
    let ttl = plan.ttl.as_secs().to_string();
    [
        ("token_policies", "[vault_policy.job.name]".into()),
        ("token_no_default_policy", "true".into()),
        ("token_ttl", ttl.clone()),
        ("token_max_ttl", ttl),
    ]
}

fn namespace(plan: &PolicyPlan) -> Vec<(&'static str, String)> {
    plan.namespace.iter().map(|name| ("namespace", string(name))).collect()
}

/// A block up to its last field, the values in one column.
fn open(kind: &str, label: &str, fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: String = fields.iter().map(|(name, value)| format!("  {name:width$} = {value}\n")).collect();
    format!("resource \"{kind}\" \"{label}\" {{\n{lines}")
}

/// A text as Terraform reads it back: JSON's escapes are HCL's, but for what begins a template.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_begins_a_template() {
        assert_eq!(string("a\"${b}%{c}\n"), r#""a\"$${b}%%{c}\n""#);
    }
}
