//! The Kubernetes auth method: configuration, roles, and `login`, for which the cluster reviews the token.
//!
//! Reviews are asked for on loopback in plain HTTP only; the double must not reach out of the machine.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Backend, Call, is_role_name, token_params};
use crate::core::fields::Object;
use crate::core::request::Operation;
use crate::core::response::{Failure, Grant, Outcome, Response, TokenParams};

#[derive(Debug, Default)]
pub(crate) struct ServiceAccount {
    cluster: Option<Cluster>,
    roles: BTreeMap<String, Role>,
}

#[derive(Debug)]
struct Cluster {
    host: String,
    reviewer: String,
}

#[derive(Debug)]
struct Role {
    names: Vec<String>,
    namespaces: Vec<String>,
    audience: String,
    token: TokenParams,
}

impl Backend for ServiceAccount {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        let (head, name) = call.path.split_once('/').unwrap_or((call.path, ""));
        match (head, name, call.operation()) {
            ("login", "", Operation::Create | Operation::Update) => self.login(call),
            ("config", "", Operation::Create | Operation::Update) => {
                let data = call.data();
                data.value("disable_local_ca_jwt");
                data.value("kubernetes_ca_cert");
                let reviewer = call.ledger.secret(call.request.data.text("token_reviewer_jwt")?);
                self.cluster = Some(Cluster { host: call.request.data.text("kubernetes_host")?, reviewer });
                Ok(None)
            }
            ("role", name, Operation::Create | Operation::Update) if is_role_name(name, "") => {
                let data = call.data();
                let list = |name: &str| Ok::<_, Failure>(data.list(name)?.unwrap_or_default());
                let role = Role {
                    names: list("bound_service_account_names")?,
                    namespaces: list("bound_service_account_namespaces")?,
                    audience: data.text("audience")?,
                    token: token_params(data, TokenParams::default())?,
                };
                if role.names.is_empty() || role.namespaces.is_empty() {
                    return Err(Failure::bad_request("\"bound_service_account_names\" can not be empty"));
                }
                self.roles.insert(name.to_lowercase(), role);
                Ok(None)
            }
            _ => Err(Failure::unsupported_path()),
        }
    }

    fn is_login(&self, path: &str) -> bool {
        path == "login"
    }
}

impl ServiceAccount {
    /// In the plugin's order.
    fn login(&self, call: &mut Call<'_>) -> Outcome {
        let (name, token) = (call.data().text("role")?, call.data().text("jwt")?);
        let refuse = |text: &str| Failure::bad_request(text);
        if token.is_empty() {
            return Err(refuse("missing jwt"));
        }
        if name.is_empty() {
            return Err(refuse("missing role"));
        }
        call.ledger.secret(token.clone());
        let role = self.roles.get(&name.to_lowercase());
        let role = role.ok_or_else(|| refuse(&format!("invalid role name \"{name}\"")))?;
        let cluster = self.cluster.as_ref().ok_or_else(|| refuse("could not load backend configuration"))?;
        let claims = claims(&token).ok_or_else(|| refuse("compact JWS format must have three parts"))?;
        let denied = Failure::permission_denied;
        let account = &claims["kubernetes.io"]["serviceaccount"];
        let (account_name, uid) = (text(&account["name"]), text(&account["uid"]));
        let namespace = text(&claims["kubernetes.io"]["namespace"]);
        let fits = |list: &[String], name: &str| list.iter().any(|bound| bound == "*" || bound == name);
        if !fits(&role.namespaces, &namespace) {
            return Err(Failure::response(403, "namespace not authorized"));
        }
        if !fits(&role.names, &account_name) {
            return Err(Failure::response(403, "service account name not authorized"));
        }
        let audiences = claims["aud"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if !role.audience.is_empty() && !audiences.into_iter().any(|audience| audience == role.audience) {
            let text = "invalid audience (aud) claim: audience claim does not match any expected audience";
            return Err(Failure::response(403, text));
        }
        let review = cluster.review(&token, &role.audience).ok_or_else(denied)?;
        let user = &review["status"]["user"];
        let is_his = user["username"] == format!("system:serviceaccount:{namespace}:{account_name}").as_str()
            && user["uid"] == uid.as_str();
        if review["status"]["authenticated"] != true || !is_his {
            return Err(denied());
        }
        let mut metadata = Object::new();
        metadata.insert("service_account_name".to_owned(), json!(account_name));
        metadata.insert("service_account_namespace".to_owned(), json!(namespace));
        metadata.insert("role".to_owned(), json!(name));
        let display_name = format!("{namespace}-{account_name}");
        let grant = Grant { params: role.token.clone(), metadata, display_name, alias: uid };
        Ok(Some(Response { grant: Some(grant), ..Response::default() }))
    }
}

impl Cluster {
    /// What the API server makes of the token; nothing when it does not answer with a review.
    fn review(&self, token: &str, audience: &str) -> Option<Value> {
        let address: SocketAddr = self.host.strip_prefix("http://")?.parse().ok()?;
        if !address.ip().is_loopback() {
            return None;
        }
        let audiences: Vec<_> = Some(audience).into_iter().filter(|audience| !audience.is_empty()).collect();
        let body = json!({ "kind": "TokenReview", "spec": { "token": token, "audiences": audiences } }).to_string();
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let head = format!(
            "POST /apis/authentication.k8s.io/v1/tokenreviews HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
            self.reviewer,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 201").then(|| serde_json::from_str(body).ok())?
    }
}

/// What the token says of itself: the API server verifies it.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
