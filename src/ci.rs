//! The CI systems that sign an ID token for a job, and AWS, which signs one for its runner: how each is recognised, and how
//! its token is had. Pure.
//!
//! Sources: the manuals of each system; for GitHub and Forgejo also what `@actions/core` sends.

use crate::claims::Claims;
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;
use crate::variables as var;

/// A CI system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CiSystem {
    /// GitLab: the variable that `id_tokens:` names, which is `VAULT_ID_TOKEN` or named by a flag.
    Gitlab,
    /// Forgejo Actions, which sets GitHub's and Gitea's variables too.
    Forgejo,
    /// Gitea Actions, which signs no ID token.
    Gitea,
    /// GitHub Actions.
    Github,
    /// Bitbucket Pipelines.
    Bitbucket,
    /// Buildkite.
    Buildkite,
    /// CircleCI.
    Circleci,
    /// Azure DevOps.
    Azure,
    /// Codefresh.
    Codefresh,
    /// Semaphore.
    Semaphore,
    /// Spacelift.
    Spacelift,
    /// HCP Terraform.
    Terraform,
    /// STS of AWS, which signs for the runner's own AWS identity, whatever CI system the job belongs to.
    Aws,
}

/// The variables by which we know that we run in a CI job. `false` in one of them does not count.
///
/// The signs of [`CiSystem`], and beside them what most systems set, and Jenkins, whose jobs have no ID token of its own.
pub(crate) fn job_signs() -> Vec<&'static str> {
    let signs = CiSystem::ALL.into_iter().filter_map(|system| system.facts().sign);
    [var::CI, var::JENKINS_URL].into_iter().chain(signs).collect()
}

/// The row of a CI system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CiFacts {
    /// What `--id-token-from` takes.
    pub name: &'static str,
    /// What messages call it.
    pub title: &'static str,
    /// A job of this system has this variable. `None`: no variable tells, so it is used only if somebody names it.
    pub sign: Option<&'static str>,
    /// The variable that holds a token, if there is one without a request.
    pub variable: Option<&'static str>,
    /// How a token is requested, if it can be.
    pub request: Option<TokenSource>,
    /// What a job needs to have a token. Completes "give the job …".
    pub setup: &'static str,
    /// What sets the audience, for hints. `None`: the system signs one audience only.
    pub audience: Option<&'static str>,
    /// A claim that only its tokens have. GitHub and Forgejo share one, and differ in the issuer.
    pub claim: &'static str,
    /// When its tokens expire, for hints. Completes "its tokens …".
    pub life: &'static str,
}

/// How a job requests a token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TokenSource {
    /// By HTTP.
    Http(TokenEndpoint),
    /// From a program on `PATH`.
    Program(TokenProgram),
    /// By `sts:GetWebIdentityToken`, signed with the runner's own AWS credentials.
    Sts,
}

/// An endpoint for ID tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenEndpoint {
    /// The variable that holds its URL.
    pub url: &'static str,
    /// The variable that holds what proves that the request is the job's.
    pub token: &'static str,
    /// What stands before that in `Authorization`.
    pub scheme: &'static str,
    /// Whether it is a POST.
    pub post: bool,
    /// A parameter that the URL gets.
    pub parameter: Option<(&'static str, &'static str)>,
    /// Whether it takes an audience.
    pub takes_audience: bool,
    /// The field of the answer.
    pub field: &'static str,
    /// Whether the two variables are there for ID tokens alone, so that a command of `exec` does without them.
    pub private: bool,
}

/// A program that prints an ID token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenProgram {
    /// Its name.
    pub name: &'static str,
    /// Its arguments; `{aud}` is the audience, `{json}` the same as JSON text.
    pub arguments: &'static [&'static str],
    /// The variable that holds what proves that the call is the job's.
    pub token: &'static str,
}

/// Of GitHub's tokens, and of Forgejo's.
const ACTIONS_CLAIM: &str = "repository_owner";

