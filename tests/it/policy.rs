//! `ci-creds policy`: what it prints of the run's own flags and variables, without Vault. The real server is in
//! `real_server::policy`.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{AUDIENCE, ISSUER, Run, World, tool};

/// The role that a script writes, as JSON.
fn role(script: &str) -> Value {
    let text = script.split("<<'JSON'\n").nth(1).and_then(|rest| rest.split("\nJSON\n").next()).expect("a role");
    serde_json::from_str(text).expect("JSON")
}

/// The paths of every policy in the text.
fn paths(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("path \""));
    lines.filter_map(|line| line.split('"').next()).collect()
}

// check: 4
#[test]
fn a_role_is_bound_by_the_jobs_id_token_and_no_secret_is_printed() {
    let world = World::start();
    let token = world.id_token().claim("ref_protected", "true").claim("environment", "dev").sign();
    let secrets = |run: Run| {
        run.env("VAULT_ID_TOKEN", &token)
            .env("VAULT_ROLE_ID", &world.role_id)
            .env("VAULT_SECRET_ID", &world.secret_id())
    };
    for format in ["hcl", "commands", "terraform"] {
        let line = format!(
            "policy aws --role {{project_id}}-{{environment}} --auth id-token --auth-role ci --format {format}"
        );
        let ran = secrets(world.command(&line)).run();
        world.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
        let text = ran.ok();
        assert!(!text.contains(&token[..20]), "{text}");
        assert!(paths(&text).contains(&"aws/sts/365-dev"), "{text}");
        if format == "commands" {
            let role = role(&text);
            assert_eq!(role["bound_audiences"], serde_json::json!([AUDIENCE]));
            let bound = serde_json::json!({ "project_id": "365", "ref_protected": "true", "environment": "dev" });
            assert_eq!((&role["bound_claims"], &role["user_claim"]), (&bound, &"project_id".into()));
            assert!(text.contains(&format!("bound_issuer='{ISSUER}'")), "{text}");
        }
    }
    assert_eq!(world.requests(), [""; 0]);
}

#[test]
fn a_claim_binds_the_role_of_a_job_although_the_operator_has_a_token() {
    let world = World::start();
    let line = "policy exoscale --role deploy --auth-role deploy --claim project_id=365 --claim ref_protected=true";
    let run = |line: &str| world.command(line).env("VAULT_TOKEN", "hvs.CAESIJlWh7dRz3kQ9xTn2bVp").run();
    let text = run(line).ok();
    let bound = serde_json::json!({ "project_id": "365", "ref_protected": "true" });
    assert_eq!(role(&text)["bound_claims"], bound, "{text}");
    let ran = run(&format!("{line} --auth token"));
    assert!(ran.code == 64 && ran.stderr.contains("--claim project_id binds the role of --auth id-token"), "{ran:?}");
    let filled = run("policy exoscale --role {project_id} --auth token --claim project_id=365").ok();
    assert!(filled.contains("exoscale/apikey/365"), "{filled}");
}

#[test]
fn what_is_not_known_is_a_name_in_capitals_that_the_text_explains() {
    let world = World::start();
    let run = |line: &str| world.command(line).without("VAULT_ADDR").run();
    let ran = run("policy exoscale --role {project_id}-{environment}");
    for name in ["AUDIENCE", "ISSUER", "PROJECT_ID", "LOGIN_ROLE", "ENVIRONMENT"] {
        assert!(ran.stdout.contains(&format!("# Replace {name}: ")), "{name}: {ran:?}");
        assert!(ran.stderr.contains(name), "{name}: {ran:?}");
    }
    let text = ran.ok();
    assert!(paths(&text).contains(&"exoscale/apikey/PROJECT_ID-ENVIRONMENT"), "{text}");
    // What stands nowhere in the text needs no explanation.
    let ran = run("policy exoscale --role deploy --format hcl");
    assert!(!ran.stdout.contains("Replace") && !ran.stderr.contains("AUDIENCE"), "{ran:?}");
    let claims = "--claim aud=a --claim iss=i --claim project_id=7 --claim ref_protected=true";
    let ran = run(&format!("policy exoscale --role d --auth-role ci {claims}"));
    assert_eq!(ran.stderr, "", "{ran:?}");
}

