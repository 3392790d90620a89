// CI_CREDS_REGENERATE=1 cargo test --test it completion
[
    ("", include_str!("ci-creds.1")),
    ("exoscale", include_str!("ci-creds-exoscale.1")),
    ("aws", include_str!("ci-creds-aws.1")),
    ("secret", include_str!("ci-creds-secret.1")),
    ("exec", include_str!("ci-creds-exec.1")),
    ("doctor", include_str!("ci-creds-doctor.1")),
    ("revoke", include_str!("ci-creds-revoke.1")),
    ("cache", include_str!("ci-creds-cache.1")),
    ("token", include_str!("ci-creds-token.1")),
    ("whoami", include_str!("ci-creds-whoami.1")),
    ("policy", include_str!("ci-creds-policy.1")),
    ("explain", include_str!("ci-creds-explain.1")),
    ("completions", include_str!("ci-creds-completions.1")),
    ("man", include_str!("ci-creds-man.1")),
    ("help", include_str!("ci-creds-help.1")),
    ("version", include_str!("ci-creds-version.1")),
]
