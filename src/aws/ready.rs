//! Waits until AWS knows a new key: sends one signed request until it succeeds several times in a row.
//!
//! IAM is eventually consistent: the key of a new user fails for some seconds, on some servers and not on others. The
//! wait is between the read and the delivery, so a failure revokes the lease. STS credentials work at once.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::aws::sts::{self, Verdict};
use crate::config::{QUESTION, Readiness};
use crate::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::http::service::{ServiceClient, ServiceReply, ServiceRequest, Verb};
use crate::http::{ServiceHints, Stage, TransportError};
use crate::secret::Secret;

/// So many successes in a row, as Terraform's Vault provider asks for. Each question meets one of many servers: while
/// half of them do not know the key yet, one run in 32 would be let through, with three in a row one in 8.
const IN_A_ROW: u32 = 5;
/// Five to ten seconds are usual. In 30 s, with what comes before and after, a run stays below the 60 s after which
/// Go's SDK kills a `credential_process`.
const LONGEST: Duration = Duration::from_secs(30);
/// A pause is this part of the budget, half a second of 30 s: longer than an answer takes, and short beside the wait.
/// A run that has less time asks more often.
const PAUSES: u32 = 60;
const HINTS: ServiceHints = ServiceHints {
    reach: "may this runner reach AWS (network, HTTPS_PROXY, firewall)? AWS_ENDPOINT_URL_STS names another endpoint",
    trust: sts::TRUST_HINT,
};
/// AWS refuses a signature that is older or newer.
const SKEW: i64 = 300;

/// Why a key does not count as ready yet: what was seen, and what to do about it if it was not for time alone.
struct Doubt {
    seen: String,
    hint: Option<String>,
    /// There was no answer.
    silence: bool,
}

/// Returns when STS knows the credential's key, and says for `-v` what was done. `deadline` is the run's.
///
/// # Errors
/// [`Kind::Temporary`] when the key was not known in time, [`Kind::Protocol`] when it is no use to ask again.
pub(crate) async fn wait(
    readiness: &Readiness,
    credential: &Credential,
    deadline: Duration,
    host: &Host,
) -> Result<String> {
    let (Some(key), Some(secret), None) =
        (credential.value("access_key"), credential.value("secret_key"), credential.value("session_token"))
    else {
        return Ok("STS credentials work at once".into());
    };
    let http = ServiceClient::new(&readiness.connection, HINTS)?;
    let probe = Probe { http, readiness, host, key: key.expose(), secret };
    let begun = host.elapsed();
    let budget = budget(deadline, begun);
    let pause = budget / PAUSES;
    let (mut asked, mut in_a_row, mut last) = (0, 0, None);
    loop {
        let left = budget.saturating_sub(host.elapsed().saturating_sub(begun));
        // What is asked at the very end has no time to be answered, and would hide what was answered before.
        if left <= pause {
            return Err(probe.not_ready(&credential.path, budget, last));
        }
        asked += 1;
        match probe.ask(QUESTION.min(left)).await? {
            None => in_a_row += 1,
            // The end of the budget cut that question short: what was answered before says more.
            Some(doubt) if doubt.silence && left < QUESTION && last.is_some() => in_a_row = 0,
            Some(doubt) => (in_a_row, last) = (0, Some(doubt)),
        }
        if in_a_row == IN_A_ROW {
            return Ok(format!("{} knows the key, after {asked} requests", probe.http.peer.host));
        }
        // Jitter: a hundred jobs that start together must not ask together.
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// One key, and the STS that is asked about it.
struct Probe<'a> {
    http: ServiceClient,
    readiness: &'a Readiness,
    host: &'a Host,
    key: &'a str,
    secret: &'a Secret,
}

impl Probe<'_> {
    /// Asks once: `None` is a success. An error is what the same question would get again.
    async fn ask(&self, timeout: Duration) -> Result<Option<Doubt>> {
        let Readiness { authority, region, .. } = self.readiness;
        let time = self.host.now();
        let headers = sts::headers(authority, region, time, self.key, self.secret);
        let request = ServiceRequest {
            verb: Verb::Post,
            path: "/",
            query: &[],
            proof: None,
            headers: &headers,
            body: Some(sts::BODY),
            timeout,
        };
        let TransportError { stage, error } = match self.http.send(&request).await {
            Ok(answer) => return self.interpret(&answer, time),
            Err(broken) => broken,
        };
        match (error.kind(), stage) {
            (Kind::Unavailable, _) => Ok(Some(Doubt {
                seen: error.message().to_owned(),
                hint: error.change().map(str::to_owned),
                silence: true,
            })),
            (_, Stage::Barred | Stage::Last) | (Kind::Os, _) => Err(error),
            _ => Err(self.no_sts(error)),
        }
    }

    fn interpret(&self, answer: &ServiceReply, asked: Timestamp) -> Result<Option<Doubt>> {
        let (verdict, code) = sts::judge(answer.status, &answer.body);
        let code = code.unwrap_or_default();
        let seen = format!("{} answers {} {code}", self.http.peer.host, answer.status).trim_end().to_owned();
        let skew = skew(answer, asked);
        let hint = match verdict {
            Verdict::Known => return Ok(None),
            Verdict::Unknown => None,
            Verdict::Busy => Some("run it again later"),
            Verdict::Mismatch if skew.is_none_or(|skew| skew.abs() <= SKEW) => {
                Some("check the clock of this runner, and that no proxy changes the request")
            }
            Verdict::Mismatch | Verdict::Expired => return Err(wrong_clock(&seen, skew)),
            Verdict::Other => {
                let error =
                    Error::new(Kind::Protocol, format!("{seen}, which does not tell whether AWS knows the new key"));
                return Err(self.no_sts(error));
            }
        };
        Ok(Some(Doubt { seen, hint: hint.map(str::to_owned), silence: false }))
    }

    fn no_sts(&self, error: Error) -> Error {
        error.hint(format!(
            "check that the endpoint (from {}) is STS and that its region is enabled for the account, or drop --wait-ready",
            self.origin()
        ))
    }

    fn not_ready(&self, path: &str, budget: Duration, last: Option<Doubt>) -> Error {
        let (seen, hint) = match last {
            Some(doubt) => (doubt.seen, doubt.hint),
            None => (format!("{} had no time to know it {IN_A_ROW} times in a row", self.http.peer.host), None),
        };
        let hint = match hint {
            Some(hint) => hint,
            None if budget < LONGEST => "AWS knows most keys within 10 s: --timeout allows more than that".into(),
            None => format!(
                "AWS knows most keys within 10 s: run it again; if that never helps, the endpoint (from {}) is in a \
                region that is not enabled for the account",
                self.origin()
            ),
        };
        let seconds = budget.as_secs_f64();
        Error::new(Kind::Temporary, format!("the new key of {path} was not ready after {seconds:.0} s: {seen}"))
            .hint(hint)
    }

    fn origin(&self) -> &str {
        &self.readiness.connection.address_origin
    }
}

