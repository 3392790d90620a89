//! Every refusal that a real server was recorded with and that a run can meet: what the tool makes of it.
//!
//! The double answers with the recorded text at the very request that was refused, whatever would have been right there.

use std::collections::{BTreeMap, BTreeSet};

use dev_vault::{DevVault, Dialect, Fault, On, Reply};
use serde_json::{Value, json};

use crate::support::parallel::each;
use crate::support::{ROLE, World};

const RECORDINGS: [(Dialect, &str); 2] = [
    (Dialect::Vault1_8, include_str!("../dev-vault/tests/data/vault-1.8.json")),
    (Dialect::OpenBao, include_str!("../dev-vault/tests/data/openbao-2.7.json")),
];

/// The request of a run that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Lookup,
    Unwrap,
    SecretId,
    Generator,
    IdToken,
    Child,
    Mint,
    LookupSelf,
    RenewSelf,
    RevokeSelf,
    RevokeLease,
}

impl At {
    /// Which of our requests a recorded one is.
    fn of(path: &str, body: &Value) -> Option<Self> {
        let path = path.strip_prefix("/v1/")?;
        let engines = ["exoscale/", "exo/", "unconfigured/", "aws/", "secret/", "kv1/", "team/", "v1/"];
        Some(match path {
            "sys/wrapping/lookup" => Self::Lookup,
            "sys/wrapping/unwrap" => Self::Unwrap,
            "auth/token/create" => Self::Child,
            "auth/token/lookup-self" => Self::LookupSelf,
            "auth/token/renew-self" => Self::RenewSelf,
            "auth/token/revoke-self" => Self::RevokeSelf,
            "sys/leases/revoke" => Self::RevokeLease,
            _ if path.ends_with("/secret-id") => Self::Generator,
            _ if path.ends_with("/login") && body.get("jwt").is_some() => Self::IdToken,
            _ if path.ends_with("/login") => Self::SecretId,
            _ if engines.iter().any(|engine| path.starts_with(engine)) => Self::Mint,
            _ => return None,
        })
    }

    /// The way to log in that meets it, and the end of the path.
    fn met_by(self) -> (&'static str, &'static str) {
        match self {
            Self::Lookup => ("wrapping-token", "sys/wrapping/lookup"),
            Self::Unwrap => ("wrapping-token", "sys/wrapping/unwrap"),
            Self::SecretId => ("secret-id", "auth/approle/login"),
            Self::Generator => ("generator-token", "/secret-id"),
            Self::IdToken => ("id-token", "auth/gitlab/login"),
            Self::Child => ("token", "auth/token/create"),
            Self::Mint => ("id-token", "apikey/gitlab-ci-runner"),
            Self::LookupSelf => ("token", "auth/token/lookup-self"),
            Self::RenewSelf => ("token", "auth/token/renew-self"),
            Self::RevokeSelf => ("id-token", "auth/token/revoke-self"),
            Self::RevokeLease => ("token", "sys/leases/revoke"),
        }
    }
}

/// Requests that no run makes, by the words that their names begin with, and what is wrong with them.
const NEVER_SENT: [(&str, &str); 24] = [
    ("wrapping.unwrap.body_", "a wrapping token goes in the header"),
    ("wrapping.unwrap.both_equal", "the same"),
    ("wrapping.unwrap.get", "an unwrap is a write"),
    ("wrapping.unwrap.no_token", "an unwrap has a token"),
    ("wrapping.lookup.nothing", "a lookup has a token"),
    ("wrapping.ttl_negative", "no secret ID is asked for in a wrapping token"),
    ("approle.login.no_role_id", "a login has a role ID"),
    ("approle.login.get", "a login is a write"),
    ("approle.login.wrong_mount.root", "a login has no token"),
    ("jwt.login.missing_jwt", "a login has a JWT"),
    ("jwt.login.empty_jwt", "the same"),
    ("jwt.login.get", "a login is a write"),
    ("jwt.cel.", "roles of CEL have a path of their own"),
    ("secret_id.num_uses_too_high", "a secret ID is asked for as the role makes it"),
    ("secret_id.ttl_too_long", "the same"),
    ("secret_id.cidr_not_subset", "the same"),
    ("lease.revoke.nothing", "a revocation names its lease"),
    ("token.lookup_self.none", "a lookup has a token"),
    ("inline.", "no login is made within another request"),
    ("path.", "paths are clean"),
    ("body.", "bodies are small objects"),
    ("mfa.", "no second factor is sent"),
    ("kv1.", "no engine is written to, and none is asked for what it does not have"),
    ("kv2.read.no_data_segment", "a path of KV version 2 is built with its segment"),
];

