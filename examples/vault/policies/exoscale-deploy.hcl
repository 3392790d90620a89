# A job may ask for a key of the Exoscale role "deploy", and for nothing else.
path "exoscale/apikey/deploy" {
  capabilities = ["read"]
}
