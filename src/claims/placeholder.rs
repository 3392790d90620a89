//! The placeholders of a role, and the claim of each issuer that says the same.

use super::Claims;

/// Placeholders, and the variable of GitLab that says the same as the claim of that name, where there is one.
pub const PLACEHOLDERS: [(&str, Option<&str>); 20] = [
    ("namespace_id", Some("CI_PROJECT_NAMESPACE_ID")),
    ("namespace_path", Some("CI_PROJECT_NAMESPACE")),
    ("project_id", Some("CI_PROJECT_ID")),
    ("project_path", Some("CI_PROJECT_PATH")),
    ("project_path_slug", Some("CI_PROJECT_PATH_SLUG")),
    ("project_name", Some("CI_PROJECT_NAME")),
    ("user_id", Some("GITLAB_USER_ID")),
    ("user_login", Some("GITLAB_USER_LOGIN")),
    ("pipeline_id", Some("CI_PIPELINE_ID")),
    ("pipeline_source", Some("CI_PIPELINE_SOURCE")),
    ("job_id", Some("CI_JOB_ID")),
    ("ref", Some("CI_COMMIT_REF_NAME")),
    ("ref_slug", Some("CI_COMMIT_REF_SLUG")),
    ("ref_type", None),
    ("ref_protected", Some("CI_COMMIT_REF_PROTECTED")),
    ("environment", Some("CI_ENVIRONMENT_NAME")),
    ("environment_slug", Some("CI_ENVIRONMENT_SLUG")),
    ("deployment_tier", Some("CI_ENVIRONMENT_TIER")),
    ("environment_action", Some("CI_ENVIRONMENT_ACTION")),
    ("runner_id", Some("CI_RUNNER_ID")),
];

/// How a placeholder begins that takes any claim: `{claim:NAME}`.
pub const CLAIM: &str = "claim:";

/// Whether a CI variable may stand in for the claim of a job that has an ID token.
///
/// Security: in a merge request pipeline of a fork the claims are the fork's, and GitLab's variables are those of the project
/// where it runs. Whoever opens the merge request would choose the role.
#[must_use]
pub fn may_be_a_variable(placeholder: &str) -> bool {
    !["project_", "namespace_", "ref"].iter().any(|start| placeholder.starts_with(start))
}

/// What of a claim is the placeholder's value.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// All of it, without the braces that Bitbucket puts around a UUID.
    Whole,
    /// What stands behind the last slash.
    Name,
    /// Lower case, at most 63 characters, a hyphen for what is neither letter nor digit: GitLab's slug.
    Slug,
    /// A ref without `refs/heads/` or `refs/tags/`.
    Ref,
    /// The slug of that.
    RefSlug,
    /// `branch` or `tag`, by how the ref begins.
    RefType,
}

impl Part {
    fn of(self, text: &str) -> Option<String> {
        let short = || ["refs/heads/", "refs/tags/"].iter().find_map(|start| text.strip_prefix(start)).unwrap_or(text);
        let value = match self {
            Self::Whole => text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text).to_owned(),
            Self::Name => text.rsplit('/').next().unwrap_or_default().to_owned(),
            Self::Slug => slug(text),
            Self::Ref => short().to_owned(),
            Self::RefSlug => slug(short()),
            Self::RefType if text.starts_with("refs/heads/") => "branch".to_owned(),
            Self::RefType if text.starts_with("refs/tags/") => "tag".to_owned(),
            Self::RefType => return None,
        };
        (!value.is_empty()).then_some(value)
    }
}

fn slug(text: &str) -> String {
    let hyphen = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() as char } else { '-' };
    let slug: String = text.bytes().take(63).map(hyphen).collect();
    slug.trim_matches('-').to_owned()
}

/// How one issuer spells what GitLab's claims say.
struct Dialect {
    /// A claim that only its tokens have, and every one of them.
    sign: &'static str,
    /// Placeholder, claim, and the part of it. The first that the token has counts.
    rows: &'static [(&'static str, &'static str, Part)],
}

