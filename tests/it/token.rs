use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dev_vault::{DevVault, Fault, Gate, Gitlab, GitlabFault, GitlabVariable, On, Reply, Tls};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::trap::Trap;
use crate::support::{ROLE, Ran, Run, World, text};

const ROTATE: &str = "token rotate --token-role ci-generator --gitlab-variable VAULT_TOKEN --gitlab-token-env ROTATOR";
/// GitLab's token in these tests.
const GITLAB_TOKEN: &str = "glpat-wT5mQ9xVb2Kd8RzLcH4n";
const DAY: u64 = 24 * 3600;

/// A world whose generator token is an orphan with a period of 72 hours, and its GitLab.
struct Stage {
    world: World,
    gitlab: Gitlab,
    old: String,
}

fn prepare(vault: &DevVault) {
    let policy = format!(
        "path \"auth/approle/role/{ROLE}/secret-id\" {{ capabilities = [\"update\"] }}\n\
         path \"auth/token/create/ci-generator\" {{ capabilities = [\"update\"] }}"
    );
    vault.write("sys/policies/acl/rotating", json!({ "policy": policy }));
    let role = json!({ "allowed_policies": ["rotating"], "orphan": true, "token_period": "72h", "renewable": true });
    vault.write("auth/token/roles/ci-generator", role);
}

fn token_of(answer: &Value) -> String {
    text(&answer["auth"]["client_token"])
}

impl Stage {
    fn start() -> Self {
        let world = World::start();
        prepare(&world.vault);
        let old = token_of(&world.vault.write("auth/token/create/ci-generator", json!({})));
        let gitlab = Gitlab::start(Tls::Off, vec![GitlabVariable::of_project("VAULT_TOKEN", &old)]);
        gitlab.admit(GITLAB_TOKEN, true, true);
        Self { world, gitlab, old }
    }

    /// The same with a new old token, made with these fields.
    fn again(&mut self, path: &str, body: Value) {
        self.old = token_of(&self.world.vault.write(path, body));
        self.gitlab.store(vec![GitlabVariable::of_project("VAULT_TOKEN", &self.old)]);
        self.world.vault.clear_faults();
    }

    fn command(&self, line: &str) -> Run {
        let run = self.world.command(line).env("VAULT_ROLE_ID", &self.world.role_id).env("VAULT_TOKEN", &self.old);
        let run = run.env("VAULT_APPROLE_ROLE", ROLE).env("ROTATOR", GITLAB_TOKEN).env("CI_PROJECT_ID", "365");
        run.env("CI_API_V4_URL", &self.gitlab.api())
    }

    fn stored(&self) -> String {
        self.gitlab.variables()[0].value.clone()
    }

    /// The tokens that are alive, but for root's.
    fn live(&self) -> Vec<String> {
        let tokens = self.world.vault.live_tokens().into_iter();
        tokens.filter(|token| !token.policies.contains(&"root".to_owned())).map(|token| token.id).collect()
    }

    fn accessor(&self, token: &str) -> String {
        let tokens = self.world.vault.live_tokens();
        tokens.into_iter().find(|live| live.id == token).expect("a live token").accessor
    }

    /// Nothing secret was said, and nothing but the new token was told to GitLab.
    fn assert_silent(&self, ran: &Ran) {
        let said = format!("{}{}", ran.stdout, ran.stderr);
        self.world.assert_no_secret_in(&said);
        assert!(!said.contains(&GITLAB_TOKEN[..12]), "{said}");
        for request in self.gitlab.requests() {
            let around = format!("{} {:?}", request.line(), request.query);
            self.world.assert_no_secret_in(&around);
            let headers: String = request.headers.iter().map(|(_, value)| format!("{value}\n")).collect();
            self.world.assert_no_secret_in(&headers);
        }
    }
}

