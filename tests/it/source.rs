use std::time::{Duration, Instant};

use dev_vault::{DevVault, Dialect};
use serde_json::json;

use crate::support::{ROLE, Run, World, exports};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

#[test]
fn nested_mounts_are_named_by_flag_or_variable_with_or_without_slashes() {
    let world = World::start();
    world.vault.write("sys/mounts/ci/exo", json!({ "type": "exoscale" }));
    world.vault.write("ci/exo/config/root", json!({ "root_api_key": "EXOroot", "root_api_secret": "s", "zone": "z" }));
    world.vault.write(&format!("ci/exo/role/{ROLE}"), json!({ "iam-role": "ci", "ttl": "15m" }));
    world.vault.write("sys/auth/ci/approle", json!({ "type": "approle" }));
    world.vault.write(
        "sys/policies/acl/nested",
        json!({ "policy": format!("path \"ci/exo/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}") }),
    );
    world.vault.write(&format!("auth/ci/approle/role/{ROLE}"), json!({ "token_policies": ["nested"] }));
    let role_id = world.vault.read(&format!("auth/ci/approle/role/{ROLE}/role-id"))["data"]["role_id"].clone();
    let secret_id = world.vault.write(&format!("auth/ci/approle/role/{ROLE}/secret-id"), json!({}));
    let run = |line: &str| {
        let run = world.command(line).env("VAULT_ROLE_ID", role_id.as_str().unwrap());
        run.env("VAULT_SECRET_ID", secret_id["data"]["secret_id"].as_str().unwrap())
    };
    let expected = ["POST auth/ci/approle/login".to_owned(), format!("GET ci/exo/apikey/{ROLE}")];
    let by_variable =
        run(EXOSCALE).env("CI_CREDS_EXOSCALE_MOUNT", "/ci/exo/").env("CI_CREDS_AUTH_MOUNT", "auth/ci/approle/");
    for run in [run("exoscale --role gitlab-ci-runner --mount ci/exo --auth-mount ci/approle"), by_variable] {
        world.vault.forget_requests();
        run.run().ok();
        assert_eq!(world.requests(), expected);
    }
}

#[test]
fn the_namespace_goes_with_every_request() {
    let world = World::with(DevVault::builder().dialect(Dialect::OpenBao));
    let role_id = world.make_namespace("team");
    let path = format!("team/auth/approle/role/{ROLE}/secret-id");
    for name in ["VAULT_NAMESPACE", "BAO_NAMESPACE"] {
        world.vault.forget_requests();
        let wrapped = world.vault.write_wrapped(&path, json!({}), "60s");
        let run = world.command(EXOSCALE).env("VAULT_ROLE_ID", &role_id).env(name, "/team/");
        run.env("VAULT_WRAPPING_TOKEN", &wrapped).run().ok();
        let requests = world.vault.requests();
        assert_eq!(requests.len(), 5);
        for request in requests {
            assert_eq!(request.headers.get("x-vault-namespace"), Some("team"), "{}", request.line());
        }
    }
}

#[test]
fn the_engines_role_is_the_logins_when_nobody_names_one() {
    let world = World::start();
    let ran = world.command_as("wrapping-token", "exoscale -v").run();
    assert!(ran.stderr.contains("role from VAULT_APPROLE_ROLE"), "{}", ran.stderr);
    ran.ok();
    world.command_as("id-token", "exoscale").env("VAULT_AUTH_ROLE", ROLE).run().ok();
    let reads = world.requests().into_iter().filter(|line| line.starts_with("GET ")).collect::<Vec<_>>();
    assert_eq!(reads, [format!("GET exoscale/apikey/{ROLE}"), format!("GET exoscale/apikey/{ROLE}")]);
}

