
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
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('exoscale', 'exoscale', [CompletionResultType]::ParameterValue, 'Fetch an Exoscale API key and print it for the shell')
            [CompletionResult]::new('aws', 'aws', [CompletionResultType]::ParameterValue, 'Fetch AWS credentials and print them for the shell')
            [CompletionResult]::new('cache', 'cache', [CompletionResultType]::ParameterValue, 'List cached credentials: identity, role, expiry')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print a manual page')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print the help of a command')
            [CompletionResult]::new('version', 'version', [CompletionResultType]::ParameterValue, 'Print the version')
            break
        }
        'ci-creds;exoscale' {
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'The engine''s role, such as deploy or {project_id}-dev')
            [CompletionResult]::new('--role', '--role', [CompletionResultType]::ParameterName, 'The engine''s role, such as deploy or {project_id}-dev')
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'Where the engine is mounted [default: the name of the command]')
            [CompletionResult]::new('--mount', '--mount', [CompletionResultType]::ParameterName, 'Where the engine is mounted [default: the name of the command]')
            [CompletionResult]::new('--zone', '--zone', [CompletionResultType]::ParameterName, 'Also export EXOSCALE_ZONE; with --sos, the storage''s zone')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'What to print [default: shell]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What to print [default: shell]')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Write the credential into this credentials file')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The name of the profile or account in the file [default: ci-creds]')
            [CompletionResult]::new('--auth', '--auth', [CompletionResultType]::ParameterName, 'The authentication method [default: the first one whose inputs are set, in this order]')
            [CompletionResult]::new('--auth-mount', '--auth-mount', [CompletionResultType]::ParameterName, 'Where the method is mounted [default: approle or jwt]')
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
            [CompletionResult]::new('--client-cert', '--client-cert', [CompletionResultType]::ParameterName, 'The PEM file of the client certificate')
            [CompletionResult]::new('--client-key', '--client-key', [CompletionResultType]::ParameterName, 'The PEM file of its key')
            [CompletionResult]::new('--tls-server-name', '--tls-server-name', [CompletionResultType]::ParameterName, 'The name that Vault''s certificate must have')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'A proxy for https, reached by CONNECT')
            [CompletionResult]::new('--redirect-host', '--redirect-host', [CompletionResultType]::ParameterName, 'A host and port to which a standby may redirect')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'The deadline of a connection attempt [default: 5s]')
            [CompletionResult]::new('--request-timeout', '--request-timeout', [CompletionResultType]::ParameterName, 'The deadline of one request, but for the read that makes the credential [default: 20s]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'The deadline of the whole run [default: 90s, 45s with --format process]')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--sos', '--sos', [CompletionResultType]::ParameterName, 'For the object storage: export the key for AWS tools')
            [CompletionResult]::new('--via-file', '--via-file', [CompletionResultType]::ParameterName, 'Print only a line that sources a private file, which removes itself')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Cache the credential, and the login of a single-use secret, for the next calls of this job')
            [CompletionResult]::new('--no-cache', '--no-cache', [CompletionResultType]::ParameterName, 'Neither read nor write the cache [default: only --format process has one]')
            [CompletionResult]::new('--replace-profile', '--replace-profile', [CompletionResultType]::ParameterName, 'Remove the keys of the profile that the SDKs would use in place of the credential, such as role_arn; with --file')
            [CompletionResult]::new('--reveal', '--reveal', [CompletionResultType]::ParameterName, 'Print it even on a terminal or into a job''s log')
            [CompletionResult]::new('--any-audience', '--any-audience', [CompletionResultType]::ParameterName, 'Send the ID token although its audience is the URL of another host')
            [CompletionResult]::new('--child-token', '--child-token', [CompletionResultType]::ParameterName, 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked')
            [CompletionResult]::new('--allow-plaintext', '--allow-plaintext', [CompletionResultType]::ParameterName, 'Allow http:// to a host that is not this machine: everybody on the way can read the token')
            [CompletionResult]::new('--insecure-skip-verify', '--insecure-skip-verify', [CompletionResultType]::ParameterName, 'Do not check the certificate of a server on this machine')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ci-creds;aws' {
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'The engine''s role, such as deploy or {project_id}-dev')
            [CompletionResult]::new('--role', '--role', [CompletionResultType]::ParameterName, 'The engine''s role, such as deploy or {project_id}-dev')
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'Where the engine is mounted [default: the name of the command]')
            [CompletionResult]::new('--mount', '--mount', [CompletionResultType]::ParameterName, 'Where the engine is mounted [default: the name of the command]')
            [CompletionResult]::new('--via', '--via', [CompletionResultType]::ParameterName, 'The engine''s path: sts for temporary credentials, creds for an IAM user [default: sts]')
            [CompletionResult]::new('--ttl', '--ttl', [CompletionResultType]::ParameterName, 'Lifetime of STS credentials, 15m at least: 20m, 1h, 1d')
            [CompletionResult]::new('--role-arn', '--role-arn', [CompletionResultType]::ParameterName, 'The role to assume, when the Vault role allows more than one')
            [CompletionResult]::new('--session-name', '--session-name', [CompletionResultType]::ParameterName, 'The session''s name in CloudTrail')
            [CompletionResult]::new('--region', '--region', [CompletionResultType]::ParameterName, 'Also export AWS_REGION and AWS_DEFAULT_REGION')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'What to print [default: shell]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What to print [default: shell]')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Write the credential into this credentials file')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The name of the profile or account in the file [default: ci-creds]')
            [CompletionResult]::new('--auth', '--auth', [CompletionResultType]::ParameterName, 'The authentication method [default: the first one whose inputs are set, in this order]')
            [CompletionResult]::new('--auth-mount', '--auth-mount', [CompletionResultType]::ParameterName, 'Where the method is mounted [default: approle or jwt]')
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
            [CompletionResult]::new('--client-cert', '--client-cert', [CompletionResultType]::ParameterName, 'The PEM file of the client certificate')
            [CompletionResult]::new('--client-key', '--client-key', [CompletionResultType]::ParameterName, 'The PEM file of its key')
            [CompletionResult]::new('--tls-server-name', '--tls-server-name', [CompletionResultType]::ParameterName, 'The name that Vault''s certificate must have')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'A proxy for https, reached by CONNECT')
            [CompletionResult]::new('--redirect-host', '--redirect-host', [CompletionResultType]::ParameterName, 'A host and port to which a standby may redirect')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'The deadline of a connection attempt [default: 5s]')
            [CompletionResult]::new('--request-timeout', '--request-timeout', [CompletionResultType]::ParameterName, 'The deadline of one request, but for the read that makes the credential [default: 20s]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'The deadline of the whole run [default: 90s, 45s with --format process]')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--wait-ready', '--wait-ready', [CompletionResultType]::ParameterName, 'Wait until AWS knows the key of a new IAM user, 30 s at most')
            [CompletionResult]::new('--keep-profile', '--keep-profile', [CompletionResultType]::ParameterName, 'Leave AWS_PROFILE and AWS_DEFAULT_PROFILE as they are')
            [CompletionResult]::new('--via-file', '--via-file', [CompletionResultType]::ParameterName, 'Print only a line that sources a private file, which removes itself')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Cache the credential, and the login of a single-use secret, for the next calls of this job')
            [CompletionResult]::new('--no-cache', '--no-cache', [CompletionResultType]::ParameterName, 'Neither read nor write the cache [default: only --format process has one]')
            [CompletionResult]::new('--replace-profile', '--replace-profile', [CompletionResultType]::ParameterName, 'Remove the keys of the profile that the SDKs would use in place of the credential, such as role_arn; with --file')
            [CompletionResult]::new('--reveal', '--reveal', [CompletionResultType]::ParameterName, 'Print it even on a terminal or into a job''s log')
            [CompletionResult]::new('--any-audience', '--any-audience', [CompletionResultType]::ParameterName, 'Send the ID token although its audience is the URL of another host')
            [CompletionResult]::new('--child-token', '--child-token', [CompletionResultType]::ParameterName, 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked')
            [CompletionResult]::new('--allow-plaintext', '--allow-plaintext', [CompletionResultType]::ParameterName, 'Allow http:// to a host that is not this machine: everybody on the way can read the token')
            [CompletionResult]::new('--insecure-skip-verify', '--insecure-skip-verify', [CompletionResultType]::ParameterName, 'Do not check the certificate of a server on this machine')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ci-creds;cache' {
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('clear', 'clear', [CompletionResultType]::ParameterValue, 'Revoke the leases that this login can revoke, and remove its entries')
            break
        }
        'ci-creds;cache;clear' {
            [CompletionResult]::new('--auth', '--auth', [CompletionResultType]::ParameterName, 'The authentication method [default: the first one whose inputs are set, in this order]')
            [CompletionResult]::new('--auth-mount', '--auth-mount', [CompletionResultType]::ParameterName, 'Where the method is mounted [default: approle or jwt]')
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
            [CompletionResult]::new('--client-cert', '--client-cert', [CompletionResultType]::ParameterName, 'The PEM file of the client certificate')
            [CompletionResult]::new('--client-key', '--client-key', [CompletionResultType]::ParameterName, 'The PEM file of its key')
            [CompletionResult]::new('--tls-server-name', '--tls-server-name', [CompletionResultType]::ParameterName, 'The name that Vault''s certificate must have')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'A proxy for https, reached by CONNECT')
            [CompletionResult]::new('--redirect-host', '--redirect-host', [CompletionResultType]::ParameterName, 'A host and port to which a standby may redirect')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'The deadline of a connection attempt [default: 5s]')
            [CompletionResult]::new('--request-timeout', '--request-timeout', [CompletionResultType]::ParameterName, 'The deadline of one request, but for the read that makes the credential [default: 20s]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'The deadline of the whole run [default: 90s, 45s with --format process]')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Also remove the entries of other logins, and those that Vault did not revoke; their leases expire on their own')
            [CompletionResult]::new('--any-audience', '--any-audience', [CompletionResultType]::ParameterName, 'Send the ID token although its audience is the URL of another host')
            [CompletionResult]::new('--child-token', '--child-token', [CompletionResultType]::ParameterName, 'Read with a child of the Vault token, so that a key whose answer was lost can be revoked')
            [CompletionResult]::new('--allow-plaintext', '--allow-plaintext', [CompletionResultType]::ParameterName, 'Allow http:// to a host that is not this machine: everybody on the way can read the token')
            [CompletionResult]::new('--insecure-skip-verify', '--insecure-skip-verify', [CompletionResultType]::ParameterName, 'Do not check the certificate of a server on this machine')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'ci-creds;completions' {
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'ci-creds;man' {
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'ci-creds;help' {
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'ci-creds;version' {
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print requests, origins of values and causes on stderr')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
