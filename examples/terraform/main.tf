# What ../gitlab/terraform-vault.gitlab-ci.yml applies: it reads a password from Vault, and manages a role of Vault's AWS
# engine. docs/terraform.md explains it.

terraform {
  # Ephemeral values.
  required_version = ">= 1.10"

  required_providers {
    postgresql = {
      source = "cyrilgdn/postgresql"
    }
    vault = {
      source  = "hashicorp/vault"
      version = ">= 5.0"
    }
  }

  # TF_HTTP_ADDRESS, TF_HTTP_USERNAME and TF_HTTP_PASSWORD say where the state is.
  backend "http" {}
}

# VAULT_ADDR, VAULT_TOKEN and VAULT_NAMESPACE come from ci-creds token.
provider "vault" {
  # The job's token expires within minutes, cannot be renewed beyond that, and is revoked at the end of the job. Vault
  # lets no token with --uses have a child.
  skip_child_token = true
}

# Terraform reads it in each run, and writes it neither to the plan nor to the state.
ephemeral "vault_kv_secret_v2" "database" {
  mount = "secret"
  name  = "terraform/database"
}

provider "postgresql" {
  host     = "db.example.com"
  username = ephemeral.vault_kv_secret_v2.database.data["username"]
  password = ephemeral.vault_kv_secret_v2.database.data["password"]
}

resource "postgresql_database" "app" {
  name = "app"
}

# The project 7103 can assume one AWS role in its environment `dev`.
resource "vault_aws_secret_backend_role" "dev" {
  backend         = "aws"
  name            = "7103-dev"
  credential_type = "assumed_role"
  role_arns       = ["arn:aws:iam::123456789012:role/deploy-dev"]
}
