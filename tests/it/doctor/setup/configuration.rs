//! What variables, flags and files say.

use super::bench::Bench;
use super::{DOUBLES, EVERYWHERE, Row, row};

fn write_file(bench: &mut Bench<'_>, name: &str, text: &str, mode: u32) -> String {
    let path = bench.site.folder().join(name);
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("its mode");
    path.display().to_string()
}

/// A configuration file of this text; the one that is right is empty.
fn configure(bench: &mut Bench<'_>, text: &str, mode: u32) -> String {
    let good = write_file(bench, "good.toml", "", 0o600);
    bench.supply("--config", &good);
    let path = write_file(bench, "ci-creds.toml", text, mode);
    bench.flag("--config", &path);
    path
}

pub fn rows() -> Vec<Row> {
    vec![
        row("the address is not set", |bench| bench.unset("VAULT_ADDR")).on(EVERYWHERE).fails(
            "configuration",
            78,
            "VAULT_ADDR",
        ),
        row("the address is a variable that GitLab does not have", |bench| bench.set("VAULT_ADDR", "$VAULT_PROD"))
            .on(EVERYWHERE)
            .fails("configuration", 78, "GitLab has no variable VAULT_PROD"),
        row("the address is blank", |bench| bench.set("VAULT_ADDR", " ")).fails("configuration", 78, "VAULT_ADDR"),
        row("the address has no scheme, and quotes", |bench| {
            let address = bench.run.variables()["VAULT_ADDR"].replace("https://", "");
            bench.set("VAULT_ADDR", &format!("\"{address}\""));
        })
        .fails("configuration", 78, "from VAULT_ADDR"),
        row("the address is that of the web interface", |bench| {
            let address = bench.run.variables()["VAULT_ADDR"].clone();
            bench.set("VAULT_ADDR", &format!("{address}/ui/vault/secrets"));
        })
        .fails("configuration", 78, "from VAULT_ADDR"),
        row("the address is plain http of another machine", |bench| bench.set("VAULT_ADDR", "http://vault.corp:8200"))
            .fails("configuration", 78, "http://"),
        row("the job has no ID token", |bench| bench.unset("VAULT_ID_TOKEN")).on(EVERYWHERE).fails(
            "configuration",
            78,
            "nothing to log in with",
        ),
        row("the ID token is a variable that GitLab does not have", |bench| {
            bench.set("VAULT_ID_TOKEN", "$VAULT_ID_TOKEN");
        })
        .fails("configuration", 78, "VAULT_ID_TOKEN"),
        row("the ID token is blank", |bench| bench.set("VAULT_ID_TOKEN", " ")).fails(
            "configuration",
            78,
            "VAULT_ID_TOKEN",
        ),
        row("the ID token is the path of its file", |bench| {
            bench.set("VAULT_ID_TOKEN", "/builds/a/b.tmp/jwt");
        })
        .fails("configuration", 66, "VAULT_ID_TOKEN"),
        row("the ID token is in quotes", |bench| {
            let token = bench.token.sign();
            bench.set("VAULT_ID_TOKEN", &format!("\"{token}\""));
        })
        .fails("configuration", 66, "VAULT_ID_TOKEN"),
        row("the ID token is another secret", |bench| bench.set("VAULT_ID_TOKEN", "glpat-AAAABBBBCCCCDDDD")).fails(
            "configuration",
            66,
            "VAULT_ID_TOKEN",
        ),
        row("an AppRole has no secret ID", |bench| bench.unset("VAULT_SECRET_ID"))
            .by("secret-id")
            .on(EVERYWHERE)
            .fails("configuration", 78, "none of VAULT_SECRET_ID"),
        row("an AppRole has no role ID", |bench| bench.unset("VAULT_ROLE_ID")).by("secret-id").on(EVERYWHERE).fails(
            "configuration",
            78,
            "VAULT_ROLE_ID is not",
        ),
        row("the method that is asked for has no secret", |bench| {
            bench.unset("VAULT_SECRET_ID");
            bench.set("CI_CREDS_AUTH", "secret-id");
        })
        .by("secret-id")
        .fails("login", 77, "missing secret_id"),
        row("the method does not exist", |bench| {
            bench.set("CI_CREDS_AUTH", "jwt");
            bench.supply("CI_CREDS_AUTH", "id-token");
        })
        .fails("configuration", 78, "not an authentication method"),
        row("the secret ID and its file are both set", |bench| {
            let secret_id = bench.run.variables()["VAULT_SECRET_ID"].clone();
            let path = write_file(bench, "secret-id", &secret_id, 0o600);
            bench.set("VAULT_SECRET_ID_FILE", &path);
        })
        .by("secret-id")
        .fails("configuration", 78, "VAULT_SECRET_ID_FILE"),
        row("the file of the secret ID is empty", |bench| {
            let secret_id = bench.run.variables()["VAULT_SECRET_ID"].clone();
            bench.unset("VAULT_SECRET_ID");
            let path = write_file(bench, "secret-id", "", 0o600);
            bench.set("VAULT_SECRET_ID_FILE", &path);
            bench.supply("VAULT_SECRET_ID", &secret_id);
        })
        .by("secret-id")
        .fails("configuration", 66, "is empty")
        .mended_by(|bench| {
            let secret_id = bench.spare["VAULT_SECRET_ID"].clone();
            write_file(bench, "secret-id", &secret_id, 0o600);
        }),
        row("no role is named", |bench| bench.drop_flag("--role")).by("token").fails("configuration", 78, "role"),
        row("the role is a whole path", |bench| bench.flag("--role", "aws/sts/365-dev")).on(EVERYWHERE).fails(
            "configuration",
            64,
            "role",
        ),
        row("a placeholder of the role is none", |bench| bench.flag("--role", "{project}-dev")).fails(
            "configuration",
            64,
            "project",
        ),
        row("the CA file is not there", |bench| bench.set("VAULT_CACERT", "/etc/ssl/no-such-ca.pem"))
            .alone(|builder| builder.tls(dev_vault::Tls::Valid))
            .fails("configuration", 78, "no-such-ca.pem"),
        row("the number of retries is a word", |bench| {
            bench.set("VAULT_MAX_RETRIES", "many");
            bench.supply("VAULT_MAX_RETRIES", "2");
        })
        .fails("configuration", 64, "VAULT_MAX_RETRIES"),
        row("the configuration file is not there", |bench| {
            let path = configure(bench, "", 0o600);
            std::fs::remove_file(path).expect("it was there");
        })
        .fails("configuration", 78, "ci-creds.toml"),
        row("the configuration file has a key that does not exist", |bench| {
            configure(bench, "adress = \"x\"\n", 0o600);
        })
        .fails("configuration", 78, "adress")
        .mended_by(|bench| {
            write_file(bench, "ci-creds.toml", "", 0o600);
        }),
        row("the configuration file can be written by others", |bench| {
            configure(bench, "retries = 1\n", 0o666);
        })
        .on(DOUBLES)
        .fails("configuration", 78, "ci-creds.toml"),
        row("the file of the secret ID can be read by others", |bench| {
            let secret_id = bench.run.variables()["VAULT_SECRET_ID"].clone();
            bench.unset("VAULT_SECRET_ID");
            let path = write_file(bench, "secret-id", &secret_id, 0o666);
            bench.set("VAULT_SECRET_ID_FILE", &path);
        })
        .by("secret-id")
        .fails("configuration", 66, "other users"),
        row("a generator token has no AppRole to make a secret ID of", |bench| {
            bench.unset("VAULT_APPROLE_ROLE");
            bench.set("CI_CREDS_AUTH", "generator-token");
        })
        .by("generator-token")
        .fails("configuration", 66, "VAULT_APPROLE_ROLE"),
        row("the mount of the engine is a variable that GitLab does not have", |bench| {
            bench.set("CI_CREDS_EXOSCALE_MOUNT", "$EXOSCALE_MOUNT");
            bench.supply("CI_CREDS_EXOSCALE_MOUNT", "exoscale");
        })
        .asking("exoscale --role gitlab-ci-runner")
        .fails("configuration", 78, "EXOSCALE_MOUNT"),
    ]
}
