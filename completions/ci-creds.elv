
use builtin;
use str;

set edit:completion:arg-completer[ci-creds] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'ci-creds'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'ci-creds'= {
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand exoscale 'Fetch an Exoscale API key and print it for the shell'
            cand aws 'Fetch AWS credentials and print them for the shell'
            cand completions 'Print the completion script of a shell'
            cand man 'Print the manual page'
        }
        &'ci-creds;exoscale'= {
            cand -r 'The engine''s role; may hold placeholders such as {project_id}-{environment}'
            cand --role 'The engine''s role; may hold placeholders such as {project_id}-{environment}'
            cand -m 'Where the engine is mounted [default: the provider''s name]'
            cand --mount 'Where the engine is mounted [default: the provider''s name]'
            cand --zone 'Also export EXOSCALE_ZONE'
            cand -f 'What to print [default: shell]'
            cand --format 'What to print [default: shell]'
            cand --auth 'How to log in [default: the first whose inputs are present, in this order]'
            cand --auth-mount 'Where the login is mounted [default: approle or jwt]'
            cand --auth-role 'The role of the login: the AppRole''s name, or the JWT role'
            cand --id-token-env 'The variable that holds the GitLab ID token [default: VAULT_ID_TOKEN]'
            cand --id-token-file 'The file that holds the GitLab ID token'
            cand --role-id-file 'The file that holds the AppRole''s role id'
            cand --secret-id-file 'The file that holds the secret id'
            cand --wrapping-token-file 'The file that holds the wrapping token'
            cand --token-file 'The file that holds the Vault token'
            cand --creation-path 'The creation path that a wrapping token must have [default: the AppRole''s secret-id or login]'
            cand -a 'Vault''s address, for example `https://vault.example.com:8200`'
            cand --address 'Vault''s address, for example `https://vault.example.com:8200`'
            cand -n 'The namespace'
            cand --namespace 'The namespace'
            cand --ca-file 'The PEM file of the CA that signed Vault''s certificate, instead of the system''s roots'
            cand --ca-path 'A folder of such files'
            cand --client-cert 'The PEM file of our own certificate'
            cand --client-key 'The PEM file of its key'
            cand --tls-server-name 'The name that Vault''s certificate must have'
            cand --proxy 'A proxy for https, reached by CONNECT'
            cand --redirect-host 'A host and port that a standby may send us to once'
            cand --connect-timeout 'The deadline of a connection attempt [default: 5s]'
            cand --request-timeout 'The deadline of one request [default: 20s, 60s for the read that makes the credential]'
            cand --timeout 'The deadline of the whole run [default: 90s, 45s with --format process]'
            cand --retries 'How often a request that was certainly not processed is sent again [default: 2]'
            cand --config 'The configuration file'
            cand --via-file 'Print only a line that sources a private file, which removes itself'
            cand --reveal 'Print the credential even on a terminal or into a job''s log'
            cand -v 'Say on stderr where each value came from, and what lies behind an error'
            cand --verbose 'Say on stderr where each value came from, and what lies behind an error'
            cand --any-audience 'Send the ID token although its audience is the URL of another host'
            cand --child-token 'Ask with a child of the Vault token, so that a key whose answer was lost can be taken back'
            cand --allow-plaintext 'Allow http:// to a host that is not this machine: everybody on the way can read the token'
            cand --insecure-skip-verify 'Do not check the certificate of a server on this machine'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ci-creds;aws'= {
            cand -r 'The engine''s role; may hold placeholders such as {project_id}-{environment}'
            cand --role 'The engine''s role; may hold placeholders such as {project_id}-{environment}'
            cand -m 'Where the engine is mounted [default: the provider''s name]'
            cand --mount 'Where the engine is mounted [default: the provider''s name]'
            cand --via 'The engine''s path: `sts` for temporary credentials, `creds` for an IAM user'
            cand --ttl 'How long STS credentials shall live: seconds, or 20m, 1h'
            cand --role-arn 'The role to assume, when the Vault role allows more than one'
            cand --session-name 'The session''s name in CloudTrail'
            cand --region 'Also export AWS_REGION and AWS_DEFAULT_REGION'
            cand -f 'What to print [default: shell]'
            cand --format 'What to print [default: shell]'
            cand --auth 'How to log in [default: the first whose inputs are present, in this order]'
            cand --auth-mount 'Where the login is mounted [default: approle or jwt]'
            cand --auth-role 'The role of the login: the AppRole''s name, or the JWT role'
            cand --id-token-env 'The variable that holds the GitLab ID token [default: VAULT_ID_TOKEN]'
            cand --id-token-file 'The file that holds the GitLab ID token'
            cand --role-id-file 'The file that holds the AppRole''s role id'
            cand --secret-id-file 'The file that holds the secret id'
            cand --wrapping-token-file 'The file that holds the wrapping token'
            cand --token-file 'The file that holds the Vault token'
            cand --creation-path 'The creation path that a wrapping token must have [default: the AppRole''s secret-id or login]'
            cand -a 'Vault''s address, for example `https://vault.example.com:8200`'
            cand --address 'Vault''s address, for example `https://vault.example.com:8200`'
            cand -n 'The namespace'
            cand --namespace 'The namespace'
            cand --ca-file 'The PEM file of the CA that signed Vault''s certificate, instead of the system''s roots'
            cand --ca-path 'A folder of such files'
            cand --client-cert 'The PEM file of our own certificate'
            cand --client-key 'The PEM file of its key'
            cand --tls-server-name 'The name that Vault''s certificate must have'
            cand --proxy 'A proxy for https, reached by CONNECT'
            cand --redirect-host 'A host and port that a standby may send us to once'
            cand --connect-timeout 'The deadline of a connection attempt [default: 5s]'
            cand --request-timeout 'The deadline of one request [default: 20s, 60s for the read that makes the credential]'
            cand --timeout 'The deadline of the whole run [default: 90s, 45s with --format process]'
            cand --retries 'How often a request that was certainly not processed is sent again [default: 2]'
            cand --config 'The configuration file'
            cand --keep-profile 'Leave AWS_PROFILE and AWS_DEFAULT_PROFILE as they are'
            cand --via-file 'Print only a line that sources a private file, which removes itself'
            cand --reveal 'Print the credential even on a terminal or into a job''s log'
            cand -v 'Say on stderr where each value came from, and what lies behind an error'
            cand --verbose 'Say on stderr where each value came from, and what lies behind an error'
            cand --any-audience 'Send the ID token although its audience is the URL of another host'
            cand --child-token 'Ask with a child of the Vault token, so that a key whose answer was lost can be taken back'
            cand --allow-plaintext 'Allow http:// to a host that is not this machine: everybody on the way can read the token'
            cand --insecure-skip-verify 'Do not check the certificate of a server on this machine'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ci-creds;completions'= {
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'ci-creds;man'= {
            cand -h 'Print help'
            cand --help 'Print help'
        }
    ]
    $completions[$command]
}