#[test]
fn placeholders_are_filled_from_the_id_token_and_else_from_gitlabs_variables() {
    let world = World::start();
    let line = "aws --role {project_id}-{environment}";
    // The token's own claims count, whatever a variable says.
    world.command_as("id-token", line).env("CI_PROJECT_ID", "1").env("CI_ENVIRONMENT_NAME", "prod").run().ok();
    let by_variables = world.command_as("secret-id", line).env("CI_PROJECT_ID", "365");
    by_variables.env("CI_ENVIRONMENT_NAME", "dev").run().ok();
    // An ID token beside another login still says who the job is.
    world.command_as("secret-id", line).env("VAULT_ID_TOKEN", &world.id_token().sign()).run().ok();
    let reads = world.requests().into_iter().filter(|line| line.starts_with("GET ")).collect::<Vec<_>>();
    assert_eq!(reads, ["GET aws/sts/365-dev"; 3]);
}

#[test]
fn the_old_job_token_is_taken_with_a_word_about_its_end() {
    let world = World::start();
    let run = world.command(EXOSCALE).env("VAULT_AUTH_PATH", "gitlab").env("CI_JOB_JWT_V2", &world.id_token().sign());
    let ran = run.run();
    assert!(ran.stderr.contains("ci-creds: warning: CI_JOB_JWT_V2"), "{}", ran.stderr);
    assert!(ran.stderr.contains("id_tokens:"), "{}", ran.stderr);
    world.assert_no_secret_in(&ran.stderr);
    ran.ok();
}

#[test]
fn a_token_is_found_where_vault_login_and_openbao_leave_it() {
    let world = World::start();
    let token = world.token("job");
    world.file("home/.vault-token", &token);
    world.command_with_home(EXOSCALE).run().ok();
    world.file("home/.vault-token", "s.nobodysnobodysnobodysnobo");
    let elsewhere = world.file("bao-token", &format!("{token}\n"));
    world.command_with_home(EXOSCALE).env("BAO_TOKEN_PATH", &elsewhere.display().to_string()).run().ok();

    let seen = world.path("seen");
    let script = format!("#!/bin/sh\necho \"$*\" >{0}\nenv >>{0}\nprintf %s {token}\n", seen.display());
    let helper = world.program("helper", &script);
    world.file("home/.vault", &format!("token_helper = \"{}\"\n", helper.display()));
    let run = world.command_with_home(EXOSCALE).env("VAULT_SECRET_ID", "not-for-the-helper").env("VAULT_ROLE_ID", "r");
    let run = ["BAO_SECRET_ID", "BAO_WRAPPING_TOKEN", "BAO_ID_TOKEN", "BAO_ROLE_ID"]
        .iter()
        .fold(run, |run, name| run.env(name, "not-for-the-helper"));
    let run = run.env("MY_TOKEN", "not-for-the-helper").arg("--id-token-env").arg("MY_TOKEN");
    run.arg("--auth").arg("token").run().ok();
    let told = std::fs::read_to_string(seen).unwrap();
    assert!(told.starts_with("get\n") && !told.contains("not-for-the-helper"), "{told}");
    assert_eq!(
        world.requests(),
        [
            format!("GET exoscale/apikey/{ROLE}"),
            format!("GET exoscale/apikey/{ROLE}"),
            format!("GET exoscale/apikey/{ROLE}")
        ]
    );
}

#[test]
fn openbaos_names_win_over_vaults_and_vaults_over_gitlabs() {
    let world = World::start();
    let (address, token) = (world.vault.address(), world.token("job"));
    let nowhere = "http://127.0.0.1:1";
    let run = world.command(EXOSCALE).env("VAULT_ADDR", nowhere).env("VAULT_TOKEN", "s.nobodys");
    run.env("BAO_ADDR", &address).env("BAO_TOKEN", &token).run().ok();
    let run = world.command(EXOSCALE).env("VAULT_SERVER_URL", nowhere).env("VAULT_TOKEN", &token);
    run.run().ok();
    let run = world.command(EXOSCALE).without("VAULT_ADDR").env("VAULT_SERVER_URL", &address);
    run.env("VAULT_TOKEN", &token).run().ok();
    assert_eq!(world.vault.requests().len(), 3);
}

#[test]
fn gitlabs_names_for_mount_and_role_are_taken_for_an_id_token_only() {
    let world = World::start();
    let line = format!("{EXOSCALE} -v");
    let ran = world.command_as("id-token", &line).env("VAULT_AUTH_ROLE", ROLE).run();
    assert!(ran.stderr.contains("login: ID token at auth/gitlab (from VAULT_ID_TOKEN)"), "{}", ran.stderr);
    ran.ok();
    world.command_as("secret-id", &line).env("VAULT_AUTH_PATH", "gitlab").run().ok();
    assert_eq!(world.requests()[2], "POST auth/approle/login");
}

