//! Who calls in a sweep: a way to log in, with a Vault that knows it and with whatever stands beside Vault for it.

use std::os::unix::fs::PermissionsExt;

use dev_vault::{
    AWS_SESSION, AwsPrincipal, DevVault, Fault, GitlabToken, IMDS_TOKEN, KubernetesApi, Machine, On, Sts, TokenIssuer,
    TokenWire,
};
use serde_json::json;

use crate::support::{AUDIENCE, ISSUER, METHODS, ROLE, Run, World, requests_of};
use crate::web_token;

/// The ways to log in beyond [`METHODS`], and those whose proof is asked for by requests of its own.
pub const IDENTITIES: [&str; 8] =
    ["kubernetes", "cert", "aws", "aws-container", "aws-instance", "aws-token", "github", "renewed-generator"];

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Vault,
    /// What stands beside Vault for the login.
    Beside,
    /// AWS, in Vault's place.
    Sts,
}

/// Where a fault meets a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub path: String,
    pub server: Server,
    /// Which request to that path, counted from 1.
    pub nth: usize,
}

impl Step {
    pub fn at(path: &str) -> Self {
        Self { path: path.to_owned(), server: Server::Vault, nth: 1 }
    }

    fn beside(path: &str) -> Self {
        Self { server: Server::Beside, ..Self::at(path) }
    }

    /// The one that shows the ID token, and then the one for a second role.
    pub fn sts(nth: usize) -> Self {
        Self { path: "/".to_owned(), server: Server::Sts, nth }
    }

    pub fn on(&self, every_time: bool) -> On {
        let on = On::path(&self.path).nth(self.nth);
        if every_time { on.every() } else { on }
    }
}

/// The requests of a way to log in, before that which it logs in for.
pub fn steps_of(identity: &str) -> Vec<Step> {
    match identity {
        "kubernetes" => vec![Step::at("auth/kubernetes/login")],
        "cert" => vec![Step::at("auth/cert/login")],
        "aws" => vec![Step::at("auth/aws/login")],
        // From there on they are as with keys in the environment.
        "aws-container" => vec![Step::beside("/v1/credentials")],
        "aws-instance" => ["/latest/api/token", "/iam/security-credentials/", "/ci-runner"].map(Step::beside).to_vec(),
        "aws-token" => vec![Step::beside("/")],
        "github" | "web-github" => vec![Step::beside("/idtoken")],
        "web-identity" => Vec::new(),
        "renewed-generator" => vec![Step::at("auth/token/lookup-self"), Step::at("auth/token/renew-self")],
        method => {
            let paths = requests_of(method);
            paths.iter().filter_map(|request| request.split_once(' ')).map(|(_, path)| Step::at(path)).collect()
        }
    }
}

/// What stands beside Vault.
enum Beside {
    Nothing,
    /// The cluster's API server, which Vault asks.
    Cluster(KubernetesApi),
    Issuer(TokenIssuer),
    Machine(Machine),
    /// STS of AWS, which signs an ID token for Vault.
    Signer(Sts),
}

/// A caller, before it calls.
pub struct Job {
    pub world: World,
    beside: Beside,
    /// Who takes an ID token without any Vault.
    pub sts: Option<Sts>,
    /// What it calls with. The line is still to come.
    run: Run,
    /// What of it must not be told, beside what Vault knows of.
    pub secrets: Vec<String>,
}

/// The audience of a token for AWS.
const AWS: &str = "sts.amazonaws.com";
const PROOF: &str = "Qm7xW2vK-signs-for-this-job-9rT4";
const AUTHORIZATION: &str = "Bearer 8fK2mQz7-shows-this-task-uY5";
const SERVER_ID: &str = "vault.example.com";
const UID: &str = "6a1b0d4e-5f3c-4c1e-9a7e-3f8f5b1d2c90";
const REVIEWER: &str = "Rk4vT9-Hc6Lz1xW8mQ2";

impl Job {
    pub fn start(identity: &str) -> Self {
        match identity {
            "kubernetes" => Self::of_a_cluster(),
            "cert" => Self::with_a_certificate(),
            "aws" | "aws-container" | "aws-instance" => Self::on_aws(identity),
            "aws-token" => Self::with_a_token_of_aws(),
            "github" => Self::of_github(&format!("--id-token-audience {AUDIENCE}")),
            "web-identity" => Self::with_a_token_for_aws(),
            "web-github" => Self::of_github("").with_sts(),
            "renewed-generator" => Self::plain("generator-token", "--renew"),
            method => Self::plain(method, ""),
        }
    }