#[test]
fn a_renewed_token_lives_for_its_whole_period_again() {
    let stage = Stage::start();
    stage.world.vault.hold_time();
    stage.world.vault.advance(Duration::from_secs(50 * 3600));
    stage.world.vault.forget_requests();
    let ran = stage.command("token renew").run();
    assert!(ran.stdout.contains("was renewed: it expires at") && ran.stdout.contains("has a period of 72h"), "{ran:?}");
    assert!(ran.stderr.is_empty(), "{ran:?}");
    stage.assert_silent(&ran);
    ran.ok();
    assert_eq!(stage.world.requests(), ["GET auth/token/lookup-self", "POST auth/token/renew-self"]);
    let tokens = stage.world.vault.live_tokens();
    let end = tokens.iter().find(|token| token.id == stage.old).and_then(|token| token.expires).expect("an end");
    let left = end.duration_since(stage.world.vault.now()).expect("later");
    assert_eq!(left.as_secs().div_ceil(60), 72 * 60, "the whole period");
}

#[test]
fn a_token_that_cannot_be_renewed_is_told_what_it_is() {
    let mut stage = Stage::start();
    for (body, words) in [
        (
            json!({ "policies": ["rotating"], "type": "batch", "ttl": "1h" }),
            "is a batch token, which Vault never renews",
        ),
        (
            json!({ "policies": ["rotating"], "renewable": false, "ttl": "1h" }),
            "was made with renewable=false; it expires",
        ),
        (json!({ "policies": ["root"] }), "never expires, so there is nothing to renew"),
    ] {
        stage.again("auth/token/create-orphan", body);
        stage.world.vault.forget_requests();
        let ran = stage.command("token renew").run().failed(78, "config");
        assert!(ran.stderr.contains(words) && ran.stderr.contains("token_period=72h"), "{ran:?}");
        assert_eq!(stage.world.requests(), ["GET auth/token/lookup-self"]);
        stage.assert_silent(&ran);
    }
    for (path, body, words) in [
        ("create-orphan", json!({ "policies": ["rotating"], "ttl": "1h" }), "for good, because it has no period"),
        ("create", json!({ "policies": ["rotating"], "period": "1h" }), "is a child of another token and ends with it"),
        (
            "create-orphan",
            json!({ "policies": ["rotating"], "period": "1h", "explicit_max_ttl": "48h" }),
            "for good, because explicit_max_ttl ends it then",
        ),
    ] {
        stage.again(&format!("auth/token/{path}"), body);
        let ran = stage.command("token renew").run();
        assert!(ran.stderr.contains(words) && ran.stderr.contains("ci-creds: warning: "), "{ran:?}");
        ran.ok();
    }
    stage.again("auth/token/create-orphan", json!({ "policies": ["rotating"], "ttl": "768h" }));
    assert_eq!(stage.command("token renew").run().stderr, "");
    let other = stage.world.command_as("id-token", "token renew").run().failed(78, "config");
    assert!(other.stderr.contains("not by a stored Vault token"), "{other:?}");
    let gone = stage.command("token renew").env("VAULT_TOKEN", "hvs.CAESnobody").run().failed(77, "denied");
    assert!(gone.stderr.contains("the token (from VAULT_TOKEN) is not valid"), "{gone:?}");
    stage.command("token nonsense").run().failed(64, "usage");
}

