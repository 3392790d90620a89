//! The database engine of the shared server, as one test sees it.

use std::time::Duration;

use super::adapter::Adapter;
use super::database::Database;
use super::operator::Operator;
use super::server::Server;
use super::site::Site;
use crate::support::Run;

/// A mount of the test's own, where each run can have a role of its own.
pub struct Engine {
    server: &'static Server,
    database: &'static Database,
    pub site: Site<'static>,
    mount: &'static str,
}

impl Engine {
    /// `mount` also names the AppRole, the JWT role and the policy. Without the adapter the engine's answers are no keys
    /// of AWS's.
    pub fn start(mount: &'static str, through_adapter: bool) -> Option<Self> {
        let (server, database) = (Server::shared()?, Database::shared()?);
        Database::mount(&server.operator, mount, 1, database.address);
        let policy = may_read(mount) + "path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
        let site = if through_adapter {
            Site::at(Adapter::start(server.operator.address).address, &server.operator, mount, &policy)
        } else {
            Site::on(server, mount, &policy)
        };
        Some(Self { server, database, site, mount })
    }

    /// A job with a fresh identity, and a fresh role of the engine.
    pub fn job(&self, method: &str, role: &str) -> Run {
        let mount = self.mount;
        self.server.operator.write(&format!("{mount}/roles/{role}"), &Database::role(0));
        self.site.job(method, &format!("aws --via creds --mount {mount} --role {role}"))
    }

    pub fn users(&self, role: &str) -> Vec<String> {
        let name = role.to_uppercase();
        self.database.query(&format!("SELECT rolname FROM pg_roles WHERE rolname LIKE 'AKIA{name}%'"))
    }

    pub fn leases(&self, role: &str) -> Vec<String> {
        self.server.operator.list(&format!("sys/leases/lookup/{}/creds/{role}", self.mount))
    }

    pub fn lets_in(&self, user: &str, password: &str) -> bool {
        self.database.lets_in(user, password)
    }

    pub fn operator(&self) -> &'static Operator {
        &self.server.operator
    }

    /// The policy of a job that may give nothing back by a lease.
    pub fn may_read(&self) -> String {
        may_read(self.mount)
    }

    /// The server revokes in its own time what a token made.
    pub fn wait_until_revoked(&self, role: &str) {
        for _ in 0..500 {
            if self.leases(role).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{role}: {:?} is left", self.leases(role));
    }
}

fn may_read(mount: &str) -> String {
    format!("path \"{mount}/creds/*\" {{ capabilities = [\"read\"] }}\n")
}
