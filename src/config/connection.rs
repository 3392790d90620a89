//! How Vault is reached: address, namespace, TLS, proxy, deadlines. Files are read here; nothing is opened.

use std::path::PathBuf;
use std::time::Duration;

use super::address::{parse_address, parse_redirect_host};
use super::job::trimmed_path;
use super::name::parse_path;
use super::proxy::resolve_proxy;
use super::source::{Layers, shown};
use super::trust;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::http::address::{Address, Server, is_host_name};
use crate::http::transport::{ClientCertificate, Connection, REQUEST, RETRIES, Roots};
use crate::origin::Origin;
use crate::origin::WithOrigin;
use crate::secret::Secret;
use crate::time::parse_duration;
use crate::variables as var;

impl Connection {
    /// Reads the system's roots, when they are the ones to believe: 200 kB that a run which asks Vault nothing has no
    /// use for.
    ///
    /// # Errors
    /// [`Kind::Config`] when this system has none.
    pub fn read_roots(&mut self, host: &Host) -> Result<()> {
        if matches!(self.roots, Roots::System) {
            self.roots = read_system_roots(host)?;
        }
        Ok(())
    }
}

/// The default deadlines of the whole run. `credential_process` ends below the 60 s after which Go's SDK kills it.
const RUN: Duration = Duration::from_secs(90);
const RUN_PROCESS: Duration = Duration::from_secs(45);
const CONNECT: Duration = Duration::from_secs(5);

pub(super) fn resolve_connection(
    flags: &cli::ConnectionFlags,
    process: bool,
    layers: &Layers<'_>,
) -> Result<Connection> {
    refuse_skip_verify(layers)?;
    let text = layers
        .text(("--address", flags.address.as_deref()), var::of_flag("--address"), |file| file.address.as_deref())?
        .ok_or_else(|| {
            Error::new(
                Kind::Config,
                "Vault's address is not set (VAULT_ADDR, VAULT_SERVER_URL, --address, or address in the configuration file)",
            )
            .hint("set VAULT_ADDR=https://vault.example.com:8200 for the job, or --address URL")
        })?;
    let address = parse_address(&text)?;
    let unchecked = flags.insecure_skip_verify || layers.files.all(|file| file.insecure_skip_verify).any(|yes| yes);
    check_plaintext(&address, &text, flags, layers)?;
    let namespace = layers
        .text(("--namespace", flags.namespace.as_deref()), var::of_flag("--namespace"), |file| {
            file.namespace.as_deref()
        })?
        .map(|name| parse_path(name, "namespace"))
        .transpose()?;
    let namespace_setting = namespace
        .as_ref()
        .map_or_else(|| "VAULT_NAMESPACE or --namespace".to_owned(), |name| name.origin.setting("namespace"));
    let list = trust::find_list(&address, &layers.files);
    let server_name = resolve_server_name(&address, flags, layers)?;
    if let (Some(name), Some(list)) = (&server_name, &list) {
        trust::check_server_name(name, &address, list, &layers.files)?;
    }
    let proxy = resolve_proxy(&address, flags, layers)?;
    let (roots, named) = resolve_roots(&address, unchecked, list.as_ref(), flags, layers)?;
    let by_variable = |origin: &Origin| !layers.files.vouch_for(origin);
    if let (Some(proxy), Some(name)) = (&proxy, &server_name) {
        return Err(Error::new(
            Kind::Config,
            format!("a proxy (from {}) and a TLS server name (from {}) cannot be combined", proxy.origin, name.origin),
        )
        .hint(format!(
            "use the name in Vault's certificate in {}, and drop {}",
            text.origin.setting("address"),
            name.origin.setting("tls-server-name")
        )));
    }
    let Deadlines { connect, request, run } = resolve_deadlines(flags, process, layers)?;
    Ok(Connection {
        proxy_and_ca_from_variables: named.as_ref().is_some_and(by_variable)
            && proxy.as_ref().is_some_and(|proxy| by_variable(&proxy.origin)),
        roots,
        identity: resolve_identity(flags, layers)?,
        proxy,
        redirect_hosts: resolve_redirect_hosts(flags, layers)?,
        connect_timeout: connect,
        request_timeout: request,
        timeout: run,
        retries: resolve_retries(flags, layers)?,
        namespace: namespace.map(|name| name.value),
        namespace_setting,
        server_name: server_name.map(|name| name.value),
        address_origin: text.origin.to_string(),
        address_setting: text.origin.setting("address"),
        address,
    })
}