#[test]
fn a_generator_token_is_renewed_before_a_login_if_somebody_asked_for_it() {
    let stage = Stage::start();
    let line = format!("exoscale --role {ROLE}");
    let login = [format!("POST auth/approle/role/{ROLE}/secret-id"), "POST auth/approle/login".to_owned()];
    let read = format!("GET exoscale/apikey/{ROLE}");
    let renewal = ["GET auth/token/lookup-self".to_owned(), "POST auth/token/renew-self".to_owned()];
    let plain = [&login[..], std::slice::from_ref(&read)].concat();
    let renewed = [&renewal[..], &plain[..]].concat();
    let file = stage.world.file("c.toml", "renew-generator = true\n").display().to_string();
    let run = stage.command(&line);
    for (run, expected) in [
        (run.clone(), &plain),
        (run.clone().arg("--renew"), &renewed),
        (run.clone().env("CI_CREDS_RENEW", "true"), &renewed),
        (run.clone().env("CI_CREDS_RENEW", "0"), &plain),
        (run.clone().env("CI_CREDS_CONFIG", &file), &renewed),
        (run.clone().env("CI_CREDS_CONFIG", &file).env("CI_CREDS_RENEW", "false"), &plain),
    ] {
        stage.world.vault.forget_requests();
        let ran = run.run();
        assert_eq!(&stage.world.requests(), expected, "{ran:?}");
        assert_eq!(ran.stderr, "");
        ran.ok();
    }
    // Nobody else asks anything more.
    for method in ["id-token", "token", "secret-id"] {
        let run = stage.world.command_as(method, &line).arg("--renew");
        stage.world.vault.forget_requests();
        run.run().ok();
        assert!(!stage.world.requests().iter().any(|request| request.contains("auth/token/")), "{method}");
    }
    run.env("CI_CREDS_RENEW", "perhaps").run().failed(78, "config");
}

#[test]
fn a_renewal_that_fails_is_a_warning_and_the_job_gets_its_credential() {
    let stage = Stage::start();
    let run = stage.command(&format!("exoscale --role {ROLE} --renew"));
    let vault = &stage.world.vault;
    for (path, fault) in [
        ("lookup-self", Fault::answer(Reply::error(403, "1 error occurred:\n\t* permission denied\n\n"))),
        ("renew-self", Fault::answer(Reply::error(500, "internal error"))),
        ("renew-self", Fault::drop_request()),
    ] {
        vault.inject(On::path(path), fault);
        let ran = run.run();
        assert!(ran.stderr.starts_with("ci-creds: warning: the generator token was not renewed: "), "{ran:?}");
        stage.world.assert_no_secret_in(&ran.stderr);
        ran.ok();
    }
    // A token that somebody must replace is told at the login.
    let token = token_of(&vault.write("auth/token/create", json!({ "policies": ["rotating"], "ttl": "100h" })));
    let ran = run.env("VAULT_TOKEN", &token).run();
    assert!(ran.stderr.contains("has no period") && ran.stderr.contains("is a child of another token"), "{ran:?}");
    ran.ok();
}

#[test]
fn a_plain_token_that_is_looked_up_anyway_is_told_in_its_last_week() {
    let world = World::start();
    for (ttl, left, told) in [(30 * DAY, 6 * DAY, true), (30 * DAY, 8 * DAY, false), (6 * DAY, 5 * DAY, false)] {
        let body = json!({ "policies": ["job"], "ttl": format!("{ttl}s") });
        let token = token_of(&world.vault.write("auth/token/create-orphan", body));
        world.vault.advance(Duration::from_secs(ttl - left));
        let line = format!("exoscale --role {ROLE}");
        let run = world.command(&line).env("VAULT_TOKEN", &token).env("CI_JOB_ID", &left.to_string());
        world.vault.forget_requests();
        let ran = run.clone().arg("--cache").run();
        assert_eq!(world.requests().len(), 2, "{ran:?}");
        assert_eq!(ran.stderr.contains("expires at") && ran.stderr.contains("has no period"), told, "{ran:?}");
        // The normal path has no request more for that.
        world.vault.forget_requests();
        run.run().ok();
        assert_eq!(world.requests(), [format!("GET exoscale/apikey/{ROLE}")]);
    }
}

