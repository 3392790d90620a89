#!/bin/sh
# Prints one secret or ID that the jobs of ../gitlab need: hand-out.sh role-id | secret-id | wrapping-token | …
#
# Everything but the role ID is a secret: pipe it to its place, and do not print it into a log.
set -eu

# With OpenBao, set VAULT=bao.
: "${VAULT:=vault}"

case "${1:-}" in
# For VAULT_ROLE_ID: in the runners' configuration, not in GitLab.
role-id) "$VAULT" read -field=role_id auth/approle/role/deploy/role-id ;;
# For VAULT_SECRET_ID: one login.
secret-id) "$VAULT" write -field=secret_id -f auth/approle/role/deploy/secret-id ;;
# For VAULT_WRAPPING_TOKEN: the same secret ID; if someone else uses it first, the job notices.
wrapping-token) "$VAULT" write -wrap-ttl=5m -field=wrapping_token -f auth/approle/role/deploy/secret-id ;;
# For VAULT_TOKEN beside VAULT_ROLE_ID and VAULT_APPROLE_ROLE: it can make secret IDs and nothing else, so it cannot renew
# itself either. It lives for 32 days, also when the operator's token has expired.
generator-token) "$VAULT" token create -field=token -orphan -no-default-policy -policy=secret-id-deploy -ttl=768h ;;
# For VAULT_TOKEN alone: whoever reads it can do what the job can.
token) "$VAULT" token create -field=token -policy=exoscale-deploy -ttl=1h ;;
*)
    echo "usage: hand-out.sh role-id | secret-id | wrapping-token | generator-token | token" >&2
    exit 64
    ;;
esac
