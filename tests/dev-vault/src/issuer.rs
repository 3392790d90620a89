//! The endpoints at which CI systems sign an ID token by request, each as strict as its system: GitHub's and Forgejo's,
//! Azure DevOps', Codefresh's.

use serde_json::json;

use crate::aside::Aside;
use crate::core::request::decode_strictly;
use crate::fault::{Fault, On, Reply};
use crate::http::Answer;
use crate::journal::Recorded;
use crate::tls::Tls;

/// Whose endpoint it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenWire {
    /// GitHub's: `?api-version=2.0` in the URL, `Bearer`, `&audience=`, `Accept: application/json`.
    Github,
    /// The same with Forgejo's `?placeholder=true`.
    Forgejo,
    /// Azure DevOps': a POST with `api-version=7.1` and no audience.
    Azure,
    /// Codefresh's: no query, and no `Bearer`.
    Codefresh,
}

/// Such an endpoint on loopback, in plain HTTP.
pub struct TokenIssuer {
    server: Aside,
    wire: TokenWire,
}

impl TokenIssuer {
    /// Starts listening. `proof` is what a request must show; the first requests get these answers; `sign` makes a token for
    /// an audience, which is empty where none was asked for.
    ///
    /// # Panics
    /// When no loopback port can be had.
    #[must_use]
    pub fn start(
        wire: TokenWire,
        proof: &str,
        first: Vec<Reply>,
        sign: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let proof = proof.to_owned();
        let server = Aside::start(Tls::Off, move |tally, request| match first.get(tally.earlier()) {
            Some(reply) => reply.0.clone(),
            None => match look_at(wire, &proof, request) {
                Ok(audience) => answer(wire, &sign(&audience)),
                Err((status, text)) => Answer::new(status, "text/plain", text),
            },
        });
        Self { server, wire }
    }

    /// What the system would put into the job's variable.
    #[must_use]
    pub fn url(&self) -> String {
        let query = match self.wire {
            TokenWire::Github => "?api-version=2.0",
            TokenWire::Forgejo => "?placeholder=true",
            TokenWire::Azure | TokenWire::Codefresh => "",
        };
        format!("{}/idtoken{query}", self.server.address())
    }

    /// Arms a fault.
    pub fn inject(&self, on: On, fault: Fault) {
        self.server.inject(on, fault);
    }

    /// Forgets the faults that are armed.
    pub fn clear_faults(&self) {
        self.server.clear_faults();
    }

    /// What came.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }
}

/// The audience that is asked for, or what the system would say.
fn look_at(wire: TokenWire, proof: &str, request: &Recorded) -> Result<String, (u16, &'static str)> {
    let method = if wire == TokenWire::Azure { "POST" } else { "GET" };
    if request.method != method {
        return Err((405, "the resource does not support this http method"));
    }
    let scheme = if wire == TokenWire::Codefresh { "" } else { "Bearer " };
    if request.headers.get("authorization") != Some(&format!("{scheme}{proof}")) {
        return Err((401, "who are you?"));
    }
    if request.headers.get("accept") != Some("application/json") {
        return Err((406, "the answer is JSON"));
    }
    let mut audience = String::new();
    let mut rest = Vec::new();
    for pair in request.query.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("audience", value)) if wire != TokenWire::Azure => {
                audience = decode(value).ok_or((400, "the audience is not percent-encoded"))?;
            }
            _ => rest.push(pair),
        }
    }
    let expected: &[&str] = match wire {
        TokenWire::Github => &["api-version=2.0"],
        TokenWire::Forgejo => &["placeholder=true"],
        TokenWire::Azure => &["api-version=7.1"],
        TokenWire::Codefresh => &[],
    };
    if request.path != "/idtoken" || rest != expected {
        return Err((404, "there is nothing here"));
    }
    if wire == TokenWire::Azure
        && (request.headers.get("content-type") != Some("application/json") || !request.body.is_empty())
    {
        return Err((415, "an empty body that is JSON"));
    }
    Ok(audience)
}

/// Of an audience, only what every reader takes the same may stand as it is.
fn decode(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!*'()".contains(&byte);
    decode_strictly(text, |byte| is_plain(byte).then_some(byte))
}

fn answer(wire: TokenWire, token: &str) -> Answer {
    let body = match wire {
        TokenWire::Github | TokenWire::Forgejo => json!({ "count": token.len(), "value": token }),
        TokenWire::Azure => json!({ "oidcToken": token }),
        TokenWire::Codefresh => json!({ "id_token": token }),
    };
    Answer::new(200, "application/json", body.to_string())
}
