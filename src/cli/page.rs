//! The completion scripts and manual pages, as build/main.rs packed them. They are unpacked when somebody asks for one.

/// Each with its place in the text of all.
const INDEX: &[(&str, usize, usize)] = &include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// All of them, behind each other.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pages.bin"));

/// The file of this name in completions/.
pub(super) fn read_page(name: &str) -> Option<String> {
    let (_, start, end) = INDEX.iter().find(|(known, ..)| *known == name)?;
    let all = miniz_oxide::inflate::decompress_to_vec(PACKED).ok()?;
    String::from_utf8(all.get(*start..*end)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_unpacked_as_it_was() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
        assert!(INDEX.len() > 15);
        for (name, ..) in INDEX {
            #[expect(clippy::disallowed_methods, reason = "the file that was packed")]
            let file = std::fs::read_to_string(folder.join(name)).unwrap();
            assert_eq!(read_page(name).as_deref(), Some(file.as_str()), "{name}");
        }
        assert_eq!(read_page("x"), None);
    }
}