/// Security: a CI variable must not turn certificate checks off.
fn refuse_skip_verify(layers: &Layers<'_>) -> Result<()> {
    let Some(found) = layers.variable(var::VAULT_SKIP_VERIFY)? else { return Ok(()) };
    match found.value.trim() {
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(()),
        _ => Err(Error::new(
            Kind::Config,
            format!("{} is set, but no variable can turn certificate checks off", found.origin),
        )
        .hint(format!(
            "unset {}, and set the CA with --ca-file or VAULT_CACERT; for a server on this machine, pass \
            --insecure-skip-verify",
            found.origin
        ))),
    }
}

fn check_plaintext(
    address: &Address,
    text: &WithOrigin<String>,
    flags: &cli::ConnectionFlags,
    layers: &Layers<'_>,
) -> Result<()> {
    let Address::Tcp(origin) = address else { return Ok(()) };
    let allowed = flags.allow_plaintext || layers.files.all(|file| file.allow_plaintext).any(|yes| yes);
    if origin.tls || origin.is_loopback() || allowed {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        format!(
            "the address (from {}) is http:// to {}: anyone on the network path could read the token",
            text.origin,
            origin.authority()
        ),
    )
    .hint("use https://, or accept it with --allow-plaintext"))
}

/// The name that the server's certificate must have, when it is another one than the address's host.
///
/// Security: it stands in our URLs in place of that host, so it must be a name and nothing else. An address would be
/// called itself, and so would what follows an `@`: a variable would lead the secrets to another server.
fn resolve_server_name(
    address: &Address,
    flags: &cli::ConnectionFlags,
    layers: &Layers<'_>,
) -> Result<Option<WithOrigin<String>>> {
    let flag = ("--tls-server-name", flags.tls_server_name.as_deref());
    let named = layers.text(flag, var::of_flag(flag.0), |file| file.tls_server_name.as_deref())?;
    let Some(name) = named else { return Ok(None) };
    let text = name.value.trim();
    if matches!(address, Address::Tcp(ours) if ours.host.eq_ignore_ascii_case(text)) {
        return Ok(None);
    }
    if !is_host_name(text) {
        return Err(Error::new(Kind::Config, format!("the TLS server name (from {}) is not a host name", name.origin))
            .hint("use the name in Vault's certificate, such as vault.example.com; if the certificate is for an IP address, set VAULT_ADDR to that address"));
    }
    let value = text.to_ascii_lowercase();
    Ok(Some(WithOrigin { value, origin: name.origin }))
}

/// Which CA to trust, and where it was set, if it was.
fn resolve_roots(
    address: &Address,
    unchecked: bool,
    list: Option<&Origin>,
    flags: &cli::ConnectionFlags,
    layers: &Layers<'_>,
) -> Result<(Roots, Option<Origin>)> {
    let Address::Tcp(origin) = address else { return Ok((Roots::None, None)) };
    if !origin.tls {
        return Ok((Roots::None, None));
    }
    if unchecked {
        if origin.is_loopback() {
            return Ok((Roots::Unchecked, None));
        }
        return Err(Error::new(
            Kind::Config,
            format!("--insecure-skip-verify works for a server on this machine only, not for {}", origin.authority()),
        )
        .hint("set the CA with --ca-file PATH or VAULT_CACERT"));
    }
    match find_roots(list, flags, layers)? {
        Some(CaSource::File(path)) => {
            let text = read_pem(&path, "CA", layers)?;
            let origin = format!("{} (from {})", path.value.display(), path.origin);
            Ok((Roots::Pem { text, origin }, Some(path.origin)))
        }
        Some(CaSource::Text(text)) => {
            Ok((Roots::Pem { text: text.value, origin: text.origin.to_string() }, Some(text.origin)))
        }
        Some(CaSource::Folder(folder)) => Ok((read_folder(&folder, layers)?, Some(folder.origin))),
        None => Ok((Roots::System, None)),
    }
}

/// A CA that somebody named.
enum CaSource {
    File(WithOrigin<PathBuf>),
    Text(WithOrigin<String>),
    Folder(WithOrigin<PathBuf>),
}

