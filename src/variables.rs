//! Every environment variable that `ci-creds` reads, each under its own name.
//!
//! Values are read in [`crate::config`]; what a provider sets or unsets stands with the provider. Nothing here
//! reads anything.

/// Declares the variables as constants and as [`ALL`], so that the README's table can be held against them.
macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        $($(#[doc = $doc])+ pub const $name: &str = stringify!($name);)+
        /// Every variable, in the order of this page.
        pub const ALL: &[&str] = &[$($name),+];
    };
}

variables! {
    /// Vault's address: `https://host:port`, `http://` for loopback only, or `unix:///path`.
    VAULT_ADDR,
    /// GitLab's name for the address; a fallback.
    VAULT_SERVER_URL,
    /// The namespace (Vault Enterprise, OpenBao 2.3 and later).
    VAULT_NAMESPACE,
    /// A PEM bundle that replaces the system's roots.
    VAULT_CACERT,
    /// The same bundle as text.
    VAULT_CACERT_BYTES,
    /// A folder of PEM files that replaces the system's roots.
    VAULT_CAPATH,
    /// A PEM client certificate, with `VAULT_CLIENT_KEY`.
    VAULT_CLIENT_CERT,
    /// The key of the client certificate, PEM.
    VAULT_CLIENT_KEY,
    /// The name that the server's certificate must have, when it is not the address's host.
    VAULT_TLS_SERVER_NAME,
    /// The deadline of one request: seconds, or a duration such as `20s`.
    VAULT_CLIENT_TIMEOUT,
    /// How often a request that was certainly not processed is sent again.
    VAULT_MAX_RETRIES,
    /// A proxy for https, reached by CONNECT. Wins over `HTTPS_PROXY`.
    VAULT_PROXY_ADDR,
    /// Refused: certificates are always checked. The error names the flag for a loopback server.
    VAULT_SKIP_VERIFY,
    /// A proxy for https.
    HTTPS_PROXY,
    /// Hosts that are reached without the proxy.
    NO_PROXY,

    /// The AppRole's role id.
    VAULT_ROLE_ID,
    /// An AppRole secret id.
    VAULT_SECRET_ID,
    /// A wrapping token that holds an AppRole secret id, or a whole login.
    VAULT_WRAPPING_TOKEN,
    /// The name of the AppRole: which role a generator token makes secret ids of, and which a wrapping token must hold.
    VAULT_APPROLE_ROLE,
    /// A GitLab ID token.
    VAULT_ID_TOKEN,
    /// A Vault token; with `VAULT_ROLE_ID` and `VAULT_APPROLE_ROLE`, one that may only create secret ids.
    VAULT_TOKEN,
    /// GitLab's name for the role of the JWT login.
    VAULT_AUTH_ROLE,
    /// GitLab's name for the mount of the JWT login; the default is `jwt`.
    VAULT_AUTH_PATH,
    /// OpenBao's name for the file of the logged-in user's token.
    BAO_TOKEN_PATH,

    /// The configuration file.
    CI_CREDS_CONFIG,
    /// The way to log in: `wrapping-token`, `secret-id`, `generator-token`, `id-token` or `token`.
    CI_CREDS_AUTH,
    /// The mount of the login, for every way.
    CI_CREDS_AUTH_MOUNT,
    /// The role of the login, for every way.
    CI_CREDS_AUTH_ROLE,
    /// The creation path that a wrapping token must have, when it is not the AppRole's own.
    CI_CREDS_CREATION_PATH,
    /// The role of the secrets engine, for every provider.
    CI_CREDS_ROLE,
    /// The Exoscale role.
    CI_CREDS_EXOSCALE_ROLE,
    /// The mount of the Exoscale engine.
    CI_CREDS_EXOSCALE_MOUNT,
    /// The zone of the object storage, with `--sos`.
    EXOSCALE_ZONE,
    /// The AWS role.
    CI_CREDS_AWS_ROLE,
    /// The mount of the AWS engine.
    CI_CREDS_AWS_MOUNT,
    /// The deadline of the whole run.
    CI_CREDS_TIMEOUT,
    /// Where STS is asked whether a new key is known, when it is not AWS's own endpoint.
    AWS_ENDPOINT_URL_STS,
    /// The same for every service of AWS.
    AWS_ENDPOINT_URL,
    /// The region whose STS is asked, when neither flag nor file names one.
    AWS_REGION,
    /// The same by its older name.
    AWS_DEFAULT_REGION,

    /// AWS's config file, when it is not `~/.aws/config`: what it says of a profile that we write is looked at.
    AWS_CONFIG_FILE,
    /// AWS's credentials file, when it is not `~/.aws/credentials`: what in it `--serve` must tell of.
    AWS_SHARED_CREDENTIALS_FILE,
    /// The profile of the SDKs: whose region `--serve` hands on.
    AWS_PROFILE,
    /// The same by its older name.
    AWS_DEFAULT_PROFILE,

    /// GitLab says here that the job traces its commands.
    CI_DEBUG_TRACE,
    /// bash says here, when it is exported, that it traces.
    SHELLOPTS,
    /// A Jenkins job: its `sh` step runs `sh -xe`.
    JENKINS_URL,
    /// A CI job, of whichever system.
    CI,
    /// A GitLab job.
    GITLAB_CI,
    /// A job of GitHub Actions: its runner looks for masks on stderr.
    GITHUB_ACTIONS,
    /// The job's checkout, where no secret may be written.
    CI_PROJECT_DIR,
    /// The same of a GitHub workflow.
    GITHUB_WORKSPACE,
    /// The same of a Jenkins job.
    WORKSPACE,
    /// Removed in GitLab 17; accepted as an ID token, with a hint.
    CI_JOB_JWT,
    /// Removed in GitLab 17; accepted as an ID token, with a hint.
    CI_JOB_JWT_V1,
    /// Removed in GitLab 17; accepted as an ID token, with a hint.
    CI_JOB_JWT_V2,
    /// The job: what is kept for it is kept for no other one.
    CI_JOB_ID,
    /// The run of a GitHub workflow, likewise.
    GITHUB_RUN_ID,
    /// The build of a Jenkins job, likewise.
    BUILD_TAG,
    /// When GitLab started the job, in RFC 3339: with `CI_JOB_TIMEOUT`, how long a credential of `exec` must last.
    CI_JOB_STARTED_AT,
    /// How long GitLab lets the job run, in seconds.
    CI_JOB_TIMEOUT,
    /// Where credentials are kept between calls, when it is a folder of this user's; otherwise the cache folder is.
    XDG_RUNTIME_DIR,
    /// Whose `.vault-token`, `.vault` and `.bao` are read.
    HOME,
    /// Where private files are made; `/tmp` when it is not set.
    TMPDIR,
}

/// How Vault's variables begin, and how OpenBao spells the same ones, which it reads first.
pub const VAULT: &str = "VAULT_";
/// See [`VAULT`].
pub const BAO: &str = "BAO_";

/// The variables whose values are secrets: what no child of ours inherits.
pub const SECRETS: [&str; 9] = [
    VAULT_SECRET_ID,
    VAULT_WRAPPING_TOKEN,
    VAULT_ID_TOKEN,
    VAULT_TOKEN,
    "BAO_TOKEN",
    VAULT_ROLE_ID,
    CI_JOB_JWT,
    CI_JOB_JWT_V1,
    CI_JOB_JWT_V2,
];

/// How our own variables begin.
pub const OWN: &str = "CI_CREDS_";

/// The variables by which we know that we run in a CI job. `false` in one of them does not count.
pub const JOB: [&str; 4] = [CI, GITLAB_CI, GITHUB_ACTIONS, JENKINS_URL];

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
