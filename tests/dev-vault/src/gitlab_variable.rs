//! GitLab's API for CI/CD variables: `GET` and `PUT` of `/projects/:id/variables/:key` and its twin of groups, with state.
//!
//! The rules are those of `lib/api/ci/variables.rs` and `lib/api/helpers/variables_helpers.rs` in GitLab's source.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::aside::Aside;
use crate::core::request::percent_decode;
use crate::http::Answer;
use crate::journal::Recorded;
use crate::lock;
use crate::tls::Tls;

/// A stored variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitlabVariable {
    /// Whose it is: `projects/365` or `groups/team`.
    pub owner: String,
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// The environments that it is for.
    pub scope: String,
    /// Whether logs mask it.
    pub masked: bool,
    /// Whether nobody is shown its value.
    pub hidden: bool,
}

impl GitlabVariable {
    /// A masked one of a project, for every environment.
    #[must_use]
    pub fn of_project(key: &str, value: &str) -> Self {
        Self {
            owner: "projects/365".into(),
            key: key.into(),
            value: value.into(),
            scope: "*".into(),
            masked: true,
            hidden: false,
        }
    }
}

/// What becomes of the next `PUT`s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitlabFault {
    /// Nothing.
    None,
    /// It is stored, and the answer is lost.
    LoseAnswer,
    /// It is lost on the way.
    LoseRequest,
    /// It is stored, answered, and read back for a while as it was.
    ReadOldValue,
}

/// What such a server holds.
#[derive(Debug, Default)]
struct State {
    variables: Vec<GitlabVariable>,
    /// The scopes and the role of each token.
    tokens: BTreeMap<String, (bool, bool)>,
    faults: Vec<GitlabFault>,
    /// Whether every read fails from the next `PUT` on.
    blind: bool,
    put: bool,
    stale: Vec<GitlabVariable>,
}

/// A GitLab with one project, 365, and one group, `team/ops`.
pub struct Gitlab {
    aside: Aside,
    state: Arc<Mutex<State>>,
}

impl Gitlab {
    /// Starts it, with these variables.
    ///
    /// # Panics
    /// When no loopback port can be had.
    #[must_use]
    pub fn start(tls: Tls, variables: Vec<GitlabVariable>) -> Self {
        let state = Arc::new(Mutex::new(State { variables, ..State::default() }));
        let held = Arc::clone(&state);
        let aside = Aside::lossy(tls, move |_, request| lock(&held).answer(request));
        Self { aside, state }
    }

    /// Lets a token in: whether it has the scope `api`, and whether its role is Maintainer.
    pub fn admit(&self, token: &str, api: bool, maintainer: bool) {
        lock(&self.state).tokens.insert(token.into(), (api, maintainer));
    }

    /// What becomes of the next `PUT`s, in order.
    pub fn spoil(&self, faults: &[GitlabFault]) {
        lock(&self.state).faults = faults.to_vec();
    }

    /// From the next `PUT` on, every read fails.
    pub fn go_blind(&self) {
        lock(&self.state).blind = true;
    }

    /// What is stored.
    #[must_use]
    pub fn variables(&self) -> Vec<GitlabVariable> {
        lock(&self.state).variables.clone()
    }

    /// Stores these in place of all others.
    pub fn store(&self, variables: Vec<GitlabVariable>) {
        let mut state = lock(&self.state);
        (state.variables, state.put, state.blind) = (variables, false, false);
        state.faults.clear();
        state.stale.clear();
    }

    /// For `CI_API_V4_URL`.
    #[must_use]
    pub fn api(&self) -> String {
        format!("{}/api/v4", self.aside.address())
    }

    /// The TCP port.
    ///
    /// # Panics
    /// Never: the address is our own.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        let address = self.aside.address();
        address.rsplit('/').next().and_then(|address| address.parse().ok()).expect("an address")
    }

    /// The CA to trust, with TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.aside.ca_pem()
    }

    /// What was asked.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.aside.requests()
    }
}

