//! What `ci-creds policy` prints a text of: the run's own flags, variables and files, without a secret and without Vault.
//!
//! What nobody said is a name in capitals, which the text lists: `AUDIENCE`, `PROJECT_ID`.

use std::time::Duration;

use super::choice::{EnginePlace, choose};
use super::exec::check_wanted;
use super::identity::{LoginOutline, resolve_outline};
use super::name::{
    check_role, fill, find_placeholder, is_part_of_role, is_role, parse_path, parse_secret_path, unmatched,
};
use super::secret::select_sections;
use super::source::Layers;
use super::{find_path, find_role, resolve_mount};
use crate::claims::Claims;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::identity::SetUp;
use crate::mint::Mint;
use crate::origin::{Origin, WithOrigin};
use crate::policy::{Binding, EngineRead, Gap, PolicyPlan};
use crate::provider::cloud::{Location, Setting};
use crate::provider::secret::SecretSection;
use crate::time::{parse_duration, render_duration};
use crate::variables as var;

/// The life of a login where nobody says another one.
const TTL: Duration = Duration::from_secs(3600);

/// Claims that are the same in every job of a project.
const OF_THE_PROJECT: [&str; 6] =
    ["namespace_id", "namespace_path", "project_id", "project_path", "project_path_slug", "project_name"];

/// Placeholders that are texts in GitLab's ID tokens too, so that a role can be bound by them.
const BINDABLE: [&str; 6] =
    ["pipeline_source", "ref", "environment", "deployment_tier", "environment_action", "user_login"];

/// Decides what to print.
///
/// # Errors
/// [`Kind::Usage`] and [`Kind::Config`], as the run itself, but for what is not there.
pub(crate) fn resolve_policy(flags: &cli::PolicyFlags, layers: &Layers<'_>) -> Result<PolicyPlan> {
    check_wanted(&flags.wanted, flags.stray_setting)?;
    let outline = resolve_outline(&flags.access.login, !flags.claims.is_empty(), layers)?;
    let ttl = flags.ttl.clone().map(|value| parse_duration(&WithOrigin { value, origin: Origin::Flag("--ttl") }));
    let ttl = ttl.transpose()?;
    let mut draft = Draft::new(flags, &outline, layers)?;
    let role = match &outline.role {
        Some(role) => draft.fill_role(role)?,
        None => String::new(),
    };
    let mut reads = Vec::new();
    for wanted in &flags.wanted {
        reads.push(draft.read(wanted, &outline, ttl)?);
    }
    if let Some(secrets) = &flags.secrets {
        for section in select_sections(secrets, layers)? {
            reads.push(draft.read_section(&section)?);
        }
    }
    let method = outline.method.needs().name;
    let set_up = outline.method.needs().set_up.ok_or_else(|| {
        Error::new(Kind::Usage, format!("ci-creds policy does not know the role of a login by {method}")).hint(
            "take the policy that --auth id-token --format hcl prints, and name it in token_policies of that role",
        )
    })?;
    let login_role = match (set_up, role.is_empty()) {
        (SetUp::Token, _) => String::new(),
        (_, false) => role,
        (SetUp::JwtRole, true) => draft.gap("LOGIN_ROLE", "the JWT role of the login, VAULT_AUTH_ROLE"),
        (_, true) => draft.gap("LOGIN_ROLE", "the name of the AppRole, VAULT_APPROLE_ROLE"),
    };
    let namespace = layers
        .text(("--namespace", flags.access.connection.namespace.as_deref()), var::of_flag("--namespace"), |file| {
            file.namespace.as_deref()
        })?
        .map(|name| parse_path(name, "namespace"))
        .transpose()?;
    let child = flags.access.login.child_token;
    if child && set_up != SetUp::Token {
        draft.limit("--child-token has no effect with this login, whose token is the run's own".into());
    }
    if set_up == SetUp::Token && !child {
        let text = "ci-creds never revokes a token that you supply: it expires by its own TTL. --child-token makes a token \
                    that it can revoke";
        draft.limit(text.into());
    }
    if set_up != SetUp::JwtRole {
        draft.refuse_unused_claim(method)?;
    }
    let name = draft.policy_name(flags.name.as_deref(), &login_role)?;
    let binding = match set_up {
        SetUp::JwtRole => draft.binding(flags.every_value),
        _ => Binding::default(),
    };
    let Draft { gaps, limits, .. } = draft;
    Ok(PolicyPlan {
        name,
        reads,
        set_up,
        mount: safe_path(outline.mount, "mount of the login")?,
        role: login_role,
        child: child && set_up == SetUp::Token,
        namespace: namespace.map(|name| name.value),
        binding,
        ttl: ttl.unwrap_or(TTL),
        cli: flags.cli,
        gaps,
        limits,
    })
}

