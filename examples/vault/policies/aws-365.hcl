# Project 365 may assume the AWS roles of its own environments: 365-dev, 365-production.
# Both verbs, because parameters such as a TTL make a read a write.
path "aws/sts/365-*" {
  capabilities = ["read", "update"]
}
