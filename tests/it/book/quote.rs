//! ```` ```console ````: command lines behind `$ `, and what a job's log shows of them.
//!
//! `job=METHOD` says who the job is, `vault=STATE` what Vault is like, and other attributes change the ID token. Keys, times, ports and paths are replaced by ones
//! that stay. A block that differs fails; with CI_CREDS_REGENERATE it is written anew.

use std::collections::BTreeMap;
use std::rc::Rc;

use dev_vault::{DevVault, Fault, GitlabToken, On, Reply, Tls};
use serde_json::json;

use super::page::{self, Block, Page};
use super::{ROOT, shell};
use crate::example::Site;
use crate::support::steady::steady;

/// What Vault is like in a block. Each begins with the Vault of the examples. Gives the variables that this takes, and
/// another Vault that stands in its place.
fn bring_into(site: &Site, state: &str) -> (Vec<(&'static str, String)>, Option<DevVault>) {
    let vault = &site.vault;
    let soon = || vec![("CI_CREDS_TIMEOUT", "5s".to_owned())];
    let over_tls = |tls, ca: bool| {
        let other = DevVault::builder().tls(tls).start();
        let mut variables = vec![("VAULT_ADDR", other.address())];
        variables.extend(ca.then(|| ("VAULT_CACERT_BYTES", other.ca_pem().to_owned())));
        (variables, Some(other))
    };
    match state {
        "up" => {}
        "down" => return ([vec![("VAULT_ADDR", "http://127.0.0.1:1".into())], soon()].concat(), None),
        "plain-port" => return (vec![("VAULT_ADDR", vault.address().replace("http:", "https:"))], None),
        "unknown-ca" => return over_tls(Tls::Valid, false),
        "other-name" => return over_tls(Tls::WrongName, true),
        "sealed" => {
            vault.write("sys/seal", json!({}));
        }
        "limited" => {
            // Longer than any run: it ends at once and says the same each time.
            let reply = Reply::error(429, "request path: rate limit quota exceeded").header("Retry-After", "3600");
            vault.inject(On::any().every(), Fault::answer(reply));
        }
        "not-vault" => vault.inject(On::any().every(), Fault::answer(Reply::html(200, "<html>Sign in</html>"))),
        "unsafe-value" => {
            let change = |mut answer: serde_json::Value| {
                answer["data"]["api_secret"] = json!("$(reboot)");
                answer
            };
            vault.inject(On::get("apikey/deploy"), Fault::rewrite(Box::new(change)));
        }
        "lost-answer" => vault.inject(On::get("apikey/deploy").every(), Fault::cut_answer(0)),
        other => panic!("no state of Vault is called {other}"),
    }
    (Vec::new(), None)
}

/// An ID token that does not fit the role, when the block asks for one: `audience=…`, `project=…` or `unprotected`.
fn id_token_of(site: &Site, block: &Block) -> Option<String> {
    let (audience, project) = (block.value("audience"), block.value("project"));
    if audience.is_none() && project.is_none() && !block.has("unprotected") {
        return None;
    }
    let token = GitlabToken::new().issuer(&site.issuer_url()).audience(audience.unwrap_or("https://vault.example.com"));
    let token = token.project_id(project.unwrap_or("365")).ref_protected(!block.has("unprotected"));
    Some(token.environment("dev").at(site.vault.now()).sign())
}

/// A site in one state: shared by all states that leave Vault as it is.
struct Stage {
    site: Rc<Site>,
    more: Vec<(&'static str, String)>,
    _other: Option<DevVault>,
}

impl Stage {
    fn set(shared: &Rc<Site>, state: &str) -> Self {
        let changes = !["up", "down", "plain-port", "unknown-ca", "other-name"].contains(&state);
        let site = match changes {
            true => Rc::new(Site::set_up().expect("it could be set up before")),
            false => Rc::clone(shared),
        };
        let (more, _other) = bring_into(&site, state);
        Self { site, more, _other }
    }
}

/// The block as it is now: each command line, and behind it what the log shows.
fn play(stage: &Stage, block: &Block) -> String {
    let (site, more) = (&stage.site, stage.more.clone());
    let (job, mut outside) = shell::job_of(site, block.value("job").unwrap_or("id-token"));
    outside.extend(more);
    outside.extend(id_token_of(site, block).map(|token| ("VAULT_ID_TOKEN", token)));
    let mut text = String::new();
    for line in block.text.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let ran = site.run_text("sh", &job, &format!("set -e\n{line}\n"), &outside);
        let log = format!("{}{}", ran.stdout, ran.stderr);
        site.assert_no_secret_in(&log);
        text.push_str(&format!("$ {line}\n{}", site.without_paths(&log)));
        if ran.code != 0 {
            text.push_str(&format!("ERROR: Job failed: exit code {}\n", ran.code));
        }
    }
    let text = steady(&text).replace("http://127.0.0.1:", "https://127.0.0.1:");
    let places = [
        ("127.0.0.1:8200", "vault.example.com:8200"),
        ("127.0.0.1:1", "vault.example.com:8200"),
        ("127.0.0.1", "vault.example.com"),
    ];
    places.iter().fold(text, |text, (here, there)| text.replace(here, there))
}

#[test]
fn what_the_pages_quote_is_what_the_program_says() {
    let Some(site) = Site::set_up().map(Rc::new) else { return };
    let mut stages = BTreeMap::new();
    let regenerate = std::env::var_os("CI_CREDS_REGENERATE").is_some();
    assert!(!(regenerate && std::env::var_os("CI").is_some()), "CI compares, and writes nothing");
    let mut quotes = 0;
    let mut stale = Vec::new();
    for name in page::names() {
        let mut page = Page::read(&name);
        for block in page.blocks().iter().filter(|block| block.language == "console") {
            let state = block.value("vault").unwrap_or("up").to_owned();
            let stage = stages.entry(state.clone()).or_insert_with(|| Stage::set(&site, &state));
            let now = play(stage, block);
            quotes += 1;
            if now == block.text {
                continue;
            }
            stale.push(format!("{name}, line {}, is now:\n{now}", block.line));
            if regenerate {
                let info = [vec![block.language.clone()], block.attributes.clone()].concat().join(" ");
                let (old, new) = (format!("```{info}\n{}```\n", block.text), format!("```{info}\n{now}```\n"));
                page.text = page.text.replacen(&old, &new, 1);
            }
        }
        if regenerate {
            std::fs::write(format!("{ROOT}/{name}"), &page.text).expect("the page");
        }
    }
    assert!(quotes >= 20, "{quotes} quotes");
    assert!(
        regenerate || stale.is_empty(),
        "CI_CREDS_REGENERATE=1 cargo test --test it book::quote writes these anew:\n{}",
        stale.join("\n")
    );
}