/// How long may be waited: at most [`LONGEST`], and not beyond the run's deadline. Giving back has seconds behind it.
fn budget(deadline: Duration, elapsed: Duration) -> Duration {
    LONGEST.min(deadline.saturating_sub(elapsed))
}

/// How many seconds the clock here is ahead of the server's.
fn skew(answer: &ServiceReply, time: Timestamp) -> Option<i64> {
    let date = DateTimeParser::new().parse_timestamp(answer.date.as_deref()?).ok()?;
    Some(time.duration_since(date).as_secs())
}

fn wrong_clock(seen: &str, skew: Option<i64>) -> Error {
    let by = match skew {
        Some(skew) if skew < 0 => format!(": the clock here is {} s behind", -skew),
        Some(skew) => format!(": the clock here is {skew} s ahead"),
        None => String::new(),
    };
    Error::new(Kind::Protocol, format!("{seen}{by}"))
        .hint("set the clock of this runner: AWS refuses a signature that is five minutes off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_longer_than_half_a_minute_or_than_the_run() {
        let seconds = |deadline, elapsed| budget(Duration::from_secs(deadline), Duration::from_secs(elapsed)).as_secs();
        // The default deadlines, and what the read may have taken of them.
        assert_eq!([seconds(90, 0), seconds(90, 60), seconds(90, 75), seconds(90, 91)], [30, 30, 15, 0]);
        assert_eq!([seconds(45, 0), seconds(45, 15), seconds(45, 40), seconds(2, 0)], [30, 30, 5, 2]);
    }

    #[test]
    fn a_clock_is_told_by_the_servers_date() {
        let answer = |date: Option<&str>| ServiceReply {
            status: 403,
            date: date.map(str::to_owned),
            retry_after: None,
            body: Vec::new().into(),
        };
        let here: Timestamp = "2026-11-21T12:10:00Z".parse().unwrap();
        for (date, seconds) in [
            (Some("Sat, 21 Nov 2026 12:00:00 GMT"), Some(600)),
            (Some("Sat, 21 Nov 2026 13:10:00 GMT"), Some(-3600)),
            (Some("soon"), None),
            (None, None),
        ] {
            assert_eq!(skew(&answer(date), here), seconds, "{date:?}");
        }
    }
}