/// What a job's policy allows.
const READ: &str = "path \"exoscale/apikey/*\" { capabilities = [\"read\"] }";

type Row = (At, u16, &'static str, i32, &'static str, &'static [&'static str]);

/// At which request, with which status and text; the exit code and the kind; what the error and its hint say.
const ROWS: [Row; 82] = [
    (
        At::Lookup,
        400,
        "wrapping token is not valid or does not exist",
        79,
        "spent",
        &["VAULT_WRAPPING_TOKEN", "audit log"],
    ),
    (
        At::Lookup,
        403,
        "error validating wrapping token: failed to read entry: Vault is sealed",
        69,
        "unavailable",
        &["not unwrapped", "unseal the namespace"],
    ),
    (At::Lookup, 404, "namespace not found", 78, "config", &["VAULT_NAMESPACE"]),
    (At::Lookup, 503, "Vault is sealed", 69, "unavailable", &["unseal Vault"]),
    (
        At::Unwrap,
        400,
        "wrapping token is not valid or does not exist",
        79,
        "spent",
        &["valid at the lookup just before", "audit log"],
    ),
    (At::SecretId, 400, "invalid role ID", 77, "denied", &["VAULT_ROLE_ID is not a role ID of auth/approle"]),
    (At::SecretId, 400, "invalid role or secret ID", 77, "denied", &["VAULT_SECRET_ID", "VAULT_ROLE_ID"]),
    (At::SecretId, 400, "invalid secret id", 77, "denied", &["VAULT_SECRET_ID", "expired or used up"]),
    (At::SecretId, 400, "missing client token", 77, "denied", &["AppRole is not mounted at auth/approle"]),
    (At::SecretId, 400, "missing jwt", 78, "config", &["is not an AppRole mount", "--auth-mount"]),
    (At::SecretId, 400, "missing role", 78, "config", &["is not an AppRole mount", "--auth-mount"]),
    (At::SecretId, 400, "missing secret_id", 77, "denied", &["VAULT_SECRET_ID"]),
    (At::SecretId, 400, "missing token", 78, "config", &["is not an AppRole mount", "--auth-mount"]),
    (At::SecretId, 400, "no client certificate found", 78, "config", &["is not an AppRole mount", "--auth-mount"]),
    (
        At::SecretId,
        400,
        "source address \"127.0.0.1\" unauthorized by CIDR restrictions on the role: %!w(<nil>)",
        77,
        "denied",
        &["secret_id_bound_cidrs"],
    ),
    (
        At::SecretId,
        400,
        "source address \"127.0.0.1\" unauthorized by CIDR restrictions on the secret ID: %!w(<nil>)",
        77,
        "denied",
        &["secret_id_bound_cidrs"],
    ),
    (
        At::SecretId,
        400,
        "source address \"127.0.0.1\" unauthorized through CIDR restrictions on the secret ID",
        77,
        "denied",
        &["secret_id_bound_cidrs"],
    ),
    (
        At::SecretId,
        403,
        "permission denied",
        77,
        "denied",
        &["--auth-mount", "after five wrong secret IDs, for 15 minutes"],
    ),
    (At::SecretId, 404, "namespace not found", 78, "config", &["VAULT_NAMESPACE"]),
    (At::SecretId, 429, "", 75, "temporary", &["does not have the newest state yet"]),
    (
        At::SecretId,
        503,
        "API access to this namespace has been locked by an administrator - \"team/\" must be unlocked to gain access.",
        69,
        "unavailable",
        &["must unlock the namespace"],
    ),
    (At::SecretId, 503, "namespace is sealed", 69, "unavailable", &["unseal the namespace"]),
    (At::Generator, 400, "bind_secret_id is not set on the role", 77, "denied", &["bind_secret_id"]),
    (
        At::Generator,
        403,
        "1 error occurred:\n\t* permission denied\n\n",
        77,
        "denied",
        &["its policy needs", "VAULT_TOKEN"],
    ),
    (At::Generator, 403, "permission denied", 77, "denied", &["the token has expired"]),
    (At::Generator, 404, "role \"other\" does not exist", 78, "config", &["VAULT_APPROLE_ROLE"]),
    (
        At::IdToken,
        400,
        "audience claim found in JWT but no audiences bound to the role",
        77,
        "denied",
        &["role_type=jwt bound_audiences="],
    ),
    (At::IdToken, 400, "claim \"nope\" not found in token", 77, "denied", &["user_claim of the role"]),
    (At::IdToken, 400, "could not load configuration", 78, "config", &["vault write auth/gitlab/config"]),
    (At::IdToken, 400, "error converting claim 'runner_id' to string", 77, "denied", &["claim_mappings of the role"]),
    (
        At::IdToken,
        400,
        "error validating claims: claim \"nope\" is missing",
        77,
        "denied",
        &["bound_claims of the role"],
    ),
    (
        At::IdToken,
        400,
        "error validating claims: claim \"project_id\" does not match any associated bound claim values",
        77,
        "denied",
        &["project_id is 365"],
    ),
    (
        At::IdToken,
        400,
        "error validating claims: claim \"ref_protected\" does not match any associated bound claim values",
        77,
        "denied",
        &["ref_protected is true"],
    ),
    (
        At::IdToken,
        400,
        "error validating token: error verifying token signature: failed to verify id token signature",
        77,
        "denied",
        &["jwks_url"],
    ),
    (
        At::IdToken,
        400,
        "error validating token: error verifying token signature: fetching keys oidc: get keys failed Get \"http://127.0.0.1:9/jwks\": dial tcp 127.0.0.1:9: connect: connection refused",
        69,
        "unavailable",
        &["re-run the job later", "its own network"],
    ),
    (
        At::IdToken,
        400,
        "error validating token: error verifying token signature: oidc: malformed jwt: go-jose/go-jose: compact JWS format must have three parts",
        66,
        "input",
        &["the token is not a JWT", "VAULT_ID_TOKEN"],
    ),
    (
        At::IdToken,
        400,
        "error validating token: error verifying token signature: oidc: malformed jwt: square/go-jose: compact JWS format must have three parts",
        66,
        "input",
        &["the token is not a JWT", "VAULT_ID_TOKEN"],
    ),
    (
        At::IdToken,
        400,
        "error validating token: invalid audience (aud) claim: audience claim does not match any expected audience",
        77,
        "denied",
        &["`id_tokens: {VAULT_ID_TOKEN: {aud: AUDIENCE}}`"],
    ),
    (
        At::IdToken,
        400,
        "error validating token: invalid expiration time (exp) claim: token is expired",
        77,
        "denied",
        &["ID token expired during the job"],
    ),
    (
        At::IdToken,
        400,
        "error validating token: invalid issued at (iat) claim: token issued in the future",
        77,
        "denied",
        &["the clock of Vault is behind"],
    ),
    (At::IdToken, 400, "error validating token: invalid issuer (iss) claim", 77, "denied", &["bound_issuer"]),
    (
        At::IdToken,
        400,
        "error validating token: invalid not before (nbf) claim: token not yet valid",
        77,
        "denied",
        &["the clock of Vault is behind"],
    ),
    (At::IdToken, 400, "error validating token: invalid subject (sub) claim", 77, "denied", &["bound_subject"]),
    (
        At::IdToken,
        400,
        "error validating token: no issued at (iat), not before (nbf), or expiration time (exp) claims in token",
        77,
        "denied",
        &["none of iat, nbf and exp"],
    ),
    (At::IdToken, 400, "invalid role name \"x\"", 78, "config", &["Kubernetes method"]),
    (At::IdToken, 400, "missing client token", 77, "denied", &["check that the JWT method is mounted at auth/gitlab"]),
    (At::IdToken, 400, "missing role", 77, "denied", &["VAULT_AUTH_ROLE"]),
    (At::IdToken, 400, "role \"nope\" could not be found", 77, "denied", &["there is no role"]),
    (
        At::IdToken,
        403,
        "permission denied",
        77,
        "denied",
        &["check that the JWT method is mounted at auth/gitlab", "bound_cidrs"],
    ),
    (
        At::IdToken,
        429,
        "request path \"auth/gitlab/login\": rate limit quota exceeded",
        75,
        "temporary",
        &["limits the rate"],
    ),
    (At::IdToken, 500, "missing role_id", 78, "config", &["is an AppRole mount"]),
    (At::IdToken, 503, "Vault is sealed", 69, "unavailable", &["unseal Vault"]),
    (At::Child, 400, "restricted use token cannot generate child tokens", 78, "config", &["drop --child-token"]),
    (At::Child, 403, "1 error occurred:\n\t* permission denied\n\n", 77, "denied", &["drop --child-token"]),
    (At::Mint, 400, "Role 'nope' not found", 78, "config", &["--role"]),
    (
        At::Mint,
        400,
        "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.",
        78,
        "config",
        &["token_num_uses"],
    ),
    (At::Mint, 400, "did not supply a role_arn parameter and unable to determine one", 77, "denied", &["--role-arn"]),
    (At::Mint, 400, "role \"nope\" not found", 78, "config", &["--role"]),
    (
        At::Mint,
        400,
        "role_arn \"arn:aws:iam::999999999999:role/admin\" not in allowed role arns for Vault role \"two-arns\"",
        77,
        "denied",
        &["--role-arn"],
    ),
    (At::Mint, 403, "1 error occurred:\n\t* permission denied\n\n", 77, "denied", &["add to the policy"]),
    (At::Mint, 403, "permission denied", 77, "denied", &["token_bound_cidrs of the login's role"]),
    (At::Mint, 404, "", 78, "config", &["--mount"]),
    (At::Mint, 404, "no handler for route \"exo/apikey/x\". route entry not found.", 78, "config", &["--mount"]),
    (At::Mint, 404, "no handler for route 'exo/apikey/x'", 78, "config", &["--mount"]),
    (At::Mint, 405, "1 error occurred:\n\t* unsupported operation\n\n", 78, "config", &["--mount"]),
    (
        At::Mint,
        500,
        "1 error occurred:\n\t* Exoscale secret engine not configured\nhint: vault path-help exoscale/config/root # (replace \"exoscale\" by your mount point)\n\n",
        78,
        "config",
        &["is not configured"],
    ),
    (
        At::Mint,
        500,
        "1 error occurred:\n\t* error converting input soon for field \"ttl\": strconv.ParseInt: parsing \"soon\": invalid syntax\n\n",
        64,
        "usage",
        &["--ttl"],
    ),
    (At::Mint, 500, "1 error occurred:\n\t* internal error\n\n", 69, "unavailable", &["Vault's own log"]),
    (
        At::Mint,
        503,
        "API access to this namespace has been locked by an administrator - \"team/\" must be unlocked to gain access.",
        69,
        "unavailable",
        &["must unlock the namespace"],
    ),
    (At::Mint, 503, "Vault is sealed", 69, "unavailable", &["unseal Vault"]),
    (At::Mint, 503, "error performing token check: Vault is sealed", 69, "unavailable", &["unseal Vault"]),
    (At::LookupSelf, 403, "1 error occurred:\n\t* permission denied\n\n", 0, "", &[]),
    (At::LookupSelf, 403, "permission denied", 0, "", &[]),
    (At::LookupSelf, 404, "namespace not found", 0, "", &[]),
    (At::LookupSelf, 503, "error performing token check: failed to read entry: Vault is sealed", 0, "", &[]),
    (At::LookupSelf, 503, "namespace is sealed", 0, "", &[]),
    (At::RenewSelf, 400, "batch tokens cannot be renewed", 78, "config", &["was not renewed", "drop --child-token"]),
    (At::RenewSelf, 400, "invalid lease ID", 78, "config", &["was not renewed", "drop --child-token"]),
    (At::RenewSelf, 400, "lease is not renewable", 78, "config", &["was not renewed", "drop --child-token"]),
    (At::RevokeSelf, 400, "batch tokens cannot be revoked", 80, "leak", &["may be left"]),
    (At::RevokeSelf, 403, "permission denied", 65, "data", &[]),
    (At::RevokeLease, 403, "1 error occurred:\n\t* permission denied\n\n", 80, "leak", &["sys/leases/revoke"]),
];

