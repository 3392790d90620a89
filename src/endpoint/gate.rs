//! Who is let in: a request that a program on this machine sends with the token, and nothing that a browser or a proxy
//! sends. Pure.

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName};
use hyper::{Method, Request};
use ring::hmac;

use crate::secret::Secret;

/// The one path.
pub(super) const PATH: &str = "/get-credentials";

/// What a browser or a proxy adds, and no SDK sends. Browsers also add headers that begin as [`OF_A_BROWSER`].
const FOREIGN: [&str; 3] = ["origin", "referer", "x-forwarded-for"];
const OF_A_BROWSER: &str = "sec-fetch-";

pub(super) struct Gate {
    /// The address and port that `Host` must name.
    authority: String,
    key: hmac::Key,
    /// Of the token, by the key.
    tag: hmac::Tag,
}

impl Gate {
    /// A gate that opens to the token. `key` is 32 random bytes.
    pub(super) fn new(authority: String, token: &Secret, key: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let tag = hmac::sign(&key, token.expose().as_bytes());
        Self { authority, key, tag }
    }

    /// Whether the request gets an answer.
    ///
    /// Security: `Host` is compared because a web page can send its reader's browser here under a name of its own (DNS
    /// rebinding). The token is compared by HMACs, whose comparison takes the same time wherever they differ.
    pub(super) fn lets_in<B>(&self, request: &Request<B>) -> bool {
        let headers = request.headers();
        let is_foreign =
            |name: &HeaderName| FOREIGN.contains(&name.as_str()) || name.as_str().starts_with(OF_A_BROWSER);
        only(headers, &HOST) == Some(self.authority.as_bytes())
            && request.method() == Method::GET
            && request.uri() == PATH
            && !headers.keys().any(is_foreign)
            && only(headers, &AUTHORIZATION)
                .is_some_and(|token| hmac::verify(&self.key, token, self.tag.as_ref()).is_ok())
    }
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).map(|value| value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "q7Hn-2c";
    const ADDRESS: &str = "127.0.0.1:4711";

    fn is_let_in(method: &str, target: &str, headers: &[(&str, &str)]) -> bool {
        let gate = Gate::new(ADDRESS.into(), &Secret::new(TOKEN.into()), &[7; 32]);
        let request = Request::builder().method(method).uri(target);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        gate.lets_in(&request.body(()).unwrap())
    }

    #[test]
    fn the_request_of_an_sdk_is_let_in_and_whatever_differs_in_one_thing_is_not() {
        let good = [("host", ADDRESS), ("authorization", TOKEN), ("accept", "application/json")];
        assert!(is_let_in("GET", PATH, &good));
        for method in ["POST", "PUT", "HEAD", "OPTIONS", "DELETE"] {
            assert!(!is_let_in(method, PATH, &good), "{method}");
        }
        let absolute = format!("http://{ADDRESS}{PATH}");
        for target in
            ["/", "/get-credentials/", "/get-credentials?x", "/get-credentialsx", "//x/get-credentials", &absolute]
        {
            assert!(!is_let_in("GET", target, &good), "{target}");
        }
        for host in ["localhost:4711", "127.0.0.1", "127.0.0.1:4712", "127.0.0.2:4711", "evil.example:4711", ""] {
            assert!(!is_let_in("GET", PATH, &[("host", host), good[1]]), "{host}");
        }
        for token in ["", "q7Hn-2", "q7Hn-2cc", "Q7Hn-2c", "Bearer q7Hn-2c", " q7Hn-2c"] {
            assert!(!is_let_in("GET", PATH, &[good[0], ("authorization", token)]), "{token}");
        }
        for twice in [good[0], good[1]] {
            assert!(!is_let_in("GET", PATH, &[good[0], good[1], twice]), "{twice:?}");
        }
        assert!(!is_let_in("GET", PATH, &good[..1]) && !is_let_in("GET", PATH, &good[1..]));
        for foreign in ["origin", "referer", "x-forwarded-for", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"] {
            assert!(!is_let_in("GET", PATH, &[good[0], good[1], (foreign, "null")]), "{foreign}");
        }
    }
}
