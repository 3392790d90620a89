//! Leases of a real server over a real cloud: a key that was given back opens nothing any more.

use std::fs::File;
use std::time::Duration;

use super::adapter::Adapter;
use super::database::Database;
use super::server::Server;
use super::site::Site;
use crate::support::{METHODS, Ran, Run, exports};

/// What one test has of the engine: a mount of its own, where each run has a role of its own.
struct Engine {
    server: &'static Server,
    database: &'static Database,
    site: Site<'static>,
    mount: &'static str,
}

impl Engine {
    fn start(mount: &'static str, through_adapter: bool) -> Option<Self> {
        let (server, database) = (Server::shared()?, Database::shared()?);
        Database::mount(&server.operator, mount, 1, database.address);
        let policy = format!(
            "path \"{mount}/creds/*\" {{ capabilities = [\"read\"] }}\n\
             path \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}"
        );
        let site = if through_adapter {
            Site::at(Adapter::start(server.operator.address).address, &server.operator, mount, &policy)
        } else {
            Site::on(server, mount, &policy)
        };
        Some(Self { server, database, site, mount })
    }

    fn job(&self, method: &str, role: &str) -> Run {
        let mount = self.mount;
        self.server.operator.write(&format!("{mount}/roles/{role}"), &Database::role(0));
        self.site.job(method, &format!("aws --via creds --mount {mount} --role {role}"))
    }

    fn users(&self, role: &str) -> Vec<String> {
        let name = role.to_uppercase();
        self.database.query(&format!("SELECT rolname FROM pg_roles WHERE rolname LIKE 'AKIA{name}%'"))
    }

    fn leases(&self, role: &str) -> Vec<String> {
        self.server.operator.list(&format!("sys/leases/lookup/{}/creds/{role}", self.mount))
    }

    /// The server revokes in its own time what a token made.
    fn wait_until_revoked(&self, role: &str) {
        for _ in 0..500 {
            if self.leases(role).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{role}: {:?} is left", self.leases(role));
    }
}

#[test]
fn a_key_of_a_real_engine_opens_its_cloud_until_it_is_given_back() {
    let Some(engine) = Engine::start("opened", true) else { return };
    for method in METHODS {
        let role = format!("opened{}", method.replace('-', ""));
        let run = engine.job(method, &role).arg("--cache");
        let set = exports(&run.run().ok());
        let (user, password) = (&set["AWS_ACCESS_KEY_ID"], &set["AWS_SECRET_ACCESS_KEY"]);
        assert!(engine.database.lets_in(user, password), "{method}");
        // The next call of the job asks nobody.
        assert_eq!(exports(&run.run().ok()), set, "{method}");
        assert_eq!((engine.users(&role).len(), engine.leases(&role).len()), (1, 1), "{method}");

        let mut clear = run.clone();
        clear.arguments = vec!["cache".into(), "clear".into()];
        clear.run().ok();
        engine.wait_until_revoked(&role);
        assert!(!engine.database.lets_in(user, password), "{method}");
    }
}

#[test]
fn a_key_that_nobody_took_is_revoked_on_a_real_server() {
    let Some(engine) = Engine::start("untaken", true) else { return };
    for method in METHODS {
        let role = format!("untaken{}", method.replace('-', ""));
        let mut command = engine.job(method, &role).to_command();
        command.stdout(File::options().write(true).open("/dev/full").expect("a device"));
        let output = command.stderr(std::process::Stdio::piped()).spawn().expect("a child").wait_with_output();
        Ran::from(output.expect("its end")).failed(74, "output");
        engine.wait_until_revoked(&role);
        assert_eq!(engine.users(&role), [""; 0], "{method}");
    }
}

#[test]
fn a_key_whose_answer_cannot_be_used_is_revoked_on_a_real_server() {
    // Without the adapter's names it is no key of AWS's.
    let Some(engine) = Engine::start("unusable", false) else { return };
    for method in METHODS {
        let role = format!("unusable{}", method.replace('-', ""));
        engine.job(method, &role).run().failed(65, "data");
        engine.wait_until_revoked(&role);
        assert_eq!(engine.users(&role), [""; 0], "{method}");
    }
}
