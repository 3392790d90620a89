#!/bin/sh
# Vault as the pipelines in ../gitlab use it. main.tf says the same in Terraform.
#
# Run it once, against an empty Vault or OpenBao, with VAULT_ADDR and an operator's VAULT_TOKEN.
# The server must have the Exoscale plugin, registered under the name `exoscale`:
#   vault plugin register -sha256=SUM -command=vault-plugin-secrets-exoscale secret exoscale
set -eu
cd "$(dirname "$0")"

: "${GITLAB_URL:=https://gitlab.example.com}"         # the issuer of the jobs' ID tokens
: "${VAULT_AUDIENCE:=https://vault.example.com}"      # the `aud:` in the pipelines, exactly
: "${EXOSCALE_API_KEY:?a key that may make IAM keys}" # the engine's own, and its secret
: "${EXOSCALE_API_SECRET:?the secret of that key}"

# What a job may do.
vault policy write exoscale-deploy policies/exoscale-deploy.hcl
vault policy write aws-365 policies/aws-365.hcl
vault policy write secret-id-deploy policies/secret-id-deploy.hcl

# Exoscale: every read of exoscale/apikey/deploy makes a key with the IAM role `ci-deploy`.
# Vault revokes it with its lease, and with the token that asked for it: the logins below live as long.
vault secrets enable -path=exoscale exoscale
printf '%s' "$EXOSCALE_API_SECRET" | vault write exoscale/config/root \
    root_api_key="$EXOSCALE_API_KEY" root_api_secret=- zone=ch-gva-2
vault write exoscale/role/deploy iam-role=ci-deploy ttl=1h max_ttl=1h

# AWS: one Vault role for each project and environment. Vault signs with its own instance's role.
# botocore renews credentials 15 minutes before they expire, so they must live longer than that.
vault secrets enable -path=aws aws
vault write aws/config/root region=eu-central-1
for environment in dev production; do
    vault write "aws/roles/365-$environment" credential_type=assumed_role \
        role_arns="arn:aws:iam::123456789012:role/ci-365-$environment" default_sts_ttl=1h max_sts_ttl=1h
done

# AppRole: the role ID stays with the runners, each secret ID opens one login within ten minutes.
vault auth enable -path=approle approle
vault write auth/approle/role/deploy token_policies=exoscale-deploy token_ttl=1h token_max_ttl=1h \
    secret_id_num_uses=1 secret_id_ttl=10m

# GitLab: the job logs in with GitLab's ID token. Without bound_claims every project there could log in.
vault auth enable -path=gitlab jwt
vault write auth/gitlab/config oidc_discovery_url="$GITLAB_URL" bound_issuer="$GITLAB_URL"
vault write auth/gitlab/role/deploy - <<JSON
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