impl CiSystem {
    /// Every one, in the order in which they are looked for: who sets another one's variables too comes first.
    pub(crate) const ALL: [Self; 13] = [
        Self::Gitlab,
        Self::Forgejo,
        Self::Gitea,
        Self::Github,
        Self::Bitbucket,
        Self::Buildkite,
        Self::Circleci,
        Self::Azure,
        Self::Codefresh,
        Self::Semaphore,
        Self::Spacelift,
        Self::Terraform,
        Self::Aws,
    ];

    /// The table.
    #[must_use]
    pub(crate) fn facts(self) -> CiFacts {
        let actions = TokenEndpoint {
            url: var::ACTIONS_ID_TOKEN_REQUEST_URL,
            token: var::ACTIONS_ID_TOKEN_REQUEST_TOKEN,
            scheme: "Bearer ",
            post: false,
            parameter: None,
            takes_audience: true,
            field: "value",
            private: true,
        };
        let of_variable = |name, title, sign, variable, setup, audience| CiFacts {
            name,
            title,
            sign: Some(sign),
            variable: Some(variable),
            request: None,
            setup,
            audience,
            claim: "",
            life: "",
        };
        let of_request = |name, title, sign, request, setup| CiFacts {
            name,
            title,
            sign: Some(sign),
            variable: None,
            request: Some(request),
            setup,
            audience: Some("set --id-token-audience"),
            claim: "",
            life: "expire 5 minutes after the request",
        };
        match self {
            Self::Gitlab => CiFacts {
                name: "gitlab",
                title: "GitLab",
                sign: Some(var::GITLAB_CI),
                variable: None,
                request: None,
                setup: "`id_tokens: {VAULT_ID_TOKEN: {aud: https://vault.example.com}}`",
                audience: Some("set `aud:` of this ID token in .gitlab-ci.yml"),
                claim: "namespace_path",
                life: "expire at the job's timeout, or after 5 minutes without one",
            },
            Self::Forgejo => CiFacts {
                claim: ACTIONS_CLAIM,
                life: "expire an hour after the request",
                ..of_request(
                    "forgejo",
                    "Forgejo Actions",
                    var::FORGEJO_ACTIONS,
                    TokenSource::Http(actions),
                    "`enable-openid-connect: true` in the workflow",
                )
            },
            Self::Gitea => CiFacts {
                name: "gitea",
                title: "Gitea Actions",
                sign: Some(var::GITEA_ACTIONS),
                variable: None,
                request: None,
                setup: "another identity: Gitea signs no ID token",
                audience: None,
                claim: "",
                life: "",
            },
            Self::Github => CiFacts {
                claim: ACTIONS_CLAIM,
                ..of_request(
                    "github",
                    "GitHub Actions",
                    var::GITHUB_ACTIONS,
                    TokenSource::Http(actions),
                    "`permissions: id-token: write` in the workflow",
                )
            },
            Self::Bitbucket => CiFacts {
                claim: "repositoryUuid",
                life: "expire with their step",
                ..of_variable(
                    "bitbucket",
                    "Bitbucket Pipelines",
                    var::BITBUCKET_COMMIT,
                    var::BITBUCKET_STEP_OIDC_TOKEN,
                    "`oidc: true` in its step",
                    Some("set `oidc: {audiences: [...]}` of the step"),
                )
            },
            Self::Buildkite => CiFacts {
                claim: "pipeline_slug",
                ..of_request(
                    "buildkite",
                    "Buildkite",
                    var::BUILDKITE,
                    TokenSource::Program(TokenProgram {
                        name: "buildkite-agent",
                        arguments: &["oidc", "request-token", "--audience", "{aud}"],
                        token: var::BUILDKITE_AGENT_ACCESS_TOKEN,
                    }),
                    "buildkite-agent on its PATH",
                )
            },
            Self::Circleci => CiFacts {
                name: "circleci",
                title: "CircleCI",
                sign: Some(var::CIRCLECI),
                variable: Some(var::CIRCLE_OIDC_TOKEN_V2),
                request: Some(TokenSource::Program(TokenProgram {
                    name: "circleci",
                    arguments: &["run", "oidc", "get", "--claims", "{\"aud\":{json}}"],
                    token: var::CIRCLE_OIDC_TOKEN_V2,
                })),
                setup: "an OIDC token: CircleCI makes one for every job",
                audience: Some("set --id-token-audience"),
                claim: "oidc.circleci.com/project-id",
                life: "expire an hour after the job began",
            },
            Self::Azure => CiFacts {
                audience: None,
                claim: "rpo_id",
                life: "expire 10 minutes after the request",
                ..of_request(
                    "azure",
                    "Azure DevOps",
                    var::TF_BUILD,
                    TokenSource::Http(TokenEndpoint {
                        url: var::SYSTEM_OIDCREQUESTURI,
                        token: var::SYSTEM_ACCESSTOKEN,
                        post: true,
                        parameter: Some(("api-version", "7.1")),
                        takes_audience: false,
                        field: "oidcToken",
                        private: false,
                        ..actions
                    }),
                    "`env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}` in its step",
                )
            },
            Self::Codefresh => CiFacts {
                claim: "pipeline_name",
                ..of_request(
                    "codefresh",
                    "Codefresh",
                    var::CF_BUILD_ID,
                    TokenSource::Http(TokenEndpoint {
                        url: var::CF_OIDC_REQUEST_URL,
                        token: var::CF_OIDC_REQUEST_TOKEN,
                        scheme: "",
                        field: "id_token",
                        ..actions
                    }),
                    "CF_OIDC_REQUEST_URL and CF_OIDC_REQUEST_TOKEN, which Codefresh sets in the steps of its builds",
                )
            },
            Self::Semaphore => CiFacts {
                claim: "prj_id",
                life: "expire with their job",
                ..of_variable(
                    "semaphore",
                    "Semaphore",
                    var::SEMAPHORE,
                    var::SEMAPHORE_OIDC_TOKEN,
                    "an OIDC token: Semaphore makes one for every job of a plan with OpenID Connect",
                    Some("name a token of its own in `oidc_tokens:` of the job, and set its audience"),
                )
            },
            Self::Spacelift => CiFacts {
                claim: "spaceId",
                life: "expire an hour after the run began",
                ..of_variable(
                    "spacelift",
                    "Spacelift",
                    var::SPACELIFT_OIDC_TOKEN,
                    var::SPACELIFT_OIDC_TOKEN,
                    "a paid plan of Spacelift, which sets SPACELIFT_OIDC_TOKEN",
                    None,
                )
            },
            Self::Terraform => CiFacts {
                claim: "terraform_workspace_id",
                life: "expire with the phase of their run",
                ..of_variable(
                    "terraform",
                    "HCP Terraform",
                    var::TFC_WORKLOAD_IDENTITY_TOKEN,
                    var::TFC_WORKLOAD_IDENTITY_TOKEN,
                    "TFC_WORKLOAD_IDENTITY_AUDIENCE as a variable of its workspace",
                    Some("set TFC_WORKLOAD_IDENTITY_AUDIENCE of the workspace"),
                )
            },
            Self::Aws => CiFacts {
                name: "aws",
                title: "AWS",
                sign: None,
                variable: None,
                request: Some(TokenSource::Sts),
                setup: "credentials of an AWS identity whose policy allows sts:GetWebIdentityToken",
                audience: Some("set --id-token-audience"),
                claim: "https://sts.amazonaws.com/",
                life: "expire 5 minutes after the request",
            },
        }
    }

