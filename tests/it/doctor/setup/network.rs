//! From the address to a connection that can be trusted.

use dev_vault::{Proxy, Reply, Tls};

use super::bench::Bench;
use super::{EVERYWHERE, Row, row};

fn port(bench: &Bench<'_>) -> String {
    bench.run.variables()["VAULT_ADDR"].rsplit(':').next().expect("a port").to_owned()
}

/// The server has a name that only a proxy finds.
fn behind_a_proxy(bench: &mut Bench<'_>, proxy: &str) {
    let good = Proxy::to(bench.operator.address);
    bench.supply("VAULT_PROXY_ADDR", &good.address());
    bench.keep(good);
    bench.set("VAULT_ADDR", &format!("https://vault.invalid:{}", port(bench)));
    bench.set("VAULT_PROXY_ADDR", proxy);
    bench.run.arguments.push("--any-audience".into());
}

/// What a restart with a good certificate does.
fn certify(bench: &mut Bench<'_>) {
    bench.flag("--insecure-skip-verify", "");
}

pub fn rows() -> Vec<Row> {
    vec![
        row("the name of the host has no address", |bench| {
            bench.set("VAULT_ADDR", "https://vault.invalid:8200");
            bench.run.arguments.push("--any-audience".into());
        })
        .on(EVERYWHERE)
        .fails("address", 69, "vault.invalid"),
        row("nothing listens on the port", |bench| bench.set("VAULT_ADDR", "http://127.0.0.1:1")).on(EVERYWHERE).fails(
            "connection",
            69,
            "connection refused",
        ),
        row("the proxy is not there", |bench| behind_a_proxy(bench, "http://127.0.0.1:1"))
            .alone(|builder| builder.tls(Tls::WrongName))
            .fails("connection", 69, "proxy"),
        row("the proxy refuses", |bench| {
            let proxy = Proxy::refuse(Reply::html(403, "no"));
            behind_a_proxy(bench, &proxy.address());
            bench.keep(proxy);
        })
        .alone(|builder| builder.tls(Tls::WrongName))
        .fails("connection", 69, "proxy"),
        row("the proxy wants a password", |bench| {
            let proxy = Proxy::refuse(Reply::html(407, "no"));
            behind_a_proxy(bench, &proxy.address());
            bench.keep(proxy);
        })
        .alone(|builder| builder.tls(Tls::WrongName))
        .fails("connection", 76, "proxy"),
        row("the general proxy is not used for a host of NO_PROXY", |bench| {
            behind_a_proxy(bench, "http://127.0.0.1:1");
            let proxy = bench.spare["VAULT_PROXY_ADDR"].clone();
            bench.unset("VAULT_PROXY_ADDR");
            bench.set("HTTPS_PROXY", &proxy);
            bench.set("NO_PROXY", ".invalid");
        })
        .alone(|builder| builder.tls(Tls::WrongName))
        .fails("address", 69, "vault.invalid")
        .mended_by(|bench| bench.unset("NO_PROXY")),
        row("the proxy is no address", |bench| {
            behind_a_proxy(bench, "socks5://proxy:1080");
        })
        .alone(|builder| builder.tls(Tls::WrongName))
        .fails("configuration", 78, "proxy"),
        row("the CA is not known", |bench| bench.unset("VAULT_CACERT")).on(&[super::On::Real]).fails(
            "tls",
            76,
            "unknown CA",
        ),
        row("the CA of the certificate is not known", |bench| bench.unset("VAULT_CACERT"))
            .alone(|builder| builder.tls(Tls::Valid))
            .fails("tls", 76, "unknown CA"),
        row("the certificate is for another name", |_| {}).alone(|builder| builder.tls(Tls::WrongName)).fails(
            "tls",
            76,
            "vault.invalid",
        ),
        row("the name of the certificate is set wrong", |bench| bench.set("VAULT_TLS_SERVER_NAME", "vault.corp"))
            .on(&[super::On::Real])
            .fails("tls", 76, "vault.corp"),
        row("the certificate has expired", |_| {})
            .alone(|builder| builder.tls(Tls::Expired))
            .fails("tls", 76, "expired")
            .mended_by(certify),
        row("the certificate is not valid yet", |_| {})
            .alone(|builder| builder.tls(Tls::NotYetValid))
            .fails("tls", 76, "not valid yet")
            .mended_by(certify),
        row("the address is http, and the server speaks TLS", |bench| {
            bench.set("VAULT_ADDR", &format!("http://127.0.0.1:{}", port(bench)));
        })
        .on(&[super::On::Real])
        .fails("tls", 76, "http://"),
        row("the address is https, and the server speaks http", |bench| {
            bench.set("VAULT_ADDR", &format!("https://127.0.0.1:{}", bench.operator.address.port()));
            bench.run.arguments.push("--any-audience".into());
        })
        .on(EVERYWHERE)
        .fails("tls", 76, "TLS"),
        row("the address is that of a web server", |bench| {
            let site = Proxy::refuse(Reply::html(200, "<html>Sign in</html>"));
            bench.set("VAULT_ADDR", &site.address());
            bench.keep(site);
        })
        .fails("health", 76, "not from Vault"),
    ]
}