fn message(status: u16, text: impl Into<Value>) -> Option<Answer> {
    Some(Answer::new(status, "application/json", json!({ "message": text.into() }).to_string()))
}

impl State {
    fn answer(&mut self, request: &Recorded) -> Option<Answer> {
        let token = request.headers.get("PRIVATE-TOKEN").unwrap_or_default();
        let Some((api, maintainer)) = self.tokens.get(token).copied() else {
            return message(401, "401 Unauthorized");
        };
        if !api {
            let body = json!({
                "error": "insufficient_scope",
                "error_description": "The request requires higher privileges than provided by the access token.",
                "scope": "api",
            });
            return Some(Answer::new(403, "application/json", body.to_string()));
        }
        let path = request.path.strip_prefix("/api/v4/").unwrap_or_default();
        let parts: Vec<_> = path.split('/').map(percent_decode).collect();
        let [kind, id, _, key] = &parts[..] else { return message(404, "404 Not Found") };
        let owner = format!("{kind}/{id}");
        match owner.as_str() {
            "projects/365" | "groups/team/ops" => {}
            _ if kind == "groups" => return message(404, "404 Group Not Found"),
            _ => return message(404, "404 Project Not Found"),
        }
        if !maintainer {
            return message(403, "403 Forbidden");
        }
        let query = request.query.as_deref().map(percent_decode).unwrap_or_default();
        let scope = query.strip_prefix("filter[environment_scope]=").map(|scope| scope.replace('+', " "));
        let is_it = |variable: &GitlabVariable| {
            variable.owner == owner
                && variable.key == *key
                && scope.as_ref().is_none_or(|scope| variable.scope == *scope)
        };
        let found: Vec<_> = (0..self.variables.len()).filter(|index| is_it(&self.variables[*index])).collect();
        let index = match found[..] {
            [] => return message(404, "404 Variable Not Found"),
            [index] => index,
            _ => {
                return message(
                    409,
                    "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'",
                );
            }
        };
        match request.method.as_str() {
            "GET" if self.blind && self.put => message(500, "500 Internal Server Error"),
            "GET" => {
                let stale = self.stale.pop();
                Some(shown(stale.as_ref().unwrap_or(&self.variables[index])))
            }
            "PUT" => self.put(request, index),
            _ => message(405, "405 Not Allowed"),
        }
    }

    fn put(&mut self, request: &Recorded, index: usize) -> Option<Answer> {
        self.put = true;
        let fault = if self.faults.is_empty() { GitlabFault::None } else { self.faults.remove(0) };
        if fault == GitlabFault::LoseRequest {
            return None;
        }
        let body = request.json();
        let Some(value) = body["value"].as_str() else { return message(400, json!({ "value": ["is missing"] })) };
        let variable = &mut self.variables[index];
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=/@:.~-".contains(&byte);
        if variable.masked && (value.len() < 8 || !value.bytes().all(fits)) {
            return message(400, json!({ "value": ["is invalid"] }));
        }
        if variable.hidden && body.get("masked").is_some() {
            return message(400, "Updating masked attribute is not allowed on updates for hidden variables.");
        }
        if fault == GitlabFault::ReadOldValue {
            self.stale = vec![variable.clone(); 2];
        }
        variable.value = value.to_owned();
        (fault != GitlabFault::LoseAnswer).then(|| shown(variable))
    }
}

fn shown(variable: &GitlabVariable) -> Answer {
    let body = json!({
        "variable_type": "env_var",
        "key": variable.key,
        "value": if variable.hidden { Value::Null } else { variable.value.clone().into() },
        "hidden": variable.hidden,
        "protected": true,
        "masked": variable.masked,
        "raw": true,
        "environment_scope": variable.scope,
        "description": null,
    });
    Answer::new(200, "application/json", body.to_string())
}