#[test]
fn every_secret_has_a_twin_that_names_a_file_and_a_flag_that_does() {
    let world = World::start();
    let role_id = world.file("role-id", &format!("{}\n", world.role_id)).display().to_string();
    let secret_id = || world.file("secret-id", &world.secret_id()).display().to_string();
    let run = world.command(EXOSCALE).env("VAULT_ROLE_ID_FILE", &role_id).env("VAULT_SECRET_ID_FILE", &secret_id());
    run.run().ok();
    let flags = format!("{EXOSCALE} --role-id-file {role_id} --secret-id-file {}", secret_id());
    world.command(&flags).run().ok();
    let wrapped = world.file("wrapped", &world.wrapping_token()).display().to_string();
    let run = world.command(EXOSCALE).env("VAULT_ROLE_ID_FILE", &role_id).env("VAULT_WRAPPING_TOKEN_FILE", &wrapped);
    run.run().ok();
    let jwt = world.file("jwt", &world.id_token().sign()).display().to_string();
    let run = world.command(EXOSCALE).env("VAULT_ID_TOKEN_FILE", &jwt).env("VAULT_AUTH_PATH", "gitlab");
    run.run().ok();
    let token = world.file("token", &world.token("job")).display().to_string();
    world.command(EXOSCALE).env("VAULT_TOKEN_FILE", &token).run().ok();
    world.command(&format!("{EXOSCALE} --token-file {token}")).run().ok();
    let named = format!("{EXOSCALE} --id-token-env MY_TOKEN --auth-mount gitlab");
    world.command(&named).env("MY_TOKEN", &world.id_token().sign()).run().ok();
    assert_eq!(world.vault.live_leases().len(), 7);
}

#[test]
fn a_flag_counts_before_a_variable_and_that_before_the_file_and_each_is_told() {
    let world = World::start();
    let text =
        format!("address = \"{}\"\nauth-mount = \"gitlab\"\n[aws]\nrole = \"federated\"\n", world.vault.address());
    let config = world.file("config.toml", &text).display().to_string();
    let job = |line: &str| {
        let run = world.command(line).without("VAULT_ADDR").env("VAULT_ID_TOKEN", &world.id_token().sign());
        run.env("CI_CREDS_CONFIG", &config)
    };
    let cases = [
        (job("aws -v"), format!("path: aws/sts/federated (role from {config})")),
        (job("aws -v").env("CI_CREDS_ROLE", "365-dev"), "path: aws/sts/365-dev (role from CI_CREDS_ROLE)".to_owned()),
        (
            job("aws -v").env("CI_CREDS_ROLE", "x").env("CI_CREDS_AWS_ROLE", "365-dev"),
            "path: aws/sts/365-dev (role from CI_CREDS_AWS_ROLE)".to_owned(),
        ),
        (
            job("aws -v --role federated").env("CI_CREDS_AWS_ROLE", "x"),
            "path: aws/sts/federated (role from --role)".to_owned(),
        ),
    ];
    for (run, expected) in cases {
        let ran = run.run();
        assert!(ran.stderr.contains(&expected), "{expected}: {}", ran.stderr);
        let address = format!("vault: {} (from {config})", world.vault.socket_address());
        assert!(ran.stderr.contains(&address), "{address}: {}", ran.stderr);
        assert!(ran.stderr.contains("login: ID token at auth/gitlab (from VAULT_ID_TOKEN)"), "{}", ran.stderr);
        world.assert_no_secret_in(&ran.stderr);
        ran.ok();
    }
    // The user's own folder is looked into when no file is named; the checkout never is.
    std::fs::create_dir_all(world.home().join(".config/ci-creds")).unwrap();
    world.file("home/.config/ci-creds/config.toml", &text);
    world.file("work/config.toml", "address = \"http://127.0.0.1:1\"\n");
    let checkout = world.path("work").display().to_string();
    job("aws").without("CI_CREDS_CONFIG").env("WORKSPACE", &checkout).run().ok();
}