// check: 3
#[test]
fn a_rotation_makes_checks_stores_and_reads_back_in_this_order() {
    let stage = Stage::start();
    let all = Arc::new(Mutex::new(Vec::new()));
    let gate = |to| {
        let seen = Arc::clone(&all);
        Gate::start(to, move |request| {
            let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
            seen.lock().unwrap().push(format!("{} {}{query}", request.method, request.path));
        })
    };
    let (vault, gitlab) = (gate(stage.world.vault.socket_address()), gate(stage.gitlab.socket_address()));
    let api = format!("{}/api/v4", gitlab.address());
    let run = stage.command(ROTATE).env("VAULT_ADDR", &vault.address()).env("CI_API_V4_URL", &api);
    let ran = run.run();
    stage.assert_silent(&ran);
    assert!(ran.stdout.contains("VAULT_TOKEN of project 365 has the new token: accessor "), "{ran:?}");
    assert!(ran.stdout.contains("was not revoked: it expires at"), "{ran:?}");
    assert_eq!(ran.stderr, "");
    ran.ok();
    let variable = "/api/v4/projects/365/variables/VAULT_TOKEN";
    let scope = "?filter%5Benvironment_scope%5D=*";
    assert_eq!(
        *all.lock().unwrap(),
        [
            "GET /v1/auth/token/lookup-self".to_owned(),
            format!("GET {variable}"),
            "POST /v1/auth/token/create/ci-generator".to_owned(),
            "GET /v1/auth/token/lookup-self".to_owned(),
            "POST /v1/sys/capabilities-self".to_owned(),
            format!("PUT {variable}{scope}"),
            format!("GET {variable}{scope}"),
        ]
    );
    let new = stage.stored();
    assert!(new != stage.old && stage.live().contains(&new) && stage.live().contains(&stage.old));
    let put = stage.gitlab.requests().into_iter().find(|request| request.method == "PUT").expect("a write");
    assert_eq!(put.json(), json!({ "value": new }));
    assert!(stage.gitlab.requests().iter().all(|request| request.headers.get("X-Vault-Token").is_none()));
    // The next run works with the new one, whose variable this job does not have yet.
    let stale = stage.command(ROTATE).run().failed(78, "config");
    assert!(stale.stderr.contains("holds another token than this job has"), "{stale:?}");
    assert_eq!((stage.stored(), stage.live().len()), (new.clone(), 2));
    stage.command(ROTATE).env("VAULT_TOKEN", &new).run().ok();
    assert_ne!(stage.stored(), new);
}

