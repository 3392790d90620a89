//! What goes wrong between a caller and Vault.

use std::time::Duration;

use dev_vault::{Fault, On, Reply};

use super::plot::Random;
use crate::support::ROLE;

/// What goes wrong on the way: at one request, or at every one from there on.
#[derive(Clone, Debug)]
pub struct Mishap {
    pub at: usize,
    pub every: bool,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    CutRequest,
    Drop,
    LostAnswer,
    HalfAnswer,
    Reset,
    Sealed,
    GatewayDown,
    ErrorAfter,
    Limited,
    Lagging,
    HangAfter,
    /// The cloud behind the engine takes its time, and Vault is cut off when its client goes away.
    SlowCloud,
    /// Refused, at a path that makes something.
    Denied,
    Unknown,
}

const WHATS: [What; 14] = [
    What::CutRequest,
    What::Drop,
    What::LostAnswer,
    What::HalfAnswer,
    What::Reset,
    What::Sealed,
    What::GatewayDown,
    What::ErrorAfter,
    What::Limited,
    What::Lagging,
    What::HangAfter,
    What::SlowCloud,
    What::Denied,
    What::Unknown,
];

impl Mishap {
    pub fn draw(random: &mut Random) -> Self {
        let mut what = random.pick(&WHATS);
        if what == What::HangAfter && !random.one_in(3) {
            // It takes its second.
            what = What::LostAnswer;
        }
        Self { at: 1 + random.below(4), every: random.one_in(4) && what != What::HangAfter, what }
    }

    /// Of an engine whose every key takes its time.
    pub fn slow_cloud() -> Self {
        Self { at: 1, every: true, what: What::SlowCloud }
    }

    /// Arms it, from the next request on.
    pub fn arm(&self, inject: impl FnOnce(On, Fault)) {
        let paths = minting_paths();
        let on = match self.what {
            What::SlowCloud => On::any().nth(self.at).every(),
            What::Denied | What::Unknown => On::path(&paths[self.at % paths.len()]),
            _ => On::any().nth(self.at),
        };
        inject(if self.every { on.every() } else { on }, fault(self.what));
    }
}

impl What {
    /// A Vault that does not know a token that it does know is none.
    pub fn spares_revocation(self) -> bool {
        !matches!(self, Self::Denied | Self::Unknown)
    }
}

/// The paths that make something, of which one may be refused.
fn minting_paths() -> [String; 8] {
    [
        "approle/login".into(),
        "gitlab/login".into(),
        "k8s/login".into(),
        "database/creds/app".into(),
        format!("role/{ROLE}/secret-id"),
        "aws/sts/365-dev".into(),
        "aws/creds/user".into(),
        format!("apikey/{ROLE}"),
    ]
}

/// Long beside what the double takes for everything else, so that a signal comes in between.
pub const SLOW_CLOUD: Duration = Duration::from_millis(200);

fn fault(what: What) -> Fault {
    match what {
        What::CutRequest => Fault::cut_request(60),
        What::Drop => Fault::drop_request(),
        What::LostAnswer => Fault::cut_answer(0),
        What::HalfAnswer => Fault::cut_answer(220),
        What::Reset => Fault::reset_answer(40),
        What::Sealed => Fault::answer(Reply::error(503, "Vault is sealed")),
        What::GatewayDown => Fault::answer_after(Reply::html(502, "<html>bad gateway</html>")),
        What::ErrorAfter => Fault::answer_after(Reply::error(500, "internal error")),
        What::Limited => Fault::answer(Reply::error(429, "rate limit quota exceeded")),
        What::Lagging => Fault::answer(Reply::error(412, "required index state not present")),
        What::HangAfter => Fault::hang_after(),
        What::SlowCloud => Fault::slow_cloud(SLOW_CLOUD),
        What::Denied => Fault::answer(Reply::error(403, "1 error occurred:\n\t* permission denied\n\n")),
        What::Unknown => Fault::answer(Reply::error(403, "permission denied")),
    }
}
