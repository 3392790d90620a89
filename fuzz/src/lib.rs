//! What is held of everything that comes from outside, whatever it is: one function a target.
//!
//! Each takes any bytes and panics when a promise is broken. The promises are said anew here, and not in the words of
//! the code that they are about. `cargo fuzz` looks for bytes that break one; `tests/it/corpus.rs` plays those in
//! `corpus/` on the stable toolchain.

use std::borrow::Cow;

use ci_creds::claims::Claims;
use ci_creds::claims::PLACEHOLDERS;
use ci_creds::config::name::{fill, is_part_of_role, is_role, path_in};
use ci_creds::credential::{Credential, Lease};
use ci_creds::error::{self, Error, Kind};

use ci_creds::aws::sts::{Verdict, judge};
use ci_creds::cache::Keys;
use ci_creds::cache::entry::{self, Label, LoginEntry, PlainSecret, Seal};
use ci_creds::http::address::{Address, Server, parse_server};
use ci_creds::http::redirect;
use ci_creds::identity::Identity;
use ci_creds::provider::cloud::{Choices, Cloud};
use ci_creds::provider::shape::{Shape, Syntax};
use ci_creds::provider::{aws, exoscale, shapes};
use ci_creds::render;
use ci_creds::secret::Secret;
use ci_creds::time::{expiry, render_time};
use ci_creds::vault::refusal::Refusal;
use ci_creds::vault::retry::parse_retry_after;
use ci_creds::vault::wire::{self, Envelope, ErrorResponse};
use jiff::Timestamp;
use toml::{Table, Value};
use url::Url;

/// A name under `corpus/` and `fuzz_targets/`, and what is done with each input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: [Target; 10] = [
    ("address", address),
    ("cache_entry", cache_entry),
    ("credentials_file", credentials_file),
    ("id_token_claims", id_token_claims),
    ("redirect_location", redirect_location),
    ("retry_after", retry_after),
    ("role_name", role_name),
    ("sanitized", sanitized),
    ("sts_answer", sts_answer),
    ("vault_response", vault_response),
];

fn is_made_of(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// Vault's answer: a credential holds nothing that a shell acts on, and a message nothing of the answer.
pub fn vault_response(data: &[u8]) {
    if let Some(failure) = wire::parse::<ErrorResponse>(data) {
        let reason = error::sanitized(failure.errors.first().map_or("", String::as_str));
        let because = Refusal { status: 403, reason }.because();
        assert!(because.starts_with("403") || because == "status 403", "{because:?}");
        assert!(is_made_of(&because, " .,:/_-") && because.len() <= 205, "{because:?}");
    }
    for shape in shapes() {
        let Some(envelope) = wire::parse::<Envelope>(data) else { return };
        let end = expiry(Timestamp::UNIX_EPOCH, envelope.lease_duration);
        assert_eq!(end.is_some(), envelope.lease_duration > 0);
        let _ = end.map(render_time);
        match shape.parse_data("mount/role", &mut envelope.data.unwrap_or_default().0) {
            Ok(parsed) => {
                for field in shape.fields.iter().filter(|field| field.required) {
                    assert!(parsed.values.iter().any(|(found, _)| found.name == field.name), "no {}", field.name);
                }
                for (field, value) in parsed.values {
                    let text = value.expose();
                    let others = if field.variable.is_some() { "/+=_.-" } else { "/+=_.-:,@" };
                    assert!(!text.is_empty() && text.len() <= 8192, "{} of {} bytes", field.name, text.len());
                    assert!(is_made_of(text, others), "{}: {text:?}", field.name);
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), Kind::Data);
                assert!(is_made_of(error.message(), " _/:") && error.message().len() < 150, "{}", error.message());
            }
        }
    }
}

