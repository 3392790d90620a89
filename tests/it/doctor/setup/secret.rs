//! Secrets of any engine: the path, the request, what a KV engine has, and the policy.

use serde_json::{Value, json};

use super::bench::Bench;
use super::{DOUBLE, OPENBAO, On, Row, row};

const KV1: &str = "secret --path r-kv1/ci --kv 1 --env NPM_TOKEN=token";
const KV2: &str = "secret --path r-kv2/data/ci --env NPM_TOKEN=token";
const OTP: &str = "secret --path r-ssh/creds/ci --set ip=10.0.0.1 --env OTP=key";
const REAL: &[On] = &[On::Real];

/// What a job needs for all of these.
const POLICY: &str = "path \"r-kv1/ci\" { capabilities = [\"read\"] }\n\
    path \"r-kv2/data/ci\" { capabilities = [\"read\"] }\n\
    path \"r-kv2/metadata/*\" { capabilities = [\"read\"] }\n\
    path \"r-ssh/creds/*\" { capabilities = [\"read\", \"update\"] }\n\
    path \"r-ssh/roles/*\" { capabilities = [\"read\"] }\n\
    path \"r-db/creds/*\" { capabilities = [\"read\", \"update\"] }\n\
    path \"sys/leases/renew\" { capabilities = [\"update\"] }";

/// The engines of these rows, which every row finds as another one left them.
fn stock(bench: &mut Bench<'_>) {
    let mounts = [
        ("r-kv1", json!({ "type": "kv", "options": { "version": "1" } })),
        ("r-kv2", json!({ "type": "kv", "options": { "version": "2" } })),
        ("r-ssh", json!({ "type": "ssh" })),
    ];
    for (mount, body) in mounts {
        // It is there after the first row.
        bench.operator.send("POST", &format!("sys/mounts/{mount}"), &[], &body);
    }
    bench.operator.write("r-kv1/ci", &json!({ "token": "npm_0123456789" }));
    bench.operator.write("r-kv2/data/ci", &json!({ "data": { "token": "npm_0123456789" } }));
    let role = json!({ "key_type": "otp", "default_user": "ci", "cidr_list": "10.0.0.0/8" });
    bench.operator.write("r-ssh/roles/ci", &role);
    bench.write_policy(POLICY);
}

/// The flags of a run as two sections of a configuration file.
fn write_sections(bench: &mut Bench<'_>, second: &str) {
    let text = format!(
        "[secret.ci]\npath = \"r-kv1/ci\"\nkv = 1\nenv = {{ NPM_TOKEN = \"token\" }}\n\
         [secret.second]\npath = \"{second}\"\nenv = {{ OTHER_TOKEN = \"token\" }}\n"
    );
    let path = bench.site.folder().join("config.toml");
    std::fs::write(&path, text).expect("a file");
    bench.flag("--config", &path.display().to_string());
}

pub fn rows() -> Vec<Row> {
    vec![
        row("the path of KV 2 has no data/", |bench| {
            stock(bench);
            bench.write_policy(&format!("path \"r-kv2/*\" {{ capabilities = [\"read\"] }}\n{POLICY}"));
            bench.flag("--path", "r-kv2/ci");
        })
        .asking(KV2)
        .on(OPENBAO)
        .fails("engine-mount", 78, "has no data/ behind the mount"),
        row("the path of KV 2 has no data/, and the policy has it", |bench| {
            stock(bench);
            write_sections(bench, "r-kv2/ci");
        })
        .asking("secret ci second")
        .on(OPENBAO)
        .fails("engine-mount", 77, "[secret.second] of"),
        row("KV 1 is taken for KV 2", |bench| {
            stock(bench);
            bench.flag("--kv", "2");
        })
        .asking(KV1)
        .on(OPENBAO)
        .fails("engine-mount", 78, "and not of version 2"),
        row("KV 2 is taken for KV 1", |bench| {
            stock(bench);
            bench.flag("--kv", "1");
        })
        .asking(KV2)
        .on(DOUBLE)
        .fails("engine-mount", 78, "and not of version 1"),
        row("a secret of KV is written", |bench| {
            stock(bench);
            bench.flag("--set", "a=b");
        })
        .asking(KV2)
        .on(DOUBLE)
        .fails("engine-mount", 77, "is read, and not written"),
        row("the policy allows the metadata of KV 2, and not the data", |bench| {
            stock(bench);
            bench.write_policy(&POLICY.replace("r-kv2/data/ci", "r-kv2/data/other"));
        })
        .asking(KV2)
        .on(OPENBAO)
        .fails("policy", 77, "the policies allow nothing on r-kv2/data/ci, and the run needs read"),
        row("the policy allows a read of a secret that is written", |bench| {
            stock(bench);
            bench.write_policy(&POLICY.replace("[\"read\", \"update\"]", "[\"read\"]"));
        })
        .asking(OTP)
        .on(OPENBAO)
        .fails("policy", 77, "allow read on r-ssh/creds/ci, and the run needs update"),
        row("an engine that takes a write is asked by a read", |bench| {
            stock(bench);
            bench.drop_flag("--set");
        })
        .asking(OTP)
        .on(OPENBAO)
        .fails("engine-mount", 78, "takes a write"),
        row("an engine that takes a read is asked by a write", |bench| {
            stock(bench);
            bench.operator.send("POST", "sys/mounts/r-db", &[], &json!({ "type": "database" }));
            bench.operator.write("r-db/roles/app", &json!({ "db_name": "db" }));
            bench.flag("--set", "a=b");
        })
        .asking("secret --path r-db/creds/app --env PGUSER=username")
        .on(DOUBLE)
        .fails("engine-mount", 78, "takes a read"),
        row("no engine is mounted for a secret", |bench| {
            stock(bench);
            bench.write_policy(&format!("path \"nowhere/*\" {{ capabilities = [\"read\"] }}\n{POLICY}"));
            bench.flag("--path", "nowhere/data/ci");
        })
        .asking(KV2)
        .on(OPENBAO)
        .fails("engine-mount", 78, "no engine is mounted for nowhere/data/ci"),
        row("there is no such secret", |bench| {
            stock(bench);
            bench.flag("--path", "r-kv2/data/nope");
        })
        .asking(KV2)
        .on(OPENBAO)
        .fails("engine-role", 78, "there is no r-kv2/metadata/nope"),
        row("the engine of a secret has no such role", |bench| {
            stock(bench);
            bench.flag("--path", "r-ssh/creds/nope");
        })
        .asking(OTP)
        .on(OPENBAO)
        .fails("engine-role", 78, "there is no r-ssh/roles/nope"),
        row("the secret is deleted", |bench| {
            stock(bench);
            bench.operator.write("r-kv2/data/gone", &json!({ "data": { "token": "npm_0123456789" } }));
            bench.operator.send("DELETE", "r-kv2/data/gone", &[], &Value::Null);
            bench.write_policy(&POLICY.replace("r-kv2/data/ci", "r-kv2/data/gone"));
        })
        .asking("secret --path r-kv2/data/gone --env NPM_TOKEN=token")
        .on(REAL)
        .fails("engine-role", 78, "version 1 of r-kv2/data/gone is deleted"),
    ]
}