/// What was refused in both recordings, each once.
fn recorded() -> BTreeMap<(At, u16, String), Vec<String>> {
    let mut met: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (dialect, text) in RECORDINGS {
        let document: Value = serde_json::from_str(text).unwrap();
        for exchange in document["exchanges"].as_array().unwrap() {
            let (request, response) = (&exchange["request"], &exchange["response"]);
            let name = exchange["name"].as_str().unwrap();
            let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
            let never = NEVER_SENT.iter().any(|(start, _)| name.starts_with(start));
            let at = At::of(request["path"].as_str().unwrap(), &request["body"]);
            if let (true, false, Some(at)) = (status >= 400, never, at) {
                let text = response["body"]["errors"][0].as_str().unwrap_or_default();
                met.entry((at, status, text.to_owned())).or_default().push(format!("{dialect} {name}"));
            }
        }
    }
    met
}

#[test]
fn every_refusal_of_a_real_server_that_a_run_can_meet_has_its_row() {
    let rows: BTreeSet<_> = ROWS.iter().map(|(at, status, text, ..)| (*at, *status, (*text).to_owned())).collect();
    assert_eq!(rows.len(), ROWS.len(), "no row stands twice");
    let recorded = recorded();
    let missing: Vec<_> = recorded.iter().filter(|(key, _)| !rows.contains(*key)).collect();
    assert!(missing.is_empty(), "{} have no row: {missing:#?}", missing.len());
    let foreign: Vec<_> = rows.iter().filter(|key| !recorded.contains_key(*key)).collect();
    assert!(foreign.is_empty(), "no server was recorded with {foreign:#?}");
}