#[test]
fn settings_below_a_home_in_the_checkout_are_the_repositorys_and_not_read() {
    let world = World::start();
    std::fs::create_dir_all(world.home().join(".config/ci-creds")).unwrap();
    world.file("home/.config/ci-creds/config.toml", "address = \"http://127.0.0.1:1\"\n");
    let home = world.home().display().to_string();
    for name in ["CI_PROJECT_DIR", "GITHUB_WORKSPACE", "WORKSPACE"] {
        let run = world.command_as("token", EXOSCALE).without("VAULT_ADDR").env(name, &home);
        let ran = run.run().refused(&world, 78, "config", &["Vault's address is not set"], &["VAULT_ADDR"]);
        assert!(ran.stderr.contains("config.toml is ignored, because it is in the checkout"), "{name}: {ran:?}");
    }
}

// check: 18
#[test]
fn a_token_file_in_the_checkout_is_not_used() {
    let world = World::start();
    let token = world.token("job");
    let inside = world.file("work/token", &token).display().to_string();
    let outside = world.file("token", &token).display().to_string();
    let checkout = world.path("work").display().to_string();
    std::os::unix::fs::symlink(&outside, world.path("work/.vault-token")).unwrap();
    std::os::unix::fs::symlink(&inside, world.home().join(".vault-token")).unwrap();
    for name in ["CI_PROJECT_DIR", "GITHUB_WORKSPACE", "WORKSPACE"] {
        let run = world.command(EXOSCALE).env(name, &checkout);
        run.clone().env("BAO_TOKEN_PATH", &outside).run().ok();
        // By name, by a home in the checkout that leads out of it, and by one outside that leads into it.
        let named = run.clone().env("BAO_TOKEN_PATH", &inside);
        for (run, place) in [
            (named.clone(), format!("{inside} (from BAO_TOKEN_PATH)")),
            (named.arg("--auth").arg("token"), inside.clone()),
            (run.clone().env("HOME", &checkout), format!("{checkout}/.vault-token")),
            (run.clone(), world.home().join(".vault-token").display().to_string()),
        ] {
            world.vault.forget_requests();
            let words = [place.as_str(), "is in the checkout", "was not used"];
            run.run().refused(&world, 78, "config", &words, &["--token-file", "BAO_TOKEN_PATH"]);
            assert_eq!(world.requests(), Vec::<String>::new(), "{name} {place}");
        }
        // The pipeline's own words are believed.
        run.arg("--token-file").arg(&inside).run().ok();
    }
}

// check: 18
#[test]
fn without_a_variable_a_home_below_a_git_folder_is_in_a_checkout_and_at_a_desk_it_can_be_a_work_tree() {
    let world = World::start();
    // Not in our own folder, which is in a work tree.
    let outside = tempfile::tempdir().unwrap();
    let tree = outside.path().join("tree");
    let home = tree.join("home");
    for folder in [&tree, &home] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join(".vault-token"), world.token("job")).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.join(".vault-token"), private).unwrap();
    }
    let run = |home: &std::path::Path| world.command(EXOSCALE).env("HOME", &home.display().to_string());
    let refused = |run: Run| {
        run.run().refused(&world, 78, "config", &["is in the checkout, where a repository"], &["--token-file"]);
    };
    run(&home).run().ok();
    run(&home).env("CI", "true").run().ok();

    // A submodule and a linked work tree have a file there.
    std::fs::write(tree.join(".git"), "gitdir: elsewhere\n").unwrap();
    refused(run(&home));
    refused(run(&home).env("CI", "true"));
    let config = home.join(".config/ci-creds");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "address = \"http://127.0.0.1:1\"\n").unwrap();
    let ran = world.command_as("token", EXOSCALE).env("HOME", &home.display().to_string()).run();
    assert!(ran.stderr.contains("config.toml is ignored, because it is in the checkout"), "{ran:?}");
    ran.ok();

    // A home that is a work tree itself, or holds one: of its owner at a desk, and of a repository in a job.
    run(&tree).run().ok();
    for name in ["CI", "GITLAB_CI", "GITHUB_ACTIONS", "JENKINS_URL"] {
        refused(run(&tree).env(name, "true"));
    }
    run(&tree).env("BAO_TOKEN_PATH", &home.join(".vault-token").display().to_string()).run().ok();
    std::fs::set_permissions(&tree, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    refused(run(&tree));
}

