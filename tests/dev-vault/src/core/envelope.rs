//! From a handler's outcome to the bytes of an answer: Vault's envelopes for success and for errors.

use serde::Serialize;
use serde_json::json;

use crate::core::fields::Object;
use crate::core::response::{Auth, Failure, Response, WrapInfo};
use crate::dialect::Dialect;
use crate::http::Answer;

pub(crate) const JSON: &str = "application/json";

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(flatten)]
    repeated: Option<&'a Object>,
    request_id: &'a str,
    lease_id: &'a str,
    renewable: bool,
    lease_duration: u64,
    data: Option<&'a Object>,
    wrap_info: Option<&'a WrapInfo>,
    warnings: Option<&'a [String]>,
    auth: Option<&'a Auth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mount_type: Option<&'a str>,
}

/// The success envelope as text, without a newline.
pub(crate) fn encode(response: &Response, request_id: &str, mount_type: Option<&str>) -> String {
    let envelope = Envelope {
        repeated: response.data.as_ref().filter(|_| response.repeats_data),
        request_id,
        lease_id: &response.lease.id,
        renewable: response.lease.renewable,
        lease_duration: response.lease.duration.as_secs(),
        data: response.data.as_ref(),
        wrap_info: response.wrap_info.as_ref(),
        warnings: Some(response.warnings.as_slice()).filter(|warnings| !warnings.is_empty()),
        auth: response.auth.as_ref(),
        mount_type,
    };
    escape(&serde_json::to_string(&envelope).expect("an envelope is JSON"))
}

/// Go's encoder escapes what could end a script element. These characters occur in JSON within strings only.
pub(crate) fn escape(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

pub(crate) fn success(response: &Response, request_id: &str, mount_type: &str, dialect: Dialect) -> Answer {
    let status = response.status.unwrap_or(200);
    if let Some(body) = &response.verbatim {
        return Answer::new(status, JSON, body.as_bytes());
    }
    let mount_type = dialect.names_mount_type().then_some(mount_type);
    Answer::new(status, JSON, encode(response, request_id, mount_type) + "\n")
}

/// `authenticated`: Go errors are wrapped there, and bare on login paths.
pub(crate) fn failure(failure: &Failure, authenticated: bool) -> Answer {
    let wrap = |text: &String| format!("1 error occurred:\n\t* {text}\n\n");
    let errors: Vec<String> = if failure.wrapped && authenticated {
        failure.errors.iter().map(wrap).collect()
    } else {
        failure.errors.clone()
    };
    let mut answer = Answer::new(failure.status, JSON, escape(&json!({ "errors": errors }).to_string()) + "\n");
    for (name, value) in &failure.headers {
        answer.headers.set(name, value.as_str());
    }
    answer
}

/// The answer of Go's `ServeMux` to a path that is not clean. That of a newer Go keeps the method.
pub(crate) fn moved(method: &str, location: &str, dialect: Dialect) -> Answer {
    let (status, text) = match dialect {
        Dialect::OpenBao => (307, "Temporary Redirect"),
        _ => (301, "Moved Permanently"),
    };
    let html = location.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;");
    let mut answer = match method {
        "GET" => Answer::new(status, "text/html; charset=utf-8", format!("<a href=\"{html}\">{text}</a>.\n\n")),
        _ if dialect == Dialect::OpenBao => Answer::bare(status),
        _ => Answer::new(status, "text/html; charset=utf-8", ""),
    };
    answer.headers.set("Location", location);
    answer
}

pub(crate) fn not_found_page(dialect: Dialect) -> Answer {
    if dialect == Dialect::OpenBao {
        return failure(&Failure::empty(404), false);
    }
    Answer::new(404, "text/plain; charset=utf-8", "404 page not found\n")
}
