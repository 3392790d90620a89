use dev_vault::{DevVault, Proxy, Reply, Tls};

use crate::support::{METHODS, Run, World};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner --retries 0";

/// A Vault that only a proxy can lead to: its name has no address.
fn behind_a_proxy() -> (World, Proxy) {
    let world = World::with(DevVault::builder().tls(Tls::WrongName));
    let proxy = Proxy::to(world.vault.socket_address());
    (world, proxy)
}

fn address(world: &World) -> String {
    format!("https://vault.invalid:{}", world.vault.socket_address().port())
}

fn remote(world: &World, method: &str, line: &str) -> Run {
    let run = world.command_as(method, line).env("VAULT_ADDR", &address(world));
    run.env("VAULT_CACERT_BYTES", world.vault.ca_pem()).env("CI", "")
}

// check: 13
#[test]
fn a_proxy_sees_one_connect_and_nothing_else() {
    for name in ["VAULT_PROXY_ADDR", "HTTPS_PROXY", "https_proxy"] {
        let (world, proxy) = behind_a_proxy();
        // The token's audience names another host; that is another test's matter.
        remote(&world, "wrapping-token", EXOSCALE).env(name, &proxy.address()).run().ok();
        let seen: Vec<_> = proxy.requests().iter().map(dev_vault::Recorded::line).collect();
        let authority = address(&world).replace("https://", "");
        assert_eq!(seen, [format!("CONNECT {authority}")], "{name}");
        let text = format!("{:?}", proxy.requests());
        world.assert_no_secret_in(&text.to_lowercase());
        assert!(!text.to_lowercase().contains("x-vault"), "{text}");
        assert_eq!((world.vault.connections(), world.vault.requests().len()), (1, 4), "{name}");
    }
    let (world, proxy) = behind_a_proxy();
    remote(&world, "token", &format!("{EXOSCALE} --proxy {}", proxy.address())).run().ok();
}

#[test]
fn a_proxy_for_vault_wins_over_the_general_one_and_no_proxy_speaks_of_the_general_one() {
    let (world, proxy) = behind_a_proxy();
    let wrong = Proxy::refuse(Reply::html(502, "no"));
    let run = remote(&world, "token", EXOSCALE).env("HTTPS_PROXY", &wrong.address()).env("NO_PROXY", "*");
    run.env("VAULT_PROXY_ADDR", &proxy.address()).run().ok();
    assert_eq!(wrong.connections(), 0);

    let port = world.vault.socket_address().port();
    let with_port = format!("vault.invalid:{port}");
    for list in ["vault.invalid", ".invalid", "*.invalid", "other,vault.invalid", "*", &with_port] {
        let run = remote(&world, "token", &format!("{EXOSCALE} --connect-timeout 2 -v"));
        let run = run.env("HTTPS_PROXY", &wrong.address()).env("NO_PROXY", list);
        let ran = run.run();
        assert_eq!((ran.code, wrong.connections()), (69, 0), "{list}: {ran:?}");
        assert!(!ran.stderr.contains("through the proxy"), "{ran:?}");
        // A name of its own does not go with a proxy; here there is none.
        let ran = run.env("VAULT_TLS_SERVER_NAME", "other.invalid").run();
        assert_eq!((ran.code, wrong.connections()), (69, 0), "{list}: {ran:?}");
    }
}

#[test]
fn a_proxy_is_taken_without_its_scheme_and_no_proxy_speaks_of_one_port() {
    let (world, proxy) = behind_a_proxy();
    let bare = proxy.address().replace("http://", "");
    for name in ["HTTPS_PROXY", "VAULT_PROXY_ADDR"] {
        remote(&world, "token", EXOSCALE).env(name, &bare).run().ok();
        remote(&world, "token", EXOSCALE).env(name, &format!("job:Sw0rdfish@{bare}")).run().ok();
    }
    let login = proxy.requests()[1].headers.get("proxy-authorization").map(str::to_owned);
    assert_eq!(login.as_deref(), Some("Basic am9iOlN3MHJkZmlzaA=="));
    for list in ["vault.invalid:1", "*.vault.invalid", ".vault.invalid", "[::1]", "10.0.0.0/8"] {
        let seen = proxy.connections();
        remote(&world, "token", EXOSCALE).env("HTTPS_PROXY", &bare).env("NO_PROXY", list).run().ok();
        assert_eq!(proxy.connections(), seen + 1, "{list}");
    }
}