/// A file of the cache: nobody makes one that opens without the secret, and one that was made opens as it was and in
/// no other way.
pub fn cache_entry(data: &[u8]) {
    let Some(label) = entry::label(data) else { return };
    assert_eq!(label.version, entry::VERSION, "another form is read as this one");
    let keys = |token: &str| {
        let token = Secret::new(token.to_owned());
        Keys::new(&label.door, &Identity::Token { token, child: false })
    };
    let (owner, other) = (keys("hvs.owner"), keys("hvs.other"));
    let target = label.target.as_ref();
    let seal = |keys: &Keys, target| Seal::new(keys, target).expect("a key of the cipher's length");
    let opens = |keys: &Keys, bytes: &[u8]| seal(keys, target).open::<LoginEntry>(bytes).is_some();
    assert!(!opens(&owner, data) && seal(&owner, target).open::<entry::CredentialEntry>(data).is_none());
    let token = LoginEntry {
        token: PlainSecret(Secret::new("hvs.kept".to_owned())),
        expires: None,
        batch: false,
        uses: data.len() as u64,
    };
    // A label of the file's own size leaves no room for more.
    let Some(mut sealed) = seal(&owner, target).seal(&label, &token) else { return };
    let (opened, content): (Label, LoginEntry) = seal(&owner, target).open(&sealed).expect("it opens for its owner");
    assert_eq!((&opened, content.uses, content.token.0.expose()), (&label, token.uses, "hvs.kept"));
    assert!(!opens(&other, &sealed), "it opens for another secret");
    assert!(
        target.is_none() || seal(&owner, None).open::<LoginEntry>(&sealed).is_none(),
        "it opens for another target"
    );
    assert!(!opens(&owner, &sealed[..sealed.len() - 1]), "it opens without its end");
    let place = data.iter().fold(0, |sum, byte| (sum * 31 + usize::from(*byte)) % sealed.len());
    sealed[place] ^= 1 << (data.len() % 8);
    assert!(!opens(&owner, &sealed), "it opens although byte {place} was touched");
}

/// A job's ID token: read or not, never a panic, and a claim is never larger than what it was read from.
pub fn id_token_claims(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(claims) = Claims::from_token(&Secret::new(text.to_string())) {
        assert_eq!(text.split('.').count(), 3, "{text:?}");
        check_claims(&claims, text.len());
    }
    // The same bytes as payload: no fuzzer finds its way through base64.
    let token = format!("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.{}.c2ln", base64_url(data));
    let (wrapped, plain) = (Claims::from_token(&Secret::new(token)), Claims::from_json(&text));
    if let (Some(wrapped), Some(plain)) = (&wrapped, &plain) {
        assert_eq!(check_claims(wrapped, data.len()), check_claims(plain, data.len()));
    }
    if std::str::from_utf8(data).is_ok() {
        assert_eq!(wrapped.is_some(), plain.is_some(), "{text:?}");
    }
}

/// Everything that is ever asked of an ID token.
fn check_claims(claims: &Claims, length: usize) -> (Vec<Option<String>>, Vec<String>, Vec<Option<i64>>) {
    let names = PLACEHOLDERS.iter().map(|(claim, _)| *claim).chain(["iss", "sub", "exp"]);
    let texts: Vec<_> = names.map(|name| claims.text(name)).collect();
    // A number may be spelled out longer than it came: 24 is the longest double.
    assert!(texts.iter().flatten().all(|text| text.len() <= length.max(24)), "{texts:?}");
    let audiences = claims.audiences();
    assert!(audiences.iter().map(String::len).sum::<usize>() <= length, "{audiences:?}");
    (texts, audiences, ["exp", "nbf", "iat"].map(|name| claims.seconds(name)).into())
}

fn base64_url(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let encode = |chunk: &[u8]| {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        (0..=chunk.len())
            .map(move |place| char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]))
            .collect::<Vec<_>>()
    };
    data.chunks(3).flat_map(encode).collect()
}

/// Vault's address: what is accepted names one server, and the same one to every reader.
pub fn address(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Address::parse(&text) {
        Ok(Address::Tcp(origin)) => {
            check_origin(&origin);
            let base = Address::Tcp(origin.clone()).base();
            assert_eq!(Address::parse(&base), Ok(Address::Tcp(origin)), "{text:?} is read as {base:?}");
        }
        Ok(Address::Unix(path)) => {
            let path = path.to_str().unwrap_or_default();
            assert!(path.starts_with('/') && !path.contains('\0'), "{path:?}");
            assert_eq!(Address::parse(&format!("unix://{path}")), Ok(Address::Unix(path.into())));
        }
        Err(problem) => assert!(is_made_of(&problem, " ,:/") && problem.len() < 100, "{problem}"),
    }
}