/// Security: a segment `+` of a policy's path stands for any segment.
fn safe_path(path: String, what: &str) -> Result<String> {
    if path.split('/').any(|segment| segment == "+") {
        let text = format!("the {what} has the segment +, which a policy takes for any name");
        return Err(Error::new(Kind::Usage, text).hint("mount it at another path"));
    }
    Ok(path)
}

/// The plan while it grows.
struct Draft<'a> {
    layers: &'a Layers<'a>,
    /// What `--claim` says, before the ID token.
    said: Vec<(String, String)>,
    /// The placeholders that were filled.
    filled: Vec<String>,
    claims: Option<&'a Claims>,
    every_value: bool,
    /// The placeholders that are not the same in every job of the project, with their values.
    varying: Vec<(String, String)>,
    gaps: Vec<Gap>,
    limits: Vec<String>,
}

impl<'a> Draft<'a> {
    fn new(flags: &cli::PolicyFlags, outline: &'a LoginOutline, layers: &'a Layers<'a>) -> Result<Self> {
        let said = flags.claims.iter().map(|text| parse_claim(text)).collect::<Result<_>>()?;
        let (filled, varying, gaps, limits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            layers,
            said,
            filled,
            claims: outline.claims.as_ref(),
            every_value: flags.every_value,
            varying,
            gaps,
            limits,
        })
    }

    /// The name in capitals, which the text explains.
    fn gap(&mut self, name: &str, meaning: &str) -> String {
        if !self.gaps.iter().any(|gap| gap.name == name) {
            self.gaps.push(Gap { name: name.to_owned(), meaning: meaning.to_owned() });
        }
        name.to_owned()
    }

    fn limit(&mut self, text: String) {
        if !self.limits.contains(&text) {
            self.limits.push(text);
        }
    }

    /// A claim of the job: what a flag says, or else the ID token.
    fn claim(&self, name: &str) -> Option<String> {
        let said = self.said.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        said.or_else(|| self.claims?.text(name)).filter(|value| is_plain(value))
    }

    fn fill_role(&mut self, role: &WithOrigin<String>) -> Result<String> {
        let value = fill(&role.value, || unmatched(role), |name| self.placeholder(name, &role.origin))?;
        let filled = WithOrigin { value, origin: role.origin.clone() };
        check_role(&filled, "role")?;
        Ok(filled.value)
    }

    fn placeholder(&mut self, name: &str, origin: &Origin) -> Result<String> {
        self.filled.push(name.to_owned());
        let value = match self.said.iter().find(|(known, _)| known == name) {
            Some((_, value)) if is_part_of_role(value) => Some(value.clone()),
            Some(_) => {
                let text = format!("--claim {name} has a character that a role cannot have");
                return Err(Error::new(Kind::Usage, text).hint("use a placeholder without slashes and blanks"));
            }
            None => find_placeholder(name, origin, self.claims, self.layers)?,
        };
        let value = value.unwrap_or_else(|| {
            self.gap(&name.to_ascii_uppercase(), &format!("the job's {name}, or pass --claim {name}=VALUE"))
        });
        if !OF_THE_PROJECT.contains(&name) && !self.varying.iter().any(|(known, _)| known == name) {
            self.varying.push((name.to_owned(), value.clone()));
        }
        Ok(value)
    }

    /// What one credential needs.
    fn read(
        &mut self,
        wanted: &cli::CredentialFlags,
        outline: &LoginOutline,
        ttl: Option<Duration>,
    ) -> Result<EngineRead> {
        let cloud = wanted.cloud;
        let is_said = |setting: &'static Setting| wanted.said(setting).is_some();
        let shape = cloud.shape(is_said).ok_or_else(|| Error::new(Kind::Internal, "a cloud has no shape"))?;
        if let Location::Path(setting) = cloud.location {
            return self.read_stored(wanted, setting);
        }
        let pattern = find_role(wanted, self.layers)?.or_else(|| {
            outline.role.as_ref().map(|role| WithOrigin { value: role.value.clone(), origin: role.origin.clone() })
        });
        let (role, note) = match pattern {
            Some(pattern) => self.cover(&pattern)?,
            None => {
                let variable = cloud.engine_variables().map_or(String::new(), |(role, _)| format!(", {role}"));
                (self.gap("ROLE", &format!("the role of the engine{variable}")), None)
            }
        };
        let mount = safe_path(resolve_mount(wanted, shape, self.layers)?, "mount of the engine")?;
        let (place, sets_variables) = (EnginePlace { mount: &mount, role: &role, path: "" }, false);
        let mint = choose(wanted, place, sets_variables, self.layers, wanted.cloud.request)?.mint;
        self.note_limits(&shape.title, &mint, &role, ttl);
        let writes = mint.writable && !mint.parameters.is_empty();
        Ok(EngineRead { path: mint.path, writes, leased: !mint.temporary, stored: false, note })
    }

    /// What the read of a stored key needs.
    fn read_stored(&mut self, wanted: &cli::CredentialFlags, setting: &'static Setting) -> Result<EngineRead> {
        let path = match find_path(wanted, setting, self.layers)? {
            Some(path) => {
                let value = fill(&path.value, || unmatched(&path), |name| self.placeholder(name, &path.origin))?;
                safe_path(parse_secret_path(WithOrigin { value, origin: path.origin })?.value, "path of the secret")?
            }
            None => self.gap("PATH", &format!("the path of the stored key, {}", setting.variables.join(", "))),
        };
        self.limit(format!("the key at {path} is stored: ci-creds cannot revoke it"));
        Ok(EngineRead { path, writes: false, leased: false, stored: true, note: None })
    }

    /// What the request of a section needs.
    fn read_section(&mut self, section: &WithOrigin<SecretSection>) -> Result<EngineRead> {
        let WithOrigin { value: section, origin } = section;
        let path = WithOrigin { value: section.path.clone(), origin: origin.clone() };
        let value = fill(&path.value, || unmatched(&path), |name| self.placeholder(name, &path.origin))?;
        let path =
            safe_path(parse_secret_path(WithOrigin { value, origin: path.origin })?.value, "path of the secret")?;
        let stored = section.kv.is_some() || path.split('/').nth(1) == Some("data");
        if stored {
            self.limit(format!("the secret at {path} is stored: ci-creds cannot revoke it"));
        }
        Ok(EngineRead { path, writes: section.body.is_some(), leased: !stored, stored, note: None })
    }

    /// The role of the policy's path: this job's, or every one that begins as it does.
    fn cover(&mut self, pattern: &WithOrigin<String>) -> Result<(String, Option<String>)> {
        let open = pattern.value.match_indices('{').map(|(at, _)| at);
        let is_varying = |at: &usize| {
            let name = pattern.value[at + 1..].split('}').next().unwrap_or_default();
            !OF_THE_PROJECT.contains(&name)
        };
        let first = open.filter(is_varying).min();
        if !self.every_value {
            let role = self.fill_role(pattern)?;
            let note = first.map(|_| {
                format!(
                    "The role is {}, with the values of one job. Jobs with other values need another path.",
                    pattern.value
                )
            });
            return Ok((role, note));
        }
        let Some(first) = first else {
            let text = format!("the role (from {}) has no placeholder that --every-value could cover", pattern.origin);
            return Err(Error::new(Kind::Usage, text).hint("drop --every-value"));
        };
        let before = &pattern.value[..first];
        // Security: `365*` would also be the roles of the project 3650.
        let is_safe = before.contains("{project_id}") && before.ends_with(['-', '_', '.', '@']);
        if !is_safe || !pattern.value.ends_with('}') {
            let text = format!(
                "--every-value would cover roles of other projects, or other roles than {} (from {})",
                pattern.value, pattern.origin
            );
            let hint = "a role such as {project_id}-{environment} can be covered: {project_id} and a hyphen before the \
                        placeholder, and nothing behind the last one";
            return Err(Error::new(Kind::Usage, text).hint(hint));
        }
        let prefix = WithOrigin { value: before.to_owned(), origin: pattern.origin.clone() };
        let prefix = fill(&prefix.value, || unmatched(&prefix), |name| self.placeholder(name, &prefix.origin))?;
        let note = format!(
            "The * covers every value of {}. The job chooses it: each job of the project can read all of these roles.",
            &pattern.value[first..]
        );
        Ok((format!("{prefix}*"), Some(note)))
    }

    /// What the run asks for and no policy gives.
    fn note_limits(&mut self, title: &str, mint: &Mint, role: &str, ttl: Option<Duration>) {
        let path = format!("{}/{role}", mint.roles);
        if mint.temporary {
            self.limit(format!(
                "{title} STS credentials cannot be revoked, whatever the policy: they last until they expire"
            ));
        }
        if let Some(ttl) = ttl {
            let (ttl, field) = (render_duration(ttl), if mint.temporary { "max_sts_ttl" } else { "max_ttl" });
            self.limit(format!("--ttl {ttl} needs a {field} of at least {ttl} at {path}, which no policy changes"));
        }
        if mint.parameters.iter().any(|(name, _)| *name == "role_arn") {
            self.limit(format!("--role-arn must be one of role_arns at {path}, which no policy changes"));
        }
    }

    /// A claim that binds no role and fills no placeholder.
    fn refuse_unused_claim(&self, method: &str) -> Result<()> {
        let Some((name, _)) = self.said.iter().find(|(name, _)| !self.filled.contains(name)) else { return Ok(()) };
        let text = format!("--claim {name} binds the role of --auth id-token, and the login here is {method}");
        Err(Error::new(Kind::Usage, text).hint(format!("pass --auth id-token, or drop --claim {name}")))
    }

    fn policy_name(&self, said: Option<&str>, login_role: &str) -> Result<String> {
        let name = match said {
            Some(name) => name.to_owned(),
            None if login_role.is_empty() || self.gaps.iter().any(|gap| gap.name == login_role) => "ci-creds".into(),
            None => format!("ci-creds-{login_role}"),
        };
        // Vault keeps the names of policies in small letters.
        let name = name.to_ascii_lowercase();
        match is_role(&name) && name != "root" && name != "default" {
            true => Ok(name),
            false => Err(Error::new(Kind::Usage, "--name is not a name for this policy")
                .hint("use letters, digits and _, with - . @ inside; not root, and not default")),
        }
    }

    /// Which ID tokens the role takes.
    fn binding(&mut self, every_value: bool) -> Binding {
        let said: Vec<_> = self.said.iter().filter(|(name, _)| name == "aud").map(|(_, value)| value.clone()).collect();
        let audiences = match (said.is_empty(), self.claims) {
            (true, Some(claims)) => claims.audiences().into_iter().filter(|value| is_plain(value)).collect(),
            _ => said,
        };
        let audiences = match audiences.is_empty() {
            true => vec![self.gap("AUDIENCE", "the aud of the job's ID token, or pass --claim aud=VALUE")],
            false => audiences,
        };
        let issuer = self
            .claim("iss")
            .unwrap_or_else(|| self.gap("ISSUER", "the iss of the job's ID token, or pass --claim iss=VALUE"));
        let named = ["project_id", "repository_id", "repository", "sub"];
        let known = named.into_iter().find_map(|name| Some((name, self.claim(name)?)));
        let (user_claim, value) = known.unwrap_or_else(|| {
            let meaning = "the project's ID in GitLab, or pass --claim project_id=VALUE";
            ("project_id", self.gap("PROJECT_ID", meaning))
        });
        let mut claims = vec![(user_claim.to_owned(), value)];
        match self.claim("ref_protected").as_deref() {
            Some("true") => claims.push(("ref_protected".into(), "true".into())),
            _ => self.limit(
                "the role takes jobs of every branch: bind ref_protected or ref, by --claim ref_protected=true".into(),
            ),
        }
        for (name, value) in if every_value { Vec::new() } else { self.varying.clone() } {
            match BINDABLE.contains(&name.as_str()) {
                true => claims.push((name, value)),
                false => self.limit(format!(
                    "a role cannot be bound to {{{name}}}: every job that this one lets in can read its path"
                )),
            }
        }
        for (name, value) in &self.said {
            if !["aud", "iss"].contains(&name.as_str()) && !claims.iter().any(|(known, _)| known == name) {
                claims.push((name.clone(), value.clone()));
            }
        }
        Binding { audiences, issuer, user_claim: user_claim.to_owned(), claims }
    }
}

fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.len() <= 1024 && !value.chars().any(char::is_control)
}

fn parse_claim(text: &str) -> Result<(String, String)> {
    let is_name = |name: &str| {
        !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match text.split_once('=') {
        Some((name, value)) if is_name(name) && is_plain(value) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::new(Kind::Usage, "--claim takes a name and a value of one line")
            .hint("--claim project_id=365, --claim aud=https://vault.example.com")),
    }
}