/// The issuers whose claims have other names. A placeholder without a row is the claim of its name.
const DIALECTS: [Dialect; 11] = [
    // GitLab has no claim for these three, and says the same in another one.
    Dialect {
        sign: "namespace_path",
        rows: &[
            ("project_path_slug", "project_path", Part::Slug),
            ("project_name", "project_path", Part::Name),
            ("ref_slug", "ref", Part::Slug),
        ],
    },
    // GitHub and Forgejo.
    Dialect {
        sign: "repository_owner",
        rows: &[
            ("project_id", "repository_id", Part::Whole),
            ("project_path", "repository", Part::Whole),
            ("project_path_slug", "repository", Part::Slug),
            ("project_name", "repository", Part::Name),
            ("namespace_id", "repository_owner_id", Part::Whole),
            ("namespace_path", "repository_owner", Part::Whole),
            ("ref", "ref", Part::Ref),
            ("ref_slug", "ref", Part::RefSlug),
            ("user_id", "actor_id", Part::Whole),
            ("user_login", "actor", Part::Whole),
            ("job_id", "check_run_id", Part::Whole),
            ("pipeline_id", "run_id", Part::Whole),
            ("pipeline_source", "event_name", Part::Whole),
        ],
    },
    // Bitbucket.
    Dialect {
        sign: "repositoryUuid",
        rows: &[
            ("project_id", "repositoryUuid", Part::Whole),
            ("namespace_id", "workspaceUuid", Part::Whole),
            ("ref", "branchName", Part::Whole),
            ("ref_slug", "branchName", Part::Slug),
            ("environment", "deploymentEnvironmentUuid", Part::Whole),
            ("job_id", "stepUuid", Part::Whole),
            ("pipeline_id", "pipelineUuid", Part::Whole),
        ],
    },
    // CircleCI.
    Dialect {
        sign: "oidc.circleci.com/project-id",
        rows: &[
            ("project_id", "oidc.circleci.com/project-id", Part::Whole),
            ("project_path", "oidc.circleci.com/vcs-origin", Part::Whole),
            ("project_path_slug", "oidc.circleci.com/vcs-origin", Part::Slug),
            ("project_name", "oidc.circleci.com/vcs-origin", Part::Name),
            ("ref", "oidc.circleci.com/vcs-ref", Part::Ref),
            ("ref_slug", "oidc.circleci.com/vcs-ref", Part::RefSlug),
            ("ref_type", "oidc.circleci.com/vcs-ref", Part::RefType),
        ],
    },
    // Buildkite. Its claim pipeline_id names what others call a project.
    Dialect {
        sign: "pipeline_slug",
        rows: &[
            ("project_id", "pipeline_id", Part::Whole),
            ("project_name", "pipeline_slug", Part::Whole),
            ("namespace_id", "organization_id", Part::Whole),
            ("namespace_path", "organization_slug", Part::Whole),
            ("ref", "build_tag", Part::Whole),
            ("ref", "build_branch", Part::Whole),
            ("ref_slug", "build_tag", Part::Slug),
            ("ref_slug", "build_branch", Part::Slug),
            ("pipeline_id", "build_number", Part::Whole),
            ("pipeline_source", "build_source", Part::Whole),
        ],
    },
    // Azure DevOps.
    Dialect {
        sign: "rpo_id",
        rows: &[
            ("project_id", "prj_id", Part::Whole),
            ("namespace_id", "org_id", Part::Whole),
            ("ref", "rpo_ref", Part::Ref),
            ("ref_slug", "rpo_ref", Part::RefSlug),
            ("ref_type", "rpo_ref", Part::RefType),
            ("pipeline_id", "run_id", Part::Whole),
        ],
    },
    // Semaphore.
    Dialect {
        sign: "prj_id",
        rows: &[
            ("project_id", "prj_id", Part::Whole),
            ("project_path", "repo_slug", Part::Whole),
            ("project_path_slug", "repo_slug", Part::Slug),
            ("project_name", "repo", Part::Whole),
            ("ref", "ref", Part::Ref),
            ("ref_slug", "ref", Part::RefSlug),
            ("pipeline_id", "ppl_id", Part::Whole),
        ],
    },
    // Codefresh.
    Dialect {
        sign: "pipeline_name",
        rows: &[
            ("project_id", "pipeline_id", Part::Whole),
            ("project_name", "pipeline_name", Part::Name),
            ("namespace_id", "account_id", Part::Whole),
            ("namespace_path", "account_name", Part::Whole),
            ("ref", "scm_ref", Part::Ref),
            ("ref_slug", "scm_ref", Part::RefSlug),
            ("user_login", "scm_user_name", Part::Whole),
            ("pipeline_id", "workflow_id", Part::Whole),
        ],
    },
    // Spacelift.
    Dialect {
        sign: "spaceId",
        rows: &[
            ("project_id", "callerId", Part::Whole),
            ("namespace_id", "spaceId", Part::Whole),
            ("environment", "scope", Part::Whole),
            ("pipeline_id", "runId", Part::Whole),
        ],
    },
    // HCP Terraform.
    Dialect {
        sign: "terraform_workspace_id",
        rows: &[
            ("project_id", "terraform_project_id", Part::Whole),
            ("project_name", "terraform_workspace_name", Part::Whole),
            ("namespace_id", "terraform_organization_id", Part::Whole),
            ("namespace_path", "terraform_organization_name", Part::Whole),
            ("environment", "terraform_run_phase", Part::Whole),
            ("pipeline_id", "terraform_run_id", Part::Whole),
        ],
    },
    // STS of AWS, which knows the account and the role, and nothing of a job.
    Dialect {
        sign: "https://sts.amazonaws.com/",
        rows: &[
            ("namespace_id", "/https:~1~1sts.amazonaws.com~1/aws_account", Part::Whole),
            ("project_name", "sub", Part::Name),
        ],
    },
];