/// An origin as the HTTP client will read it: the same scheme, host and port, and nothing beside them.
fn check_origin(origin: &Server) {
    let text = format!("{}{}/v1/sys/health", origin.base(), origin.prefix);
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#\\%".contains(&byte)), "{text:?}");
    let url = Url::parse(&text).unwrap_or_else(|problem| panic!("{text:?}: {problem}"));
    let same_host = match url.host() {
        Some(url::Host::Domain(name)) => name == origin.host,
        Some(url::Host::Ipv4(address)) => origin.host.parse() == Ok(address),
        Some(url::Host::Ipv6(address)) => origin.host.parse() == Ok(address),
        None => false,
    };
    assert!(same_host && origin.tls == (url.scheme() == "https"), "{text:?} is {origin:?}");
    assert_eq!(url.port_or_known_default(), Some(origin.port), "{text:?}");
    assert_eq!(url.path(), format!("{}/v1/sys/health", origin.prefix), "{text:?}");
    if origin.is_loopback() {
        let local = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            host => host == Some(url::Host::Domain("localhost")),
        };
        assert!(local, "{text:?} is not this machine");
    }
}

/// A credentials file of either cloud: what is edited has the new profile once, and everything else as it was.
pub fn credentials_file(data: &[u8]) {
    let Ok(old) = std::str::from_utf8(data) else { return };
    // Our own lines are known by these values.
    if old.contains("zqNEW") {
        return;
    }
    for shape in shapes() {
        for optional in [true, false] {
            let credential = sample(shape, optional);
            let file = shape.file.as_ref().expect("every cloud has one");
            let checked = render::check(shape, file, old, "ci", false);
            let new = match render::edit(old, file, "ci", false, &credential) {
                Ok(new) => new,
                Err(problem) => {
                    assert!(is_made_of(&problem, " ,:_[]`-") && problem.len() < 150, "{problem:?}");
                    // Nothing is minted for a file that cannot take it.
                    assert!(checked.is_err(), "{old:?}: {problem}");
                    continue;
                }
            };
            let new = new.expose();
            let again = render::edit(new, file, "ci", false, &credential).map(|again| again.expose() == new);
            assert_eq!(again, Ok(true), "{new:?} does not stay");
            match file.syntax {
                Syntax::Profiles => check_profiles(old, new),
                Syntax::Accounts => check_accounts(old, new),
                Syntax::Yaml => assert_eq!(new, render::document(&credential, file, "ci").expose()),
            }
        }
    }
}

fn sample(shape: &'static Shape, optional: bool) -> Credential {
    let fields = shape.fields.iter().filter(|field| field.required || optional);
    Credential {
        shape: Cow::Borrowed(shape),
        role: "ci".into(),
        path: "mount/ci".into(),
        values: fields.map(|field| (field.clone(), Secret::new(format!("zqNEW{}", field.name)))).collect(),
        companions: if optional { vec![("EXOSCALE_ZONE", "zqNEW-gva-2".into())] } else { Vec::new() },
        lease: Lease { expires_at: optional.then_some(Timestamp::UNIX_EPOCH), ..Lease::default() },
        keep_profile: false,
        others: Vec::new(),
    }
}

/// The lines that stayed are those of before, in their order; what went were keys of a credential, or the deeper lines
/// below one.
fn check_profiles(old: &str, new: &str) {
    let lines = |text: &str| -> Vec<String> {
        let text = text.replace("\r\n", "\n");
        text.split_inclusive(['\n', '\r']).map(|line| line.trim_end_matches(['\n', '\r']).to_owned()).collect()
    };
    let keys = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token"];
    // Python's blanks are Unicode's and four separators of ASCII.
    let is_blank = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    let is_new = |line: &String| {
        line.contains("zqNEW") || line.trim_start_matches(is_blank).starts_with("x_security_token_expires = 1970")
    };
    // Of two ends of lines that do not belong together one may become a pair with what stood behind a line that went.
    if old.replace("\r\n", "").contains('\r') && old.contains('\n') {
        return;
    }
    let (before, after) = (lines(old), lines(new));
    assert!(after.iter().filter(|line| line.contains("zqNEW")).count() >= 2, "{new:?}");
    let mut stayed = after.iter().filter(|line| !is_new(line)).peekable();
    for line in &before {
        if stayed.next_if_eq(&line).is_some() {
            continue;
        }
        let text = line.trim_matches(is_blank).to_lowercase();
        let ours = keys.iter().chain(&["x_security_token_expires"]).any(|key| text.starts_with(key));
        let deeper = line.starts_with(is_blank);
        assert!(ours || deeper, "{line:?} went: {old:?} became {new:?}");
        assert!(!text.is_empty() && !text.starts_with(['#', ';']), "{line:?} went: {old:?} became {new:?}");
    }
    let rest: Vec<_> = stayed.collect();
    assert!(rest.is_empty() || rest == ["[ci]"], "{rest:?} came: {old:?} became {new:?}");
}

