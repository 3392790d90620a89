use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use ci_creds::variables::{LIBRARY_PATH, NAME_SERVICE, RESTARTED};
use dev_vault::{DevVault, Tls};

use crate::memory::{end, start_reading};
use crate::support::private_etc::{NameServer, PrivateEtc, bind, programs};
use crate::support::{ROLE, Ran, Run, World, tool};

/// Where another server than Vault listens, at the same port.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 83, 66);

/// Vault as `vault.invalid`, for which its certificate is. The short name is `vault`, which root's `resolv.conf` completes.
/// Each other name is the attacker's: one below his own domain, and one below root's that a wildcard there answers for.
const NAMES: [(&str, Ipv4Addr); 5] = [
    ("vault.invalid", Ipv4Addr::LOCALHOST),
    ("vault.corp.test", Ipv4Addr::LOCALHOST),
    ("vault.invalid.corp.test", ATTACKER),
    ("vault.invalid.attacker.test", ATTACKER),
    ("vault.attacker.test", ATTACKER),
];

fn vault() -> World {
    World::with(DevVault::builder().tls(Tls::WrongName))
}

/// A job that believes Vault's CA and asks for its name, wherever that name leads.
fn job(world: &World, host: &str, program: &Path) -> Run {
    let line = format!("exoscale --role {ROLE} --any-audience --retries 0 --tls-server-name vault.invalid");
    let address = format!("https://{host}:{}", world.vault.socket_address().port());
    let run = world.command_as("id-token", &line).env("VAULT_ADDR", &address).of(program);
    run.env("VAULT_CACERT_BYTES", world.vault.ca_pem())
}

// check: 3, 18
#[test]
fn no_variable_leads_the_name_of_vault_to_another_server() {
    for program in programs() {
        let world = vault();
        let Some(names) = NameServer::start(&NAMES) else { return };
        let Some(etc) = PrivateEtc::new(&world, names.address, "search corp.test\n") else { return };
        let attacker = TcpListener::bind((ATTACKER, world.vault.socket_address().port())).expect("his port");
        attacker.set_nonblocking(true).expect("no waiting");
        let aliases = world.file("aliases", "vault vault.attacker.test\n").display().to_string();
        let secret = world.file("secret", &world.token("job")).display().to_string();
        let cases: [(&str, &[(&str, &str)]); 7] = [
            ("vault.invalid", &[]),
            ("vault", &[]),
            ("vault.invalid", &[("LOCALDOMAIN", "attacker.test"), ("RES_OPTIONS", "ndots:9")]),
            ("vault.invalid", &[("RES_OPTIONS", "ndots:9")]),
            ("vault", &[("LOCALDOMAIN", "attacker.test")]),
            ("vault", &[("HOSTALIASES", &aliases)]),
            // Its lines are told on stderr.
            ("vault.invalid", &[("RESOLV_HOST_CONF", &secret)]),
        ];
        let led = cases.into_iter().filter_map(|(host, variables)| {
            let run = variables.iter().fold(job(&world, host, &program), |run, (name, value)| run.env(name, value));
            let ran = Ran::of(etc.command(&run));
            let reached = attacker.accept().map_err(|error| error.kind()).err() != Some(ErrorKind::WouldBlock);
            let sound = !reached && ran.code == 0 && ran.stderr.is_empty();
            (!sound).then(|| format!("{host} {variables:?} reached the attacker: {reached} {ran:?}"))
        });
        let led: Vec<_> = led.collect();
        assert!(led.is_empty(), "{}: {led:#?}", program.display());
        let asked = names.asked();
        assert!(asked.contains(&"vault.invalid".into()) && asked.contains(&"vault.corp.test".into()), "{asked:?}");
        assert!(!asked.iter().any(|name| name.contains("attacker") || name == "vault.invalid.corp.test"), "{asked:?}");
    }
}

