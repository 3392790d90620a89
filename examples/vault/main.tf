# Vault as the pipelines in ../gitlab use it: what setup.sh does, in Terraform.
#
# The provider takes VAULT_ADDR and VAULT_TOKEN. The server must have the Exoscale plugin, registered as `exoscale`.
# The state holds the secret of the Exoscale key: keep it where Vault's own secrets may be.

terraform {
  required_providers {
    vault = {
      source = "hashicorp/vault"
    }
  }
}

variable "gitlab_url" {
  description = "The issuer of the jobs' ID tokens"
  type        = string
  default     = "https://gitlab.example.com"
}

variable "vault_audience" {
  description = "The `aud:` in the pipelines, exactly"
  type        = string
  default     = "https://vault.example.com"
}

variable "exoscale_api_key" {
  description = "A key that may make IAM keys"
  type        = string
}

variable "exoscale_api_secret" {
  description = "The secret of that key"
  type        = string
  sensitive   = true
}

# What a job may do.

resource "vault_policy" "exoscale_deploy" {
  name   = "exoscale-deploy"
  policy = file("${path.module}/policies/exoscale-deploy.hcl")
}

resource "vault_policy" "aws_365" {
  name   = "aws-365"
  policy = file("${path.module}/policies/aws-365.hcl")
}

resource "vault_policy" "secret_id_deploy" {
  name   = "secret-id-deploy"
  policy = file("${path.module}/policies/secret-id-deploy.hcl")
}

# Exoscale: every read of exoscale/apikey/deploy makes a key with the IAM role `ci-deploy`.

resource "vault_mount" "exoscale" {
  path = "exoscale"
  type = "exoscale"
}

resource "vault_generic_endpoint" "exoscale_root" {
  path                 = "${vault_mount.exoscale.path}/config/root"
  disable_delete       = true
  ignore_absent_fields = true
  data_json = jsonencode({
    root_api_key    = var.exoscale_api_key
    root_api_secret = var.exoscale_api_secret
    zone            = "ch-gva-2"
  })
}

resource "vault_generic_endpoint" "exoscale_deploy" {
  depends_on           = [vault_generic_endpoint.exoscale_root]
  path                 = "${vault_mount.exoscale.path}/role/deploy"
  ignore_absent_fields = true
  data_json = jsonencode({
    "iam-role" = "ci-deploy"
    ttl        = "1h"
    max_ttl    = "1h"
  })
}

# AWS: one Vault role for each project and environment. Vault signs with its own instance's role.

resource "vault_aws_secret_backend" "aws" {
  path   = "aws"
  region = "eu-central-1"
}

resource "vault_aws_secret_backend_role" "dev" {
  backend         = vault_aws_secret_backend.aws.path
  name            = "365-dev"
  credential_type = "assumed_role"
  role_arns       = ["arn:aws:iam::123456789012:role/ci-365-dev"]
  default_sts_ttl = 3600
  max_sts_ttl     = 3600
}

resource "vault_aws_secret_backend_role" "production" {
  backend         = vault_aws_secret_backend.aws.path
  name            = "365-production"
  credential_type = "assumed_role"
  role_arns       = ["arn:aws:iam::123456789012:role/ci-365-production"]
  default_sts_ttl = 3600
  max_sts_ttl     = 3600
}

# AppRole: the role ID stays with the runners, each secret ID opens one login within ten minutes.

resource "vault_auth_backend" "approle" {
  type = "approle"
  path = "approle"
}

resource "vault_approle_auth_backend_role" "deploy" {
  backend            = vault_auth_backend.approle.path
  role_name          = "deploy"
  token_policies     = [vault_policy.exoscale_deploy.name]
  token_ttl          = 3600
  token_max_ttl      = 3600
  secret_id_num_uses = 1
  secret_id_ttl      = 600
}

# GitLab: the job logs in with GitLab's ID token. Without bound_claims every project there could log in.

resource "vault_jwt_auth_backend" "gitlab" {
  path               = "gitlab"
  oidc_discovery_url = var.gitlab_url
  bound_issuer       = var.gitlab_url
}

resource "vault_jwt_auth_backend_role" "deploy" {
  backend         = vault_jwt_auth_backend.gitlab.path
  role_name       = "deploy"
  role_type       = "jwt"
  user_claim      = "project_id"
  bound_audiences = [var.vault_audience]
  bound_claims = {
    project_id    = "365"
    ref_protected = "true"
  }
  token_policies = [vault_policy.exoscale_deploy.name, vault_policy.aws_365.name]
  token_ttl      = 3600
  token_max_ttl  = 3600
}
