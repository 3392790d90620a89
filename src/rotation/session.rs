//! Sessions of AWS without Vault: nobody renews or revokes them, and each has a successor for as long as there is an ID token
//! to show for it.

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};

use super::{Current, Succession};
use crate::config::{Maker, Plan, StsPlan};
use crate::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::origin::Origin;
use crate::time::{end_of, render_time};

/// So long before the ID token expires, the last session is asked for: STS and this machine may not agree about the time, and
/// a request that fails is sent again.
const LAST_CALL: SignedDuration = SignedDuration::from_mins(1);

/// The only ID token of a job: no other one was requested, or can be.
pub(crate) struct OnlyToken<'a> {
    end: Timestamp,
    origin: &'a Origin,
    sts: &'a StsPlan,
}

impl<'a> OnlyToken<'a> {
    /// `None`: sessions follow for as long as the command runs.
    pub(crate) fn find(plan: &'a Plan) -> Option<Self> {
        let Maker::Sts(sts) = &plan.maker else { return None };
        let claims = plan.login.identity.claims().filter(|_| plan.token_request.is_none())?;
        let end = Timestamp::from_second(claims.seconds("exp")?).ok()?;
        Some(Self { end, origin: &plan.login.origin, sts })
    }

    /// Until when the last session lives that this token gets.
    pub(crate) fn last_end(&self) -> Option<Timestamp> {
        end_of(self.last_call()?, self.sts.seconds())
    }

    /// `expires` or `expired`, when that is.
    pub(crate) fn describe(&self, verb: &str) -> String {
        format!("the ID token (from {}) {verb} at {}", self.origin, render_time(self.end))
    }

    fn last_call(&self) -> Option<Timestamp> {
        self.end.saturating_sub(LAST_CALL).ok()
    }

    /// Why no session follows any more, and what to change.
    fn error(&self) -> Error {
        Error::new(Kind::Denied, self.describe("expired")).hint(self.sts.remedy.clone())
    }
}

/// Serves a new session before each one expires. `read` asks for it.
pub(crate) async fn replace_sessions(
    plan: &Plan,
    current: &Current<'_>,
    read: impl AsyncFn() -> Result<Credential>,
    host: &Host,
) -> Infallible {
    let mut succession = Succession::new(plan, current, host);
    let only = OnlyToken::find(plan);
    let last_call = only.as_ref().and_then(OnlyToken::last_call);
    let begin = |succession: &mut Succession<'_>, begun| {
        succession.begin(begun);
        if let Some(last_call) = last_call {
            succession.schedule.hasten(begun, last_call);
        }
    };
    begin(&mut succession, host.now());
    loop {
        let pause = succession.schedule.pause(host.now());
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            // After a suspension of the machine, the clock is ahead of the sleep.
            () = current.is_missed() => continue,
        }
        let begun = host.now();
        match &only {
            Some(token) if token.end <= begun => succession.end(&token.error()),
            _ => match read().await {
                Ok(served) => {
                    succession.serve(served);
                    begin(&mut succession, begun);
                }
                Err(error) => succession.fail(&error),
            },
        }
    }
}