/// The same tables as before, but for the account and who is the default.
fn check_accounts(old: &str, new: &str) {
    let (mut before, mut after): (Table, Table) =
        (old.parse().expect("it was TOML before"), new.parse().expect("it is TOML"));
    let key = |table: &Table, name: &str| table.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
    let take = |table: &mut Table, name: &str| key(table, name).and_then(|key| table.remove(&key));
    let accounts = |table: &mut Table| -> (Vec<Value>, Vec<Value>) {
        let list = take(table, "accounts").and_then(|list| list.as_array().cloned()).unwrap_or_default();
        let is_ci = |account: &Value| {
            let name = account.as_table().and_then(|account| account.get(&key(account, "name")?));
            name.and_then(Value::as_str) == Some("ci")
        };
        list.into_iter().partition(is_ci)
    };
    let default = take(&mut before, "defaultAccount").unwrap_or_else(|| "ci".into());
    assert_eq!(take(&mut after, "defaultAccount"), Some(default), "{old:?} became {new:?}");
    let ((mut ours_before, others_before), (mut ours, others)) = (accounts(&mut before), accounts(&mut after));
    assert_eq!(format!("{others:?}"), format!("{others_before:?}"), "{old:?} became {new:?}");
    assert_eq!(format!("{after:?}"), format!("{before:?}"), "{old:?} became {new:?}");
    assert_eq!((ours.len(), ours_before.len() <= 1), (1, true), "{new:?}");
    let ours = ours.iter_mut().filter_map(Value::as_table_mut).next().expect("a table");
    let mut before = ours_before.iter_mut().filter_map(Value::as_table_mut).next().cloned().unwrap_or_default();
    for name in ["key", "secret"] {
        let value = take(ours, name).and_then(|value| value.as_str().map(str::to_owned));
        assert!(value.is_some_and(|value| value.starts_with("zqNEWapi_")), "{new:?}");
        take(&mut before, name);
    }
    for name in ["name", "defaultZone", "secretCommand"] {
        take(ours, name);
        take(&mut before, name);
    }
    // Formatted, for a float may be one that does not equal itself.
    assert_eq!(format!("{ours:?}"), format!("{before:?}"), "{old:?} became {new:?}");
}

/// `Location` on the last line; our address and an allowed server on the ones before it, when there are any.
pub fn redirect_location(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.rsplitn(3, '\n');
    let location = lines.next().unwrap_or_default();
    let allowed = lines.next().and_then(|line| parse_server(line).ok());
    let address = lines.next().and_then(|line| Address::parse(line).ok());
    let address = address.unwrap_or_else(|| Address::parse("https://vault.corp:8200").expect("a sound address"));
    let path = "sys/wrapping/unwrap";
    for status in [301, 302, 303, 308] {
        let answer = redirect::resolve((&address, "VAULT_ADDR"), allowed.as_slice(), status, location, path);
        assert!(answer.is_err(), "{status} is followed to {location:?}");
    }
    let target = match redirect::resolve((&address, "VAULT_ADDR"), allowed.as_slice(), 307, location, path) {
        Ok(target) => target,
        Err(error) => return assert_eq!(error.kind(), Kind::Protocol),
    };
    check_origin(&target);
    let Address::Tcp(ours) = address else { panic!("a socket leads to {target:?}") };
    assert!(target.tls || !ours.tls, "from https to http by {location:?}");
    let server = |origin: &Server| Url::parse(&origin.base()).map(|url| url.origin().ascii_serialization());
    let there = server(&target);
    let known = there == server(&ours) || allowed.is_some_and(|allowed| there == server(&allowed));
    assert!(known, "{location:?} leads to {there:?}");
}