    /// The system of this name.
    #[must_use]
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.facts().name == name)
    }

    /// The system whose token comes from there: from one of its variables, or from a request of ours.
    #[must_use]
    pub(crate) fn of_origin(origin: &Origin) -> Option<Self> {
        let Origin::Variable(name) = origin else { return None };
        let is_its_own = |facts: CiFacts| facts.title == name || facts.variable == Some(name.as_str());
        Self::ALL.into_iter().find(|system| is_its_own(system.facts()))
    }

    /// The system that signed a token: by where it comes from, or else by what it says. For hints alone: nobody has
    /// verified it. `None` for an issuer without a row.
    #[must_use]
    pub(crate) fn of_token(origin: &Origin, claims: &Claims) -> Option<Self> {
        let is_forgejo = || claims.text("iss").is_some_and(|issuer| issuer.ends_with("/api/actions"));
        let signs = |system: &Self| {
            let claim = system.facts().claim;
            !claim.is_empty() && claims.find(claim).is_some() && (*system != Self::Forgejo || is_forgejo())
        };
        Self::of_origin(origin).or_else(|| Self::ALL.into_iter().find(signs))
    }

    /// What to change where a token from there has expired.
    #[must_use]
    pub(crate) fn renewal(self, origin: &Origin) -> String {
        let CiFacts { title, life, request, variable, setup, .. } = self.facts();
        let change = match (request, origin) {
            (Some(_), Origin::Variable(name)) if name == title => {
                "ci-creds requested it in this call, so a clock is wrong".to_owned()
            }
            (Some(_), Origin::Variable(name)) if variable == Some(name) => {
                "with --id-token-audience, ci-creds requests a new one in each call".to_owned()
            }
            (Some(_), _) => {
                format!("give the job {setup}, and unset {origin}: ci-creds requests a new one in each call")
            }
            (None, _) if self == Self::Gitlab => {
                "call ci-creds earlier in the job, or raise `timeout:` of the job in .gitlab-ci.yml".to_owned()
            }
            (None, _) => format!("call ci-creds earlier, or in another job, which has a new one with {setup}"),
        };
        format!("the tokens of {title} {life}: {change}")
    }

    /// The variables that only serve to get the token, and those that hold it.
    #[must_use]
    pub(crate) fn private_variables(self) -> Vec<&'static str> {
        let facts = self.facts();
        let endpoint = match facts.request {
            Some(TokenSource::Http(endpoint)) if endpoint.private => vec![endpoint.url, endpoint.token],
            _ => Vec::new(),
        };
        facts.variable.into_iter().chain(endpoint).collect()
    }
}

