//! What may happen in a story, and chance, which decides what does.

use super::trouble::Mishap;

/// Whether anything goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// Calls alone.
    Calm,
    /// Everything.
    Wild,
}

/// Chance that can be repeated.
pub struct Random(fastrand::Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Clone>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())].clone()
    }
}

/// A request: the path that answers it, the provider's format, and whether its key ends with the login.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub path: &'static str,
    pub line: &'static str,
    /// Without a flag, a call of this format keeps nothing.
    pub process: bool,
    pub revocable: bool,
}

/// Four targets; one of them is asked for in three ways.
pub const REQUESTS: [Request; 7] = [
    Request { path: "aws/sts/365-dev", line: "aws --role 365-dev --format process", process: true, revocable: false },
    Request {
        path: "aws/creds/user",
        line: "aws --role user --via creds --format process",
        process: true,
        revocable: true,
    },
    Request {
        path: EXOSCALE,
        line: "exoscale --role gitlab-ci-runner --sos --format process",
        process: true,
        revocable: true,
    },
    Request { path: EXOSCALE, line: "exoscale --role gitlab-ci-runner", process: false, revocable: true },
    Request { path: EXOSCALE, line: "exoscale --role gitlab-ci-runner --format json", process: false, revocable: true },
    Request { path: "aws/sts/365-dev", line: "aws --role 365-dev", process: false, revocable: false },
    Request {
        path: "database/creds/app",
        line: "secret --path database/creds/app --env PGUSER=username --env PGPASSWORD=password --format json",
        process: false,
        revocable: true,
    },
];

/// Who may come: the identities of [`crate::support::METHODS`], and two that prove themselves in other ways.
pub const IDENTITIES: [&str; 7] =
    ["wrapping-token", "secret-id", "generator-token", "id-token", "token", "kubernetes", "github"];

const EXOSCALE: &str = "exoscale/apikey/gitlab-ci-runner";

/// How many identities there are at once.
pub const PEOPLE: usize = 3;

#[derive(Clone, Debug)]
pub enum Step {
    Call(Call),
    /// Somebody goes, and somebody else comes with a secret of his own.
    Replace(usize, &'static str),
    /// Time goes on, for everybody.
    Pass(u64),
    /// The clock of the callers is so many seconds behind Vault's from now on.
    LagBehind(u64),
    /// An operator ends a login's token, or a lease alone.
    RevokeLogin(usize),
    RevokeLease(usize),
    /// Vault was started again, and somebody must unseal it.
    Restart,
    Unseal,
    /// An entry of the cache is cut in its first line, or removed.
    Spoil(usize, bool),
    List,
    Clear {
        who: usize,
        all: bool,
        mishap: Option<Mishap>,
    },
    /// A command of its own, beside the calls.
    Command {
        who: usize,
        what: Errand,
        mishap: Option<Mishap>,
    },
}

/// What such a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    Whoami,
    Doctor,
    /// A credential for a command, which ends at once.
    Exec,
    Token,
    /// Two sections, of which the second has a role that does not exist.
    Sections,
    /// Two calls that the job's state notes, and `ci-creds revoke` behind them.
    Revoke,
    /// A key of Scaleway, which KV stores for everybody.
    Stored,
    /// A session of AWS for an ID token, which Vault does not hear of.
    Session,
}

const ERRANDS: [Errand; 10] = [
    Errand::Whoami,
    Errand::Doctor,
    Errand::Doctor,
    Errand::Exec,
    Errand::Token,
    Errand::Sections,
    Errand::Revoke,
    Errand::Revoke,
    Errand::Stored,
    Errand::Session,
];

/// Some calls of one identity at the same moment.
#[derive(Clone, Debug)]
pub struct Call {
    pub who: usize,
    /// Places in [`REQUESTS`].
    pub requests: Vec<usize>,
    pub keep: bool,
    pub mishap: Option<Mishap>,
    pub end: End,
    pub retries: usize,
}

/// How a call comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    /// What it prints goes to a full disk.
    Full,
    /// One of the callers gets a signal: when so many requests have come, of which the last one hangs or, if it makes a
    /// key, waits for its cloud; or after so many microseconds.
    AtRequest {
        kill: bool,
        requests: usize,
        cloud: bool,
    },
    After {
        kill: bool,
        micros: u64,
    },
}

impl Plot {
    /// `last`: who called last for what. Whoever met something comes again, and so does who waited.
    pub fn draw(self, random: &mut Random, is_sealed: bool, last: Option<(usize, usize)>) -> Step {
        let who = random.below(PEOPLE);
        if let (Self::Wild, Some((who, request)), true) = (self, last, random.one_in(4)) {
            return Step::Call(Call { requests: vec![request], ..call(random, who, 1) });
        }
        if self == Plot::Calm {
            let callers = 1 + random.below(3);
            return Step::Call(Call { keep: true, mishap: None, end: End::Whole, ..call(random, who, callers) });
        }
        if is_sealed && random.one_in(2) {
            return Step::Unseal;
        }
        match random.below(46) {
            0..22 => wild_call(random, who),
            22..24 => Step::Replace(who, random.pick(&IDENTITIES)),
            24..29 => Step::Pass(random.pick(&[15, 45, 120, 200, 290, 400, 660, 800, 1300, 2700])),
            29 => Step::LagBehind(random.pick(&[0, 0, 5, 50, 90, 200])),
            30 => Step::RevokeLogin(random.below(100)),
            31 => Step::RevokeLease(random.below(100)),
            32 => Step::Restart,
            33..35 => Step::Spoil(random.below(100), random.one_in(2)),
            35..37 => Step::List,
            40.. => {
                let mishap = random.one_in(3).then(|| Mishap::draw(random));
                Step::Command { who, what: random.pick(&ERRANDS), mishap }
            }
            _ => {
                let mishap =
                    random.one_in(3).then(|| Mishap::draw(random)).filter(|mishap| mishap.what.spares_revocation());
                Step::Clear { who, all: random.one_in(4), mishap }
            }
        }
    }
}

fn call(random: &mut Random, who: usize, callers: usize) -> Call {
    let requests = (0..callers).map(|_| random.below(REQUESTS.len())).collect();
    Call { who, requests, keep: true, mishap: None, end: End::Whole, retries: random.below(3) }
}

fn wild_call(random: &mut Random, who: usize) -> Step {
    let callers = random.pick(&[1, 1, 1, 2, 3]);
    let mut call = call(random, who, callers);
    if random.one_in(8) {
        // Without a cache, a secret for one use is for one caller.
        call.keep = false;
        call.requests.truncate(1);
    }
    match random.below(12) {
        0..4 => call.mishap = Some(Mishap::draw(random)),
        4 => call.end = End::Full,
        5 | 6 => {
            let (kill, cloud) = (random.one_in(3), random.one_in(2));
            call.end = End::AtRequest { kill, requests: 1 + random.below(5), cloud };
        }
        7 => {
            call.mishap = random.one_in(2).then(Mishap::slow_cloud);
            call.end = End::After {
                kill: random.one_in(3),
                micros: random.pick(&[500, 2_000, 4_000, 6_000, 8_000, 10_000, 13_000, 16_000, 20_000]),
            }
        }
        _ => {}
    }
    Step::Call(call)
}