impl CaSource {
    fn origin(&self) -> &Origin {
        match self {
            Self::File(path) | Self::Folder(path) => &path.origin,
            Self::Text(text) => &text.origin,
        }
    }
}

/// The CA that counts: by a flag, else by a variable, else by a file. Security: no variable takes the place of a CA that
/// the command line names, in whichever way it does, nor of one that root names beside `allowed-origins`.
fn find_roots(list: Option<&Origin>, flags: &cli::ConnectionFlags, layers: &Layers<'_>) -> Result<Option<CaSource>> {
    let by_flag = |name, path: &Option<PathBuf>| {
        path.as_deref().map(|path| WithOrigin { value: trimmed_path(path), origin: Origin::Flag(name) })
    };
    if let Some(path) = by_flag("--ca-file", &flags.ca_file) {
        return Ok(Some(CaSource::File(path)));
    }
    if let Some(folder) = by_flag("--ca-path", &flags.ca_path) {
        return Ok(Some(CaSource::Folder(folder)));
    }
    let files = &layers.files;
    let of_root = list.and_then(|_| {
        let file = files.find_of_root(|file| file.ca_file.as_deref().map(trimmed_path)).map(CaSource::File);
        file.or_else(|| files.find_of_root(|file| file.ca_path.as_deref().map(trimmed_path)).map(CaSource::Folder))
    });
    let named = find_roots_below_flags(layers)?;
    let (Some(ca), Some(list)) = (of_root, list) else { return Ok(named) };
    if let Some(named) = named.filter(|named| named.origin() != ca.origin()) {
        layers.host.warn(format!(
            "the CA from {} is ignored: there are allowed-origins in {list}, and {} names the CA",
            named.origin(),
            ca.origin()
        ));
    }
    Ok(Some(ca))
}

fn find_roots_below_flags(layers: &Layers<'_>) -> Result<Option<CaSource>> {
    if let Some(path) = layers.variable(var::VAULT_CACERT)? {
        return Ok(Some(CaSource::File(path.map(PathBuf::from))));
    }
    if let Some(text) = layers.variable(var::VAULT_CACERT_BYTES)? {
        return Ok(Some(CaSource::Text(text)));
    }
    if let Some(folder) = layers.variable(var::VAULT_CAPATH)? {
        return Ok(Some(CaSource::Folder(folder.map(PathBuf::from))));
    }
    let file = layers.files.find(|file| file.ca_file.as_deref().map(trimmed_path)).map(CaSource::File);
    Ok(file.or_else(|| layers.files.find(|file| file.ca_path.as_deref().map(trimmed_path)).map(CaSource::Folder)))
}

/// Where distributions keep all roots in one file: Debian and Alpine, Fedora, openSUSE, macOS and BSD.
///
/// Reading one bundle costs a third of what the platform's verifier does, which reads a folder of the same roots
/// as well. Security: `SSL_CERT_FILE` is not believed; a CA of one's own is named to us by name.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn read_system_roots(host: &Host) -> Result<Roots> {
    for path in BUNDLES {
        if let Ok(Some(document)) = host.read_document(path.as_ref()) {
            return Ok(Roots::Pem {
                text: document.text.as_str().to_owned(),
                origin: format!("the system's roots in {path}"),
            });
        }
    }
    Err(Error::new(
        Kind::Config,
        format!("this system has no root certificates: there is none of {}", BUNDLES.join(", ")),
    )
    .hint("install ca-certificates in the image, or set the CA with --ca-file or VAULT_CACERT"))
}

fn read_folder(folder: &WithOrigin<PathBuf>, layers: &Layers<'_>) -> Result<Roots> {
    let place = shown(folder, layers.host);
    let names = layers
        .host
        .list_folder(&folder.value)
        .map_err(|problem| Error::new(Kind::Config, format!("the CA folder {place} cannot be read: {problem}")))?;
    // Such folders hold links and other things beside the certificates; a file that is none is passed over.
    let texts = names.iter().filter_map(|name| Some(layers.host.read_document(name).ok()??.text.as_str().to_owned()));
    Ok(Roots::Pem { text: texts.collect::<Vec<_>>().join("\n"), origin: place })
}

