//! The container images: their root file systems are entered, and the program runs in there against the double.
//!
//! `.ci/image` makes one without an engine; buildah, which needs no daemon, builds both from Containerfile. What is in
//! them is this test's program with the libraries that it needs, or the static one that `CI_CREDS_TEST_BINARY` names.

use std::path::{Path, PathBuf};

use dev_vault::{DevVault, Tls};

use crate::support::{ROLE, Ran, Run, World, exports, tool};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Whom the images' user is: nobody whom the image knows.
const USER: &str = "65532:65532";

/// A program that is put into an image, and the libraries that it needs there.
struct Program {
    path: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Program {
    fn new(folder: &Path) -> Option<Self> {
        if let Some(named) = std::env::var_os("CI_CREDS_TEST_BINARY") {
            let path = Path::new(ROOT).join(named);
            assert!(libraries_of(&path).is_empty(), "{} is not static", path.display());
            return Some(Self { path, libraries: Vec::new() });
        }
        eprintln!("skipped: the static program, which CI_CREDS_TEST_BINARY names; this build's takes its place");
        let (ours, path) = (Path::new(env!("CARGO_BIN_EXE_ci-creds")), folder.join("program"));
        // Nine tenths of it are for a debugger.
        let strip = Run::new(&tool::find("strip")?, folder).arg("-o").arg(&path.display().to_string());
        strip.arg(&ours.display().to_string()).run().ok();
        Some(Self { libraries: libraries_of(ours), path })
    }

    /// Puts the libraries where the loader looks for them.
    fn add_libraries(&self, root: &Path) {
        for library in &self.libraries {
            copy_into(root, library);
        }
    }
}

/// The files that the loader opens for this program; none for a static one.
fn libraries_of(program: &Path) -> Vec<PathBuf> {
    let ran = Run::new(Path::new("ldd"), Path::new("/")).arg(&program.display().to_string()).run();
    let words = ran.stdout.split_whitespace().filter(|word| word.starts_with('/'));
    if ran.code == 0 { words.map(PathBuf::from).collect() } else { Vec::new() }
}

/// Copies a file to the same path below a root.
fn copy_into(root: &Path, file: &Path) {
    let target = root.join(file.strip_prefix("/").expect("an absolute path"));
    std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
    std::fs::copy(file, target).expect("a copy");
}

/// Enters this root as the image's user, with no variable of ours but the given ones, as an engine does.
fn enter(root: &Path, program: &str, variables: &[(&str, &str)]) -> Run {
    let chroot = tool::find("chroot").unwrap_or_else(|| PathBuf::from("/usr/sbin/chroot"));
    let run = Run::new(&chroot, root).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/");
    let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
    run.arg(&format!("--userspec={USER}")).arg(&root.display().to_string()).arg(program)
}

/// What an engine puts into every container.
fn add_hosts(root: &Path) {
    std::fs::create_dir_all(root.join("etc")).expect("a folder");
    std::fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").expect("a file");
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("image.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// The archive that `.ci/image` writes; `None` where it cannot.
fn archive(folder: &Path, program: &Path) -> Option<PathBuf> {
    tool::find("jq")?;
    let file = folder.join("image.oci.tar");
    let run = Run::new(&Path::new(ROOT).join(".ci/image"), folder).env("SOURCE_DATE_EPOCH", "1700000000");
    let pair = format!("{}={}", architecture(), program.display());
    run.arg(&file.display().to_string()).arg(&pair).run().ok();
    Some(file)
}

/// The root file system of the archive's one image, unpacked with its checksums checked.
fn unpack(folder: &Path, archive: &Path) -> PathBuf {
    let (image, root) = (folder.join("oci"), folder.join("root"));
    for path in [&image, &root] {
        std::fs::create_dir(path).expect("a folder");
    }
    let tar = |file: &Path, into: &Path| {
        let run = Run::new(Path::new("tar"), folder).arg("--extract").arg("--file").arg(&file.display().to_string());
        run.arg("--directory").arg(&into.display().to_string()).run().ok()
    };
    tar(archive, &image);
    let blob = |descriptor: &serde_json::Value| {
        let digest = descriptor["digest"].as_str().and_then(|text| text.strip_prefix("sha256:")).expect("a digest");
        let path = image.join("blobs/sha256").join(digest);
        let sum = Run::new(Path::new("sha256sum"), folder).arg(&path.display().to_string()).run().ok();
        assert!(sum.starts_with(digest), "{sum} is not {digest}");
        assert_eq!(descriptor["size"].as_u64(), path.metadata().ok().map(|metadata| metadata.len()));
        path
    };
    let read = |path: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
    };
    let index = read(&blob(&read(&image.join("index.json"))["manifests"][0]));
    assert_eq!(index["manifests"][0]["platform"]["architecture"], architecture());
    let manifest = read(&blob(&index["manifests"][0]));
    let config = read(&blob(&manifest["config"]));
    assert_eq!(
        (config["config"]["User"].as_str(), config["architecture"].as_str()),
        (Some(USER), Some(architecture()))
    );
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/ci-creds"]));
    assert_labelled(&config["config"]["Labels"]);
    tar(&blob(&manifest["layers"][0]), &root);
    root
}

/// What both ways to make the image say of it.
fn assert_labelled(labels: &serde_json::Value) {
    let said = ["title", "version", "licenses"].map(|name| labels[format!("org.opencontainers.image.{name}")].as_str());
    assert_eq!(said, [Some("ci-creds"), Some(VERSION), Some(env!("CARGO_PKG_LICENSE"))]);
}

fn names_in(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().display().to_string()).collect();
    names.sort();
    names
}

/// A login in the image, and the key that it printed.
fn assert_fetches(world: &World, root: &Path, program: &str, address: &str, more: &[(&str, &str)]) {
    let secret_id = world.secret_id();
    let usual = [("VAULT_ADDR", address), ("VAULT_ROLE_ID", &world.role_id), ("VAULT_SECRET_ID", &secret_id)];
    let run = enter(root, program, &[&usual[..], more].concat()).arg("exoscale").arg("--role").arg(ROLE);
    let set = exports(&run.run().ok());
    assert!(world.vault.live_keys().contains(&set["EXOSCALE_API_KEY"]), "{set:?}");
}

#[test]
fn the_image_holds_the_program_alone_and_it_fetches_a_credential_there() {
    if !tool::is_root("a root file system cannot be entered") {
        return;
    }
    let folder = folder();
    let Some(program) = Program::new(folder.path()) else { return };
    let Some(archive) = archive(folder.path(), &program.path) else { return };
    let root = unpack(folder.path(), &archive);
    assert_eq!(names_in(&root), ["ci-creds"]);
    program.add_libraries(&root);
    add_hosts(&root);
    let world = World::start();
    assert_fetches(&world, &root, "/ci-creds", &world.vault.address(), &[]);
    // By its name, without a name service of the system's.
    let by_name = world.vault.address().replace("127.0.0.1", "localhost");
    assert_fetches(&world, &root, "/ci-creds", &by_name, &[]);
}

#[test]
fn the_image_trusts_no_server_until_it_is_given_a_root() {
    if !tool::is_root("a root file system cannot be entered") {
        return;
    }
    let folder = folder();
    let Some(program) = Program::new(folder.path()) else { return };
    let root = folder.path().join("root");
    std::fs::create_dir(&root).expect("a folder");
    tool::install(&program.path, &root.join("ci-creds"), "0755");
    program.add_libraries(&root);
    add_hosts(&root);
    let world = World::with(DevVault::builder().tls(Tls::Valid));
    let (address, ca) = (world.vault.address(), world.vault.ca_pem().to_owned());
    let run = enter(&root, "/ci-creds", &[("VAULT_ADDR", &address), ("VAULT_TOKEN", "s.0123456789abcdefghijklmn")]);
    let ran = run.arg("exoscale").arg("--role").arg(ROLE).run().failed(78, "config");
    assert!(ran.stderr.contains("VAULT_CACERT"), "{ran:?}");
    // The text of a CA in a variable, or a bundle where Debian and Alpine have theirs.
    assert_fetches(&world, &root, "/ci-creds", &address, &[("VAULT_CACERT_BYTES", &ca)]);
    std::fs::create_dir_all(root.join("etc/ssl/certs")).expect("a folder");
    std::fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), &ca).expect("a bundle");
    assert_fetches(&world, &root, "/ci-creds", &address, &[]);
}