// check: 13
#[test]
fn no_proxy_covers_an_address_by_a_star_a_network_and_itself() {
    let world = World::with(DevVault::builder().tls(Tls::Valid));
    let proxy = Proxy::refuse(Reply::html(502, "no"));
    let run = |host: &str, list: &str| {
        let run = remote(&world, "token", &format!("{EXOSCALE} --connect-timeout 1 --timeout 5"));
        let run = run.env("VAULT_ADDR", &format!("https://{host}:8200")).env("HTTPS_PROXY", &proxy.address());
        run.env("NO_PROXY", list).run()
    };
    // Addresses for documentation (RFC 5737, RFC 3849), where nobody is.
    for (host, list) in [
        ("192.0.2.1", "*"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.2.1:8200"),
        ("[2001:db8::1]", "*"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]:8200"),
        ("[2001:db8::1]", "2001:db8::/32"),
    ] {
        let ran = run(host, list);
        assert!(ran.code == 69 && !ran.stderr.contains("proxy from"), "{host} {list}: {ran:?}");
    }
    assert_eq!(proxy.connections(), 0);
    for list in ["192.0.2.2", "192.0.2.1:443", "198.51.100.0/24", "vault.invalid"] {
        let ran = run("192.0.2.1", list);
        assert!(ran.code == 69 && ran.stderr.contains("the proxy from HTTPS_PROXY"), "{list}: {ran:?}");
    }
    assert_eq!(proxy.connections(), 4);
}

// check: 13
#[test]
fn an_ipv6_address_behind_a_proxy_is_refused_before_anything_is_sent() {
    let (world, proxy) = behind_a_proxy();
    for (name, hint) in [("HTTPS_PROXY", "NO_PROXY=[2001:db8::1]"), ("VAULT_PROXY_ADDR", "use a host name")] {
        let run = remote(&world, "token", EXOSCALE).env("VAULT_ADDR", "https://[2001:db8::1]:8200");
        let ran = run.env(name, &proxy.address()).run();
        ran.refused(&world, 78, "config", &["IPv6", &format!("from {name}")], &[hint]);
    }
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_proxy_without_an_address_is_reported_by_the_variable_that_names_it() {
    let (world, _) = behind_a_proxy();
    let run = remote(&world, "token", &format!("{EXOSCALE} --connect-timeout 2"));
    let ran = run.env("HTTPS_PROXY", "http://user:secret@proxy.invalid:3128").run();
    let ran = ran.refused(&world, 69, "unavailable", &["the proxy", "from HTTPS_PROXY"], &[]);
    // Where no name service answers at all, the deadline ends the search.
    assert!(ran.stderr.contains("no connection in time") || !ran.stderr.contains("VAULT_ADDR"), "{ran:?}");
    assert!(!ran.stderr.contains("secret@"), "{ran:?}");
}

// check: 13
#[test]
fn this_machine_and_plain_http_are_never_reached_by_a_proxy() {
    let names =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "VAULT_PROXY_ADDR"];
    for tls in [Tls::Off, Tls::Valid] {
        let world = World::with(DevVault::builder().tls(tls));
        let proxy = Proxy::forward();
        for method in METHODS {
            let mut run = world.command_as(method, EXOSCALE);
            if tls == Tls::Valid {
                run = run.env("VAULT_CACERT_BYTES", world.vault.ca_pem());
            }
            run = names.iter().fold(run, |run, name| run.env(name, &proxy.address()));
            run.run().ok();
        }
        assert_eq!(proxy.connections(), 0, "{tls:?}");
    }
    let (world, _) = behind_a_proxy();
    let proxy = Proxy::forward();
    let run = remote(&world, "token", EXOSCALE).env("VAULT_ADDR", "http://vault.invalid");
    let ran = run.env("HTTP_PROXY", &proxy.address()).env("HTTPS_PROXY", &proxy.address()).run();
    assert_eq!((ran.code, proxy.connections()), (78, 0), "{ran:?}");
}

#[test]
fn only_the_proxy_for_https_counts_for_https() {
    let (world, proxy) = behind_a_proxy();
    let run = remote(&world, "token", &format!("{EXOSCALE} --connect-timeout 2"));
    let ran = run.env("HTTP_PROXY", &proxy.address()).env("ALL_PROXY", &proxy.address()).run();
    assert_eq!((ran.code, proxy.connections()), (69, 0), "{ran:?}");
}

#[test]
fn a_proxy_that_refuses_is_named_without_its_password() {
    let pages = [
        (
            76,
            "requires a login (407)",
            Reply::html(407, "<html>who are you</html>").header("Proxy-Authenticate", "Basic realm=\"corp\""),
        ),
        (69, "through the proxy from HTTPS_PROXY, which refuses", Reply::html(502, "<html>Bad Gateway</html>")),
        (69, "through the proxy from HTTPS_PROXY, which refuses", Reply::html(403, "<html>blocked</html>")),
    ];
    for (code, words, page) in pages {
        let (world, _) = behind_a_proxy();
        let proxy = Proxy::refuse(page);
        let url = proxy.address().replace("http://", "http://job:Sw0rdfish@");
        for line in [EXOSCALE, &format!("{EXOSCALE} -v")] {
            let ran = remote(&world, "wrapping-token", line).env("HTTPS_PROXY", &url).run();
            let kind = if code == 69 { "unavailable" } else { "protocol" };
            let ran = ran.refused(&world, code, kind, &["the proxy from HTTPS_PROXY", words], &["proxy"]);
            assert!(!ran.stderr.contains("Sw0rdfish") && !ran.stdout.contains("Sw0rdfish"), "{ran:?}");
        }
        assert_eq!(world.vault.connections(), 0);
    }
}

#[test]
fn a_proxys_password_goes_to_the_proxy_only() {
    let (world, proxy) = behind_a_proxy();
    let url = proxy.address().replace("http://", "http://job:Sw0rdfish@");
    let ran = remote(&world, "token", &format!("{EXOSCALE} -v")).env("VAULT_PROXY_ADDR", &url).run();
    assert!(ran.stderr.contains("through the proxy from VAULT_PROXY_ADDR"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("Sw0rdfish"), "{}", ran.stderr);
    ran.ok();
    let login = proxy.requests()[0].headers.get("proxy-authorization").map(str::to_owned);
    assert_eq!(login.as_deref(), Some("Basic am9iOlN3MHJkZmlzaA=="));
    assert!(world.vault.requests().iter().all(|request| request.headers.get("proxy-authorization").is_none()));
}

#[test]
fn an_invalid_proxy_is_a_configuration_error() {
    let (world, _) = behind_a_proxy();
    for url in ["socks5://127.0.0.1:1080", "not a url Sw0rdfish", "ftp://proxy"] {
        let ran = remote(&world, "token", EXOSCALE).env("VAULT_PROXY_ADDR", url).run();
        let ran = ran.refused(&world, 78, "config", &["VAULT_PROXY_ADDR"], &["http://proxy.example.com:3128"]);
        assert!(!ran.stderr.contains("Sw0rdfish"), "{ran:?}");
    }
    assert_eq!(world.vault.connections(), 0);
}

#[test]
fn the_certificate_is_checked_through_a_proxy_too() {
    let world = World::with(DevVault::builder().tls(Tls::Valid));
    let proxy = Proxy::to(world.vault.socket_address());
    let ran = remote(&world, "token", EXOSCALE).env("HTTPS_PROXY", &proxy.address()).run();
    ran.refused(&world, 76, "protocol", &["is for another name"], &["VAULT_ADDR"]);
    assert_eq!(world.vault.requests().len(), 0);
}

#[test]
fn a_proxy_that_cannot_be_reached_is_blamed_and_not_vault() {
    let (world, _) = behind_a_proxy();
    for name in ["HTTPS_PROXY", "VAULT_PROXY_ADDR"] {
        let ran = remote(&world, "token", EXOSCALE).env(name, "http://job:Sw0rdfish@127.0.0.1:1").run();
        let words = format!("through the proxy from {name}: connection refused");
        let ran = ran.refused(&world, 69, "unavailable", &[&words], &["proxy"]);
        assert!(!ran.stderr.contains("Sw0rdfish"), "{ran:?}");
    }
}