// check: 12
#[test]
fn where_root_lists_the_servers_a_variable_names_neither_another_ca_nor_another_servers_name() {
    let world = vault();
    let Some(names) = NameServer::start(&NAMES) else { return };
    let Some(etc) = PrivateEtc::new(&world, names.address, "") else { return };
    let address = format!("https://vault.invalid:{}", world.vault.socket_address().port());
    let ca = world.file("ca.pem", world.vault.ca_pem());
    let text = format!("allowed-origins = [\"{address}\"]\nca-file = \"{}\"\n", ca.display());
    let config = world.file("config.toml", &text).display().to_string();
    let run = |name: &str, value: &str| {
        let line = format!("exoscale --role {ROLE} --retries 0 --config {config}");
        let run = world.command_as("id-token", &line).env("VAULT_ADDR", &address).env(name, value);
        Ran::of(etc.command(&run))
    };
    let another = vault();
    for (name, value) in [
        ("VAULT_CACERT_BYTES", another.vault.ca_pem()),
        ("VAULT_CACERT", "/nonexistent/ca.pem"),
        ("VAULT_CAPATH", "/nonexistent"),
    ] {
        let ran = run(name, value);
        let told = format!("the CA from {name} is ignored: there are allowed-origins in {config}");
        assert!(ran.stderr.contains(&told), "{ran:?}");
        ran.ok();
    }
    let before = world.vault.connections();
    let words = ["vault.attacker.test (from VAULT_TLS_SERVER_NAME)", &config, "vault.invalid"];
    let ran = run("VAULT_TLS_SERVER_NAME", "vault.attacker.test");
    ran.refused(&world, 78, "config", &words, &["unset VAULT_TLS_SERVER_NAME", "--tls-server-name"]);
    assert_eq!(world.vault.connections(), before);
}

/// The environment that the process was started with, but for what the shell before it adds.
fn environment_of(pid: u32) -> BTreeMap<String, String> {
    let text = std::fs::read(format!("/proc/{pid}/environ")).expect("its environment");
    let text = String::from_utf8(text).expect("text");
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.filter(|(name, _)| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

// check: 18
#[test]
fn when_a_name_is_looked_up_the_environment_has_none_of_these_variables_and_every_other_one() {
    for (index, program) in programs().iter().enumerate() {
        let world = vault();
        let Some((address, names)) = bind() else { return };
        let Some(etc) = PrivateEtc::new(&world, address, "options timeout:30\n") else { return };
        let is_static = index == 1;
        let dropped = NAME_SERVICE.into_iter().chain(is_static.then_some(LIBRARY_PATH));
        for name in dropped.map(Some).chain([None]) {
            let plain = job(&world, "vault.invalid", program).env("ONE", "a=b").env("NOTHING", "");
            let run = name.map_or(plain.clone(), |name| plain.clone().env(name, "x"));
            let mut command = etc.command(&run);
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
            // The question is the proof that the lookup happens now; nobody answers it.
            names.recv_from(&mut [0; 2048]).expect("a question");
            let mut expected = plain.variables().clone();
            if name.is_some() {
                expected.insert(RESTARTED.into(), "1".into());
            }
            assert_eq!(environment_of(child.id()), expected, "{} {name:?}", program.display());
            end(child);
            // What the one asked shall not be taken for the next one's.
            names.set_nonblocking(true).expect("no waiting");
            while names.recv_from(&mut [0; 2048]).is_ok() {}
            names.set_nonblocking(false).expect("waiting");
        }
    }
}

/// What of a process stands in `/proc` and is not its own business alone: the command line as it is, how signals are taken,
/// limits, and which files are open.
fn appearance(pid: u32) -> Vec<String> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).expect(name);
    let mut lines = vec![read("cmdline"), read("limits")];
    let kept = ["Umask", "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs"];
    lines.extend(
        read("status").lines().filter(|line| kept.iter().any(|name| line.starts_with(name))).map(str::to_owned),
    );
    if tool::is_root("which files are open is not told") {
        let opened = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files");
        let mut opened: Vec<_> =
            opened.map(|entry| entry.expect("a file").file_name().into_string().unwrap()).collect();
        opened.sort();
        lines.extend(opened);
    }
    lines
}

