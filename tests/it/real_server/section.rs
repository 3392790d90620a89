//! Secrets of the engines that a real server has: what each answers, and that its lease ends with the run that fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::database::Database;
use super::server::Server;
use super::site::Site;
use crate::support::{Ran, exports};

fn object(ran: Ran) -> Value {
    serde_json::from_str(&ran.ok()).expect("JSON")
}

/// A server of a few lines: it takes every request and answers `answer(METHOD PATH, body)`. What was asked is told.
fn stand_in(answer: fn(&str, &str) -> (u16, Value)) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let (tell, told) = channel();
    let serve = move |stream: TcpStream| -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            let (mut first, mut length) = (String::new(), 0);
            if reader.read_line(&mut first)? == 0 {
                return Ok(());
            }
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                let line = line.trim().to_lowercase();
                if line.is_empty() {
                    break;
                }
                length = line.strip_prefix("content-length: ").and_then(|text| text.parse().ok()).unwrap_or(length);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let words: Vec<_> = first.split(' ').take(2).collect();
            let asked = words.join(" ");
            let (status, json) = answer(&asked, &String::from_utf8_lossy(&body));
            let _ = tell.send(asked);
            let json = json.to_string();
            write!(
                stream,
                "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
                json.len()
            )?;
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    (address, told)
}

/// RabbitMQ's management API, as far as the engine asks it: everything is done.
fn rabbitmq(_: &str, _: &str) -> (u16, Value) {
    (201, json!({}))
}