pub(super) fn read_pem(path: &WithOrigin<PathBuf>, what: &str, layers: &Layers<'_>) -> Result<String> {
    let place = shown(path, layers.host);
    let wrong = |problem: &str| {
        Error::new(Kind::Config, format!("the {what} file {place} {problem}")).hint(format!(
            "{} takes the path of a PEM file, not its text, and this user must be able to read it",
            path.origin
        ))
    };
    let document = layers
        .host
        .read_document(&path.value)
        .map_err(|problem| wrong(&format!("cannot be used: {problem}")))?
        .ok_or_else(|| wrong("does not exist"))?;
    Ok(document.text.as_str().to_owned())
}

fn resolve_identity(flags: &cli::ConnectionFlags, layers: &Layers<'_>) -> Result<Option<ClientCertificate>> {
    let certificate =
        layers.path(("--client-cert", flags.client_cert.as_deref()), var::of_flag("--client-cert"), |file| {
            file.client_cert.as_deref()
        })?;
    let key = layers.path(("--client-key", flags.client_key.as_deref()), var::of_flag("--client-key"), |file| {
        file.client_key.as_deref()
    })?;
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(ClientCertificate {
            chain: read_pem(&certificate, "client certificate", layers)?,
            key: Secret::new(read_pem(&key, "client key", layers)?),
            origin: key.origin,
        })),
        (Some(one), None) => Err(Error::new(
            Kind::Config,
            format!("the client certificate (from {}) is set, but its key is not", one.origin),
        )
        .hint("set VAULT_CLIENT_KEY, or --client-key PATH")),
        (None, Some(one)) => Err(Error::new(
            Kind::Config,
            format!("the client key (from {}) is set, but its certificate is not", one.origin),
        )
        .hint("set VAULT_CLIENT_CERT, or --client-cert PATH")),
    }
}

fn resolve_redirect_hosts(flags: &cli::ConnectionFlags, layers: &Layers<'_>) -> Result<Vec<Server>> {
    let by_flag = flags.redirect_host.iter().map(|text| parse_redirect_host(text, "--redirect-host"));
    let by_file = layers.files.all(|file| file.redirect_hosts.iter()).flatten();
    by_flag.chain(by_file.map(|text| parse_redirect_host(text, "redirect-hosts"))).collect()
}

/// How long is waited.
pub(super) struct Deadlines {
    pub(super) connect: Duration,
    pub(super) request: Option<Duration>,
    pub(super) run: Duration,
}

/// A connection attempt ends well before the other two: when one of them passes in the middle of it, nobody can say that
/// nothing was sent.
pub(super) fn resolve_deadlines(flags: &cli::ConnectionFlags, process: bool, layers: &Layers<'_>) -> Result<Deadlines> {
    let connect = ("--connect-timeout", flags.connect_timeout.as_deref());
    let connect = resolve_duration(connect, &[], layers, |file| file.connect_timeout.as_deref())?.unwrap_or(CONNECT);
    let request = ("--request-timeout", flags.request_timeout.as_deref());
    let request = resolve_duration(request, var::of_flag(request.0), layers, |file| file.request_timeout.as_deref())?;
    let run = ("--timeout", flags.timeout.as_deref());
    let run = resolve_duration(run, var::of_flag(run.0), layers, |file| file.timeout.as_deref())?
        .unwrap_or(if process { RUN_PROCESS } else { RUN });
    let longest = request.unwrap_or(REQUEST).min(run) * 3 / 4;
    Ok(Deadlines { connect: connect.min(longest), request, run })
}

fn resolve_duration(
    flag: (&'static str, Option<&str>),
    variables: &[&str],
    layers: &Layers<'_>,
    in_file: impl Fn(&super::settings::Settings) -> Option<&str>,
) -> Result<Option<Duration>> {
    layers.text(flag, variables, in_file)?.map(|text| parse_duration(&text)).transpose()
}

pub(super) fn resolve_retries(flags: &cli::ConnectionFlags, layers: &Layers<'_>) -> Result<u32> {
    let text = layers.text(("--retries", flags.retries.as_deref()), var::of_flag("--retries"), |_| None)?;
    match text {
        Some(text) => text.value.trim().parse::<u32>().ok().filter(|number| *number <= 10).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{} is not a number from 0 to 10", text.origin)).hint("--retries 2")
        }),
        None => Ok(layers.files.find(|file| file.retries).map_or(RETRIES, |retries| retries.value.min(10))),
    }
}