#[test]
fn a_rotation_that_is_refused_leaves_the_old_token_stored_and_no_other_behind() {
    let mut stage = Stage::start();
    let role = |fields: Value| {
        let mut role = json!({ "allowed_policies": ["rotating"], "orphan": true, "token_period": "72h" });
        role.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        role
    };
    stage.world.vault.write("auth/token/roles/children", role(json!({ "orphan": false })));
    stage.world.vault.write("auth/token/roles/others", role(json!({ "allowed_policies": ["exoscale"] })));
    let policy = format!(
        "path \"auth/token/create/*\" {{ capabilities = [\"update\"] }}\n\
         path \"auth/approle/role/{ROLE}/secret-id\" {{ capabilities = [\"update\"] }}"
    );
    stage.world.vault.write("sys/policies/acl/rotating", json!({ "policy": policy }));
    stage.gitlab.admit("glpat-noscope", false, true);
    stage.gitlab.admit("glpat-developer", true, false);
    let by_role = |name: &str| ROTATE.replace("ci-generator", name);
    let (with, without) = (stage.old.clone(), stage.world.generator_token());
    for (line, (name, value), (code, kind), words) in [
        (ROTATE.to_owned(), ("ROTATOR", "glpat-nobody"), (77, "denied"), "rejected the access token (from ROTATOR)"),
        (ROTATE.to_owned(), ("ROTATOR", "glpat-noscope"), (77, "denied"), "lacks the scope api"),
        (
            ROTATE.to_owned(),
            ("ROTATOR", "glpat-developer"),
            (77, "denied"),
            "may not change VAULT_TOKEN of project 365",
        ),
        (ROTATE.to_owned(), ("CI_PROJECT_ID", "366"), (78, "config"), "shows no VAULT_TOKEN of project 366"),
        (
            ROTATE.replace("VAULT_TOKEN", "OTHER"),
            ("X", "x"),
            (78, "config"),
            "there is no variable OTHER of project 365",
        ),
        (format!("{ROTATE} --environment-scope production"), ("X", "x"), (78, "config"), "there is no variable"),
        (format!("{ROTATE} --group team/ops"), ("X", "x"), (78, "config"), "there is no variable VAULT_TOKEN of group"),
        (by_role("nobody"), ("X", "x"), (78, "config"), "there is no token role nobody"),
        (by_role("children"), ("X", "x"), (78, "config"), "is a child of the old one and would end with it"),
        (by_role("others"), ("X", "x"), (78, "config"), "lacks the policy rotating"),
        (
            ROTATE.to_owned(),
            ("VAULT_APPROLE_ROLE", "other"),
            (77, "denied"),
            "may not make secret IDs at auth/approle/role/other",
        ),
        (ROTATE.to_owned(), ("VAULT_TOKEN", without.as_str()), (78, "config"), "is a child of another token"),
        (ROTATE.to_owned(), ("VAULT_TOKEN", "hvs.CAESnobody"), (77, "denied"), "is not valid"),
    ] {
        let before = stage.live().len();
        let ran = stage.command(&line).env(name, value).run().failed(code, kind);
        assert!(ran.stderr.contains(words), "{words:?} is not in {ran:?}");
        stage.assert_silent(&ran);
        assert_eq!((stage.stored(), stage.live().len()), (with.clone(), before), "{words}: {ran:?}");
    }
    let production =
        GitlabVariable { scope: "production".into(), ..GitlabVariable::of_project("VAULT_TOKEN", "hvs.CAESother") };
    stage.gitlab.store(vec![GitlabVariable::of_project("VAULT_TOKEN", &with), production]);
    let ran = stage.command(ROTATE).run().failed(78, "config");
    assert!(ran.stderr.contains("more than one variable") && ran.stderr.contains("--environment-scope"), "{ran:?}");
    stage.command(&format!("{ROTATE} --environment-scope *")).run().ok();
    assert!(stage.stored() != with && stage.gitlab.variables()[1].value == "hvs.CAESother");
    stage.again("auth/token/create/ci-generator", json!({}));
    let group = GitlabVariable { owner: "groups/team/ops".into(), ..stage.gitlab.variables()[0].clone() };
    stage.gitlab.store(vec![group]);
    stage.command(&format!("{ROTATE} --group team/ops")).run().ok();
    assert_ne!(stage.stored(), stage.old);
}