#[test]
fn a_run_that_has_started_itself_again_is_otherwise_the_same() {
    let Some(bash) = tool::find("bash") else { return };
    for program in programs() {
        let appearance_with = |variables: &[(&str, &str)]| {
            let world = World::start();
            let run = world.command_as("token", &format!("exoscale --role {ROLE}")).env("VAULT_ADDR", "");
            let run = run.without("VAULT_ADDR").arg("--address").arg(&world.vault.address());
            let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
            let mut command = Command::new("env");
            let script = "umask 027; ulimit -S -n 60; trap '' HUP USR1 PIPE; exec -a 'a name' \"$@\" 7</dev/null";
            command
                .arg("--block-signal=USR2")
                .arg(&bash)
                .args(["-c", script, "bash"])
                .arg(&program)
                .args(&run.arguments);
            command.env_clear().envs(run.variables());
            let child = start_reading(&world, "token", command);
            let port = format!(":{}", world.vault.socket_address().port());
            let seen = appearance(child.id()).iter().map(|line| line.replace(&port, "")).collect::<Vec<_>>();
            end(child);
            seen
        };
        let plain = appearance_with(&[]);
        assert!(plain[0].starts_with("a name\0exoscale\0"), "{plain:?}");
        assert!(plain.contains(&"SigBlk:\t0000000000000800".to_owned()), "{plain:?}");
        assert_eq!(appearance_with(&[("RES_OPTIONS", "ndots:9")]), plain, "{}", program.display());
    }
}

// check: 2
#[test]
fn where_the_program_cannot_be_started_again_nothing_is_asked() {
    let line = format!("exoscale --role {ROLE}");
    for program in programs() {
        let world = World::start();
        let run = || world.command_as("token", &line).of(&program).env("RES_OPTIONS", "ndots:9");
        let refused = |ran: Ran, words: &[&str]| {
            ran.refused(&world, 71, "os", &[&["RES_OPTIONS is set"], words].concat(), &["unset RES_OPTIONS"]);
            assert_eq!(world.vault.connections(), 0);
        };
        // Whoever sets both has no lookup that obeys him.
        refused(run().env(RESTARTED, "1").run(), &[RESTARTED, "already"]);

        let unshare = tool::find("unshare").filter(|_| tool::is_root("a /proc of one's own is for root"));
        if let Some(unshare) = unshare {
            let inner = run().to_command();
            let mut command = Command::new(unshare);
            command.args(["-m", "/bin/sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"]);
            command.arg(inner.get_program()).args(inner.get_args()).env_clear().envs(run().variables());
            refused(Ran::of(command), &["/proc/self/exe", "cannot be read"]);
        }
        // The system refuses the new program: the first that is started after strace's own.
        let strace = tool::find("strace").filter(|_| tool::is_root("strace may not trace here"));
        if let Some(strace) = strace {
            let inner = run().to_command();
            let mut command = Command::new(strace);
            command.args(["-e", "inject=execve:error=EACCES:when=1", "-o"]).arg(world.path("strace"));
            command.arg(inner.get_program()).args(inner.get_args()).env_clear().envs(run().variables());
            refused(Ran::of(command), &["/proc/self/exe was not started"]);
        }
        run().without("RES_OPTIONS").env(RESTARTED, "1").run().ok();
    }
}

#[test]
fn started_by_its_loader_the_program_does_not_start_the_loader_again() {
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let Some(loader) = loaders.into_iter().find(|path| Path::new(path).exists()) else {
        eprintln!("skipped: there is no loader of glibc at {loaders:?}");
        return;
    };
    let world = World::start();
    let run = world.command_as("token", &format!("exoscale --role {ROLE}"));
    let by_loader = |run: Run| {
        let mut command = Command::new(loader);
        command.arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments).env_clear().envs(run.variables());
        Ran::of(command)
    };
    let words = ["HOSTALIASES is set", "/proc/self/exe is not this program"];
    by_loader(run.clone().env("HOSTALIASES", "/x")).refused(&world, 71, "os", &words, &["unset HOSTALIASES"]);
    by_loader(run).ok();
}

/// Runs `argv[1]` with the arguments behind it, in an environment of the lines on stdin, names that stand there twice too.
const EXECUTE: &str = "import ctypes, sys
words = lambda texts: (ctypes.c_char_p * (len(texts) + 1))(*[text.encode() for text in texts], None)
ctypes.CDLL(None).execve(sys.argv[1].encode(), words(sys.argv[1:]), words(sys.stdin.read().splitlines()))
";