#[test]
fn every_refusal_of_a_real_server_is_reported_for_what_it_is() {
    each(ROWS.to_vec(), |row| {
        let (at, status, text, code, kind, words) = row;
        let world = World::with(DevVault::builder().dialect(Dialect::OpenBao));
        let (method, path) = at.met_by();
        let errors: Vec<&str> = Some(text).filter(|text| !text.is_empty()).into_iter().collect();
        world.vault.inject(On::path(path).every(), Fault::answer(Reply::json(status, &json!({ "errors": errors }))));
        let mut line = format!("exoscale --role {ROLE} --retries 0");
        if matches!(status, 429 | 503) {
            // No second attempt begins when there is not so much left to connect.
            line += " --timeout 12 --connect-timeout 11";
        }
        match at {
            At::Child | At::RenewSelf => {
                let policy = "path \"auth/token/create\" { capabilities = [\"update\"] }";
                world.vault.write("sys/policies/acl/job", json!({ "policy": format!("{policy}\n{READ}") }));
                line += " --child-token";
            }
            // A lease whose answer cannot be used is given back.
            At::RevokeSelf | At::RevokeLease => {
                let answer =
                    json!({ "lease_id": format!("exoscale/apikey/{ROLE}/x"), "lease_duration": 900, "data": {} });
                world.vault.inject(On::path("apikey/gitlab-ci-runner"), Fault::answer(Reply::json(200, &answer)));
            }
            _ => {}
        }
        let ran = world.command_as(method, &line).run();
        assert_eq!(ran.code, code, "{row:?}: {}", ran.stderr);
        if code != 0 {
            assert!(ran.stderr.contains(&format!("error[{kind}]")), "{row:?}: {}", ran.stderr);
        }
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is not in the message: {row:?}: {}", ran.stderr);
        }
    });
}
