//! Plays a step: real processes, one server, two clocks. What it shows is held to its promises by `promise`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dev_vault::{FIRST_ROLE, Fault, On, Sts};

use super::caller::{self, Clock};
use super::command::Done;
use super::eye::Moment;
use super::given_back::Cleared;
use super::ground::{Ground, SECTIONS, STORED};
use super::person::Person;
use super::plot::{Call, End, Errand, IDENTITIES, PEOPLE, Plot, REQUESTS, Random, Step};
use super::promise::{Ending, Promises, Seen};
use super::trouble::{Mishap, SLOW_CLOUD, What};
use crate::support::{ISSUER, Ran, World};

/// The audience of a token for AWS.
const AWS: &str = "sts.amazonaws.com";

pub struct Stage {
    pub ground: Ground,
    /// Beside the double: STS, for who asks no Vault.
    aws: Option<Sts>,
    pub people: Vec<Person>,
    promises: Promises,
    set_up: String,
    came: usize,
    passed: u64,
    lag: u64,
    is_sealed: bool,
    last: Option<(usize, usize)>,
    clock: Clock,
    notes: String,
}

impl Stage {
    pub fn new((ground, set_up): (Ground, String), random: &mut Random) -> Self {
        let mut stage = Self {
            aws: (!ground.is_real()).then(|| Sts::start(ISSUER, AWS, Vec::new())),
            ground,
            people: Vec::new(),
            promises: Promises::default(),
            set_up,
            came: 0,
            passed: 0,
            lag: 0,
            is_sealed: false,
            last: None,
            clock: Clock::find(),
            notes: String::new(),
        };
        for _ in 0..PEOPLE {
            let identity = stage.ground.identity(random.pick(&IDENTITIES));
            let person = stage.invite(identity);
            stage.people.push(person);
        }
        stage
    }

    pub fn draw(&self, plot: Plot, random: &mut Random) -> Step {
        self.ground.fit(plot.draw(random, self.is_sealed, self.last))
    }

    pub fn describe(&self) -> String {
        let people: Vec<_> = self.people.iter().map(|person| format!("{} {}", person.number, person.method)).collect();
        format!("{}; at the end: {}", self.set_up, people.join(", "))
    }

    pub fn take_notes(&mut self) -> String {
        std::mem::take(&mut self.notes)
    }

    fn invite(&mut self, method: &'static str) -> Person {
        self.came += 1;
        self.ground.invite(self.came, method)
    }

    pub fn play(&mut self, step: &Step) -> Result<(), String> {
        let before = self.look();
        match step {
            Step::Call(call) => return self.play_call(call, &before),
            Step::Replace(..) if self.is_sealed => {}
            Step::Replace(who, method) => self.people[*who] = self.invite(method),
            Step::Pass(seconds) => {
                self.passed += seconds;
                self.double().vault.advance(Duration::from_secs(*seconds));
                self.aws.iter().for_each(|aws| aws.advance(Duration::from_secs(*seconds)));
            }
            Step::LagBehind(seconds) => self.lag = *seconds,
            Step::RevokeLogin(which) => {
                let tokens = before.tokens.iter().filter(|token| token.path.ends_with("/login") && !token.wrapping);
                let tokens: Vec<_> = tokens.collect();
                if let (false, false) = (tokens.is_empty(), self.is_sealed) {
                    let accessor = &tokens[which % tokens.len()].accessor;
                    self.ground.end_login(accessor);
                }
            }
            Step::RevokeLease(which) => {
                if let (false, false) = (before.leases.is_empty(), self.is_sealed) {
                    let id = &before.leases[which % before.leases.len()].id;
                    self.ground.end_lease(id);
                }
            }
            Step::Restart => {
                if !self.is_sealed {
                    self.ground.close();
                }
                self.is_sealed = true;
            }
            Step::Unseal => {
                if std::mem::take(&mut self.is_sealed) {
                    self.ground.open();
                }
            }
            Step::Spoil(which, cut) => self.spoil(*which, *cut, &before),
            Step::List => {
                let ran = self.run(self.ground.command("cache").to_command());
                return self.promises.list_what_is_kept(&ran, &before);
            }
            Step::Command { who, what, mishap } => return self.play_command(*who, *what, mishap.as_ref(), before),
            Step::Clear { who, all, mishap } => {
                let mut run = self.people[*who].run.clone();
                run.arguments = vec!["cache".into(), "clear".into()];
                run.arguments.extend(all.then(|| "--all".into()));
                self.arm(mishap.as_ref());
                let ran = self.run(run.to_command());
                self.disarm();
                let _ = write!(self.notes, " => {} {:?} {:?}", ran.code, ran.stdout, ran.stderr);
                let after = self.look();
                let calm = mishap.is_none() && !self.is_sealed;
                let cleared = Cleared { person: &self.people[*who], ran, all: *all, calm, before, after };
                return self.promises.give_back(&self.ground, &cleared);
            }
        }
        if matches!(step, Step::RevokeLogin(_) | Step::RevokeLease(_)) {
            self.promises.note_what_was_ended(&before, &self.look());
        }
        Ok(())
    }