/// `Retry-After`: a pause or none, whatever the clock says.
pub fn retry_after(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let digits = text.trim();
    for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        let pause = parse_retry_after(&text, now);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds = digits.parse().unwrap_or(u64::MAX);
            assert_eq!(pause.map(|pause| pause.as_secs()), Some(seconds), "{text:?}");
        } else if now == Timestamp::MAX {
            assert!(pause.is_none_or(|pause| pause.is_zero()), "{text:?} is later than the end of time");
        }
    }
}

/// A role on the first line, and the value of every placeholder on the next one: what goes into a path arrives there
/// as it is, in one segment; a mount in as many as it has.
pub fn role_name(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (role, value) = text.split_once('\n').unwrap_or((&text, "365"));
    if is_part_of_role(value) {
        assert!(is_made_of(value, "_-.@"), "{value:?}");
    }
    let mut placeholders = 0;
    let filled = fill(
        role,
        || "open",
        |_| {
            placeholders += 1;
            if is_part_of_role(value) { Ok(value.to_owned()) } else { Err("value") }
        },
    );
    if let Ok(filled) = filled {
        assert!(!filled.contains(['{', '}']) && filled.len() <= role.len() + placeholders * value.len(), "{filled:?}");
        check_role(&filled);
    }
    check_role(role);
    check_role(value);
    if let Some(mount) = path_in(&text) {
        assert!(is_made_of(mount, "_-.@+~=:/") && mount.len() <= 256, "{mount:?}");
        check_path(&path_of(&exoscale::CLOUD, mount, "ci"), 2 + mount.split('/').count());
    }
}

fn check_role(role: &str) {
    if !is_role(role) {
        return;
    }
    assert!(is_made_of(role, "_-.@") && (1..=256).contains(&role.len()), "{role:?}");
    check_path(&path_of(&exoscale::CLOUD, "exoscale", role), 3);
    check_path(&path_of(&aws::CLOUD, "aws", role), 3);
}

fn path_of(cloud: &Cloud, mount: &str, role: &str) -> String {
    let said = Choices { mount, role, path: "", sets_variables: false, text: &|_| Ok(None), is_on: &|_| false };
    (cloud.request)(&said).unwrap_or_else(|_| panic!("nothing was said that could be wrong")).mint.path
}

/// The path as a URL's reader takes it: nothing decoded, cleaned, cut off or split.
fn check_path(path: &str, segments: usize) {
    let url =
        Url::parse(&format!("https://vault.corp/v1/{path}")).unwrap_or_else(|problem| panic!("{path:?}: {problem}"));
    assert_eq!(url.path(), format!("/v1/{path}"));
    assert_eq!(url.path().split('/').count(), 2 + segments, "{path:?}");
    assert_eq!((url.query(), url.fragment()), (None, None), "{path:?}");
}

/// Foreign words on stderr: one line of printable ASCII, and nothing that a shell acts on in a server's own.
pub fn sanitized(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let words = error::sanitized(&text);
    assert!(is_made_of(&words, " .,:/_-") && words.len() <= 200, "{words:?}");
    assert!(!words.starts_with(' ') && !words.contains("  "), "{words:?}");
    let line = error::printable(&text);
    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
    assert_eq!(line.len(), text.chars().count());
    let report = Error::new(Kind::Protocol, text.as_ref()).hint(text.as_ref()).render(true);
    assert_eq!(report.lines().count(), 2, "{report:?}");
}

/// What STS answers about a new key, its status on the first line: a name or nothing comes out of it for messages, and
/// no key is known by an answer that is none of STS's.
pub fn sts_answer(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (head, body) = (&data[..end], &data[end + 1..]);
    let Some(status) = std::str::from_utf8(head).ok().and_then(|text| text.parse::<u16>().ok()) else { return };
    let (verdict, code) = judge(status, body);
    let code = code.unwrap_or_default();
    assert!(is_made_of(&code, ".") && code.len() <= 64, "{code:?}");
    let text = String::from_utf8_lossy(body);
    assert!(text.contains(&code));
    match verdict {
        Verdict::Known if status == 200 => assert!(text.contains("<GetCallerIdentityResponse")),
        Verdict::Known => assert!(status == 403 && code.starts_with("AccessDenied"), "{status} {code}"),
        Verdict::Unknown | Verdict::Mismatch | Verdict::Expired => assert!(status / 100 == 4 && !code.is_empty()),
        Verdict::Busy => assert!(status >= 400),
        Verdict::Other => assert!(!(500..600).contains(&status)),
    }
}
