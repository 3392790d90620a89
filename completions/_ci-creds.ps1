
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'ci-creds' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'ci-creds'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'ci-creds' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('exoscale', 'exoscale', [CompletionResultType]::ParameterValue, 'Fetch an Exoscale API key and print it for the shell')
            [CompletionResult]::new('aws', 'aws', [CompletionResultType]::ParameterValue, 'Fetch AWS credentials and print them for the shell')
            [CompletionResult]::new('revoke', 'revoke', [CompletionResultType]::ParameterValue, 'Revoke every credential and login of this job')
            [CompletionResult]::new('cache', 'cache', [CompletionResultType]::ParameterValue, 'Show what is kept for the next calls: who, which role, until when')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print the manual page')
            break
        }
        'ci-creds;exoscale' {
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'The engine''s role; may hold placeholders such as {project_id}-{environment}')
            [CompletionResult]::new('--role', '--role', [CompletionResultType]::ParameterName, 'The engine''s role; may hold placeholders such as {project_id}-{environment}')
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'Where the engine is mounted [default: the provider''s name]')
            [CompletionResult]::new('--mount', '--mount', [CompletionResultType]::ParameterName, 'Where the engine is mounted [default: the provider''s name]')
            [CompletionResult]::new('--zone', '--zone', [CompletionResultType]::ParameterName, 'Also export EXOSCALE_ZONE; with --sos, the zone of the storage')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'What to print [default: shell]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What to print [default: shell]')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Edit this credentials file in place of a private one; with --format file, which it implies')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The name of the profile or account in the file [default: ci-creds]')
            [CompletionResult]::new('--auth', '--auth', [CompletionResultType]::ParameterName, 'How to log in [default: the first whose inputs are present, in this order]')
            [CompletionResult]::new('--auth-mount', '--auth-mount', [CompletionResultType]::ParameterName, 'Where the login is mounted [default: approle or jwt]')
            [CompletionResult]::new('--auth-role', '--auth-role', [CompletionResultType]::ParameterName, 'The role of the login: the AppRole''s name, or the JWT role')
            [CompletionResult]::new('--id-token-env', '--id-token-env', [CompletionResultType]::ParameterName, 'The variable that holds the GitLab ID token [default: VAULT_ID_TOKEN]')
            [CompletionResult]::new('--id-token-file', '--id-token-file', [CompletionResultType]::ParameterName, 'The file that holds the GitLab ID token')
            [CompletionResult]::new('--role-id-file', '--role-id-file', [CompletionResultType]::ParameterName, 'The file that holds the AppRole''s role id')
            [CompletionResult]::new('--secret-id-file', '--secret-id-file', [CompletionResultType]::ParameterName, 'The file that holds the secret id')
            [CompletionResult]::new('--wrapping-token-file', '--wrapping-token-file', [CompletionResultType]::ParameterName, 'The file that holds the wrapping token')
            [CompletionResult]::new('--token-file', '--token-file', [CompletionResultType]::ParameterName, 'The file that holds the Vault token')
            [CompletionResult]::new('--creation-path', '--creation-path', [CompletionResultType]::ParameterName, 'The creation path that a wrapping token must have [default: the AppRole''s secret-id]')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Vault''s address, for example `https://vault.example.com:8200`')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'Vault''s address, for example `https://vault.example.com:8200`')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'The namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'The namespace')
            [CompletionResult]::new('--ca-file', '--ca-file', [CompletionResultType]::ParameterName, 'The PEM file of the CA that signed Vault''s certificate, instead of the system''s roots')
            [CompletionResult]::new('--ca-path', '--ca-path', [CompletionResultType]::ParameterName, 'A folder of such files')
            [CompletionResult]::new('--client-cert', '--client-cert', [CompletionResultType]::ParameterName, 'The PEM file of our own certificate')
            [CompletionResult]::new('--client-key', '--client-key', [CompletionResultType]::ParameterName, 'The PEM file of its key')
            [CompletionResult]::new('--tls-server-name', '--tls-server-name', [CompletionResultType]::ParameterName, 'The name that Vault''s certificate must have')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'A proxy for https, reached by CONNECT')
            [CompletionResult]::new('--redirect-host', '--redirect-host', [CompletionResultType]::ParameterName, 'A host and port that a standby may send us to once')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'The deadline of a connection attempt [default: 5s]')
            [CompletionResult]::new('--request-timeout', '--request-timeout', [CompletionResultType]::ParameterName, 'The deadline of one request, but for the read that makes the credential [default: 20s]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'The deadline of the whole run [default: 90s, 45s with --format process]')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'How often a lost request is sent again; with 0 nothing is repeated [default: 2]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--sos', '--sos', [CompletionResultType]::ParameterName, 'For the object storage by AWS tools: the key as AWS_ACCESS_KEY_ID, and the zone''s S3 endpoint')
            [CompletionResult]::new('--via-file', '--via-file', [CompletionResultType]::ParameterName, 'Print only a line that sources a private file, which removes itself')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep the credential, and what a single-use secret bought, for the next calls of this job')
            [CompletionResult]::new('--no-cache', '--no-cache', [CompletionResultType]::ParameterName, 'Neither look for a kept credential nor keep one [default: only --format process keeps]')
            [CompletionResult]::new('--keep-state', '--keep-state', [CompletionResultType]::ParameterName, 'Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]')
            [CompletionResult]::new('--no-keep-state', '--no-keep-state', [CompletionResultType]::ParameterName, 'Do not note them')
            [CompletionResult]::new('--replace-profile', '--replace-profile', [CompletionResultType]::ParameterName, 'Remove the keys of the profile that the SDKs would use in place of the credential, such as role_arn; with --file')
            [CompletionResult]::new('--reveal', '--reveal', [CompletionResultType]::ParameterName, 'Print the credential even on a terminal or into a job''s log')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say on stderr where each value came from, and what lies behind an error')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say on stderr where each value came from, and what lies behind an error')
            [CompletionResult]::new('--any-audience', '--any-audience', [CompletionResultType]::ParameterName, 'Send the ID token although its audience is the URL of another host')
            [CompletionResult]::new('--child-token', '--child-token', [CompletionResultType]::ParameterName, 'Ask with a child of the Vault token, so that a key whose answer was lost can be taken back')
            [CompletionResult]::new('--allow-plaintext', '--allow-plaintext', [CompletionResultType]::ParameterName, 'Allow http:// to a host that is not this machine: everybody on the way can read the token')
            [CompletionResult]::new('--insecure-skip-verify', '--insecure-skip-verify', [CompletionResultType]::ParameterName, 'Do not check the certificate of a server on this machine')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ci-creds;aws' {
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'The engine''s role; may hold placeholders such as {project_id}-{environment}')
            [CompletionResult]::new('--role', '--role', [CompletionResultType]::ParameterName, 'The engine''s role; may hold placeholders such as {project_id}-{environment}')
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'Where the engine is mounted [default: the provider''s name]')
            [CompletionResult]::new('--mount', '--mount', [CompletionResultType]::ParameterName, 'Where the engine is mounted [default: the provider''s name]')
            [CompletionResult]::new('--via', '--via', [CompletionResultType]::ParameterName, 'The engine''s path: `sts` for temporary credentials, `creds` for an IAM user')
            [CompletionResult]::new('--ttl', '--ttl', [CompletionResultType]::ParameterName, 'How long STS credentials shall live: seconds, or 20m, 1h')
            [CompletionResult]::new('--role-arn', '--role-arn', [CompletionResultType]::ParameterName, 'The role to assume, when the Vault role allows more than one')
            [CompletionResult]::new('--session-name', '--session-name', [CompletionResultType]::ParameterName, 'The session''s name in CloudTrail')
            [CompletionResult]::new('--region', '--region', [CompletionResultType]::ParameterName, 'Also export AWS_REGION and AWS_DEFAULT_REGION')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'What to print [default: shell]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What to print [default: shell]')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Edit this credentials file in place of a private one; with --format file, which it implies')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The name of the profile or account in the file [default: ci-creds]')
            [CompletionResult]::new('--auth', '--auth', [CompletionResultType]::ParameterName, 'How to log in [default: the first whose inputs are present, in this order]')
            [CompletionResult]::new('--auth-mount', '--auth-mount', [CompletionResultType]::ParameterName, 'Where the login is mounted [default: approle or jwt]')
            [CompletionResult]::new('--auth-role', '--auth-role', [CompletionResultType]::ParameterName, 'The role of the login: the AppRole''s name, or the JWT role')
            [CompletionResult]::new('--id-token-env', '--id-token-env', [CompletionResultType]::ParameterName, 'The variable that holds the GitLab ID token [default: VAULT_ID_TOKEN]')
            [CompletionResult]::new('--id-token-file', '--id-token-file', [CompletionResultType]::ParameterName, 'The file that holds the GitLab ID token')
            [CompletionResult]::new('--role-id-file', '--role-id-file', [CompletionResultType]::ParameterName, 'The file that holds the AppRole''s role id')
            [CompletionResult]::new('--secret-id-file', '--secret-id-file', [CompletionResultType]::ParameterName, 'The file that holds the secret id')
            [CompletionResult]::new('--wrapping-token-file', '--wrapping-token-file', [CompletionResultType]::ParameterName, 'The file that holds the wrapping token')
            [CompletionResult]::new('--token-file', '--token-file', [CompletionResultType]::ParameterName, 'The file that holds the Vault token')
            [CompletionResult]::new('--creation-path', '--creation-path', [CompletionResultType]::ParameterName, 'The creation path that a wrapping token must have [default: the AppRole''s secret-id]')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Vault''s address, for example `https://vault.example.com:8200`')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'Vault''s address, for example `https://vault.example.com:8200`')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'The namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'The namespace')
            [CompletionResult]::new('--ca-file', '--ca-file', [CompletionResultType]::ParameterName, 'The PEM file of the CA that signed Vault''s certificate, instead of the system''s roots')
            [CompletionResult]::new('--ca-path', '--ca-path', [CompletionResultType]::ParameterName, 'A folder of such files')
            [CompletionResult]::new('--client-cert', '--client-cert', [CompletionResultType]::ParameterName, 'The PEM file of our own certificate')
            [CompletionResult]::new('--client-key', '--client-key', [CompletionResultType]::ParameterName, 'The PEM file of its key')
            [CompletionResult]::new('--tls-server-name', '--tls-server-name', [CompletionResultType]::ParameterName, 'The name that Vault''s certificate must have')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'A proxy for https, reached by CONNECT')
            [CompletionResult]::new('--redirect-host', '--redirect-host', [CompletionResultType]::ParameterName, 'A host and port that a standby may send us to once')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'The deadline of a connection attempt [default: 5s]')
            [CompletionResult]::new('--request-timeout', '--request-timeout', [CompletionResultType]::ParameterName, 'The deadline of one request, but for the read that makes the credential [default: 20s]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'The deadline of the whole run [default: 90s, 45s with --format process]')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'How often a lost request is sent again; with 0 nothing is repeated [default: 2]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--wait-ready', '--wait-ready', [CompletionResultType]::ParameterName, 'Wait until AWS knows the key of a new IAM user, 30 s at most')
            [CompletionResult]::new('--keep-profile', '--keep-profile', [CompletionResultType]::ParameterName, 'Leave AWS_PROFILE and AWS_DEFAULT_PROFILE as they are')
            [CompletionResult]::new('--via-file', '--via-file', [CompletionResultType]::ParameterName, 'Print only a line that sources a private file, which removes itself')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep the credential, and what a single-use secret bought, for the next calls of this job')
            [CompletionResult]::new('--no-cache', '--no-cache', [CompletionResultType]::ParameterName, 'Neither look for a kept credential nor keep one [default: only --format process keeps]')
            [CompletionResult]::new('--keep-state', '--keep-state', [CompletionResultType]::ParameterName, 'Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]')
            [CompletionResult]::new('--no-keep-state', '--no-keep-state', [CompletionResultType]::ParameterName, 'Do not note them')
            [CompletionResult]::new('--replace-profile', '--replace-profile', [CompletionResultType]::ParameterName, 'Remove the keys of the profile that the SDKs would use in place of the credential, such as role_arn; with --file')
            [CompletionResult]::new('--reveal', '--reveal', [CompletionResultType]::ParameterName, 'Print the credential even on a terminal or into a job''s log')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say on stderr where each value came from, and what lies behind an error')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say on stderr where each value came from, and what lies behind an error')
            [CompletionResult]::new('--any-audience', '--any-audience', [CompletionResultType]::ParameterName, 'Send the ID token although its audience is the URL of another host')
            [CompletionResult]::new('--child-token', '--child-token', [CompletionResultType]::ParameterName, 'Ask with a child of the Vault token, so that a key whose answer was lost can be taken back')
            [CompletionResult]::new('--allow-plaintext', '--allow-plaintext', [CompletionResultType]::ParameterName, 'Allow http:// to a host that is not this machine: everybody on the way can read the token')
            [CompletionResult]::new('--insecure-skip-verify', '--insecure-skip-verify', [CompletionResultType]::ParameterName, 'Do not check the certificate of a server on this machine')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ci-creds;revoke' {
            [CompletionResult]::new('--auth', '--auth', [CompletionResultType]::ParameterName, 'How to log in [default: the first whose inputs are present, in this order]')
            [CompletionResult]::new('--auth-mount', '--auth-mount', [CompletionResultType]::ParameterName, 'Where the login is mounted [default: approle or jwt]')
            [CompletionResult]::new('--auth-role', '--auth-role', [CompletionResultType]::ParameterName, 'The role of the login: the AppRole''s name, or the JWT role')
            [CompletionResult]::new('--id-token-env', '--id-token-env', [CompletionResultType]::ParameterName, 'The variable that holds the GitLab ID token [default: VAULT_ID_TOKEN]')
            [CompletionResult]::new('--id-token-file', '--id-token-file', [CompletionResultType]::ParameterName, 'The file that holds the GitLab ID token')
            [CompletionResult]::new('--role-id-file', '--role-id-file', [CompletionResultType]::ParameterName, 'The file that holds the AppRole''s role id')
            [CompletionResult]::new('--secret-id-file', '--secret-id-file', [CompletionResultType]::ParameterName, 'The file that holds the secret id')
            [CompletionResult]::new('--wrapping-token-file', '--wrapping-token-file', [CompletionResultType]::ParameterName, 'The file that holds the wrapping token')
            [CompletionResult]::new('--token-file', '--token-file', [CompletionResultType]::ParameterName, 'The file that holds the Vault token')
            [CompletionResult]::new('--creation-path', '--creation-path', [CompletionResultType]::ParameterName, 'The creation path that a wrapping token must have [default: the AppRole''s secret-id]')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Vault''s address, for example `https://vault.example.com:8200`')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'Vault''s address, for example `https://vault.example.com:8200`')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'The namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'The namespace')
            [CompletionResult]::new('--ca-file', '--ca-file', [CompletionResultType]::ParameterName, 'The PEM file of the CA that signed Vault''s certificate, instead of the system''s roots')
            [CompletionResult]::new('--ca-path', '--ca-path', [CompletionResultType]::ParameterName, 'A folder of such files')
            [CompletionResult]::new('--client-cert', '--client-cert', [CompletionResultType]::ParameterName, 'The PEM file of our own certificate')
            [CompletionResult]::new('--client-key', '--client-key', [CompletionResultType]::ParameterName, 'The PEM file of its key')
            [CompletionResult]::new('--tls-server-name', '--tls-server-name', [CompletionResultType]::ParameterName, 'The name that Vault''s certificate must have')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'A proxy for https, reached by CONNECT')
            [CompletionResult]::new('--redirect-host', '--redirect-host', [CompletionResultType]::ParameterName, 'A host and port that a standby may send us to once')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'The deadline of a connection attempt [default: 5s]')
            [CompletionResult]::new('--request-timeout', '--request-timeout', [CompletionResultType]::ParameterName, 'The deadline of one request, but for the read that makes the credential [default: 20s]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'The deadline of the whole run [default: 90s, 45s with --format process]')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'How often a lost request is sent again; with 0 nothing is repeated [default: 2]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--all-mine', '--all-mine', [CompletionResultType]::ParameterName, 'Revoke what this login made in any job, with any role, and at any mount')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say what lies behind an error')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say what lies behind an error')
            [CompletionResult]::new('--any-audience', '--any-audience', [CompletionResultType]::ParameterName, 'Send the ID token although its audience is the URL of another host')
            [CompletionResult]::new('--child-token', '--child-token', [CompletionResultType]::ParameterName, 'Ask with a child of the Vault token, so that a key whose answer was lost can be taken back')
            [CompletionResult]::new('--allow-plaintext', '--allow-plaintext', [CompletionResultType]::ParameterName, 'Allow http:// to a host that is not this machine: everybody on the way can read the token')
            [CompletionResult]::new('--insecure-skip-verify', '--insecure-skip-verify', [CompletionResultType]::ParameterName, 'Do not check the certificate of a server on this machine')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ci-creds;cache' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('clear', 'clear', [CompletionResultType]::ParameterValue, 'Revoke every credential and login of this job, as ci-creds revoke does')
            break
        }
        'ci-creds;cache;clear' {
            [CompletionResult]::new('--auth', '--auth', [CompletionResultType]::ParameterName, 'How to log in [default: the first whose inputs are present, in this order]')
            [CompletionResult]::new('--auth-mount', '--auth-mount', [CompletionResultType]::ParameterName, 'Where the login is mounted [default: approle or jwt]')
            [CompletionResult]::new('--auth-role', '--auth-role', [CompletionResultType]::ParameterName, 'The role of the login: the AppRole''s name, or the JWT role')
            [CompletionResult]::new('--id-token-env', '--id-token-env', [CompletionResultType]::ParameterName, 'The variable that holds the GitLab ID token [default: VAULT_ID_TOKEN]')
            [CompletionResult]::new('--id-token-file', '--id-token-file', [CompletionResultType]::ParameterName, 'The file that holds the GitLab ID token')
            [CompletionResult]::new('--role-id-file', '--role-id-file', [CompletionResultType]::ParameterName, 'The file that holds the AppRole''s role id')
            [CompletionResult]::new('--secret-id-file', '--secret-id-file', [CompletionResultType]::ParameterName, 'The file that holds the secret id')
            [CompletionResult]::new('--wrapping-token-file', '--wrapping-token-file', [CompletionResultType]::ParameterName, 'The file that holds the wrapping token')
            [CompletionResult]::new('--token-file', '--token-file', [CompletionResultType]::ParameterName, 'The file that holds the Vault token')
            [CompletionResult]::new('--creation-path', '--creation-path', [CompletionResultType]::ParameterName, 'The creation path that a wrapping token must have [default: the AppRole''s secret-id]')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Vault''s address, for example `https://vault.example.com:8200`')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'Vault''s address, for example `https://vault.example.com:8200`')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'The namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'The namespace')
            [CompletionResult]::new('--ca-file', '--ca-file', [CompletionResultType]::ParameterName, 'The PEM file of the CA that signed Vault''s certificate, instead of the system''s roots')
            [CompletionResult]::new('--ca-path', '--ca-path', [CompletionResultType]::ParameterName, 'A folder of such files')
            [CompletionResult]::new('--client-cert', '--client-cert', [CompletionResultType]::ParameterName, 'The PEM file of our own certificate')
            [CompletionResult]::new('--client-key', '--client-key', [CompletionResultType]::ParameterName, 'The PEM file of its key')
            [CompletionResult]::new('--tls-server-name', '--tls-server-name', [CompletionResultType]::ParameterName, 'The name that Vault''s certificate must have')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'A proxy for https, reached by CONNECT')
            [CompletionResult]::new('--redirect-host', '--redirect-host', [CompletionResultType]::ParameterName, 'A host and port that a standby may send us to once')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'The deadline of a connection attempt [default: 5s]')
            [CompletionResult]::new('--request-timeout', '--request-timeout', [CompletionResultType]::ParameterName, 'The deadline of one request, but for the read that makes the credential [default: 20s]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'The deadline of the whole run [default: 90s, 45s with --format process]')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'How often a lost request is sent again; with 0 nothing is repeated [default: 2]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Also remove what other logins cached, and what was not revoked; those leases expire by themselves')
            [CompletionResult]::new('--any-audience', '--any-audience', [CompletionResultType]::ParameterName, 'Send the ID token although its audience is the URL of another host')
            [CompletionResult]::new('--child-token', '--child-token', [CompletionResultType]::ParameterName, 'Ask with a child of the Vault token, so that a key whose answer was lost can be taken back')
            [CompletionResult]::new('--allow-plaintext', '--allow-plaintext', [CompletionResultType]::ParameterName, 'Allow http:// to a host that is not this machine: everybody on the way can read the token')
            [CompletionResult]::new('--insecure-skip-verify', '--insecure-skip-verify', [CompletionResultType]::ParameterName, 'Do not check the certificate of a server on this machine')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ci-creds;completions' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'ci-creds;man' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