    pub fn count_what_was_made(&self) -> Result<(), String> {
        self.promises.count_what_was_made(self.look().made)
    }

    fn look(&self) -> Moment {
        self.ground.look(&self.people, Duration::from_secs(self.lag))
    }

    fn spoil(&self, which: usize, cut: bool, before: &Moment) {
        let Some(name) = before.files.keys().nth(which % before.files.len().max(1)) else { return };
        let path: PathBuf = self.ground.home().join(".cache/ci-creds").join(name);
        if cut {
            let bytes = std::fs::read(&path).expect("an entry");
            std::fs::write(&path, &bytes[..bytes.len().min(100)]).expect("an entry");
        } else {
            std::fs::remove_file(&path).expect("an entry");
        }
    }

    fn play_call(&mut self, call: &Call, before: &Moment) -> Result<(), String> {
        self.last = call.requests.first().map(|request| (call.who, *request));
        self.arm(call.mishap.as_ref());
        if let End::AtRequest { requests, cloud, .. } = call.end {
            let fault = if cloud { Fault::slow_cloud(SLOW_CLOUD) } else { Fault::hang_after() };
            let vault = &self.double().vault;
            vault.inject(On::any().nth(requests), fault);
            // Whoever waits for the lock could come in between.
            vault.inject(On::path("sys/leases/revoke").every(), Fault::delay(SLOW_CLOUD));
        }
        let mut children: Vec<_> = call.requests.iter().map(|request| self.start(call, *request)).collect();
        let victim = before.requests % children.len();
        match call.end {
            End::AtRequest { kill, requests, .. } => {
                self.wait_for_request(before.requests + requests, &mut children);
                caller::interrupt(&children[victim], kill);
            }
            End::After { kill, micros } => {
                std::thread::sleep(Duration::from_micros(micros));
                caller::interrupt(&children[victim], kill);
            }
            End::Whole | End::Full => {}
        }
        let endings: Vec<_> = children
            .into_iter()
            .zip(&call.requests)
            .map(|(child, request)| {
                let request = self.ground.request(*request);
                let by_lease = self.ground.is_real() || request.path.starts_with("database/");
                caller::end(child, request, by_lease)
            })
            .collect();
        if !matches!(call.end, End::Whole | End::Full) {
            self.let_the_last_words_arrive();
        }
        self.disarm();
        let after = self.look();
        for Ending { ran, .. } in &endings {
            let said = ran.stderr.lines().next().unwrap_or_default();
            let _ = write!(self.notes, " => {} {said}", ran.code);
        }
        let all = self.ground.requests();
        let asked: Vec<_> =
            all[before.requests..].iter().map(|request| format!("{} {}", request.method, request.path)).collect();
        let _ = write!(self.notes, " {asked:?}");
        let person = &self.people[call.who];
        // Five wrong secret IDs, of whomever, and the role is locked for everybody.
        let is_locked = all[before.requests..]
            .iter()
            .any(|request| request.path.ends_with("approle/login") && request.status == Some(403));
        let hangs = matches!(call.end, End::AtRequest { .. });
        let calm = call.mishap.is_none() && !self.is_sealed && !hangs && !is_locked;
        let seen = Seen { ground: &self.ground, person, call, calm, endings, before: before.clone(), after };
        self.promises.hold(&seen)
    }