impl Claims {
    /// The value of a placeholder, and the claim that it comes from. `None` if the token has no such claim, or an empty one.
    #[must_use]
    pub fn placeholder(&self, name: &str) -> Option<(String, String)> {
        let value = |claim: &str, part: Part| {
            let value = self.text(claim).and_then(|text| part.of(&text))?;
            Some((value, claim.to_owned()))
        };
        if let Some(claim) = name.strip_prefix(CLAIM) {
            return value(claim, Part::Whole);
        }
        let dialect = DIALECTS.iter().find(|dialect| self.find(dialect.sign).is_some());
        let rows: Vec<_> = dialect.iter().flat_map(|one| one.rows).filter(|(known, ..)| *known == name).collect();
        if rows.is_empty() {
            return value(name, Part::Whole);
        }
        rows.into_iter().find_map(|(_, claim, part)| value(claim, *part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of each row of the table in the manuals of the systems.
    #[test]
    fn a_placeholder_is_found_in_the_claims_of_every_system() {
        let github = r#"{"repository":"o/r","repository_id":"7","repository_owner":"o","repository_owner_id":"8","ref":
            "refs/heads/x/y","ref_type":"branch","environment":"prod","run_id":"5","check_run_id":"6","actor":"me"}"#;
        let bitbucket = r#"{"repositoryUuid":"{a-1}","pipelineUuid":"{b-2}","stepUuid":"{c-3}","branchName":"main",
            "deploymentEnvironmentUuid":"{d-4}"}"#;
        let circleci = r#"{"oidc.circleci.com/project-id":"p-1","oidc.circleci.com/vcs-origin":"github.com/o/r",
            "oidc.circleci.com/vcs-ref":"refs/tags/v1","oidc.circleci.com/ssh-rerun":false}"#;
        let buildkite = r#"{"organization_slug":"o","pipeline_slug":"p","pipeline_id":"id","build_number":12,"build_branch":
            "main","build_tag":null,"job_id":"j"}"#;
        let azure = r#"{"org_id":"o","prj_id":"p","def_id":"d","rpo_id":"r","rpo_ref":"refs/heads/main","run_id":"9"}"#;
        let semaphore = r#"{"prj_id":"p","ppl_id":"l","job_id":"j","repo":"r","repo_slug":"o/r","ref":"refs/heads/main",
            "ref_type":"branch"}"#;
        let codefresh =
            r#"{"account_name":"a","pipeline_id":"p","pipeline_name":"x/build","scm_ref":"main","workflow_id":"w"}"#;
        let spacelift = r#"{"spaceId":"s","callerId":"stack","runId":"r","scope":"write"}"#;
        let terraform = r#"{"terraform_organization_name":"o","terraform_project_id":"p","terraform_workspace_id":"w",
            "terraform_workspace_name":"web","terraform_run_phase":"apply","terraform_run_id":"r"}"#;
        let aws = r#"{"sub":"arn:aws:iam::123456789012:role/ci/deploy","https://sts.amazonaws.com/":{"aws_account":
            "123456789012","principal_tags":{"team/x":"web"},"org_id":"o-1"}}"#;
        let gitlab =
            r#"{"namespace_path":"Group/Sub","project_path":"Group/Sub/My_App","ref":"feature/-x-","pipeline_id":"3"}"#;
        let cases: &[(&str, &[(&str, &str)])] = &[
            (
                github,
                &[
                    ("project_id", "7"),
                    ("project_path", "o/r"),
                    ("project_path_slug", "o-r"),
                    ("project_name", "r"),
                    ("namespace_path", "o"),
                    ("namespace_id", "8"),
                    ("ref", "x/y"),
                    ("ref_slug", "x-y"),
                    ("ref_type", "branch"),
                    ("environment", "prod"),
                    ("pipeline_id", "5"),
                    ("job_id", "6"),
                    ("user_login", "me"),
                    ("claim:repository_owner", "o"),
                    ("claim:ref", "refs/heads/x/y"),
                    ("ref_protected", ""),
                    ("environment_slug", ""),
                ],
            ),
            (
                bitbucket,
                &[
                    ("project_id", "a-1"),
                    ("pipeline_id", "b-2"),
                    ("job_id", "c-3"),
                    ("environment", "d-4"),
                    ("ref", "main"),
                    ("project_path", ""),
                    ("claim:repositoryUuid", "a-1"),
                ],
            ),
            (
                circleci,
                &[
                    ("project_id", "p-1"),
                    ("project_path", "github.com/o/r"),
                    ("project_name", "r"),
                    ("ref", "v1"),
                    ("ref_type", "tag"),
                    ("claim:oidc.circleci.com/ssh-rerun", "false"),
                    ("job_id", ""),
                ],
            ),
            (
                buildkite,
                &[
                    ("project_id", "id"),
                    ("project_name", "p"),
                    ("namespace_path", "o"),
                    ("ref", "main"),
                    ("pipeline_id", "12"),
                    ("job_id", "j"),
                    ("claim:build_tag", ""),
                ],
            ),
            (
                azure,
                &[
                    ("project_id", "p"),
                    ("ref", "main"),
                    ("ref_type", "branch"),
                    ("pipeline_id", "9"),
                    ("project_name", ""),
                ],
            ),
            (
                semaphore,
                &[
                    ("project_id", "p"),
                    ("project_path", "o/r"),
                    ("project_name", "r"),
                    ("ref", "main"),
                    ("pipeline_id", "l"),
                    ("ref_type", "branch"),
                    ("job_id", "j"),
                ],
            ),
            (
                codefresh,
                &[
                    ("project_id", "p"),
                    ("project_name", "build"),
                    ("namespace_path", "a"),
                    ("ref", "main"),
                    ("pipeline_id", "w"),
                ],
            ),
            (spacelift, &[("project_id", "stack"), ("environment", "write"), ("pipeline_id", "r")]),
            (
                terraform,
                &[("project_id", "p"), ("project_name", "web"), ("namespace_path", "o"), ("environment", "apply")],
            ),
            (
                aws,
                &[
                    ("namespace_id", "123456789012"),
                    ("project_name", "deploy"),
                    ("claim:/https:~1~1sts.amazonaws.com~1/principal_tags/team~1x", "web"),
                    ("claim:/https:~1~1sts.amazonaws.com~1/principal_tags", ""),
                    ("claim:https://sts.amazonaws.com/", ""),
                    ("project_id", ""),
                    ("ref", ""),
                ],
            ),
            (
                gitlab,
                &[
                    ("project_path_slug", "group-sub-my-app"),
                    ("project_name", "My_App"),
                    ("ref_slug", "feature--x"),
                    ("ref", "feature/-x-"),
                    ("pipeline_id", "3"),
                ],
            ),
        ];
        for (text, placeholders) in cases {
            let claims = Claims::from_json(text).unwrap();
            for (name, value) in *placeholders {
                let found = claims.placeholder(name).map(|(value, _)| value).unwrap_or_default();
                assert_eq!(found, *value, "{name} of {text}");
            }
        }
    }

    #[test]
    fn a_slug_is_at_most_63_characters_and_has_no_hyphen_at_its_ends() {
        assert_eq!(slug(&"a".repeat(80)).len(), 63);
        assert_eq!(slug("-Feature/X_y.z-"), "feature-x-y-z");
        // As GitLab does: cut first, then trimmed.
        assert_eq!(slug(&format!("{}-b", "a".repeat(62))), "a".repeat(62));
    }
}