#[test]
fn regions_and_zones_are_exported_beside_the_credential() {
    let world = World::start();
    let set = exports(&world.command_as("token", "aws --role 365-dev --region eu-central-1").run().ok());
    assert_eq!((set["AWS_REGION"].as_str(), set["AWS_DEFAULT_REGION"].as_str()), ("eu-central-1", "eu-central-1"));
    let set = exports(&world.command_as("token", &format!("{EXOSCALE} --zone ch-gva-2")).run().ok());
    assert_eq!(set["EXOSCALE_ZONE"], "ch-gva-2");
}

#[test]
fn a_token_helper_that_others_can_name_is_not_run() {
    let world = World::start();
    let run = world.path("run");
    let helper = world.program("helper", &format!("#!/bin/sh\ntouch {}\n", run.display()));
    for name in [".vault", ".bao"] {
        let file = world.file(&format!("home/{name}"), &format!("token_helper = \"{}\"\n", helper.display()));
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let words = [&format!("~/{name}"), "can be written by other users"];
        world.command_with_home(EXOSCALE).run().refused(&world, 78, "config", &words, &["chmod 600"]);
        std::fs::remove_file(file).unwrap();
    }
    // A repository's is the program of whoever pushes to it.
    world.file("home/.vault", &format!("token_helper = \"{}\"\n", helper.display()));
    let ran = world.command_with_home(EXOSCALE).env("CI_PROJECT_DIR", &world.home().display().to_string()).run();
    let ran = ran.refused(&world, 78, "config", &["nothing to log in with"], &["id_tokens:"]);
    assert!(ran.stderr.contains("the token helper in ~/.vault is ignored"), "{ran:?}");
    assert!(!run.exists());
    // One that fails is told by the file that names it.
    world.file("home/.bao", "token_helper = \"/nonexistent/helper\"\n");
    world.command_with_home(EXOSCALE).run().refused(
        &world,
        66,
        "input",
        &["/nonexistent/helper (named in ~/.bao)"],
        &["get"],
    );
}

#[test]
fn a_home_that_is_none_has_neither_settings_nor_a_token_and_stops_no_run() {
    let world = World::start();
    for home in ["/dev/null", "/nonexistent"] {
        world.command_as("token", EXOSCALE).env("HOME", home).run().ok();
        let run = world.command(EXOSCALE).env("HOME", home);
        run.run().refused(&world, 78, "config", &["nothing to log in with"], &["id_tokens:"]);
    }
}

#[test]
fn a_token_helper_that_nobody_named_is_asked_once() {
    let world = World::start();
    let asked = world.path("asked");
    let script = format!("#!/bin/sh\necho \"$*\" >>{}\nprintf %s {}\n", asked.display(), world.token("job"));
    let helper = world.program("helper", &script);
    world.file("home/.vault", &format!("token_helper = \"{}\"\n", helper.display()));
    world.command_with_home(EXOSCALE).run().ok();
    assert_eq!(std::fs::read_to_string(asked).unwrap(), "get\n");
}

#[test]
fn a_token_helper_is_read_to_its_end_and_not_to_the_end_of_what_it_has_started() {
    let world = World::start();
    // The one that goes on has the helper's stdout, and holds it open.
    let script = format!("#!/bin/sh\nsleep 60 &\necho {}\n", world.token("job"));
    let helper = world.program("helper", &script);
    world.file("home/.vault", &format!("token_helper = \"{}\"\n", helper.display()));
    let started = Instant::now();
    world.command_with_home(EXOSCALE).run().ok();
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());

    let helper = world.program("other-helper", "#!/bin/sh\nexec head -c 200000 /dev/zero\n");
    world.file("home/.vault", &format!("token_helper = \"{}\"\n", helper.display()));
    world.command_with_home(EXOSCALE).run().refused(
        &world,
        66,
        "input",
        &["printed more than 64 KiB"],
        &["VAULT_TOKEN"],
    );
}
