//! A page in Markdown: its code blocks, links and headings.

use std::collections::BTreeSet;
use std::path::Path;

use super::ROOT;

pub(super) struct Page {
    pub(super) name: String,
    pub(super) text: String,
}

/// A fenced block: ```` ```sh job=token ```` has the language `sh` and one attribute.
pub(super) struct Block {
    pub(super) language: String,
    pub(super) attributes: Vec<String>,
    pub(super) text: String,
    /// Of its opening fence, from 1.
    pub(super) line: usize,
}

impl Block {
    pub(super) fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|known| known == attribute)
    }

    /// The value behind `name=`.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|attribute| attribute.strip_prefix(name)?.strip_prefix('='))
    }
}

/// README and every page of docs/.
pub(super) fn names() -> Vec<String> {
    let folder = std::fs::read_dir(Path::new(ROOT).join("docs")).expect("docs/");
    let files = folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let mut names: Vec<_> = files.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    names.push("README.md".into());
    names.sort();
    names
}

/// The heading as GitHub and mdBook name it in a link.
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

impl Page {
    pub(super) fn read(name: &str) -> Self {
        let text =
            std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), text }
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (line, number) in self.text.lines().zip(1..) {
            match (line.strip_prefix("```"), open.as_mut()) {
                (Some(info), None) => {
                    let mut words = info.split_whitespace().map(str::to_owned);
                    let language = words.next().unwrap_or_default();
                    open = Some(Block { language, attributes: words.collect(), text: String::new(), line: number });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.text.push_str(&format!("{line}\n")),
                (None, None) => {
                    assert!(!line.trim_start().starts_with("```"), "{}: {number}: an indented block", self.name)
                }
            }
        }
        assert!(open.is_none(), "{}: a block that does not end", self.name);
        blocks
    }

    /// The lines outside of code blocks.
    pub(super) fn prose(&self) -> impl Iterator<Item = &str> {
        let mut inside = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.starts_with("```");
            inside ^= is_fence;
            !inside && !is_fence
        })
    }

    /// The targets of its links and pictures, in order.
    pub(super) fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for line in self.prose() {
            // What stands in backticks is code.
            let text: Vec<_> = line.split('`').step_by(2).collect();
            let text = text.join("`");
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let pictures = ["src=\"", "srcset=\""].map(|mark| text.split(mark).skip(1).collect::<Vec<_>>()).concat();
            links.extend(targets.map(str::to_owned));
            links.extend(pictures.iter().filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
        links
    }

    pub(super) fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
    }
}

#[test]
fn a_page_is_parted_into_blocks_links_and_headings() {
    let text = "# A `page`, whole\n\n[x](y.md#z) and `[no](link)`\n\n```sh job=token skip\necho [a](b)\n# no heading\n```\n\n## B\n";
    let page = Page { name: "x".into(), text: text.into() };
    let [block] = page.blocks().try_into().ok().expect("one block");
    assert_eq!((block.language.as_str(), block.line), ("sh", 5));
    assert!(block.has("skip") && block.value("job") == Some("token"));
    assert_eq!(block.text, "echo [a](b)\n# no heading\n");
    assert_eq!(page.links(), ["y.md#z"]);
    assert_eq!(page.anchors().into_iter().collect::<Vec<_>>(), ["a-page-whole", "b"]);
}
