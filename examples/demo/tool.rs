//! Where the binary is: beside us, built by the cargo that runs us.

use std::path::PathBuf;
use std::process::Command;

/// Builds `ci-creds` as we were built, so that an older one is never shown, and gives its path.
pub(crate) fn find() -> Result<PathBuf, String> {
    // target/<profile>/examples/demo
    let ourselves = std::env::current_exe().map_err(|error| format!("who are we? {error}"))?;
    let folder = ourselves.ancestors().nth(2).unwrap_or(&ourselves);
    let tool = folder.join("ci-creds").with_extension(std::env::consts::EXE_EXTENSION);
    if let (Some(cargo), Some(profile), Some(target)) = (std::env::var_os("CARGO"), folder.file_name(), folder.parent())
    {
        let profile = if profile == "debug" { "dev".as_ref() } else { profile };
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--offline", "--bin", "ci-creds", "--profile"]).arg(profile);
        command.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
        match command.status() {
            Ok(status) if status.success() => {}
            _ => return Err("ci-creds cannot be built; what does `cargo build` say?".into()),
        }
    }
    if tool.is_file() { Ok(tool) } else { Err(format!("there is no {}: run `cargo build` first", tool.display())) }
}
