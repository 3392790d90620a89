use dev_vault::{Fault, On, Reply};

use crate::delivery::in_a_job;
use crate::support::{METHODS, ROLE, World};

/// A job's line that reads what ci-creds prints, and shows what it says.
fn captured(flags: &str) -> String {
    format!("x=$($CI_CREDS {flags}); code=$?; test -n \"$x\"; exit $code")
}

#[test]
fn a_job_that_got_a_credential_is_told_which_one_and_until_when() {
    let world = World::start();
    let clock = |text: &str| {
        let (hours, minutes) = text.split_once(':').unwrap_or_default();
        [hours, minutes].iter().all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    for (line, key, lease) in [
        (format!("exoscale --role {ROLE}"), "Exoscale key EXO", format!("exoscale/apikey/{ROLE}/")),
        (format!("exoscale --role {ROLE} --format json"), "Exoscale key EXO", format!("exoscale/apikey/{ROLE}/")),
        (format!("exoscale --role {ROLE} --format file"), "Exoscale key EXO", format!("exoscale/apikey/{ROLE}/")),
        ("aws --role 365-dev".to_owned(), "AWS key ASIA", "aws/sts/365-dev/".to_owned()),
    ] {
        let ran = in_a_job(&world, &captured(&line));
        let text = ran.stderr.strip_prefix("ci-creds: ").and_then(|text| text.strip_suffix('\n')).unwrap_or_default();
        let (start, rest) = text.split_once("... for role ").unwrap_or_else(|| panic!("{line}: {ran:?}"));
        assert!(ran.code == 0 && start.starts_with(key), "{line}: {ran:?}");
        let parts: Vec<_> = rest.split(", ").collect();
        let [role, end, id] = parts[..] else { panic!("{line}: {ran:?}") };
        assert!(line.contains(&format!("--role {role}")), "{ran:?}");
        let end = end.strip_prefix("expires ").and_then(|end| end.strip_suffix(" UTC")).unwrap_or_default();
        assert!(clock(end), "{ran:?}");
        assert!(id.starts_with(&format!("lease {lease}")) && id.len() > lease.len() + 10, "{ran:?}");
        world.assert_no_secret_in(&ran.stderr);
    }
}

#[test]
fn nothing_is_told_of_a_success_where_nobody_asked() {
    let world = World::start();
    let line = format!("exoscale --role {ROLE}");
    for flags in [format!("{line} -q"), format!("--quiet {line}"), "aws --role 365-dev --format process".to_owned()] {
        let ran = in_a_job(&world, &captured(&flags));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{flags}");
    }
    let ran = world.command_as("token", &line).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    // Where stderr goes into the caller's text, that is all there is.
    let ran = in_a_job(&world, &format!("x=$($CI_CREDS {line} --format dotenv 2>&1); printf %s \"$x\" >\"$TMPDIR\"/x"));
    let text = std::fs::read_to_string(world.path("tmp").join("x")).expect("what was captured");
    assert!(ran.code == 0 && text.contains("EXOSCALE_API_KEY=") && !text.contains("ci-creds"), "{ran:?} {text}");
}

#[test]
fn quiet_leaves_out_warnings_and_keeps_errors() {
    let world = World::start();
    let open = world.file("token", &world.token("job"));
    tool_chmod(&open, 0o644);
    let run = |line: &str| world.command(line).env("VAULT_TOKEN_FILE", &open.display().to_string());
    let line = format!("exoscale --role {ROLE}");
    let ran = run(&line).run();
    assert!(ran.code == 0 && ran.stderr.contains("warning: the Vault token file"), "{ran:?}");
    let ran = run(&format!("{line} -q")).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let ran = run("exoscale --role nope -q").run().failed(77, "denied");
    assert!(!ran.stderr.contains("warning") && ran.stderr.contains("hint: "), "{ran:?}");
}

fn tool_chmod(path: &std::path::Path, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, mode).expect("its mode");
}

#[test]
fn verbose_tells_each_request_and_the_policies_and_no_secret() {
    for method in METHODS {
        let world = World::start();
        let ran = world.command_as(method, &format!("exoscale --role {ROLE} -v")).run();
        let lines: Vec<_> = ran.stderr.lines().filter(|line| line.contains(", status 200, ")).collect();
        let told: Vec<_> = lines.iter().filter_map(|line| line.split(": ").nth(2)?.split(',').next()).collect();
        assert_eq!(told, world.requests(), "{method}: {ran:?}");
        assert!(lines.iter().all(|line| line.starts_with("ci-creds: ") && line.ends_with(" ms")), "{ran:?}");
        let logged_in = ran.stderr.contains("ci-creds: token: for 15m, policies: default, job\n");
        assert_eq!(logged_in, method != "token", "{method}: {ran:?}");
        let claims = "ci-creds: claims: aud https://vault.example.com, iss https://gitlab.example.com, sub ";
        assert_eq!(ran.stderr.contains(claims), method == "id-token", "{method}: {ran:?}");
        world.assert_no_secret_in(&ran.stderr);
        ran.ok();
    }
}

#[test]
fn verbose_tells_the_requests_of_a_run_that_failed() {
    let world = World::start();
    let ran = world.command_as("secret-id", "exoscale --role nope -v").run().failed(77, "denied");
    for line in
        ["log in: POST auth/approle/login, status 200", "read the credential: GET exoscale/apikey/nope, status 403"]
    {
        assert!(ran.stderr.contains(&format!("ci-creds: {line}, ")), "{line}: {ran:?}");
    }
    world.assert_no_secret_in(&ran.stderr);
    let ran =
        world.command_as("token", "exoscale --role x -v --retries 0").env("VAULT_ADDR", "http://127.0.0.1:1").run();
    let line = "read the credential: GET exoscale/apikey/x, no answer, ";
    assert!(ran.failed(69, "unavailable").stderr.contains(line));
}

#[test]
fn a_hint_in_a_jobs_log_is_whole_where_no_shell_evaluates_the_output() {
    let world = World::start();
    let policy = r#"path "exoscale/apikey/nope" { capabilities = ["read"] }"#;
    let ran = in_a_job(&world, "$CI_CREDS exec exoscale --role nope -- true 2>&1");
    assert!(ran.code == 125 && ran.stdout.contains(policy), "{ran:?}");
    let denied = Reply::error(403, "1 error occurred:\n\t* permission denied\n\n");
    world.vault.inject(On::path("/aws/sts/nope").every(), Fault::answer(denied));
    for format in ["json", "process"] {
        let line = format!("$CI_CREDS aws --role nope --format {format} 2>&1 | cat");
        let ran = in_a_job(&world, &line);
        assert!(ran.stdout.contains("path \"aws/sts/nope\" { capabilities"), "{format}: {ran:?}");
    }
    let ran = in_a_job(&world, "$CI_CREDS cache lear 2>&1");
    assert!(ran.code == 64 && ran.stdout.contains("no such command: \"lear\""), "{ran:?}");
}
