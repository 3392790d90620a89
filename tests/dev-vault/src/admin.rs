//! The operator's side, in process: the same router as on the wire, with the root token, and outside the record.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use crate::core::request::{HttpRequest, Staged};
use crate::http::{Answer, Head, Headers};
use crate::server::DevVault;

impl DevVault {
    /// Any request. `path` is without `/v1/`, and may have a query.
    #[must_use]
    pub fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut fields = Headers::from(headers);
        fields.set("X-Vault-Request", "true");
        if let Some(token) = token {
            fields.set("X-Vault-Token", token);
        }
        let head = Head { method: method.to_owned(), target: format!("/v1/{path}"), minor_version: 1, headers: fields };
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = HttpRequest { head, body, remote: IpAddr::V4(Ipv4Addr::LOCALHOST), certificates: Vec::new() };
        self.shared.process(&request, Staged::default()).expect("Vault answers everything")
    }

    fn as_root(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Value {
        let answer = self.request(method, path, Some(&self.root_token()), headers, body);
        assert!(answer.status < 400, "{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// Writes as root and gives the answer; `null` when there is none.
    ///
    /// # Panics
    /// When Vault refuses.
    pub fn write(&self, path: &str, data: Value) -> Value {
        self.as_root("POST", path, &[], Some(&data))
    }

    /// Reads as root.
    ///
    /// # Panics
    /// When Vault refuses.
    #[must_use]
    pub fn read(&self, path: &str) -> Value {
        self.as_root("GET", path, &[], None)
    }

    /// Deletes as root.
    ///
    /// # Panics
    /// When Vault refuses.
    pub fn delete(&self, path: &str) {
        self.as_root("DELETE", path, &[], None);
    }

    /// Writes as root, and gives the wrapping token that holds the answer.
    ///
    /// # Panics
    /// When Vault refuses, or had nothing to wrap.
    pub fn write_wrapped(&self, path: &str, data: Value, ttl: &str) -> String {
        let answer = self.as_root("POST", path, &[("X-Vault-Wrap-TTL", ttl)], Some(&data));
        let token = answer["wrap_info"]["token"].as_str();
        token.unwrap_or_else(|| panic!("{path} had nothing to wrap: {answer}")).to_owned()
    }
}
