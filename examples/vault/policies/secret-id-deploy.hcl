# Whoever holds a token with this policy can make secret IDs of the AppRole "deploy".
# Without the role ID, which only the runners know, they open nothing.
path "auth/approle/role/deploy/secret-id" {
  capabilities = ["update"]
}