// check: 3
#[test]
fn a_write_whose_answer_is_lost_is_settled_by_reading_it_back() {
    use GitlabFault::{LoseAnswer, LoseRequest, ReadOldValue};
    let mut stage = Stage::start();
    // What becomes of the writes, whether the variable is hidden, whether reads fail after a write; the code and who is stored.
    for (faults, hidden, blind, code, is_new) in [
        (vec![LoseAnswer], false, false, 0, true),
        (vec![LoseRequest], false, false, 0, true),
        (vec![LoseRequest, LoseAnswer], false, false, 0, true),
        (vec![ReadOldValue], false, false, 0, true),
        (vec![], true, false, 0, true),
        (vec![LoseAnswer], true, false, 0, true),
        (vec![LoseRequest, LoseRequest], false, false, 69, false),
        (vec![LoseAnswer, LoseRequest], true, false, 80, true),
        (vec![LoseRequest, LoseRequest], true, false, 80, false),
        (vec![LoseAnswer, LoseAnswer], false, true, 80, true),
        (vec![], false, true, 80, true),
    ] {
        stage.again("auth/token/create/ci-generator", json!({}));
        stage.gitlab.store(vec![GitlabVariable { hidden, ..GitlabVariable::of_project("VAULT_TOKEN", &stage.old) }]);
        if blind {
            stage.gitlab.go_blind();
        }
        stage.gitlab.spoil(&faults);
        let before = stage.live();
        let old = stage.accessor(&stage.old);
        let ran = stage.command(&format!("{ROTATE} --grace 0s")).run();
        let case = format!("{faults:?} hidden: {hidden}, blind: {blind}: {ran:?}");
        stage.assert_silent(&ran);
        assert_eq!(ran.code, code, "{case}");
        let made: Vec<_> = stage.live().into_iter().filter(|token| !before.contains(token)).collect();
        assert_eq!(stage.stored() == stage.old, !is_new, "{case}");
        assert!(stage.live().contains(&stage.stored()), "the stored token does not work: {case}");
        match code {
            0 => assert!(made == [stage.stored()] && !stage.live().contains(&stage.old), "{case}"),
            80 => {
                // Nothing was revoked, and both are named.
                assert!(made.len() == 1 && stage.live().contains(&stage.old), "{case}");
                let new = stage.accessor(&made[0]);
                assert!(ran.stderr.contains(&old) && ran.stderr.contains(&new), "{case}");
            }
            _ => {
                assert_eq!(made, [""; 0], "{case}");
                assert!(ran.stderr.contains("the new token was revoked, and the old one is still stored"), "{case}");
            }
        }
    }
}

#[test]
fn a_token_whose_making_was_lost_is_told_and_the_old_one_stays_stored() {
    let stage = Stage::start();
    for fault in [Fault::cut_answer(20), Fault::answer_after(Reply::error(500, "internal error"))] {
        stage.world.vault.clear_faults();
        stage.world.vault.inject(On::path("create/ci-generator"), fault);
        let before = stage.live().len();
        stage.world.vault.forget_requests();
        let ran = stage.command(ROTATE).run().failed(80, "leak");
        assert!(ran.stderr.contains("may be left that nobody knows") && ran.stderr.contains("72h"), "{ran:?}");
        // It is not made a second time.
        assert_eq!((stage.stored(), stage.live().len()), (stage.old.clone(), before + 1));
    }
    // What fails between the making and the write is taken back.
    for (path, fault) in [
        (On::path("lookup-self").nth(2), Fault::drop_request()),
        (On::path("capabilities-self").every(), Fault::answer(Reply::error(500, "internal error"))),
    ] {
        stage.world.vault.clear_faults();
        stage.world.vault.inject(path, fault);
        let before = stage.live().len();
        let ran = stage.command(&format!("{ROTATE} --retries 0")).run().failed(69, "unavailable");
        assert!(ran.stderr.contains("the new token was revoked"), "{ran:?}");
        assert_eq!((stage.stored(), stage.live().len()), (stage.old.clone(), before));
    }
    stage.world.vault.clear_faults();
    stage.world.vault.inject(On::path("capabilities-self"), Fault::answer(Reply::error(400, "no")));
    stage.world.vault.inject(On::path("revoke-self").every(), Fault::drop_request());
    let ran = stage.command(ROTATE).run().failed(80, "leak");
    assert!(
        ran.stderr.contains("the new one was not revoked (the connection to ") && ran.stderr.contains("): accessor "),
        "{ran:?}"
    );
}