    fn plain(method: &str, flags: &str) -> Self {
        assert!(METHODS.contains(&method), "{method}");
        let world = World::start();
        let run = world.command_as(method, flags);
        Self { world, beside: Beside::Nothing, sts: None, run, secrets: Vec::new() }
    }

    /// With a token for Vault beside the one for AWS, and with Vault's address: neither is AWS's business.
    fn with_a_token_for_aws() -> Self {
        let job = Self::plain("id-token", "--id-token-env AWS_ID_TOKEN");
        let token = job.world.id_token().audience(AWS).sign();
        let run = job.run.env("AWS_ID_TOKEN", &token);
        Self { run, secrets: vec![token], ..job }.with_sts()
    }

    fn with_sts(self) -> Self {
        let sts = Sts::start(ISSUER, AWS, Vec::new());
        let run = self.run.env("AWS_ENDPOINT_URL_STS", &sts.address());
        Self { run, sts: Some(sts), ..self }
    }

    fn of_a_cluster() -> Self {
        let world = World::start();
        let api = KubernetesApi::start(REVIEWER, UID);
        world.vault.write("sys/auth/kubernetes", json!({ "type": "kubernetes" }));
        let config = json!({ "kubernetes_host": api.url(), "token_reviewer_jwt": REVIEWER });
        world.vault.write("auth/kubernetes/config", config);
        let role = json!({ "bound_service_account_names": ["deploy"], "bound_service_account_namespaces": ["ci"],
            "audience": "vault", "token_policies": ["job"], "token_ttl": "15m" });
        world.vault.write("auth/kubernetes/role/ci", role);
        let token = service_account_token();
        let path = world.file("service-account-token", &token);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("as the kubelet has it");
        let line = format!("--auth kubernetes --auth-role ci --service-account-token-file {}", path.display());
        Self { run: world.command(&line), world, beside: Beside::Cluster(api), sts: None, secrets: vec![token] }
    }

    fn with_a_certificate() -> Self {
        let world = World::with(DevVault::builder().tls(dev_vault::Tls::Valid).require_client_certificate());
        let ca = world.vault.ca_pem().to_owned();
        world.vault.write("sys/auth/cert", json!({ "type": "cert" }));
        let role = json!({ "certificate": ca, "token_policies": ["job"], "token_ttl": "15m" });
        world.vault.write("auth/cert/certs/ci", role);
        let identity = world.vault.client_identity().clone();
        let file = |name: &str, text: &str| world.file(name, text).display().to_string();
        let run = world
            .command("--auth cert --auth-role ci")
            .env("VAULT_CACERT", &file("ca.pem", &ca))
            .env("VAULT_CLIENT_CERT", &file("client.pem", &identity.cert_pem))
            .env("VAULT_CLIENT_KEY", &file("client-key.pem", &identity.key_pem));
        let secrets = identity.key_pem.lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect();
        Self { run, world, beside: Beside::Nothing, sts: None, secrets }
    }

