# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ci_creds_global_optspecs
    string join \n v/verbose q/quiet h/help V/version
end

function __fish_ci_creds_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ci_creds_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ci_creds_using_subcommand
    set -l cmd (__fish_ci_creds_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ci-creds -n "__fish_ci_creds_needs_command" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -s h -l help -d 'Print help'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -s V -l version -d 'Print version'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "exoscale" -d 'Fetch an Exoscale API key and print it for the shell'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "aws" -d 'Fetch AWS credentials and print them for the shell'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "scaleway" -d 'Fetch a Scaleway API key and print it for the shell'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "secret" -d 'Fetch secrets of any other engine and print them for the shell'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "exec" -d 'Run a command with credentials that expire with it'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "doctor" -d 'Find out which step of a run fails, and what to change'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "revoke" -d 'Revoke every credential and login of this job'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "cache" -d 'List cached credentials: identity, role, expiry'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "token" -d 'Print a short-lived Vault token, or renew or replace a stored one'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "whoami" -d 'Print who the job is to Vault'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "policy" -d 'Print the least policy and the login role of a run'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "explain" -d 'Explain an exit code or an error'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "man" -d 'Print a manual page'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "help" -d 'Print the help of a command'
complete -c ci-creds -n "__fish_ci_creds_needs_command" -f -a "version" -d 'Print the version'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -s r -l role -d 'The engine\'s role, such as deploy or {project_id}-dev' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -s m -l mount -d 'Where the engine is mounted [default: the name of the command]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l zone -d 'Also export EXOSCALE_ZONE; with --sos, the storage\'s zone' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -s f -l format -d 'What to print [default: shell]' -r -f -a "shell\t'POSIX shell exports, for eval'
fish\t'fish'
powershell\t'PowerShell'
json\t'One JSON object with everything that is known'
dotenv\t'KEY=VALUE lines without quotes'
process\t'The JSON of the AWS SDKs\' credential_process'
github\t'Variables for the later steps of a GitHub Actions job'
file\t'A private credentials file, and the shell exports that point to it'
web-identity\t'A private file with the job\'s ID token, for the AWS SDKs; with --via web-identity'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l file -d 'Write the credential into this credentials file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l profile -d 'The name of the profile or account in the file [default: ci-creds]' -r -f -a "(command ci-creds __complete profile (commandline -opc)[2..] 2>/dev/null)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l sos -d 'For the object storage: export the key for AWS tools'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l via-file -d 'Print only a line that sources a private file, which removes itself'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l cache -d 'Cache the credential, and the login of a single-use secret, for the next calls of this job'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l no-cache -d 'Neither read nor write the cache [default: only --format process has one]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l keep-state -d 'Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l no-keep-state -d 'Do not note the lease and the login'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l replace-profile -d 'Remove the keys of the profile that the SDKs would use in place of the credential, such as role_arn; with --file'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l reveal -d 'Print it even on a terminal or into a job\'s log'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exoscale" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -s r -l role -d 'The engine\'s role, such as deploy or {project_id}-dev' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -s m -l mount -d 'Where the engine is mounted [default: the name of the command]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l via -d 'Vault\'s sts for temporary credentials, Vault\'s creds for an IAM user, or web-identity for AWS without Vault [default: sts]' -r -f -a "sts\t'Temporary credentials'
creds\t'The role\'s own type: an IAM user'
web-identity\t'Without Vault: AWS takes the job\'s ID token'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l ttl -d 'Lifetime of STS credentials, 15m at least: 20m, 1h, 1d' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l role-arn -d 'The role to assume: without Vault, or when the Vault role allows more than one' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l session-name -d 'The session\'s name in CloudTrail' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l policy-file -d 'The file of an IAM policy that limits the session; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l policy-arn -d 'A managed policy that limits the session; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l assume -d 'A second role, assumed by the first one; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l external-id -d 'The external ID that the second role demands' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l source-identity -d 'The source identity of the second role\'s session' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l region -d 'Also export AWS_REGION and AWS_DEFAULT_REGION' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -s f -l format -d 'What to print [default: shell]' -r -f -a "shell\t'POSIX shell exports, for eval'
fish\t'fish'
powershell\t'PowerShell'
json\t'One JSON object with everything that is known'
dotenv\t'KEY=VALUE lines without quotes'
process\t'The JSON of the AWS SDKs\' credential_process'
github\t'Variables for the later steps of a GitHub Actions job'
file\t'A private credentials file, and the shell exports that point to it'
web-identity\t'A private file with the job\'s ID token, for the AWS SDKs; with --via web-identity'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l file -d 'Write the credential into this credentials file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l profile -d 'The name of the profile or account in the file [default: ci-creds]' -r -f -a "(command ci-creds __complete profile (commandline -opc)[2..] 2>/dev/null)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l fips -d 'Use the FIPS endpoint of STS; with --via web-identity'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l wait-ready -d 'Wait until AWS knows the key of a new IAM user, 30 s at most'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l keep-profile -d 'Leave AWS_PROFILE and AWS_DEFAULT_PROFILE as they are'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l via-file -d 'Print only a line that sources a private file, which removes itself'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l cache -d 'Cache the credential, and the login of a single-use secret, for the next calls of this job'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l no-cache -d 'Neither read nor write the cache [default: only --format process has one]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l keep-state -d 'Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l no-keep-state -d 'Do not note the lease and the login'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l replace-profile -d 'Remove the keys of the profile that the SDKs would use in place of the credential, such as role_arn; with --file'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l reveal -d 'Print it even on a terminal or into a job\'s log'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand aws" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l path -d 'The path of the stored key: secret/data/scw/ci, or with {project_name}' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l project-id -d 'The project, if it is not that of the secret' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l organization-id -d 'The organization, if it is not that of the secret' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l region -d 'The region, if it is not that of the secret: fr-par' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l zone -d 'The zone, if it is not that of the secret: fr-par-1' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -s f -l format -d 'What to print [default: shell]' -r -f -a "shell\t'POSIX shell exports, for eval'
fish\t'fish'
powershell\t'PowerShell'
json\t'One JSON object with everything that is known'
dotenv\t'KEY=VALUE lines without quotes'
process\t'The JSON of the AWS SDKs\' credential_process'
github\t'Variables for the later steps of a GitHub Actions job'
file\t'A private credentials file, and the shell exports that point to it'
web-identity\t'A private file with the job\'s ID token, for the AWS SDKs; with --via web-identity'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l file -d 'Write the credential into this credentials file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l profile -d 'The name of the profile or account in the file [default: ci-creds]' -r -f -a "(command ci-creds __complete profile (commandline -opc)[2..] 2>/dev/null)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l s3 -d 'For the object storage: export the key for AWS tools'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l via-file -d 'Print only a line that sources a private file, which removes itself'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l cache -d 'Cache the credential, and the login of a single-use secret, for the next calls of this job'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l no-cache -d 'Neither read nor write the cache [default: only --format process has one]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l keep-state -d 'Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l no-keep-state -d 'Do not note the lease and the login'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l replace-profile -d 'Remove the keys of the profile that the SDKs would use in place of the credential, such as role_arn; with --file'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l reveal -d 'Print it even on a terminal or into a job\'s log'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand scaleway" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l path -d 'The path to read, without a section: database/creds/app' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l env -d 'A variable, and the field that it gets: PGUSER=username' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l file -d 'A variable with the path of a private file, which gets the field' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l set -d 'A parameter of the engine; makes the request a write' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l kv -d 'The version of the KV engine: 1 or 2' -r -f -a "1\t''
2\t''"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l unset -d 'A variable to unset' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l expires -d 'The field that says when the secret expires' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -s f -l format -d 'What to print [default: shell]' -r -f -a "shell\t'POSIX shell exports, for eval'
fish\t'fish'
powershell\t'PowerShell'
json\t'One JSON object with everything that is known'
dotenv\t'KEY=VALUE lines without quotes'
process\t'The JSON of the AWS SDKs\' credential_process'
github\t'Variables for the later steps of a GitHub Actions job'
file\t'A private credentials file, and the shell exports that point to it'
web-identity\t'A private file with the job\'s ID token, for the AWS SDKs; with --via web-identity'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l write -d 'Write, without a parameter'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l via-file -d 'Print only a line that sources a private file, which removes itself'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l keep-state -d 'Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l no-keep-state -d 'Do not note the lease and the login'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l reveal -d 'Print it even on a terminal or into a job\'s log'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l cache -d 'Cache the secret, if it expires, and the login of a single-use secret, for the next calls of this job'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l no-cache -d 'Neither read nor write the cache [default]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand secret" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -s r -l role -d 'The engine\'s role, such as deploy or {project_id}-dev' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -s m -l mount -d 'Where the engine is mounted [default: the name of the command]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l zone -d 'Also export EXOSCALE_ZONE; with --sos, the storage\'s zone' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l via -d 'Vault\'s sts for temporary credentials, Vault\'s creds for an IAM user, or web-identity for AWS without Vault [default: sts]' -r -f -a "sts\t'Temporary credentials'
creds\t'The role\'s own type: an IAM user'
web-identity\t'Without Vault: AWS takes the job\'s ID token'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l role-arn -d 'The role to assume: without Vault, or when the Vault role allows more than one' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l session-name -d 'The session\'s name in CloudTrail' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l policy-file -d 'The file of an IAM policy that limits the session; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l policy-arn -d 'A managed policy that limits the session; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l assume -d 'A second role, assumed by the first one; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l external-id -d 'The external ID that the second role demands' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l source-identity -d 'The source identity of the second role\'s session' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l region -d 'Also export AWS_REGION and AWS_DEFAULT_REGION' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l path -d 'The path of the stored key: secret/data/scw/ci, or with {project_name}' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l project-id -d 'The project, if it is not that of the secret' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l organization-id -d 'The organization, if it is not that of the secret' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l ttl -d 'How long they must last [default: the rest of the job]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l leash -d 'How long they live on when ci-creds is killed: 30s and more, or off [default: 5m in a job, off elsewhere]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l on-expiry -d 'What to do before a credential expires: warn, or also send SIGTERM to the command [default: warn]' -r -f -a "warn\t''
term\t''"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l sos -d 'For the object storage: export the key for AWS tools'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l fips -d 'Use the FIPS endpoint of STS; with --via web-identity'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l wait-ready -d 'Wait until AWS knows the key of a new IAM user, 30 s at most'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l keep-profile -d 'Leave AWS_PROFILE and AWS_DEFAULT_PROFILE as they are'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l s3 -d 'For the object storage: export the key for AWS tools'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l strict-revoke -d 'Exit with 80 if a revocation failed'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l keep-state -d 'Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l no-keep-state -d 'Do not note the lease and the login'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l serve -d 'Serve the AWS credential on 127.0.0.1, and replace it there'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l keep-aws-config -d 'Leave AWS_PROFILE and the AWS configuration files to the command; with --serve'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -s f -l format -d 'How to print the diagnosis' -r -f -a "text\t'A line for each step'
json\t'One JSON document, as docs/doctor.schema.json describes it'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -s r -l role -d 'The engine\'s role, such as deploy or {project_id}-dev' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -s m -l mount -d 'Where the engine is mounted [default: the name of the command]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l zone -d 'Also export EXOSCALE_ZONE; with --sos, the storage\'s zone' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l via -d 'Vault\'s sts for temporary credentials, Vault\'s creds for an IAM user, or web-identity for AWS without Vault [default: sts]' -r -f -a "sts\t'Temporary credentials'
creds\t'The role\'s own type: an IAM user'
web-identity\t'Without Vault: AWS takes the job\'s ID token'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l ttl -d 'Lifetime of STS credentials, 15m at least: 20m, 1h, 1d' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l role-arn -d 'The role to assume: without Vault, or when the Vault role allows more than one' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l session-name -d 'The session\'s name in CloudTrail' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l policy-file -d 'The file of an IAM policy that limits the session; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l policy-arn -d 'A managed policy that limits the session; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l assume -d 'A second role, assumed by the first one; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l external-id -d 'The external ID that the second role demands' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l source-identity -d 'The source identity of the second role\'s session' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l region -d 'Also export AWS_REGION and AWS_DEFAULT_REGION' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l project-id -d 'The project, if it is not that of the secret' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l organization-id -d 'The organization, if it is not that of the secret' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l path -d 'The path to read, without a section: database/creds/app' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l env -d 'A variable, and the field that it gets: PGUSER=username' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l file -d 'A variable with the path of a private file, which gets the field' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l set -d 'A parameter of the engine; makes the request a write' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l kv -d 'The version of the KV engine: 1 or 2' -r -f -a "1\t''
2\t''"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l unset -d 'A variable to unset' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l expires -d 'The field that says when the secret expires' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l report -d 'Print Markdown for a ticket, without host names and addresses'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l with-names -d 'Leave host names and addresses in the report'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l sos -d 'For the object storage: export the key for AWS tools'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l fips -d 'Use the FIPS endpoint of STS; with --via web-identity'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l wait-ready -d 'Wait until AWS knows the key of a new IAM user, 30 s at most'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l keep-profile -d 'Leave AWS_PROFILE and AWS_DEFAULT_PROFILE as they are'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l s3 -d 'For the object storage: export the key for AWS tools'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l write -d 'Write, without a parameter'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l all-mine -d 'Revoke what this login made in any job, with any role, and at any mount'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and not __fish_seen_subcommand_from clear" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and not __fish_seen_subcommand_from clear" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and not __fish_seen_subcommand_from clear" -s h -l help -d 'Print help'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and not __fish_seen_subcommand_from clear" -f -a "clear" -d 'Revoke every credential and login of this job, as ci-creds revoke does'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l all -d 'Also remove the entries of other logins, and those that Vault did not revoke; their leases expire on their own'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand cache; and __fish_seen_subcommand_from clear" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l ttl -d 'How long the token lives [default: the rest of the job, or 30m]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l uses -d 'For how many requests it is good [default: no limit]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -s f -l format -d 'What to print [default: shell]' -r -f -a "shell\t'POSIX shell exports, for eval'
fish\t'fish'
powershell\t'PowerShell'
json\t'One JSON object with everything that is known'
dotenv\t'KEY=VALUE lines without quotes'
process\t'The JSON of the AWS SDKs\' credential_process'
github\t'Variables for the later steps of a GitHub Actions job'
file\t'A private credentials file, and the shell exports that point to it'
web-identity\t'A private file with the job\'s ID token, for the AWS SDKs; with --via web-identity'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l via-file -d 'Print only a line that sources a private file, which removes itself'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l keep-state -d 'Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l no-keep-state -d 'Do not note the lease and the login'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l reveal -d 'Print it even on a terminal or into a job\'s log'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -f -a "renew" -d 'Renew the token in use and print when it expires'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and not __fish_seen_subcommand_from renew rotate" -f -a "rotate" -d 'Replace the token in a CI/CD variable of GitLab by a new one'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from renew" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l token-role -d 'The token role that makes the new token' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l gitlab-variable -d 'The CI/CD variable that holds the token' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l environment-scope -d 'The variable\'s environment scope, if it has more than one' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l group -d 'The group that has the variable: its number or path [default: the project in CI_PROJECT_ID]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l gitlab-token-env -d 'The variable that holds GitLab\'s access token: role Maintainer, scope api' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l gitlab-token-file -d 'The file that holds it' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l grace -d 'Revoke the old token after this time; 0s revokes it immediately [default: it lives until it expires]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand token; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -s f -l format -d 'What to print [default: text]' -r -f -a "text\t'Lines to read'
json\t'One JSON object'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand whoami" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -s f -l format -d 'What to print [default: commands]' -r -f -a "hcl\t'The policy of the job\'s token alone'
commands\t'A shell script: the policies and the role of the login'
terraform\t'The same as resources of the vault provider'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l cli -d 'The program that the script calls [default: vault]' -r -f -a "vault\t''
bao\t''"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l name -d 'The policy\'s name [default: ci-creds- and the login\'s role]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l claim -d 'A claim of the job\'s ID token, where no ID token is set: aud, iss, project_id, ref_protected' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l ttl -d 'How long the login lives, and the credentials [default: 1h]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -s r -l role -d 'The engine\'s role, such as deploy or {project_id}-dev' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -s m -l mount -d 'Where the engine is mounted [default: the name of the command]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l zone -d 'Also export EXOSCALE_ZONE; with --sos, the storage\'s zone' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l via -d 'Vault\'s sts for temporary credentials, Vault\'s creds for an IAM user, or web-identity for AWS without Vault [default: sts]' -r -f -a "sts\t'Temporary credentials'
creds\t'The role\'s own type: an IAM user'
web-identity\t'Without Vault: AWS takes the job\'s ID token'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l role-arn -d 'The role to assume: without Vault, or when the Vault role allows more than one' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l session-name -d 'The session\'s name in CloudTrail' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l policy-file -d 'The file of an IAM policy that limits the session; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l policy-arn -d 'A managed policy that limits the session; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l assume -d 'A second role, assumed by the first one; with --via web-identity' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l external-id -d 'The external ID that the second role demands' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l source-identity -d 'The source identity of the second role\'s session' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l region -d 'Also export AWS_REGION and AWS_DEFAULT_REGION' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l project-id -d 'The project, if it is not that of the secret' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l organization-id -d 'The organization, if it is not that of the secret' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l path -d 'The path to read, without a section: database/creds/app' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l env -d 'A variable, and the field that it gets: PGUSER=username' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l file -d 'A variable with the path of a private file, which gets the field' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l set -d 'A parameter of the engine; makes the request a write' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l kv -d 'The version of the KV engine: 1 or 2' -r -f -a "1\t''
2\t''"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l unset -d 'A variable to unset' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l expires -d 'The field that says when the secret expires' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l auth -d 'The authentication method [default: the first one whose inputs are set, in this order]' -r -f -a "wrapping-token\t'A wrapping token that holds a secret ID, and the role ID'
secret-id\t'A secret ID and the role ID'
generator-token\t'A token that may only create one-time secret IDs, and the role ID'
id-token\t'The ID token of the CI job'
token\t'A Vault token'
kubernetes\t'The token of a Kubernetes service account'
cert\t'The client certificate of the connection'
aws\t'The runner\'s own AWS credentials, by a signed request that Vault sends to STS'"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l auth-mount -d 'Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l auth-role -d 'The role of the login: the AppRole\'s name, or the role of the other methods' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l id-token-env -d 'The variable that holds the ID token [default: VAULT_ID_TOKEN]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l id-token-from -d 'Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l id-token-audience -d 'The audience to request for the ID token [default: the origin of Vault\'s address]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l id-token-file -d 'The file that holds the ID token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l role-id-file -d 'The file that holds the AppRole\'s role ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l secret-id-file -d 'The file that holds the secret ID' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l wrapping-token-file -d 'The file that holds the wrapping token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l token-file -d 'The file that holds the Vault token' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l service-account-token-file -d 'The file that holds the Kubernetes service account token [default: the pod\'s own]' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l creation-path -d 'The creation path that a wrapping token must have [default: the AppRole\'s secret-id]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l iam-server-id -d 'The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l sts-region -d 'The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -s a -l address -d 'Vault\'s address, for example `https://vault.example.com:8200`' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -s n -l namespace -d 'The namespace' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l ca-file -d 'The PEM file of the CA that signed Vault\'s certificate, instead of the system\'s roots' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l ca-path -d 'A folder of such files' -r -f -a "(__fish_complete_directories)"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l client-cert -d 'The PEM file of the client certificate' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l client-key -d 'The PEM file of its key' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l tls-server-name -d 'The name that Vault\'s certificate must have' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l proxy -d 'A proxy for https, reached by CONNECT' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l redirect-host -d 'A host and port to which a standby may redirect' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l connect-timeout -d 'The deadline of a connection attempt [default: 5s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l request-timeout -d 'The deadline of one request, but for the read that makes the credential [default: 20s]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l timeout -d 'The deadline of the whole run [default: 90s, 45s with --format process]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l retries -d 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]' -r -f
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l config -d 'The configuration file' -r -F
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l every-value -d 'Cover every value of the placeholders behind {project_id}, by a * at the end of the path'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l sos -d 'For the object storage: export the key for AWS tools'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l fips -d 'Use the FIPS endpoint of STS; with --via web-identity'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l wait-ready -d 'Wait until AWS knows the key of a new IAM user, 30 s at most'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l keep-profile -d 'Leave AWS_PROFILE and AWS_DEFAULT_PROFILE as they are'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l s3 -d 'For the object storage: export the key for AWS tools'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l write -d 'Write, without a parameter'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l any-audience -d 'Send the ID token although its audience is the URL of another host'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l child-token -d 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l renew -d 'Renew the generator token before the login, so that it never expires while jobs run'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l allow-plaintext -d 'Allow http:// to a host that is not this machine: anyone on the network path can read the token'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -l insecure-skip-verify -d 'Do not check the certificate of a server on this machine'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand explain" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand explain" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand explain" -s h -l help -d 'Print help'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand completions" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand completions" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand completions" -s h -l help -d 'Print help'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand man" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand man" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand man" -s h -l help -d 'Print help'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand help" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand help" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand help" -s h -l help -d 'Print help'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand version" -s v -l verbose -d 'Print requests, origins of values and causes on stderr'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand version" -s q -l quiet -d 'Print nothing on stderr but errors'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand version" -s h -l help -d 'Print help'
complete -c ci-creds -n "__fish_ci_creds_using_subcommand exec" -f -a "exoscale aws scaleway vault"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand doctor" -f -a "exoscale aws scaleway secret"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand policy" -f -a "exoscale aws scaleway secret"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand completions" -f -a "bash elvish fish powershell zsh"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand man" -f -a "exoscale aws scaleway secret exec doctor revoke cache token whoami policy explain completions man help version"
complete -c ci-creds -n "__fish_ci_creds_using_subcommand help" -f -a "exoscale aws scaleway secret exec doctor revoke cache token whoami policy explain completions man help version"