#[test]
fn of_two_variables_with_one_name_the_first_one_counts_as_it_did() {
    let Some(python) = tool::find("python3") else { return };
    let world = World::start();
    let run = world.command_as("token", &format!("exoscale --role {ROLE}"));
    for steered in ["", "RES_OPTIONS=ndots:9\n"] {
        let variables: String = run.variables().iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let text = format!("{variables}{steered}VAULT_ADDR=http://127.0.0.1:1\nVAULT_TOKEN=other\n");
        let mut command = Command::new(&python);
        command.args(["-c", EXECUTE, env!("CARGO_BIN_EXE_ci-creds")]).args(&run.arguments);
        command.stdin(std::fs::File::open(world.file("variables", &text)).expect("the variables"));
        Ran::of(command).ok();
    }
}

#[test]
fn a_token_helper_gets_neither_these_variables_nor_the_word_that_they_were_left_out() {
    let world = World::start();
    let seen = world.path("seen");
    let script = format!("#!/bin/sh\nenv >{}\nprintf %s {}\n", seen.display(), world.token("job"));
    let helper = world.program("helper", &script);
    world.file("home/.vault", &format!("token_helper = \"{}\"\n", helper.display()));
    let run = world.command_with_home(&format!("exoscale --role {ROLE}"));
    let run = run.env("RES_OPTIONS", "ndots:9").env("ONE", "a=b");
    run.run().ok();
    let seen = std::fs::read_to_string(seen).expect("its environment");
    assert!(seen.contains("ONE=a=b\n"), "{seen}");
    assert!(!seen.contains("RES_OPTIONS") && !seen.contains(RESTARTED), "{seen}");
}

#[test]
fn a_program_that_was_deleted_after_its_start_starts_itself_again() {
    let world = World::start();
    let copy = world.path("ci-creds");
    tool::install(env!("CARGO_BIN_EXE_ci-creds").as_ref(), &copy, "0755");
    // What runs here is a file without a name: the shell has it open, and it is gone before it is run.
    let run = world.command_as("token", &format!("exoscale --role {ROLE}")).env("RES_OPTIONS", "ndots:9");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec 9<\"$1\"; rm \"$1\"; shift; exec /proc/self/fd/9 \"$@\"", "sh"]).arg(&copy);
    command.args(&run.arguments).env_clear().envs(run.variables()).stdin(Stdio::null());
    Ran::of(command).ok();
    assert!(!copy.exists());
}

/// A module of the name service that leaves a trace when it is loaded.
fn module(world: &World, trace: &Path) -> Option<String> {
    let cc = tool::find("cc")?;
    let folder = world.path("modules");
    std::fs::create_dir(&folder).expect("a folder");
    let text = format!(
        "#include <fcntl.h>\n__attribute__((constructor)) static void load(void) {{ creat(\"{}\", 0600); }}\n",
        trace.display()
    );
    let source = world.file("module.c", &text);
    let mut cc = Command::new(cc);
    cc.args(["-shared", "-fPIC", "-o"]).arg(folder.join("libnss_planted.so.2")).arg(source);
    let made = cc.output().expect("cc");
    assert!(made.status.success(), "{made:?}");
    Some(folder.display().to_string())
}

// check: 18
#[test]
fn a_static_program_loads_no_module_from_where_a_variable_says() {
    for (index, program) in programs().iter().enumerate() {
        let world = vault();
        let trace = world.path("loaded");
        let Some(names) = NameServer::start(&NAMES) else { return };
        let Some(etc) = PrivateEtc::new(&world, names.address, "") else { return };
        let Some(folder) = module(&world, &trace) else { return };
        let etc = etc.with(&world, "nsswitch.conf", "hosts: files planted dns\n");
        let run = job(&world, "vault.invalid", program).env(LIBRARY_PATH, &folder);
        Ran::of(etc.command(&run)).ok();
        // A program that is not static has obeyed it already: here that shows that the module is one.
        let is_static = index == 1;
        assert_eq!(trace.exists(), !is_static, "{}", program.display());
    }
}

// check: 2
#[test]
fn no_stack_that_a_variable_asks_for_keeps_a_name_from_being_looked_up() {
    for program in programs() {
        let world = World::start();
        let address = world.vault.address().replace("127.0.0.1", "localhost");
        for size in ["1", "4096", "999999999999999999"] {
            let run = world.command_as("token", &format!("exoscale --role {ROLE}")).of(&program);
            run.env("VAULT_ADDR", &address).env("RUST_MIN_STACK", size).run().ok();
        }
    }
}