#[test]
fn the_old_token_lives_on_for_the_grace_and_no_longer() {
    let mut stage = Stage::start();
    let rotate = |grace: &str| format!("{ROTATE} --grace {grace}");
    // A token without a period is shortened, and nobody waits.
    stage.again("auth/token/create-orphan", json!({ "policies": ["rotating"], "ttl": "100h" }));
    let ran = stage.command(&rotate("2h")).run();
    assert!(ran.stdout.contains("was shortened: it expires at"), "{ran:?}");
    ran.ok();
    let end = stage.world.vault.live_tokens().into_iter().find(|token| token.id == stage.old).expect("alive").expires;
    let left = end.expect("an end").duration_since(stage.world.vault.now()).expect("later");
    assert!((7100..=7200).contains(&left.as_secs()), "{left:?}");
    // One that cannot be shortened lives on, and the run ends with the code of that, not with one that CI repeats.
    stage.again("auth/token/create-orphan", json!({ "policies": ["rotating"], "ttl": "100h" }));
    stage.world.vault.inject(On::path("renew-self").every(), Fault::drop_request());
    let ran = stage.command(&rotate("2h")).run().failed(80, "leak");
    stage.world.vault.clear_faults();
    assert!(ran.stderr.contains(&format!("vault token revoke -accessor {}", stage.accessor(&stage.old))), "{ran:?}");
    assert!(ran.stderr.contains("was not shortened: it expires at"), "{ran:?}");
    // One with a period is revoked after it.
    stage.again("auth/token/create/ci-generator", json!({}));
    let ran = stage.command(&rotate("1s")).run();
    assert!(ran.stderr.contains("waiting 1s before the old token (accessor "), "{ran:?}");
    assert!(ran.stdout.contains(") was revoked\n"), "{ran:?}");
    assert!(!stage.live().contains(&stage.old) && stage.live().contains(&stage.stored()));
    stage.again("auth/token/create/ci-generator", json!({}));
    let run = stage.command(&rotate("2h")).env("CI_JOB_TIMEOUT", "3600");
    let ran = run.env("CI_JOB_STARTED_AT", &jiff::Timestamp::now().to_string()).run().failed(78, "config");
    assert!(ran.stderr.contains("before --grace 2h"), "{ran:?}");
    assert_eq!(stage.stored(), stage.old);
    // An old token that cannot be revoked is named; the new one is stored.
    stage.world.vault.inject(On::path("revoke-self").every(), Fault::drop_request());
    let ran = stage.command(&rotate("0s")).run().failed(80, "leak");
    assert!(ran.stderr.contains(&stage.accessor(&stage.old)) && ran.stderr.contains("has the new token"), "{ran:?}");
    assert_ne!(stage.stored(), stage.old);
}

#[test]
fn a_signal_stops_a_rotation_where_one_token_is_stored_and_no_other_left() {
    let mut stage = Stage::start();
    for number in 1..=7 {
        stage.again("auth/token/create/ci-generator", json!({}));
        let before = stage.live().len();
        let trap = Arc::new(Trap::new(number, Signal::TERM));
        let gate = |to| {
            let trap = Arc::clone(&trap);
            Gate::start(to, move |_| trap.answered())
        };
        let (vault, gitlab) = (gate(stage.world.vault.socket_address()), gate(stage.gitlab.socket_address()));
        let run = stage.command(&format!("{ROTATE} --grace 0s")).env("VAULT_ADDR", &vault.address());
        let mut command = run.env("CI_API_V4_URL", &format!("{}/api/v4", gitlab.address())).to_command();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
        trap.arm(&child);
        let ran: Ran = child.wait_with_output().expect("its end").into();
        // From the write on, the rotation is finished; before it, what was made is revoked.
        let is_new = number > 5;
        assert_eq!(ran.code, if is_new { 0 } else { 143 }, "{number}: {ran:?}");
        assert_eq!((stage.stored() != stage.old, stage.live().len()), (is_new, before), "{number}: {ran:?}");
        assert!(stage.live().contains(&stage.stored()), "{number}: {ran:?}");
        stage.assert_silent(&ran);
    }
}

