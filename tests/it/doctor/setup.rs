//! Set-ups that are broken in one place: doctor names the step, leaves and spends nothing, and what it says to change, done to
//! the letter, makes the next run pass. One table for the doubles and a real server.

mod bench;
mod change;
mod configuration;
mod engine;
mod identity;
mod login;
mod network;
mod secret;
mod server;
mod surrounding;
mod token;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dev_vault::{Builder, DevVault, Dialect};
use serde_json::{Value, json};

use crate::real_server::operator::Operator;
use crate::real_server::server::Server;
use crate::real_server::site::{Site, prepare};
use crate::support::{Ran, World, tool};
use bench::Bench;
use change::Deed;

/// What a row is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Vault1_8,
    OpenBao,
    Real,
}

const EVERYWHERE: &[On] = &[On::Vault1_8, On::OpenBao, On::Real];
const OPENBAO: &[On] = &[On::OpenBao, On::Real];
const DOUBLES: &[On] = &[On::Vault1_8, On::OpenBao];
const DOUBLE: &[On] = &[On::OpenBao];

/// One set-up.
pub struct Row {
    name: &'static str,
    method: &'static str,
    line: &'static str,
    servers: &'static [On],
    own: Option<fn(Builder) -> Builder>,
    breaks: fn(&mut Bench<'_>),
    step: &'static str,
    code: i32,
    cause: &'static str,
    cure: Cure,
    /// The login of the diagnosis cannot be revoked, and that is what is told.
    leaves_a_login: bool,
    /// Several values are wrong, of which one diagnosis may not hear all.
    several: bool,
}

/// How the set-up is mended.
enum Cure {
    /// As the hint says; of several ways, the one that begins with this piece of it.
    Printed(&'static str),
    /// The hint says whom to ask, or what to do to a machine: the test does that.
    Human(fn(&mut Bench<'_>)),
}

/// A set-up that this breaks.
const fn row(name: &'static str, breaks: fn(&mut Bench<'_>)) -> Row {
    Row {
        name,
        method: "id-token",
        line: "aws --role 365-dev",
        servers: OPENBAO,
        own: None,
        breaks,
        step: "",
        code: 0,
        cause: "",
        cure: Cure::Printed(""),
        leaves_a_login: false,
        several: false,
    }
}

impl Row {
    const fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    const fn asking(self, line: &'static str) -> Self {
        Self { line, ..self }
    }

    const fn on(self, servers: &'static [On]) -> Self {
        Self { servers, ..self }
    }

    /// On a double that no other row has.
    const fn alone(self, own: fn(Builder) -> Builder) -> Self {
        Self { own: Some(own), servers: DOUBLE, ..self }
    }

    /// The run fails there, with this code, and the step says so.
    const fn fails(self, step: &'static str, code: i32, cause: &'static str) -> Self {
        Self { step, code, cause, ..self }
    }

    /// The run passes, and the step warns.
    const fn warns(self, step: &'static str, cause: &'static str) -> Self {
        Self { step, code: 0, cause, ..self }
    }

    const fn leaving_a_login(self) -> Self {
        Self { leaves_a_login: true, ..self }
    }

    const fn several(self) -> Self {
        Self { several: true, ..self }
    }

    const fn taking(self, piece: &'static str) -> Self {
        Self { cure: Cure::Printed(piece), ..self }
    }

    const fn mended_by(self, deed: fn(&mut Bench<'_>)) -> Self {
        Self { cure: Cure::Human(deed), ..self }
    }
}

fn rows() -> Vec<Row> {
    let phases = [
        configuration::rows(),
        network::rows(),
        server::rows(),
        identity::rows(),
        login::rows(),
        token::rows(),
        engine::rows(),
        secret::rows(),
        surrounding::rows(),
    ];
    phases.into_iter().flatten().collect()
}

const POLICY: &str = "path \"aws/sts/365-dev\" { capabilities = [\"read\", \"update\"] }\n\
    path \"aws/roles/*\" { capabilities = [\"read\"] }\n\
    path \"exoscale/apikey/gitlab-ci-runner\" { capabilities = [\"read\"] }\n\
    path \"sys/leases/renew\" { capabilities = [\"update\"] }";

#[test]
fn the_printed_change_mends_each_set_up_on_a_double_of_openbao() {
    hold_on_a_double(On::OpenBao, Dialect::OpenBao);
}

#[test]
fn the_printed_change_mends_each_set_up_on_a_double_of_vault_1_8() {
    hold_on_a_double(On::Vault1_8, Dialect::Vault1_8);
}

#[test]
fn the_printed_change_mends_each_set_up_on_a_real_server() {
    let Some(server) = Server::shared() else { return };
    if server.operator.send("LIST", "sys/namespaces", &[], &Value::Null).1["errors"][0].is_string() {
        tool::miss("bao", "is a server without namespaces");
        return;
    }
    // What is counted there is this test's alone.
    let operator = server.operator.make_namespace("setup");
    prepare(&operator);
    for role in ["aws/roles/365-dev", "exoscale/role/gitlab-ci-runner"] {
        operator.write(role, &json!({ "there": "yes" }));
    }
    hold(On::Real, |row, name| {
        let site = Site::within(server, &operator, name, POLICY);
        let mut bench = Bench::new(site, None, name, row.method, row.line);
        bench.set("VAULT_NAMESPACE", "setup");
        bench.supply("VAULT_NAMESPACE", "setup");
        examine(row, &mut bench)
    });
}

fn hold_on_a_double(on: On, dialect: Dialect) {
    let folder = tempfile::tempdir().expect("a folder");
    let beside = |name: &str| DevVault::builder().dialect(dialect).unix_socket(folder.path().join(name));
    let world = World::with(beside("all"));
    hold(on, |row, name| {
        let own = row.own.map(|own| World::with(own(beside(name))));
        let world = own.as_ref().unwrap_or(&world);
        let vault = &world.vault;
        let address = vault.address();
        let ca_file = address.starts_with("https").then(|| world.file("ca.pem", vault.ca_pem()));
        let socket = vault.unix_socket().expect("it has one");
        let operator = Operator::beside(socket, vault.socket_address(), vault.root_token());
        let site = Site::new(&operator, name, POLICY, address, ca_file);
        let mut bench = Bench::new(site, Some(vault), name, row.method, row.line);
        let found = examine(row, &mut bench);
        vault.clear_faults();
        found
    });
}

/// Examines every row of this server, and tells all that do not hold. For work on one row, `CI_CREDS_TEST_ROW` has a piece of
/// its name.
fn hold(on: On, try_row: impl Fn(&Row, &str) -> Result<Deed, String>) {
    let only = std::env::var("CI_CREDS_TEST_ROW").unwrap_or_default();
    let rows: Vec<_> = rows().into_iter().filter(|row| row.servers.contains(&on) && row.name.contains(&only)).collect();
    let mut deeds = BTreeMap::<_, usize>::new();
    let mut wrong = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let tried = catch_unwind(AssertUnwindSafe(|| try_row(row, &format!("row-{index}"))));
        match tried.unwrap_or_else(|_| Err("it panicked".into())) {
            Ok(deed) => *deeds.entry(deed).or_default() += 1,
            Err(why) => wrong.push(format!("{}: {why}", row.name)),
        }
    }
    assert!(wrong.is_empty(), "{on:?}: {} of {} rows\n\n{}", wrong.len(), rows.len(), wrong.join("\n\n"));
    if only.is_empty() {
        assert!(rows.len() >= 55, "{on:?}: {} rows", rows.len());
        let by_hand = deeds.get(&Deed::Human).copied().unwrap_or_default();
        assert!(by_hand * 5 <= rows.len(), "{on:?}: too many are mended by hand: {deeds:?}");
    }
}

fn examine(row: &Row, bench: &mut Bench<'_>) -> Result<Deed, String> {
    (row.breaks)(bench);
    let before = bench.count();
    let ran = bench.doctor();
    let after = bench.count();
    let told = || format!("{}\n{}", ran.stdout, ran.stderr);
    let expect = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}\n{}", told())) };
    expect(before == after || row.leaves_a_login, &format!("before {before:?}, after {after:?}"))?;
    bench.find_secret(&told()).map_or(Ok(()), |secret| Err(format!("it printed {secret}\n{}", told())))?;
    let finding = Finding::of(&ran, row).map_err(|why| format!("{why}\n{}", told()))?;
    expect(ran.code == row.code, &format!("exit code {}, not {}", ran.code, row.code))?;
    expect(finding.text.contains(row.cause), &format!("{:?} is not in {:?}", row.cause, finding.text))?;
    let deed = match row.cure {
        Cure::Printed(piece) => {
            change::apply(&finding.change, &finding.text, piece, bench).map_err(|why| format!("{why}\n{}", told()))?
        }
        Cure::Human(deed) => {
            deed(bench);
            Deed::Human
        }
    };
    if row.several {
        // Vault names one at random, and doctor all that it has heard of.
        for _ in 0..5 {
            let Ok(more) = Finding::of(&bench.doctor(), row) else { break };
            change::apply(&more.change, &more.text, "", bench)?;
        }
    }
    if row.code == 0 {
        let again = bench.doctor();
        if Finding::of(&again, row).is_ok_and(|finding| finding.text.contains(row.cause)) {
            return Err(format!("it warns again\n{}", again.stdout));
        }
    }
    let again = bench.run_it();
    if again.code != 0 {
        return Err(format!("the run fails after {deed:?} {:?}\n{}", finding.change, again.stderr));
    }
    bench.sweep();
    Ok(deed)
}

/// What doctor says of the step of a row.
struct Finding {
    text: String,
    change: String,
}

impl Finding {
    fn of(ran: &Ran, row: &Row) -> Result<Self, String> {
        let found: Value = serde_json::from_str(&ran.stdout).map_err(|error| error.to_string())?;
        let checks = found["checks"].as_array().cloned().unwrap_or_default();
        let wanted = |check: &&Value| if row.code == 0 { check["id"] == row.step } else { check["status"] == "failed" };
        let check = checks.iter().find(wanted).ok_or("no step fails")?;
        if check["id"] != row.step {
            return Err(format!("it fails at {}, not at {}", check["id"], row.step));
        }
        let notes = check["notes"].as_array().cloned().unwrap_or_default();
        let words = |name: &str| {
            let all = std::iter::once(check).chain(&notes).filter_map(|one| one[name].as_str());
            all.collect::<Vec<_>>().join("\n")
        };
        Ok(Self { text: format!("{}\n{}", words("text"), words("hint")), change: words("hint") })
    }
}
