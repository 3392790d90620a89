//! Response wrapping: single-use tokens whose cubbyhole holds an answer, and `sys/wrapping/...`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::core::fields::Object;
use crate::core::request::Request;
use crate::core::response::{Failure, Outcome, Response, WrapInfo};
use crate::core::token::{Token, Uses, Wrapping};
use crate::core::{Core, envelope};
use crate::dialect::Dialect;
use crate::engine::kv::Storage;

const NOT_VALID: &str = "wrapping token is not valid or does not exist";

impl Core {
    /// Wraps what a handler said, if the request asked for it and there is something to wrap.
    pub(super) fn wrap(&mut self, request: &Request, outcome: Option<Response>, request_id: &str) -> Outcome {
        let (Some(ttl), Some(response)) = (request.wrap_ttl, outcome.as_ref()) else { return Ok(outcome) };
        if response.wrap_info.is_some() || response.verbatim.is_some() {
            return Ok(outcome);
        }
        let mount_type = self.mount_type(request).unwrap_or_default();
        let mount_type = self.dialect.names_mount_type().then_some(mount_type.as_str());
        let payload = envelope::encode(response, request_id, mount_type);
        let mut info = self.new_wrapping(&request.namespace, &request.path, ttl, payload, response.status);
        let accessor = |data: &Object| data.get("secret_id_accessor").and_then(Value::as_str).map(str::to_owned);
        if let Some(auth) = &response.auth {
            info.wrapped_accessor.clone_from(&auth.accessor);
        } else if self.dialect == Dialect::OpenBao {
            info.wrapped_accessor = response.data.as_ref().and_then(accessor).unwrap_or_default();
        }
        Ok(Some(Response { wrap_info: Some(info), ..Response::default() }))
    }

    fn new_wrapping(
        &mut self,
        namespace: &str,
        creation_path: &str,
        ttl: Duration,
        payload: String,
        status: Option<u16>,
    ) -> WrapInfo {
        let mut token = Token::new(creation_path, vec!["response-wrapping".to_owned()], self.now);
        token.namespace = namespace.to_owned();
        token.uses = Uses::Left(1);
        token.wrapping = Some(Wrapping { creation_path: creation_path.to_owned(), ttl });
        let token = self.keep_token(token.lives_for(ttl));
        let mut storage = Storage::default();
        let entry = json!({ "response": payload, "status": status }).as_object().cloned().unwrap_or_default();
        storage.put("response", entry);
        self.cubbyholes.insert(token.id.clone(), storage);
        WrapInfo {
            token: token.id,
            accessor: token.accessor,
            ttl: ttl.as_secs(),
            creation_time: rfc3339(self.now),
            creation_path: creation_path.to_owned(),
            wrapped_accessor: String::new(),
        }
    }

    /// Vault's check before any other: is the token of a wrapping request a wrapping token at all?
    pub(super) fn validate_wrapping_token(&mut self, request: &Request) -> Result<(), Failure> {
        if !matches!(request.path.as_str(), "sys/wrapping/lookup" | "sys/wrapping/unwrap" | "sys/wrapping/rewrap") {
            return Ok(());
        }
        let status = if self.dialect == Dialect::Vault1_8 { 500 } else { 403 };
        let refuse =
            |reason: &str| Err(Failure::response(status, format!("error validating wrapping token: {reason}")));
        let id = match (request.data.value("token"), &request.token) {
            (Some(Value::String(token)), _) if token.is_empty() => return refuse("empty token in request body"),
            (Some(Value::String(token)), _) => token,
            (Some(_), _) => return refuse("could not decode token in request body"),
            (None, Some(token)) => {
                if self.tokens.is_damaged(token) {
                    return Err(Failure::permission_denied());
                }
                token
            }
            (None, None) => return refuse("token is empty"),
        };
        if self.dialect != Dialect::OpenBao && looks_like_a_jwt(id) {
            return refuse("wrapping token could not be parsed: go-jose/go-jose/jwt: invalid token");
        }
        let token = self.tokens.get(id, self.now);
        let namespace = token.and_then(|token| self.namespaces.get(&token.namespace));
        if namespace.is_some_and(|namespace| namespace.sealed) {
            return refuse("failed to read entry: Vault is sealed");
        }
        if token.is_none_or(|token| token.wrapping.is_none() || self.is_news(token.created)) {
            return Err(Failure::bad_request(NOT_VALID));
        }
        if request.staged.rival {
            let id = id.clone();
            self.revoke_token(&id);
        }
        Ok(())
    }

    /// `sys/wrapping/...`
    pub(super) fn sys_wrapping(&mut self, request: &Request, verb: &str) -> Outcome {
        let body_token = request.data.text("token")?;
        let id = match (body_token.is_empty(), &request.token) {
            (true, Some(own)) => own.clone(),
            _ => body_token.clone(),
        };
        match verb {
            "wrap" if request.operation.is_write() => {
                if request.wrap_ttl.is_none() {
                    return Err(Failure::bad_request("endpoint requires response wrapping to be used"));
                }
                let data = Value::Object(request.data.all().clone());
                Ok(Some(Response { repeats_data: true, ..Response::data(data) }))
            }
            "lookup" => {
                let token = self.tokens.get(&id, self.now);
                let wrapping = token.and_then(|token| Some((token, token.wrapping.as_ref()?)));
                let (token, wrapping) = wrapping.ok_or_else(|| Failure::bad_request(NOT_VALID))?;
                Ok(Some(Response::data(json!({
                    "creation_path": wrapping.creation_path,
                    "creation_time": rfc3339(token.created),
                    "creation_ttl": wrapping.ttl.as_secs(),
                }))))
            }
            "unwrap" if request.operation.is_write() => {
                let (_, payload, status) = self.open(&id, !body_token.is_empty())?;
                Ok(Some(Response::verbatim(status.unwrap_or(200), payload)))
            }
            "rewrap" if request.operation.is_write() => {
                let (wrapping, payload, status) = self.open(&id, !body_token.is_empty())?;
                let info =
                    self.new_wrapping(&request.namespace, &wrapping.creation_path, wrapping.ttl, payload, status);
                Ok(Some(Response { wrap_info: Some(info), ..Response::default() }))
            }
            "wrap" | "unwrap" | "rewrap" => Err(Failure::unsupported_operation()),
            _ => Err(Failure::unsupported_path()),
        }
    }

    /// Takes the payload out and ends the token. A third party spends the use here; the token's own request already has.
    fn open(&mut self, id: &str, third_party: bool) -> Result<(Wrapping, String, Option<u16>), Failure> {
        if third_party && !self.tokens.spend(id, self.now) {
            return Err(Failure::internal(
                "error decrementing wrapping token's use-count: invalid token entry provided for use count \
                 decrementing",
            ));
        }
        let token = self.tokens.get_tainted(id);
        let wrapping = token.and_then(|token| token.wrapping.clone()).ok_or_else(|| Failure::bad_request(NOT_VALID))?;
        let stored = self.cubbyholes.get(id).and_then(|storage| storage.get("response")).cloned().unwrap_or_default();
        self.revoke_token(id);
        let payload = stored.get("response").and_then(Value::as_str).unwrap_or_default().to_owned();
        let status = stored.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        Ok((wrapping, payload, status))
    }
}

/// Vault's own rule of thumb.
fn looks_like_a_jwt(token: &str) -> bool {
    token.matches('.').count() == 2 && token.as_bytes().get(1) != Some(&b'.')
}
