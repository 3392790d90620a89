//! A server as a team would run it: an AppRole, a JWT mount, both engines.

use dev_vault::{DevVault, Dialect, GitlabToken};
use serde_json::{Value, json};

use crate::support::{Client, Response};

pub const SECRET_ID: &str = "auth/approle/role/ci/secret-id";
pub const ARN: &str = "arn:aws:iam::123123123123:role/deploy";

pub struct Team {
    pub vault: DevVault,
    pub client: Client,
}

impl Team {
    pub fn new(dialect: Dialect) -> Self {
        Self::with(DevVault::start(dialect))
    }

    pub fn with(vault: DevVault) -> Self {
        let policy = r#"
            path "exoscale/apikey/ci" { capabilities = ["read"] }
            path "aws/+/*" { capabilities = ["create", "read", "update"] }
            path "sys/leases/revoke" { capabilities = ["update"] }
        "#;
        vault.write("sys/policies/acl/ci", json!({ "policy": policy }));
        vault.write("sys/auth/approle", json!({ "type": "approle" }));
        let client = Client::new(&vault);
        let team = Self { vault, client };
        team.approle(json!({}));
        team.mount_jwt();
        team.mount_engines();
        team
    }

    fn mount_jwt(&self) {
        let config = json!({
            "jwt_validation_pubkeys": GitlabToken::public_key_pem(),
            "bound_issuer": "https://git.example.com", "default_role": "ci",
        });
        self.vault.write("sys/auth/ci/gitlab", json!({ "type": "jwt" }));
        self.vault.write("auth/ci/gitlab/config", config);
        self.jwt_role("ci", json!({ "bound_audiences": "https://vault.example.com" }));
    }

    fn mount_engines(&self) {
        let vault = &self.vault;
        vault.write("sys/mounts/exoscale", json!({ "type": "exoscale" }));
        vault.write("exoscale/config/root", json!({ "root_api_key": "EXOroot", "root_api_secret": "exo-root-secret" }));
        vault.write("exoscale/role/ci", json!({ "iam-role": "ci", "ttl": "15m", "max_ttl": "30m" }));
        vault.write("sys/mounts/aws", json!({ "type": "aws", "config": { "max_lease_ttl": "12h" } }));
        vault.write("aws/config/root", json!({ "access_key": "AKIAROOT", "secret_key": "aws-root-secret" }));
        vault.write("aws/roles/deploy", json!({ "credential_type": "assumed_role", "role_arns": ARN }));
        vault.write("aws/roles/user", json!({ "credential_type": "iam_user", "policy_document": "{}" }));
    }

    /// Writes the role `ci` with these fields over the usual ones.
    pub fn approle(&self, fields: Value) {
        let mut role = json!({ "token_policies": "ci", "token_ttl": "15m", "token_max_ttl": "1h" });
        role.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap());
        self.vault.write("auth/approle/role/ci", role);
    }

    pub fn jwt_role(&self, name: &str, fields: Value) {
        let mut role = json!({ "role_type": "jwt", "user_claim": "project_path", "token_policies": "ci" });
        role.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap());
        self.vault.write(&format!("auth/ci/gitlab/role/{name}"), role);
    }

    pub fn role_id(&self) -> String {
        text(&self.vault.read("auth/approle/role/ci/role-id")["data"]["role_id"])
    }

    pub fn secret_id(&self, fields: Value) -> String {
        text(&self.vault.write(SECRET_ID, fields)["data"]["secret_id"])
    }

    pub fn approle_login(&self, secret_id: &str) -> Response {
        let body = json!({ "role_id": self.role_id(), "secret_id": secret_id });
        self.client.put("auth/approle/login", "", &body)
    }

    pub fn jwt_login(&self, jwt: &str) -> Response {
        self.client.put("auth/ci/gitlab/login", "", &json!({ "jwt": jwt }))
    }

    /// A token of the role `ci`.
    pub fn token(&self) -> String {
        let response = self.approle_login(&self.secret_id(json!({})));
        assert_eq!(response.status, 200, "{}", response.body);
        text(&response.json()["auth"]["client_token"])
    }

    /// A token made by root.
    pub fn made_token(&self, fields: Value) -> String {
        text(&self.vault.write("auth/token/create", fields)["auth"]["client_token"])
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

/// The names of an object's members.
pub fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}")).keys().cloned().collect()
}
