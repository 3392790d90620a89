//! What `ci-creds --version` says: the version, and of a release's build also the commit and the target. And completions/,
//! packed: 600 kB of scripts and manual pages that repeat each other, a tenth of that in the program.

#![expect(clippy::disallowed_methods, reason = "src/host is the door of the program, and this is none of it")]
#![expect(clippy::print_stdout, reason = "so a build script speaks to Cargo")]

mod version;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let version = variable("CARGO_PKG_VERSION");
    let folder = variable("CARGO_MANIFEST_DIR");
    let text = version::render(&version, &variable("TARGET"), &variable("PROFILE"), Path::new(&folder));
    println!("cargo::rustc-env=CI_CREDS_VERSION={text}");
    pack(Path::new("completions"), Path::new(&variable("OUT_DIR")))
}

/// The best that the packer can do. It takes a moment of the build.
const BEST: u8 = 10;

/// Writes the texts of the folder, packed in one piece, and the place of each.
fn pack(folder: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name().into_string().map_err(|_| "a name that is no text")?);
    }
    names.sort();
    let (mut all, mut index) = (String::new(), String::new());
    for name in names {
        let start = all.len();
        all.push_str(&std::fs::read_to_string(folder.join(&name))?);
        writeln!(index, "    ({name:?}, {start}, {}),", all.len())?;
    }
    std::fs::write(out.join("pages.bin"), miniz_oxide::deflate::compress_to_vec(all.as_bytes(), BEST))?;
    std::fs::write(out.join("pages.rs"), format!("[\n{index}]\n"))?;
    Ok(())
}
