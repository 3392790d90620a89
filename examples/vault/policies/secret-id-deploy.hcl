# A token with this policy can make secret IDs of the AppRole "deploy", and nothing else.
# A secret ID is useless without the role ID, which only the runners know.
path "auth/approle/role/deploy/secret-id" {
  capabilities = ["update"]
}
