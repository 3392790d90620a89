//! Every environment variable that `ci-creds` reads, each under its own name.
//!
//! Values are read in [`crate::config`]; what a provider sets or unsets stands with the provider. Nothing here
//! reads anything.

/// A variable, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// One sentence or more, in Markdown: the comment above its constant. It begins with a blank.
    pub meaning: &'static str,
}

/// Declares the variables as constants, as [`ALL`], and as [`GROUPS`], from which the manual page and
/// docs/configuration.md are made, and docs/variables.md is held against. The comment above a variable is what they print.
macro_rules! variables {
    ($($group:literal: { $($(#[doc = $doc:literal])+ $name:ident),+ $(,)? })+) => {
        $($($(#[doc = $doc])+ pub const $name: &str = stringify!($name);)+)+
        /// Every variable, in the order of this page.
        pub const ALL: &[&str] = &[$($($name),+),+];
        /// Every variable with its meaning, by what it is about.
        pub const GROUPS: &[(&str, &[Variable])] =
            &[$(($group, &[$(Variable { name: $name, meaning: concat!($($doc),+) }),+])),+];
    };
}

variables! {
    "Connection": {
        /// Vault's address: `https://host:port`, `unix:///path`, or `http://` for this machine only.
        VAULT_ADDR,
        /// The same by GitLab's name. It is read if `VAULT_ADDR` is not set.
        VAULT_SERVER_URL,
        /// The namespace (Vault Enterprise, OpenBao 2.3 and later).
        VAULT_NAMESPACE,
        /// The PEM file of the CA that replaces the system's roots.
        VAULT_CACERT,
        /// The text of that file.
        VAULT_CACERT_BYTES,
        /// A folder of PEM files that replaces the system's roots.
        VAULT_CAPATH,
        /// The PEM file of a client certificate. `VAULT_CLIENT_KEY` belongs to it.
        VAULT_CLIENT_CERT,
        /// The PEM file of the client certificate's key.
        VAULT_CLIENT_KEY,
        /// The name that Vault's certificate must have, if it is not the host of the address.
        VAULT_TLS_SERVER_NAME,
        /// The deadline of one request: seconds, or a duration such as `20s`.
        VAULT_CLIENT_TIMEOUT,
        /// How often a request that was lost on its way is sent again.
        VAULT_MAX_RETRIES,
        /// A proxy for https, reached by CONNECT. It wins over `HTTPS_PROXY`.
        VAULT_PROXY_ADDR,
        /// Refused: no variable switches off the check of certificates. The message names the flag that does so for a
        /// server on this machine.
        VAULT_SKIP_VERIFY,
        /// A proxy for https. The lower-case name is read too.
        HTTPS_PROXY,
        /// The hosts for which `HTTPS_PROXY` is not used. The lower-case name is read too.
        NO_PROXY,
        /// The deadline of the whole run.
        CI_CREDS_TIMEOUT,
        /// The configuration file.
        CI_CREDS_CONFIG,
    }

    "Login": {
        /// The AppRole's role ID.
        VAULT_ROLE_ID,
        /// The AppRole's secret ID.
        VAULT_SECRET_ID,
        /// A wrapping token that holds a secret ID, or a whole login.
        VAULT_WRAPPING_TOKEN,
        /// The name of the AppRole. A generator token makes secret IDs of this role, and a wrapping token must hold a
        /// secret ID of it.
        VAULT_APPROLE_ROLE,
        /// The job's ID token. It wins over what the CI system offers by itself.
        VAULT_ID_TOKEN,
        /// A Vault token. With `VAULT_ROLE_ID` and `VAULT_APPROLE_ROLE` it is a generator token, which can only create
        /// secret IDs.
        VAULT_TOKEN,
        /// The token of a Kubernetes service account, for `--auth kubernetes`.
        VAULT_SERVICE_ACCOUNT_TOKEN,
        /// The role of the JWT login, by GitLab's name.
        VAULT_AUTH_ROLE,
        /// The mount of the JWT login, by GitLab's name.
        VAULT_AUTH_PATH,
        /// The file that holds the token of `bao login`.
        BAO_TOKEN_PATH,
        /// The authentication method: `wrapping-token`, `secret-id`, `generator-token`, `id-token`, `token`,
        /// `kubernetes`, `cert` or `aws`.
        CI_CREDS_AUTH,
        /// The mount of the authentication method.
        CI_CREDS_AUTH_MOUNT,
        /// The role of the login.
        CI_CREDS_AUTH_ROLE,
        /// The creation path that a wrapping token must have, if it is not the AppRole's own.
        CI_CREDS_CREATION_PATH,
        /// Where the ID token comes from if `VAULT_ID_TOKEN` is not set: `auto`, `env:NAME` or the name of a CI system.
        CI_CREDS_ID_TOKEN_FROM,
        /// The audience that is requested for the ID token.
        CI_CREDS_ID_TOKEN_AUDIENCE,
        /// `true`: a generator token is renewed before each login with it.
        CI_CREDS_RENEW,
        /// The value of the header `X-Vault-AWS-IAM-Server-ID`, which binds an AWS login to one Vault.
        CI_CREDS_IAM_SERVER_ID,
        /// The region of STS by which Vault checks an AWS login, or which signs an ID token.
        CI_CREDS_STS_REGION,
        /// The ID of the AWS access key of `--auth aws` and `--id-token-from aws`.
        AWS_ACCESS_KEY_ID,
        /// The secret of this key.
        AWS_SECRET_ACCESS_KEY,
        /// The session token of temporary keys.
        AWS_SESSION_TOKEN,
        /// The path of the credentials of an ECS task at `169.254.170.2`.
        AWS_CONTAINER_CREDENTIALS_RELATIVE_URI,
        /// The URL of a container's credentials.
        AWS_CONTAINER_CREDENTIALS_FULL_URI,
        /// What is sent to this URL in `Authorization`.
        AWS_CONTAINER_AUTHORIZATION_TOKEN,
        /// The file that holds it. It is read first.
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE,
        /// `true`: the instance metadata service is not asked.
        AWS_EC2_METADATA_DISABLED,
        /// The URL of the instance metadata service, if it is not AWS's own.
        AWS_EC2_METADATA_SERVICE_ENDPOINT,
        /// `IPv6`: the instance metadata service is asked at its IPv6 address.
        AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE,
        /// GitLab's ID token before version 17. It is used with a warning.
        CI_JOB_JWT,
        /// GitLab's ID token before version 17. It is used with a warning.
        CI_JOB_JWT_V1,
        /// GitLab's ID token before version 17. It is used with a warning.
        CI_JOB_JWT_V2,
        /// Where a job of GitHub or Forgejo Actions requests an ID token.
        ACTIONS_ID_TOKEN_REQUEST_URL,
        /// What proves that this request is the job's.
        ACTIONS_ID_TOKEN_REQUEST_TOKEN,
        /// The ID token of a Bitbucket step with `oidc: true`.
        BITBUCKET_STEP_OIDC_TOKEN,
        /// What proves that a call of `buildkite-agent` is the job's. Cached credentials are encrypted with it.
        BUILDKITE_AGENT_ACCESS_TOKEN,
        /// The ID token of a CircleCI job. `circleci` makes others.
        CIRCLE_OIDC_TOKEN_V2,
        /// Where a job of Azure DevOps requests an ID token.
        SYSTEM_OIDCREQUESTURI,
        /// What proves that this request is the job's, if the step maps it.
        SYSTEM_ACCESSTOKEN,
        /// Where a build of Codefresh requests an ID token.
        CF_OIDC_REQUEST_URL,
        /// What proves that this request is the build's.
        CF_OIDC_REQUEST_TOKEN,
        /// The ID token of a Semaphore job.
        SEMAPHORE_OIDC_TOKEN,
        /// The ID token of a Spacelift run.
        SPACELIFT_OIDC_TOKEN,
        /// The ID token of an HCP Terraform run.
        TFC_WORKLOAD_IDENTITY_TOKEN,
    }

    "Credential": {
        /// The role of the secrets engine, for every cloud.
        CI_CREDS_ROLE,
        /// The role of the Exoscale engine.
        CI_CREDS_EXOSCALE_ROLE,
        /// The mount of the Exoscale engine.
        CI_CREDS_EXOSCALE_MOUNT,
        /// The zone of the object storage, with `--sos`.
        EXOSCALE_ZONE,
        /// The role of the AWS engine.
        CI_CREDS_AWS_ROLE,
        /// The mount of the AWS engine.
        CI_CREDS_AWS_MOUNT,
        /// The path of the stored Scaleway key.
        CI_CREDS_SCALEWAY_PATH,
        /// The endpoint of STS that `--wait-ready`, `--via web-identity` and `--id-token-from aws` ask, if it is not AWS's own.
        AWS_ENDPOINT_URL_STS,
        /// The same for every service of AWS. It is read if `AWS_ENDPOINT_URL_STS` is not set.
        AWS_ENDPOINT_URL,
        /// The role that takes the job's ID token with `--via web-identity`. It is read if `--role-arn` is not set.
        AWS_ROLE_ARN,
        /// The region of STS that `--wait-ready` and `--via web-identity` ask, if neither a flag nor a file names one.
        AWS_REGION,
        /// The same by its older name. It is read if `AWS_REGION` is not set.
        AWS_DEFAULT_REGION,
        /// AWS's config file, if it is not `~/.aws/config`. ci-creds reads it and never changes it.
        AWS_CONFIG_FILE,
        /// AWS's credentials file, if it is not `~/.aws/credentials`. `--keep-aws-config` reads it.
        AWS_SHARED_CREDENTIALS_FILE,
        /// The profile whose region `--serve` passes to the command.
        AWS_PROFILE,
        /// The same by its older name. It is read if `AWS_PROFILE` is not set.
        AWS_DEFAULT_PROFILE,
    }

    "Job": {
        /// A CI job: nothing may be printed into its log.
        CI,
        /// A GitLab job, likewise.
        GITLAB_CI,
        /// A job of GitHub Actions, likewise. Its runner reads masks on stderr.
        GITHUB_ACTIONS,
        /// A Jenkins job, likewise. Its `sh` step traces commands.
        JENKINS_URL,
        /// A job of Azure DevOps, likewise.
        TF_BUILD,
        /// A job of Forgejo Actions, which sets `GITHUB_ACTIONS` too.
        FORGEJO_ACTIONS,
        /// A job of Gitea Actions, likewise. Gitea signs no ID token.
        GITEA_ACTIONS,
        /// A step of Bitbucket Pipelines.
        BITBUCKET_COMMIT,
        /// A Buildkite job.
        BUILDKITE,
        /// A CircleCI job.
        CIRCLECI,
        /// A Codefresh build.
        CF_BUILD_ID,
        /// A Semaphore job.
        SEMAPHORE,
        /// What started a GitHub workflow, for the hint about a pull request from a fork.
        GITHUB_EVENT_NAME,
        /// Set by GitLab in a job that traces its commands.
        CI_DEBUG_TRACE,
        /// Says that bash traces its commands, if it is exported.
        SHELLOPTS,
        /// The job's checkout, where no secret is written and no setting is read.
        CI_PROJECT_DIR,
        /// The same in a GitHub workflow.
        GITHUB_WORKSPACE,
        /// The same in a Jenkins job.
        WORKSPACE,
        /// The job. What is cached for one job is used in no other.
        CI_JOB_ID,
        /// The run of a GitHub workflow, likewise.
        GITHUB_RUN_ID,
        /// The build of a Jenkins job, likewise.
        BUILD_TAG,
        /// When GitLab started the job, in RFC 3339. With CI_JOB_TIMEOUT it says how long a credential must last.
        CI_JOB_STARTED_AT,
        /// How long GitLab lets the job run, in seconds.
        CI_JOB_TIMEOUT,
        /// GitLab's API, for `ci-creds token rotate`: `https://gitlab.example.com/api/v4`.
        CI_API_V4_URL,
        /// The project whose variable `ci-creds token rotate` replaces.
        CI_PROJECT_ID,
        /// The PEM file of the CA that signed GitLab's certificate, as GitLab's runner names it in a job.
        CI_SERVER_TLS_CA_FILE,
    }

    "System": {
        /// The folder for cached credentials, if it belongs to this user.
        XDG_RUNTIME_DIR,
        /// The home directory, where `vault login` leaves a token.
        HOME,
        /// The folder for private files. The default is `/tmp`.
        TMPDIR,
        /// No colour on stderr, if it is set to anything.
        NO_COLOR,
        /// `0`: no colour at a terminal.
        CLICOLOR,
        /// Colour also where there is no terminal, unless it is `0`.
        CLICOLOR_FORCE,
        /// `on-failure`: a run that fails is followed by the diagnosis of `ci-creds doctor` on stderr.
        CI_CREDS_DOCTOR,
        /// The locale. If it is not UTF-8, `ci-creds doctor` prints words in place of its marks.
        LC_ALL,
        /// The same for characters alone. It is read if `LC_ALL` is not set.
        LC_CTYPE,
        /// The same for everything. It is read if neither of the two is set.
        LANG,
        /// The kind of the terminal: no colour and no progress at one that is `dumb`.
        TERM,
    }
}

/// The variables that say the same as a flag, which wins over them. The first one that is set counts.
pub const OF_FLAGS: &[(&str, &[&str])] = &[
    ("--role", &[CI_CREDS_ROLE]),
    ("--auth", &[CI_CREDS_AUTH]),
    ("--auth-mount", &[CI_CREDS_AUTH_MOUNT]),
    ("--auth-role", &[CI_CREDS_AUTH_ROLE]),
    ("--creation-path", &[CI_CREDS_CREATION_PATH]),
    ("--id-token-from", &[CI_CREDS_ID_TOKEN_FROM]),
    ("--id-token-audience", &[CI_CREDS_ID_TOKEN_AUDIENCE]),
    ("--renew", &[CI_CREDS_RENEW]),
    ("--iam-server-id", &[CI_CREDS_IAM_SERVER_ID]),
    ("--sts-region", &[CI_CREDS_STS_REGION]),
    ("--address", &[VAULT_ADDR, VAULT_SERVER_URL]),
    ("--namespace", &[VAULT_NAMESPACE]),
    ("--ca-file", &[VAULT_CACERT, VAULT_CACERT_BYTES]),
    ("--ca-path", &[VAULT_CAPATH]),
    ("--client-cert", &[VAULT_CLIENT_CERT]),
    ("--client-key", &[VAULT_CLIENT_KEY]),
    ("--tls-server-name", &[VAULT_TLS_SERVER_NAME]),
    ("--proxy", &[VAULT_PROXY_ADDR]),
    ("--request-timeout", &[VAULT_CLIENT_TIMEOUT]),
    ("--timeout", &[CI_CREDS_TIMEOUT]),
    ("--retries", &[VAULT_MAX_RETRIES]),
    ("--config", &[CI_CREDS_CONFIG]),
];

/// The variables of a flag, from [`OF_FLAGS`].
#[must_use]
pub fn of_flag(flag: &str) -> &'static [&'static str] {
    OF_FLAGS.iter().find(|(name, _)| *name == flag).map_or(&[], |(_, variables)| variables)
}

/// How Vault's variables begin, and how OpenBao spells the same ones, which it reads first.
pub const VAULT: &str = "VAULT_";
/// See [`VAULT`].
pub(crate) const BAO: &str = "BAO_";

/// The variables whose values are secrets: what no child of ours inherits.
pub const SECRETS: [&str; 10] = [
    VAULT_SECRET_ID,
    VAULT_WRAPPING_TOKEN,
    VAULT_ID_TOKEN,
    VAULT_TOKEN,
    "BAO_TOKEN",
    VAULT_ROLE_ID,
    VAULT_SERVICE_ACCOUNT_TOKEN,
    CI_JOB_JWT,
    CI_JOB_JWT_V1,
    CI_JOB_JWT_V2,
];

/// How our own variables begin.
pub const OWN: &str = "CI_CREDS_";

/// fish says here, when it is exported, that it traces. Lower case is its name.
pub const FISH_TRACE: &str = "fish_trace";

/// By these the C library's name service is steered: glibc's own, and those of systemd's module for it. A lookup sees
/// none of them, so that a name leads where files of root's say (`/etc/hosts`, `/etc/resolv.conf`, `/etc/nsswitch.conf`).
///
/// `HOSTALIASES` renames hosts, `LOCALDOMAIN` and `RES_OPTIONS` put other names before the one that was asked for,
/// `RESOLV_HOST_CONF` names a file whose lines are printed on stderr. Sources: glibc's `resolv/res_init.c`,
/// `resolv/res_query.c` and `resolv/res_hconf.c`, nss-resolve(8).
pub const NAME_SERVICE: [&str; 14] = [
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "HOSTALIASES",
    "RESOLV_HOST_CONF",
    "RESOLV_MULTI",
    "RESOLV_REORDER",
    "RESOLV_ADD_TRIM_DOMAINS",
    "RESOLV_OVERRIDE_TRIM_DOMAINS",
    "SYSTEMD_NSS_RESOLVE_VALIDATE",
    "SYSTEMD_NSS_RESOLVE_SYNTHESIZE",
    "SYSTEMD_NSS_RESOLVE_CACHE",
    "SYSTEMD_NSS_RESOLVE_ZONE",
    "SYSTEMD_NSS_RESOLVE_TRUST_ANCHOR",
    "SYSTEMD_NSS_RESOLVE_NETWORK",
];

/// From where a static program loads the modules that `/etc/nsswitch.conf` names, and runs them. Of a program that is not
/// static the loader has read it, and has loaded whatever it says, before a line of ours runs.
pub const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// Says that this process has started itself again, without [`NAME_SERVICE`].
pub const RESTARTED: &str = "CI_CREDS_RESTARTED";
