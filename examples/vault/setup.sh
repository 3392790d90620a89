#!/bin/sh
# Vault as the pipelines in ../gitlab use it. main.tf says the same in Terraform.
#
# Run it once, against an empty server, with VAULT_ADDR and an operator's VAULT_TOKEN. With OpenBao, set VAULT=bao.
#
# The script stops at the first command that fails. Without an engine, `secrets enable` fails with `plugin not found in the
# catalog`. OpenBao has no AWS engine: delete the part "AWS" below. Neither server has the Exoscale plugin: put it into the
# plugin directory, and register it under the name `exoscale`:
#   vault plugin register -sha256=SUM -command=vault-plugin-secrets-exoscale secret exoscale
set -eu
cd "$(dirname "$0")"

: "${VAULT:=vault}"                                   # the command of the server: vault or bao
: "${GITLAB_URL:=https://gitlab.example.com}"         # the issuer of the jobs' ID tokens
: "${VAULT_AUDIENCE:=https://vault.example.com}"      # the `aud:` in the pipelines, exactly
: "${EXOSCALE_API_KEY:?a key that may make IAM keys}" # the engine's own, and its secret
: "${EXOSCALE_API_SECRET:?the secret of that key}"

# What a job may do.
"$VAULT" policy write exoscale-deploy policies/exoscale-deploy.hcl
"$VAULT" policy write aws-365 policies/aws-365.hcl
"$VAULT" policy write secret-id-deploy policies/secret-id-deploy.hcl

# Exoscale: every read of exoscale/apikey/deploy makes a key with the IAM role `ci-deploy`.
# Vault revokes it with its lease, and with the token that asked for it: the logins below live as long.
"$VAULT" secrets enable -path=exoscale exoscale
printf '%s' "$EXOSCALE_API_SECRET" | "$VAULT" write exoscale/config/root \
    root_api_key="$EXOSCALE_API_KEY" root_api_secret=- zone=ch-gva-2
"$VAULT" write exoscale/role/deploy iam-role=ci-deploy ttl=1h max_ttl=1h

# AWS: one Vault role for each project and environment. Vault signs with its own instance's role.
# botocore renews credentials 15 minutes before they expire, so they must live longer than that.
"$VAULT" secrets enable -path=aws aws
"$VAULT" write aws/config/root region=eu-central-1
for environment in dev production; do
    "$VAULT" write "aws/roles/365-$environment" credential_type=assumed_role \
        role_arns="arn:aws:iam::123456789012:role/ci-365-$environment" default_sts_ttl=1h max_sts_ttl=1h
done

# AppRole: the role ID stays with the runners, each secret ID opens one login within ten minutes.
"$VAULT" auth enable -path=approle approle
"$VAULT" write auth/approle/role/deploy token_policies=exoscale-deploy token_ttl=1h token_max_ttl=1h \
    secret_id_num_uses=1 secret_id_ttl=10m

# GitLab: the job logs in with GitLab's ID token. Without bound_claims every project there could log in.
"$VAULT" auth enable -path=gitlab jwt
"$VAULT" write auth/gitlab/config oidc_discovery_url="$GITLAB_URL" bound_issuer="$GITLAB_URL"
"$VAULT" write auth/gitlab/role/deploy - <<JSON
{
  "role_type": "jwt",
  "user_claim": "project_id",
  "bound_audiences": ["$VAULT_AUDIENCE"],
  "bound_claims": { "project_id": "365", "ref_protected": "true" },
  "token_policies": ["exoscale-deploy", "aws-365"],
  "token_ttl": "1h",
  "token_max_ttl": "1h"
}
JSON
