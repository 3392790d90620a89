use crate::support::{METHODS, ROLE, World};

/// The requests of each way to log in, before the read of the credential.
fn logins(method: &str) -> Vec<String> {
    match method {
        "wrapping-token" => {
            vec!["POST sys/wrapping/lookup".into(), "POST sys/wrapping/unwrap".into(), "POST auth/approle/login".into()]
        }
        "secret-id" => vec!["POST auth/approle/login".into()],
        "generator-token" => vec![format!("POST auth/approle/role/{ROLE}/secret-id"), "POST auth/approle/login".into()],
        "id-token" => vec!["POST auth/gitlab/login".into()],
        _ => Vec::new(),
    }
}

#[test]
fn every_identity_gets_an_exoscale_key_with_exactly_its_requests_on_one_connection() {
    for method in METHODS {
        let world = World::start();
        let stdout = world.command_as(method, &format!("exoscale --role {ROLE}")).run().ok();
        let leases = world.vault.live_leases();
        assert_eq!(leases.len(), 1, "{method}");
        assert!(stdout.contains(&format!("export EXOSCALE_API_KEY='{}';", leases[0].access_key)), "{method}: {stdout}");
        let mut expected = logins(method);
        expected.push(format!("GET exoscale/apikey/{ROLE}"));
        assert_eq!(world.requests(), expected, "{method}");
        assert_eq!(world.vault.connections(), 1, "{method}");
    }
}