/// A token that was requested for this run.
#[derive(Debug)]
pub(crate) struct JobToken {
    /// The token, and who signed it.
    pub token: WithOrigin<Secret>,
    /// What it was requested with, which is the same for all calls of the job.
    pub key: Option<Secret>,
    /// The system.
    pub system: CiSystem,
}

impl JobToken {
    /// A copy.
    #[must_use]
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            token: WithOrigin { value: self.token.value.duplicate(), origin: self.token.origin.clone() },
            key: self.key.as_ref().map(Secret::duplicate),
            system: self.system,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_found_by_its_name_and_every_name_is_one_systems() {
        for system in CiSystem::ALL {
            assert_eq!(CiSystem::parse(system.facts().name), Some(system));
        }
        assert_eq!(CiSystem::parse("auto"), None);
    }

    #[test]
    fn what_holds_a_token_is_kept_from_a_command() {
        let names = |system: CiSystem| system.private_variables();
        assert_eq!(names(CiSystem::Github), [var::ACTIONS_ID_TOKEN_REQUEST_URL, var::ACTIONS_ID_TOKEN_REQUEST_TOKEN]);
        assert_eq!(names(CiSystem::Circleci), [var::CIRCLE_OIDC_TOKEN_V2]);
        // Those of the agent, of Azure and of AWS are for more than ID tokens.
        for system in [CiSystem::Azure, CiSystem::Buildkite, CiSystem::Aws] {
            assert!(names(system).is_empty(), "{system:?}");
        }
    }
}