#[test]
fn the_sections_of_secrets_have_the_right_for_their_request_and_no_more() {
    let world = World::start();
    let config = world.file(
        "config.toml",
        "[secret.db]\npath = \"database/creds/{project_name}\"\nenv = { PGUSER = \"username\" }\n\
         [secret.npm]\npath = \"secret/data/ci\"\nkv = 2\nenv = { NPM_TOKEN = \"token\" }\n\
         [secret.tls]\npath = \"pki/issue/ci\"\nbody = { common_name = \"x\" }\nfile = { KEY = \"private_key\" }\n",
    );
    let run = |line: &str| {
        let line = format!("{line} --format hcl --auth id-token --config {}", config.display());
        world.command(&line).env("CI_PROJECT_NAME", "app").without("VAULT_ADDR").run()
    };
    let rights = |text: &str| -> Vec<String> {
        let blocks =
            text.split("path \"").skip(1).filter(|block| !block.starts_with("auth/") && !block.starts_with("sys/"));
        let capability =
            |block: &str| block.split("[\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
        blocks.map(|block| format!("{} {}", block.split('"').next().unwrap(), capability(block).unwrap())).collect()
    };
    let text = run("policy secret db npm tls").ok();
    assert_eq!(rights(&text), ["database/creds/app read", "secret/data/ci read", "pki/issue/ci update"], "{text}");
    assert!(text.contains("# Reads the stored value.\npath \"secret/data/ci\""), "{text}");
    assert!(paths(&text).contains(&"sys/leases/revoke"), "{text}");
    // What is stored has no lease.
    let ran = run("policy secret npm");
    assert!(ran.stderr.contains("the secret at secret/data/ci is stored: ci-creds cannot revoke it"), "{ran:?}");
    assert!(!paths(&ran.ok()).contains(&"sys/leases/revoke"));
    let text = run("policy aws --role deploy secret db").ok();
    assert_eq!(rights(&text), ["aws/sts/deploy read", "database/creds/app read"], "{text}");
    let text = run("policy secret --path ssh/sign/ci --set public_key=x --env A=signed_key").ok();
    assert_eq!(rights(&text), ["ssh/sign/ci update"], "{text}");
    for (line, code, words) in [
        ("policy secret", 64, "no secret is named"),
        ("policy secret nope", 78, "no configuration file has a section for the secret \"nope\""),
        ("policy secret npm --path a/b --env A=b", 64, "--path and the name of a section exclude each other"),
        ("policy awss", 64, "did you mean aws?"),
        ("doctor aws exoscale", 64, "doctor takes no argument, only flags, and got \"exoscale\""),
        ("doctor nope", 64, "it takes exoscale, aws, scaleway or secret"),
    ] {
        let ran = world.command(&format!("{line} --config {}", config.display())).run();
        assert!(ran.code == code && ran.stderr.contains(words), "{line}: {ran:?}");
    }
}

#[test]
fn a_star_covers_placeholders_only_where_it_covers_no_other_project() {
    let world = World::start();
    let run = |role: &str| {
        let line = format!("policy aws --every-value --auth-role ci --claim project_id=365 --role {role}");
        world.command(&line).run()
    };
    for role in ["{project_id}-{environment}", "ci-{project_id}-{ref_slug}-{environment}"] {
        let text = run(role).ok();
        let prefix = role.split('{').next().expect("a text");
        assert!(paths(&text).contains(&format!("aws/sts/{prefix}365-*").as_str()), "{text}");
    }
    for role in [
        "{environment}",
        "{project_id}{environment}",
        "{project_id}-{environment}-ro",
        "{project_name}-{environment}",
        "{project_id}-dev",
        "{environment}-{project_id}",
    ] {
        run(role).failed(64, "usage");
    }
}

#[test]
fn a_right_is_printed_for_what_the_run_does_and_for_nothing_else() {
    let world = World::start();
    let text = |line: &str| world.command(&format!("policy {line} --auth-role ci --format hcl")).run().ok();
    let has = |text: &str, path: &str| paths(text).contains(&path);
    let sts = text("aws --role d --auth id-token");
    assert!(!has(&sts, "sys/leases/renew") && !has(&sts, "sys/leases/revoke"), "{sts}");
    assert!(sts.contains("path \"aws/sts/d\" {\n  capabilities = [\"read\"]\n}"), "{sts}");
    let written = text("aws --role d --auth id-token --ttl 2h");
    assert!(written.contains("path \"aws/sts/d\" {\n  capabilities = [\"update\"]\n}"), "{written}");
    let plain = text("exoscale --role d --auth token");
    assert!(!has(&plain, "auth/token/revoke-self") && !has(&plain, "auth/token/create"), "{plain}");
    let child = text("exoscale --role d --auth token --child-token");
    assert!(has(&child, "auth/token/revoke-self") && has(&child, "auth/token/create"), "{child}");
    let both = text("aws exoscale --role d --auth secret-id");
    assert!(has(&both, "aws/sts/d") && has(&both, "exoscale/apikey/d") && has(&both, "sys/leases/revoke"), "{both}");
    // Who has the job's policy must not be able to make its secret IDs.
    let generator = text("exoscale --role d --auth generator-token");
    assert!(!paths(&generator).iter().any(|path| path.contains("secret-id")), "{generator}");
}

#[test]
fn what_no_policy_can_give_is_told_on_stderr_and_in_the_text() {
    let world = World::start();
    for (line, words) in [
        ("aws --role d --auth secret-id --ttl 2h", "max_sts_ttl of at least 2h at aws/roles/d"),
        ("aws --role d --auth secret-id", "STS credentials cannot be revoked"),
        ("aws --role d --auth secret-id --role-arn arn:aws:iam::1:role/x", "role_arns at aws/roles/d"),
        ("exoscale --role d --auth secret-id --ttl 2h", "max_ttl of at least 2h at exoscale/role/d"),
        ("exoscale --role d --auth token", "never revokes a token that you supply"),
        ("exoscale --role d --auth secret-id --child-token", "--child-token has no effect"),
        ("exoscale --role {ref_slug} --auth id-token --claim ref_slug=x", "cannot be bound to {ref_slug}"),
    ] {
        let ran = world.command(&format!("policy {line} --auth-role ci --format hcl")).run();
        assert!(ran.stderr.contains(words), "{line}: {ran:?}");
        let text = ran.ok().replace("\n#  ", "");
        assert!(text.contains(words), "{line}: {text}");
    }
    let ran = world.command("policy aws --role d --auth-role ci --auth secret-id --quiet").run();
    assert_eq!(ran.stderr, "", "{ran:?}");
}

#[test]
fn a_value_stays_a_value_in_every_format() {
    let world = World::start();
    let run = |format: &str| {
        let line = format!("policy exoscale --role d --auth-role ci --format {format}");
        let run = world.command(&line).arg("--claim").arg("project_id=a\"'\\${x}%{y} $(touch pwned) `touch pwned`");
        run.arg("--claim").arg("aud=JSON").run().ok()
    };
    let script = run("commands");
    let value = "a\"'\\${x}%{y} $(touch pwned) `touch pwned`";
    assert_eq!(role(&script)["bound_claims"]["project_id"], value);
    let mut sh = Command::new("sh");
    sh.arg("-c").arg(format!("vault() {{ cat > /dev/null; }}\n{script}")).current_dir(world.path("."));
    assert!(sh.stdin(Stdio::null()).status().expect("a shell").success());
    assert!(!world.path("pwned").exists());
    let terraform = crate::example::terraform_writes(&run("terraform"), &[]);
    let (_, role) = terraform.last().expect("a role");
    assert_eq!(role["bound_claims"]["project_id"], value);
    for wrong in ["project_id", "=x", "a b=x", "project_id=a\nb", "project_id="] {
        let run = world.command("policy exoscale --role d").arg("--claim").arg(wrong).run();
        run.failed(64, "usage");
    }
    world.command("policy exoscale --role d --mount a/+/b").run().failed(64, "usage");
    world.command("policy exoscale --role d --name root").run().failed(64, "usage");
}

#[test]
fn terraform_leaves_its_text_as_it_is() {
    let Some(terraform) = tool::find("terraform") else { return };
    let world = World::start();
    for auth in ["wrapping-token", "secret-id", "generator-token", "id-token", "token"] {
        let line =
            format!("policy aws exoscale --role d --auth-role ci --namespace team --auth {auth} --format terraform");
        let file = world.file("main.tf", &world.command(&line).run().ok());
        let output = Command::new(&terraform).args(["fmt", "-check", "-diff"]).arg(&file).output().expect("terraform");
        assert!(output.status.success(), "{auth}: {output:?}");
    }
}