// check: 13
#[test]
fn nothing_is_sent_where_the_address_or_the_token_of_gitlab_is_missing_or_insecure() {
    let stage = Stage::start();
    stage.world.vault.forget_requests();
    let run = || stage.command(ROTATE);
    let bare = |line: &str| stage.command(line);
    let open = stage.world.file("open", GITLAB_TOKEN);
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("its mode");
    let by_file = ROTATE.replace("--gitlab-token-env ROTATOR", &format!("--gitlab-token-file {}", open.display()));
    for (run, (code, kind), words) in [
        (run().without("CI_API_V4_URL"), (78, "config"), "the address of GitLab's API is not set (CI_API_V4_URL)"),
        (run().env("CI_API_V4_URL", "http://gitlab.example.com/api/v4"), (78, "config"), "could read the tokens"),
        (run().env("CI_API_V4_URL", "gitlab"), (78, "config"), "the address of GitLab's API (from CI_API_V4_URL)"),
        (run().without("CI_PROJECT_ID"), (78, "config"), "CI_PROJECT_ID"),
        (run().env("CI_PROJECT_ID", "a/../b"), (78, "config"), "is not the number of a project"),
        (run().without("ROTATOR"), (66, "input"), "ROTATOR (from --gitlab-token-env) is not set"),
        (run().env("ROTATOR", "glpat x"), (66, "input"), "the GitLab token in ROTATOR"),
        (bare(&by_file), (66, "input"), "can be written by other users"),
        (bare(&ROTATE.replace(" --gitlab-token-env ROTATOR", "")), (66, "input"), "GitLab's token is not set"),
        (bare(&format!("{ROTATE} --group ../x")), (64, "usage"), "--group"),
        (bare(&format!("{ROTATE} --grace soon")), (64, "usage"), "--grace"),
        (bare(&ROTATE.replace("ci-generator", "a/b")), (64, "usage"), "token role"),
        (bare("token rotate --token-role x"), (64, "usage"), "--gitlab-variable"),
        (run().without("VAULT_TOKEN").env("VAULT_SECRET_ID", "x"), (78, "config"), "not by a stored Vault token"),
    ] {
        let ran = run.run().failed(code, kind);
        assert!(ran.stderr.contains(words), "{words:?} is not in {ran:?}");
        stage.assert_silent(&ran);
    }
    assert_eq!((stage.world.requests().len(), stage.gitlab.requests().len()), (0, 0));
}

// check: 1
#[test]
fn gitlab_is_believed_by_its_own_ca_and_a_redirect_is_not_followed() {
    let stage = Stage::start();
    let variables = || vec![GitlabVariable::of_project("VAULT_TOKEN", &stage.old)];
    let gitlab = Gitlab::start(Tls::Valid, variables());
    gitlab.admit(GITLAB_TOKEN, true, true);
    let ca = stage.world.file("gitlab.pem", gitlab.ca_pem().expect("a CA")).display().to_string();
    let run = stage.command(ROTATE).env("CI_API_V4_URL", &gitlab.api());
    let ran = run.clone().env("VAULT_CACERT", &ca).run();
    assert_eq!((ran.code, gitlab.requests().len()), (76, 0), "Vault's CA is not GitLab's: {ran:?}");
    run.env("CI_SERVER_TLS_CA_FILE", &ca).run().ok();
    assert_ne!(gitlab.variables()[0].value, stage.old);
    // Nothing of a message sends the reader to Vault's address.
    let ran = stage.command(ROTATE).env("CI_API_V4_URL", "http://127.0.0.1:1/api/v4").run().failed(69, "unavailable");
    assert!(ran.stderr.contains("from CI_API_V4_URL") && !ran.stderr.contains("VAULT_ADDR"), "{ran:?}");
    let target = dev_vault::Sink::start(Tls::Off);
    let reply = Reply::status(307).bare().header("Location", &target.address());
    let sink = dev_vault::Sink::answering(Tls::Off, vec![reply]);
    let api = format!("{}/api/v4", sink.address());
    let ran = stage.command(ROTATE).env("CI_API_V4_URL", &api).run().failed(76, "protocol");
    assert!(ran.stderr.contains("status 307"), "{ran:?}");
    assert_eq!((sink.requests().len(), target.connections()), (1, 0));
}