/// The Kubernetes API's token request. The engine reads the life in the token.
fn kubernetes(_: &str, _: &str) -> (u16, Value) {
    use std::time::{SystemTime, UNIX_EPOCH};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    let payload = base64url(json!({ "iat": now, "exp": now + 600, "aud": ["x"] }).to_string().as_bytes());
    let token = format!("{}.{payload}.{}", base64url(b"{\"alg\":\"RS256\"}"), base64url(b"a signature"));
    let status = json!({ "token": token, "expirationTimestamp": "2099-01-01T00:00:00Z" });
    (
        201,
        json!({ "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {}, "status": status }),
    )
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0, |sum, at| sum << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        let letters = (0..=chunk.len()).map(|at| LETTERS[(number >> (18 - 6 * at) & 63) as usize]);
        text.extend(letters.map(char::from));
    }
    text
}

// check: 5
#[test]
fn the_engines_of_a_real_server_give_their_fields() {
    let (Some(server), Some(database)) = (Server::shared(), Database::shared()) else { return };
    let operator = &server.operator;
    let mounts = ["s-kv1", "s-kv2", "s-db", "s-pki", "s-ssh", "s-mq", "s-k8s"];
    let policy: String = mounts
        .iter()
        .map(|mount| format!("path \"{mount}/*\" {{ capabilities = [\"read\", \"create\", \"update\"] }}\n"))
        .collect();
    let site = Site::on(server, "section", &policy);
    for (mount, kind) in [("s-pki", "pki"), ("s-ssh", "ssh"), ("s-mq", "rabbitmq"), ("s-k8s", "kubernetes")] {
        operator.write(&format!("sys/mounts/{mount}"), &json!({ "type": kind }));
    }
    for (mount, version) in [("s-kv1", "1"), ("s-kv2", "2")] {
        operator.write(&format!("sys/mounts/{mount}"), &json!({ "type": "kv", "options": { "version": version } }));
    }
    Database::mount(operator, "s-db", 1, database.address);
    operator.write("s-db/roles/app", &Database::role(0));
    let secret = json!({ "token": "npm_0123456789", "port": 5432, "nested": { "list": ["a", { "b": true }] } });
    operator.write("s-kv1/ci", &secret);
    operator.write("s-kv2/data/ci", &json!({ "data": { "token": "older_0123456789" } }));
    operator.write("s-kv2/data/ci", &json!({ "data": secret }));
    operator.write("s-pki/root/generate/internal", &json!({ "common_name": "root", "ttl": "1h" }));
    operator.write("s-pki/roles/ci", &json!({ "allow_any_name": true, "ttl": "10m" }));
    operator.write("s-ssh/config/ca", &json!({ "generate_signing_key": true }));
    let role = json!({ "key_type": "ca", "allow_user_certificates": true, "default_user": "ci", "allowed_users": "*", "ttl": "10m" });
    operator.write("s-ssh/roles/ci", &role);
    let (address, asked_mq) = stand_in(rabbitmq);
    let connection = json!({ "connection_uri": format!("http://{address}"), "username": "u", "password": "p", "verify_connection": false });
    operator.write("s-mq/config/connection", &connection);
    operator.write("s-mq/roles/ci", &json!({ "vhosts": "{\"/\":{\"write\":\".*\",\"read\":\".*\"}}" }));
    let (address, asked_k8s) = stand_in(kubernetes);
    let config = json!({ "kubernetes_host": format!("http://{address}"), "service_account_jwt": "x.y.z", "disable_local_ca_jwt": true });
    operator.write("s-k8s/config", &config);
    operator.write(
        "s-k8s/roles/ci",
        &json!({ "allowed_kubernetes_namespaces": ["*"], "service_account_name": "ci", "token_default_ttl": "10m" }),
    );

    let get = |line: &str| object(site.job("id-token", &format!("secret {line} --format json")).run());
    for kv in ["s-kv1/ci --kv 1", "s-kv1/ci", "s-kv2/data/ci --kv 2", "s-kv2/data/ci"] {
        let answer = get(&format!("--path {kv} --env A=token --env B=port --env C=/nested/list/1/b"));
        let expected = json!({ "A": "npm_0123456789", "B": "5432", "C": "true" });
        assert_eq!((&answer["variables"], answer.get("lease_id")), (&expected, None), "{kv}");
    }
    let text = "[secret.old]\npath = \"s-kv2/data/ci\"\nkv = 2\nversion = 1\nenv = { A = \"token\" }\n";
    let config = site.folder().join("old.toml");
    std::fs::write(&config, text).expect("a file");
    assert_eq!(get(&format!("old --config {}", config.display()))["variables"]["A"], "older_0123456789");

    let answer = get("--path s-db/creds/app --env PGUSER=username --env PGPASSWORD=password");
    let (user, password) = (&answer["variables"]["PGUSER"], &answer["variables"]["PGPASSWORD"]);
    assert!(database.lets_in(user.as_str().expect("a user"), password.as_str().expect("a password")));
    assert!(answer["lease_id"].as_str().is_some_and(|id| id.starts_with("s-db/creds/app/")), "{answer}");

    let answer =
        get("--path s-pki/issue/ci --set common_name=ci.example.com --file KEY=private_key --file CERT=certificate \
                      --env SERIAL=serial_number --expires expiration");
    let pem = std::fs::read_to_string(answer["variables"]["KEY"].as_str().expect("a path")).expect("a file");
    assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n") && answer.get("expiration").is_some(), "{answer}");

    let public = text_of(&operator.read("s-ssh/config/ca")["data"]["public_key"]);
    let run = site.job("id-token", "secret --path s-ssh/sign/ci --file CERT=signed_key --format json");
    let answer = object(run.arg("--set").arg(&format!("public_key={}", public.trim())).run());
    let signed = std::fs::read_to_string(answer["variables"]["CERT"].as_str().expect("a path")).expect("a file");
    assert!(signed.starts_with("ssh-rsa-cert-v01@openssh.com "), "{signed}");

    let answer = get("--path s-mq/creds/ci --env MQ_USER=username --env MQ_PASSWORD=password");
    assert!(answer.get("lease_id").is_some() && asked_mq.try_iter().any(|asked| asked.starts_with("PUT /api/users/")));
    let answer = get("--path s-k8s/creds/ci --set kubernetes_namespace=prod --env KUBE_TOKEN=service_account_token");
    assert!(answer["variables"]["KUBE_TOKEN"].as_str().is_some_and(|token| token.split('.').count() == 3), "{answer}");
    assert!(asked_k8s.try_iter().any(|asked| asked == "POST /api/v1/namespaces/prod/serviceaccounts/ci/token"));
}

#[test]
fn what_a_real_server_refuses_is_told_by_its_own_words() {
    let (Some(server), Some(database)) = (Server::shared(), Database::shared()) else { return };
    let operator = &server.operator;
    operator.write("sys/mounts/r-kv2", &json!({ "type": "kv", "options": { "version": "2" } }));
    operator.write("sys/mounts/r-pki", &json!({ "type": "pki" }));
    Database::mount(operator, "r-db", 1, database.address);
    operator.write("r-db/roles/app", &Database::role(0));
    let policy = "path \"r-kv2/data/*\" { capabilities = [\"read\"] }\npath \"r-db/creds/*\" { capabilities = [\"read\", \"update\"] }\n\
                  path \"r-pki/*\" { capabilities = [\"read\", \"update\"] }";
    let site = Site::on(server, "section-refused", policy);
    for name in ["gone", "destroyed"] {
        operator.write(&format!("r-kv2/data/{name}"), &json!({ "data": { "token": "0123456789" } }));
    }
    operator.send("DELETE", "r-kv2/data/gone", &[], &Value::Null);
    operator.write("r-kv2/destroy/destroyed", &json!({ "versions": [1] }));
    for (line, code, words) in [
        ("r-kv2/data/gone --env A=token", 78, "version 1 was deleted on 20"),
        ("r-kv2/data/gone --env A=token --kv 2", 78, "version 1 was deleted on 20"),
        ("r-kv2/data/destroyed --env A=token", 78, "version 1 is destroyed"),
        ("r-kv2/data/nothing --env A=token", 78, "there is no r-kv2/data/nothing"),
        ("r-kv2/gone --env A=token", 77, "the path is r-kv2/data/gone"),
        ("r-db/creds/nobody --env A=username", 78, "there is no r-db/creds/nobody (400: unknown role: nobody)"),
        ("r-db/creds/app --env A=usernam", 65, "did you mean username?"),
        ("r-db/creds/app --env A=username --write", 78, "r-db/creds/app does not take a write"),
        ("r-pki/issue/ci --env A=private_key", 78, "r-pki/issue/ci does not take a read"),
    ] {
        let ran = site.job("id-token", &format!("secret --path {line}")).run();
        assert!(ran.code == code && ran.stderr.contains(words), "{line}: {ran:?}");
    }
    assert_eq!(operator.list("sys/leases/lookup/r-db/creds/app"), [""; 0]);
    let users = database.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'AKIAAPP%' AND rolvaliduntil > now()");
    // Those of the other test live on; none is of this one, whose only credential was given back.
    assert!(users.len() <= 1, "{users:?}");
}

#[test]
fn a_token_of_a_real_server_works_until_its_job_revokes_it() {
    let Some(server) = Server::shared() else { return };
    let policy = "path \"auth/token/create\" { capabilities = [\"update\"] }";
    for (name, policy, path) in [
        ("handed", policy, "auth/token/create"),
        ("handed-own", "path \"none/*\" { capabilities = [\"read\"] }", "auth/gitlab/login"),
    ] {
        let site = Site::on(server, name, policy);
        let job = |line: &str| site.job("id-token", line).env("CI_JOB_ID", "7");
        let run = job("token --ttl 5m");
        let id_token = run.variables()["VAULT_ID_TOKEN"].clone();
        let token = exports(&run.run().ok())["VAULT_TOKEN"].clone();
        let known = server.operator.write("auth/token/lookup", &json!({ "token": token }))["data"].clone();
        assert_eq!(known["path"], path, "{known}");
        assert!(known["ttl"].as_u64().is_some_and(|ttl| (280..=305).contains(&ttl)), "{known}");
        let ran = job("revoke").env("VAULT_ID_TOKEN", &id_token).run();
        assert_eq!(ran.code, 0, "{ran:?}");
        let (status, _) = server.operator.send("POST", "auth/token/lookup", &[], &json!({ "token": token }));
        assert_eq!(status, 403, "{name}");
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
