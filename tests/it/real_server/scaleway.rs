//! A stored key of Scaleway on a real server, in both versions of KV.

use serde_json::{Value, json};

use super::server::Server;
use super::site::Site;
use crate::scaleway::whole;
use crate::support::exports;

// check: 5
#[test]
fn a_stored_key_comes_from_a_real_kv_of_either_version() {
    let Some(server) = Server::shared() else { return };
    let operator = &server.operator;
    for (mount, version) in [("scw-kv1", "1"), ("scw-kv2", "2")] {
        operator.write(&format!("sys/mounts/{mount}"), &json!({ "type": "kv", "options": { "version": version } }));
    }
    let older = json!({ "access_key": "SCW00000000000000000", "secret_key": "00000000-0000-0000-0000-000000000000" });
    operator.write("scw-kv1/ci", &whole());
    for secret in [&older, &whole()] {
        operator.write("scw-kv2/data/ci", &json!({ "data": secret }));
    }
    for name in ["gone", "destroyed"] {
        operator.write(&format!("scw-kv2/data/{name}"), &json!({ "data": whole() }));
    }
    operator.send("DELETE", "scw-kv2/data/gone", &[], &Value::Null);
    operator.write("scw-kv2/destroy/destroyed", &json!({ "versions": [1] }));
    let policy =
        "path \"scw-kv1/*\" { capabilities = [\"read\"] }\npath \"scw-kv2/data/*\" { capabilities = [\"read\"] }";
    let site = Site::on(server, "scaleway", policy);
    let stored = whole();
    for path in ["scw-kv1/ci", "scw-kv2/data/ci"] {
        let ran = site.job("id-token", &format!("scaleway --path {path} --quiet")).run();
        let set = exports(&ran.ok());
        for (variable, field) in [
            ("SCW_ACCESS_KEY", "access_key"),
            ("SCW_SECRET_KEY", "secret_key"),
            ("SCW_DEFAULT_PROJECT_ID", "project_id"),
        ] {
            assert_eq!(set[variable], stored[field].as_str().expect("a text"), "{path}");
        }
        let set = exports(&site.job("id-token", &format!("scaleway --path {path} --s3 --quiet")).run().ok());
        assert_eq!(set["AWS_ENDPOINT_URL_S3"], "https://s3.nl-ams.scw.cloud", "{path}");
    }
    for (path, code, words) in [
        ("scw-kv2/data/gone", 78, "version 1 was deleted on 20"),
        ("scw-kv2/data/destroyed", 78, "version 1 is destroyed"),
        ("scw-kv2/data/nothing", 78, "there is no scw-kv2/data/nothing"),
        ("scw-kv2/ci", 77, "the path is scw-kv2/data/ci"),
        ("scw-other/ci", 77, "path \"scw-other/ci\" { capabilities = [\"read\"] }"),
    ] {
        let ran = site.job("id-token", &format!("scaleway --path {path}")).run();
        assert!(ran.code == code && ran.stderr.contains(words), "{path}: {ran:?}");
    }
    let ran = site.job("token", "doctor scaleway --path scw-kv2/data/ci").run();
    assert!(ran.code == 0 && ran.stdout.contains("scw-kv2/data/ci"), "{ran:?}");
}
