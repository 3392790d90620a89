//! Applies examples/vault/main.tf to the double: the file is parsed and evaluated as HCL, and each resource becomes
//! the writes that Terraform's vault provider sends for it.
//!
//! It knows the resources of that one file; another one fails. The provider itself is not here, so an argument that
//! it would refuse is not found, unless Vault refuses it too.

use std::collections::BTreeMap;

use dev_vault::DevVault;
use hcl::eval::{Context, Evaluate, FuncArgs, FuncDef, ParamType};
use serde_json::{Map, Value, json};

/// Applies the text and gives the paths that were written.
pub(super) fn apply(vault: &DevVault, text: &str, given: &[(&str, &str)]) -> Vec<String> {
    let writes = writes(text, given).into_iter();
    let write = |(path, data): (String, Value)| {
        vault.write(&path, data);
        path
    };
    writes.map(write).collect()
}

/// The writes that the provider sends, in order.
pub(crate) fn writes(text: &str, given: &[(&str, &str)]) -> Vec<(String, Value)> {
    let body = hcl::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let mut context = Context::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/vault");
    declare(&mut context, "path", &json!({ "module": folder }));
    context.declare_func("file", FuncDef::new(read_file, [ParamType::String]));
    context.declare_func("jsonencode", FuncDef::new(encode, [ParamType::Any]));
    let mut variables = Map::new();
    let mut resources: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut written = Vec::new();
    for block in body.blocks() {
        let labels: Vec<_> = block.labels.iter().map(|label| label.as_str().to_owned()).collect();
        match (block.identifier.as_str(), labels.as_slice()) {
            ("terraform", []) => {}
            ("variable", [name]) => {
                let by_user = given.iter().find(|(known, _)| known == name).map(|(_, value)| json!(value));
                let default = || attributes(&block.body, &context, &["default"]).remove("default");
                let value = by_user.or_else(default).unwrap_or_else(|| panic!("the variable {name} has no value"));
                variables.insert(name.clone(), value);
                declare(&mut context, "var", &Value::Object(variables.clone()));
            }
            ("resource", [kind, name]) => {
                let values = attributes(&block.body, &context, &[]);
                written.extend(requests(kind, values.clone()));
                let known = resources.entry(kind.clone()).or_default();
                known.insert(name.clone(), Value::Object(values));
                declare(&mut context, kind, &Value::Object(known.clone()));
            }
            (other, _) => panic!("a block that this test does not know: {other}"),
        }
    }
    written
}

fn declare(context: &mut Context<'_>, name: &str, value: &Value) {
    let value = serde_json::from_value::<hcl::Value>(value.clone()).expect("JSON is HCL");
    context.declare_var(hcl::Identifier::new(name).expect("a name"), value);
}

/// The attributes of a block, evaluated: all of them, or these alone.
fn attributes(body: &hcl::Body, context: &Context<'_>, only: &[&str]) -> Map<String, Value> {
    let wanted = |attribute: &&hcl::Attribute| only.is_empty() || only.contains(&attribute.key.as_str());
    let evaluate = |attribute: &hcl::Attribute| {
        let value = attribute.expr.evaluate(context).unwrap_or_else(|error| panic!("{}: {error}", attribute.key()));
        (attribute.key().to_owned(), serde_json::to_value(value).expect("HCL is JSON"))
    };
    body.attributes().filter(wanted).map(evaluate).collect()
}

fn read_file(arguments: FuncArgs) -> Result<hcl::Value, String> {
    let path = arguments[0].as_str().ok_or("not a text")?;
    std::fs::read_to_string(path).map(hcl::Value::from).map_err(|error| format!("{path}: {error}"))
}

fn encode(arguments: FuncArgs) -> Result<hcl::Value, String> {
    serde_json::to_string(&arguments[0]).map(hcl::Value::from).map_err(|error| error.to_string())
}

/// What the provider (hashicorp/vault) sends to make a resource.
fn requests(kind: &str, mut values: Map<String, Value>) -> Vec<(String, Value)> {
    let mut take = |name: &str| {
        let value = values.remove(name).unwrap_or_else(|| panic!("{kind} without {name}"));
        value.as_str().unwrap_or_else(|| panic!("{kind}: {name} is not a string")).to_owned()
    };
    let typed = |name: &str| json!({ "type": name });
    match kind {
        "vault_policy" => vec![(format!("sys/policies/acl/{}", take("name")), Value::Object(values))],
        "vault_mount" => vec![(format!("sys/mounts/{}", take("path")), Value::Object(values))],
        "vault_auth_backend" => vec![(format!("sys/auth/{}", take("path")), Value::Object(values))],
        "vault_generic_endpoint" => {
            vec![(take("path"), serde_json::from_str(&take("data_json")).expect("data_json is JSON"))]
        }
        "vault_aws_secret_backend" => {
            let path = take("path");
            vec![(format!("sys/mounts/{path}"), typed("aws")), (format!("{path}/config/root"), Value::Object(values))]
        }
        "vault_aws_secret_backend_role" => {
            vec![(format!("{}/roles/{}", take("backend"), take("name")), Value::Object(values))]
        }
        "vault_jwt_auth_backend" => {
            let path = take("path");
            vec![(format!("sys/auth/{path}"), typed("jwt")), (format!("auth/{path}/config"), Value::Object(values))]
        }
        "vault_approle_auth_backend_role" | "vault_jwt_auth_backend_role" => {
            vec![(format!("auth/{}/role/{}", take("backend"), take("role_name")), Value::Object(values))]
        }
        other => panic!("a resource that this test does not know: {other}"),
    }
}