    fn on_aws(place: &str) -> Self {
        let AwsPrincipal { id, secret, session, .. } = AWS_SESSION;
        let session = session.expect("temporary credentials");
        let world = World::start();
        world.vault.write("sys/auth/aws", json!({ "type": "aws" }));
        world.vault.write("auth/aws/config/client", json!({ "iam_server_id_header_value": SERVER_ID }));
        let role = json!({ "auth_type": "iam", "bound_iam_principal_arn": ["arn:aws:iam::123456789012:role/ci-runner"],
            "token_policies": ["job"], "token_ttl": "15m" });
        world.vault.write("auth/aws/role/ci", role);
        let line = format!("--auth aws --auth-role ci --iam-server-id {SERVER_ID}");
        let run = world.command(&line);
        let (beside, run) = match place {
            "aws" => {
                let run = run.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
                (Beside::Nothing, run.env("AWS_SESSION_TOKEN", session))
            }
            _ => {
                let machine = Machine::start(Some(AWS_SESSION), AUTHORIZATION);
                let run = match place {
                    "aws-container" => run
                        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &machine.container_url())
                        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", AUTHORIZATION),
                    _ => run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.address()),
                };
                (Beside::Machine(machine), run)
            }
        };
        let secrets = [secret, session, AUTHORIZATION, IMDS_TOKEN].map(str::to_owned).to_vec();
        Self { world, beside, sts: None, run, secrets }
    }

    fn with_a_token_of_aws() -> Self {
        let world = World::start();
        web_token::believe(&world.vault);
        let sts = Sts::start("", "", Vec::new());
        let run = web_token::job(&world, &sts, "");
        let secrets =
            [Some(AWS_SESSION.secret), AWS_SESSION.session].into_iter().flatten().map(str::to_owned).collect();
        Self { world, beside: Beside::Signer(sts), sts: None, run, secrets }
    }

    fn of_github(flags: &str) -> Self {
        let world = World::start();
        let token = world.id_token();
        let sign = move |audience: &str| token.clone().audience(audience).sign();
        let issuer = TokenIssuer::start(TokenWire::Github, PROOF, Vec::new(), sign);
        let run = world
            .command(flags)
            .env("CI", "true")
            .env("GITHUB_ACTIONS", "true")
            .env("VAULT_AUTH_PATH", "gitlab")
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.url())
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", PROOF);
        Self { world, beside: Beside::Issuer(issuer), sts: None, run, secrets: vec![PROOF.to_owned()] }
    }

    /// What was given for Vault's login. Where AWS stands in Vault's place, nobody is shown it.
    pub fn of_vault(&self) -> impl Iterator<Item = &String> {
        self.run
            .variables()
            .get("VAULT_ID_TOKEN")
            .into_iter()
            .chain(self.run.variables().get("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
    }

    /// The call, with the flags of its login behind.
    pub fn call(&self, line: &str) -> Run {
        let mut run = self.run.clone();
        let words = line.split_whitespace().map(str::to_owned);
        run.arguments = words.chain(std::mem::take(&mut run.arguments)).collect();
        run
    }

    pub fn inject(&self, step: &Step, every_time: bool, fault: Fault) {
        let on = step.on(every_time);
        match (step.server, &self.beside, &self.sts) {
            (Server::Vault, ..) => self.world.vault.inject(on, fault),
            (Server::Beside, Beside::Issuer(issuer), _) => issuer.inject(on, fault),
            (Server::Beside, Beside::Machine(machine), _) => machine.inject(on, fault),
            (Server::Beside, Beside::Signer(sts), _) => sts.inject(on, fault),
            (Server::Sts, _, Some(sts)) => sts.inject(on, fault),
            _ => panic!("nobody asks for {} beside Vault", step.path),
        }
    }

    /// What is still armed meets nobody.
    pub fn clear_faults(&self) {
        self.world.vault.clear_faults();
        self.sts.iter().for_each(Sts::clear_faults);
        match &self.beside {
            Beside::Nothing | Beside::Cluster(_) => {}
            Beside::Issuer(issuer) => issuer.clear_faults(),
            Beside::Machine(machine) => machine.clear_faults(),
            Beside::Signer(sts) => sts.clear_faults(),
        }
    }

    /// What was asked of what stands beside Vault.
    pub fn asked_beside(&self) -> usize {
        match &self.beside {
            Beside::Nothing => 0,
            Beside::Cluster(api) => api.reviews(),
            Beside::Issuer(issuer) => issuer.requests().len(),
            Beside::Machine(machine) => machine.requests().len(),
            Beside::Signer(sts) => sts.requests().len(),
        }
    }
}

/// What the kubelet writes for the service account `ci/deploy`.
fn service_account_token() -> String {
    let names = ["namespace_id", "namespace_path", "project_id", "project_path", "ref", "sha", "user_login"];
    let token = names.into_iter().fold(GitlabToken::new(), GitlabToken::without);
    let account = json!({ "namespace": "ci", "serviceaccount": { "name": "deploy", "uid": UID } });
    token
        .issuer("https://kubernetes.default.svc")
        .audiences(&["vault"])
        .subject("system:serviceaccount:ci:deploy")
        .claim("kubernetes.io", account)
        .sign()
}

/// The call for a key.
pub fn key_line(format: &str) -> String {
    // The pair has no form for `credential_process` but that of the object storage.
    let storage = if format == "process" { "--sos --zone ch-gva-2" } else { "" };
    format!("exoscale {storage} --role {ROLE}")
}
