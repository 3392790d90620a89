//! What a user may say of an AWS credential.

use crate::provider::cloud::{Heading, Setting, Value};

const fn text(flag: &'static str, name: &'static str, help: &'static str, common: bool) -> Setting {
    let value = Value::Text(name);
    Setting { flag, value, help, heading: Heading::Credential, common, variables: &[], in_file: true }
}

const fn switch(flag: &'static str, help: &'static str, heading: Heading, in_file: bool) -> Setting {
    Setting { flag, value: Value::Switch, help, heading, common: false, variables: &[], in_file }
}

/// The way that needs no Vault.
pub(super) const WEB_IDENTITY: &str = "web-identity";

pub(super) static VIA: Setting = Setting {
    flag: "--via",
    value: Value::Choice(
        "WAY",
        &[
            ("sts", "Temporary credentials"),
            ("creds", "The role's own type: an IAM user"),
            (WEB_IDENTITY, "Without Vault: AWS takes the job's ID token"),
        ],
    ),
    help: "Vault's sts for temporary credentials, Vault's creds for an IAM user, or web-identity for AWS without Vault \
        [default: sts]",
    heading: Heading::Credential,
    common: false,
    variables: &[],
    in_file: true,
};
pub(super) static TTL: Setting =
    text("--ttl", "DURATION", "Lifetime of STS credentials, 15m at least: 20m, 1h, 1d", true);
pub(super) static ROLE_ARN: Setting =
    text("--role-arn", "ARN", "The role to assume: without Vault, or when the Vault role allows more than one", false);
pub(super) static SESSION_NAME: Setting = text("--session-name", "NAME", "The session's name in CloudTrail", false);
pub(super) static POLICY_FILE: Setting =
    text("--policy-file", "PATH", "The file of an IAM policy that limits the session; with --via web-identity", false);
pub(super) static POLICY_ARN: Setting = Setting {
    value: Value::List("ARN"),
    ..text("--policy-arn", "ARN", "A managed policy that limits the session; with --via web-identity", false)
};
pub(super) static ASSUME: Setting =
    text("--assume", "ARN", "A second role, assumed by the first one; with --via web-identity", false);
pub(super) static EXTERNAL_ID: Setting =
    text("--external-id", "ID", "The external ID that the second role demands", false);
pub(super) static SOURCE_IDENTITY: Setting =
    text("--source-identity", "NAME", "The source identity of the second role's session", false);
pub(super) static FIPS: Setting =
    switch("--fips", "Use the FIPS endpoint of STS; with --via web-identity", Heading::Credential, true);
pub(super) static REGION: Setting = text("--region", "REGION", "Also export AWS_REGION and AWS_DEFAULT_REGION", true);
pub(super) static WAIT_READY: Setting =
    switch("--wait-ready", "Wait until AWS knows the key of a new IAM user, 30 s at most", Heading::Credential, true);
pub(super) static KEEP_PROFILE: Setting =
    switch("--keep-profile", "Leave AWS_PROFILE and AWS_DEFAULT_PROFILE as they are", Heading::Output, false);

/// aws-cli 1 and boto3 read the one, the other SDKs the other.
pub(crate) const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