    fn play_command(
        &mut self,
        who: usize,
        what: Errand,
        mishap: Option<&Mishap>,
        before: Moment,
    ) -> Result<(), String> {
        match (what, mishap, &self.aws) {
            (Errand::Session, Some(mishap), Some(aws)) => mishap.arm(|on, fault| aws.inject(on, fault)),
            (Errand::Session, ..) => {}
            _ => self.arm(mishap),
        }
        let limit = if mishap.is_some() || self.is_sealed { " --request-timeout 1s --timeout 4s" } else { "" };
        let sections = self.double().path(SECTIONS).display().to_string();
        let lines = match what {
            Errand::Whoami => vec![format!("whoami{limit}")],
            Errand::Stored => vec![format!("scaleway --path {STORED} --format json --no-keep-state{limit}")],
            Errand::Session => {
                vec![format!(
                    "aws --via web-identity --role-arn {FIRST_ROLE} --format json --id-token-env AWS_ID_TOKEN{limit}"
                )]
            }
            Errand::Doctor => vec![format!("doctor aws --role 365-dev{limit}")],
            Errand::Exec => vec![format!("exec exoscale --role gitlab-ci-runner{limit} -- true")],
            Errand::Token => vec![format!("token --ttl 10m --format json --no-keep-state{limit}")],
            Errand::Sections => vec![format!("secret db nowhere --config {sections} --no-keep-state{limit}")],
            Errand::Revoke => {
                let calls = ["exoscale --role gitlab-ci-runner --format json", REQUESTS[6].line];
                let calls = calls.map(|line| format!("{line} --keep-state{limit}"));
                calls.into_iter().chain([format!("revoke{limit}")]).collect()
            }
        };
        let mut rans = Vec::new();
        for line in lines {
            let mut run = self.people[who].run.clone();
            if let (Errand::Session, Some(aws)) = (what, &self.aws) {
                let token = self.double().id_token().audience(AWS).sign();
                // What names a login of Vault is not for AWS.
                run = self.ground.command("").env("AWS_ENDPOINT_URL_STS", &aws.address()).env("AWS_ID_TOKEN", &token);
            }
            run.arguments = line.split_whitespace().map(str::to_owned).collect();
            let ran = self.run(run.to_command());
            let _ = write!(self.notes, " => {} {:?} {:?}", ran.code, ran.stdout, ran.stderr);
            rans.push(ran);
        }
        self.disarm();
        self.aws.iter().for_each(Sts::clear_faults);
        let after = self.look();
        let calm = mishap.is_none() && (!self.is_sealed || what == Errand::Session);
        let done = Done { person: &self.people[who], what, rans, calm, before, after };
        self.promises.hold_command(&self.ground, &done)
    }

    fn start(&self, call: &Call, request: usize) -> Child {
        let request = self.ground.request(request);
        let cache = match (call.keep, request.process) {
            (true, false) => " --cache",
            (false, true) => " --no-cache",
            _ => "",
        };
        // Silence is told from slowness after a second, and in a read, which is not cut, after four and eight; who gets the signal may not be who waits.
        let hangs = call.mishap.as_ref().is_some_and(|mishap| mishap.what == What::HangAfter)
            || matches!(call.end, End::AtRequest { .. });
        // A server that does not act yet is asked until the deadline.
        let waits = self.is_sealed
            || call
                .mishap
                .as_ref()
                .is_some_and(|mishap| [What::Sealed, What::Limited, What::Lagging].contains(&mishap.what));
        let limit = match (hangs, waits) {
            (true, _) => " --request-timeout 1s --timeout 4s",
            (false, true) => self.ground.patience(),
            (false, false) => "",
        };
        // The stories are the cache's: what a job's state notes is revoked although it is not cached.
        let line = format!("{}{cache} --no-keep-state --retries {}{limit}", request.line, call.retries);
        let mut run = self.people[call.who].run.clone();
        run.arguments = line.split_whitespace().map(str::to_owned).collect();
        let mut command = self.clock.set(run.to_command(), self.passed, self.lag);
        let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").expect("/dev/full"));
        let stdout = if call.end == End::Full { full() } else { Stdio::piped() };
        command.stdout(stdout).stderr(Stdio::piped()).spawn().expect("it starts")
    }

    /// Faults and a clock are the double's.
    fn double(&self) -> &World {
        match &self.ground {
            Ground::Double(world) => world,
            Ground::Real(_) => panic!("no step of a real server's asks for the double"),
        }
    }

    fn disarm(&self) {
        if let Ground::Double(world) = &self.ground {
            world.vault.clear_faults();
        }
    }

    fn arm(&self, mishap: Option<&Mishap>) {
        if let Some(mishap) = mishap {
            mishap.arm(|on, fault| self.double().vault.inject(on, fault));
        }
    }

    /// Whoever waits for a request may be one that never comes, because it is not needed.
    fn wait_for_request(&self, count: usize, children: &mut [Child]) {
        let begun = Instant::now();
        while !self.double().vault.wait_for_requests(count, Duration::from_millis(5)) {
            let ended = |child: &mut Child| child.try_wait().is_ok_and(|status| status.is_some());
            if children.iter_mut().all(ended) || begun.elapsed() > Duration::from_secs(30) {
                return;
            }
        }
    }

    /// What a process had sent when a signal ended it is still on its way, and nobody is left to wait for the answer:
    /// here nothing tells that it came, but that nothing comes any more.
    fn let_the_last_words_arrive(&self) {
        let count = || match &self.ground {
            Ground::Double(world) => {
                let vault = &world.vault;
                (vault.connections(), vault.requests().iter().filter(|request| request.processed).count())
            }
            Ground::Real(_) => {
                let now = self.look();
                (now.leases.len(), now.tokens.len())
            }
        };
        let mut before = None;
        while before.replace(count()) != Some(count()) {
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    fn run(&self, command: Command) -> Ran {
        Ran::of(self.clock.set(command, self.passed, self.lag))
    }
}