/// buildah with a storage of its own, which goes with the folder.
struct Buildah {
    program: PathBuf,
    folder: PathBuf,
}

impl Buildah {
    fn new(folder: &Path) -> Option<Self> {
        Some(Self { program: tool::find("buildah")?, folder: folder.to_owned() })
    }

    fn run(&self, line: &str) -> Ran {
        let place = |name: &str| self.folder.join(name).display().to_string();
        let mut run = Run::new(&self.program, &self.folder).env("HOME", &place("home")).env("TMPDIR", &place(""));
        let storage = ["--root", &place("storage"), "--runroot", &place("run"), "--storage-driver", "vfs"];
        run.arguments = storage.into_iter().chain(line.split(' ')).map(str::to_owned).collect();
        run.run()
    }

    /// The root of a container of this image.
    fn mount(&self, image: &str) -> PathBuf {
        let container = self.run(&format!("from --pull-never {image}")).ok();
        PathBuf::from(self.run(&format!("mount {}", container.trim())).ok().trim())
    }
}

#[test]
fn the_containerfile_builds_both_images_and_their_jobs_run() {
    if !tool::is_root("a root file system cannot be entered") {
        return;
    }
    let folder = folder();
    let (Some(buildah), Some(busybox)) = (Buildah::new(folder.path()), tool::find("busybox")) else { return };
    let Some(program) = Program::new(folder.path()) else { return };
    let (dist, base) = (folder.path().join("dist"), folder.path().join("base"));
    std::fs::create_dir(&dist).expect("a folder");
    tool::install(&program.path, &dist.join(format!("ci-creds-{VERSION}-linux-{}", architecture())), "0755");
    // In the place of Alpine, which no registry brings here: busybox and its shell.
    std::fs::create_dir_all(base.join("bin")).expect("a folder");
    for library in libraries_of(&busybox) {
        copy_into(&base, &library);
    }
    tool::install(&busybox, &base.join("bin/busybox"), "0755");
    for applet in ["sh", "env"] {
        std::os::unix::fs::symlink("busybox", base.join("bin").join(applet)).expect("a link");
    }
    let container = buildah.run("from scratch").ok();
    buildah.run(&format!("copy {} {} /", container.trim(), base.display())).ok();
    buildah.run(&format!("commit {} localhost/base", container.trim())).ok();
    for stage in ["binary", "shell"] {
        let build = format!("build --isolation chroot --pull-never --target {stage} --build-arg VERSION={VERSION}");
        let file = Path::new(ROOT).join("Containerfile");
        let line = format!(
            "{build} --build-arg BASE=localhost/base -t localhost/{stage} -f {} {}",
            file.display(),
            dist.display()
        );
        buildah.run(&line).ok();
    }
    let world = World::start();
    let root = buildah.mount("localhost/binary");
    assert_eq!(names_in(&root), ["ci-creds"]);
    let inspected = buildah.run("inspect --type image localhost/binary").ok();
    let inspected: serde_json::Value = serde_json::from_str(&inspected).expect("JSON");
    let config = &inspected["OCIv1"]["config"];
    assert_eq!((config["User"].as_str(), config["Entrypoint"][0].as_str()), (Some(USER), Some("/ci-creds")));
    assert_labelled(&config["Labels"]);
    program.add_libraries(&root);
    assert_fetches(&world, &root, "/ci-creds", &world.vault.address(), &[]);

    let root = buildah.mount("localhost/shell");
    program.add_libraries(&root);
    let secret_id = world.secret_id();
    let address = world.vault.address();
    let variables =
        [("VAULT_ADDR", address.as_str()), ("VAULT_ROLE_ID", &world.role_id), ("VAULT_SECRET_ID", &secret_id)];
    let script = format!("set -e; eval $(ci-creds exoscale --role {ROLE} || echo false); env");
    let ran = enter(&root, "sh", &[&variables[..], &[("CI", "true")]].concat()).arg("-c").arg(&script).run();
    let key = ran.stdout.lines().find_map(|line| line.strip_prefix("EXOSCALE_API_KEY=")).map(str::to_owned);
    assert!(world.vault.live_keys().contains(&key.unwrap_or_default()), "{ran:?}");
}

#[test]
fn an_engine_takes_the_archive_that_was_made_without_one() {
    if !tool::is_root("buildah stores images for others") {
        return;
    }
    let folder = folder();
    let Some(buildah) = Buildah::new(folder.path()) else { return };
    let program = folder.path().join("program");
    std::fs::write(&program, "#!/bin/sh\n").expect("a program");
    let Some(archive) = archive(folder.path(), &program) else { return };
    let container = buildah.run(&format!("from oci-archive:{}", archive.display())).ok();
    let root = PathBuf::from(buildah.run(&format!("mount {}", container.trim())).ok().trim());
    assert_eq!(names_in(&root), ["ci-creds"]);
}
