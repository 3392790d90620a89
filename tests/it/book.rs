//! README and the pages of docs/: one book, whose links lead somewhere and whose code blocks are run.
//!
//! `CI_CREDS_REGENERATE=1 cargo test --test it book` writes the quoted output (```` ```console ````) anew; in CI that is
//! refused.

mod page;
mod quote;
mod shell;
mod start;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::tool;
use page::Page;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The languages of code blocks, each with the test that looks at them.
const LANGUAGES: [(&str, &str); 11] = [
    ("sh", "shell: run"),
    ("fish", "shell: run"),
    ("powershell", "none: no PowerShell is at hand"),
    ("console", "quote: run and compared"),
    ("yaml", "shell: pipelines are run"),
    ("ini", "shell: a part of examples/aws/config"),
    ("toml", "document: read by the program"),
    ("hcl", "shell: applied to a Vault"),
    ("json", "none: a policy of AWS"),
    ("dockerfile", "none: a line of somebody's image"),
    ("mermaid", "this module: README's diagram"),
];

#[test]
fn the_summary_has_every_page_and_no_other_one() {
    let summary = Page::read("docs/SUMMARY.md");
    let listed: Vec<_> = summary.links().into_iter().map(|link| format!("docs/{link}")).collect();
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(unique.len(), listed.len(), "a page is listed twice");
    let mut pages: BTreeSet<_> = page::names().into_iter().filter(|name| name.starts_with("docs/")).collect();
    pages.remove("docs/SUMMARY.md");
    assert_eq!(unique, pages);
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_in_it() {
    for name in page::names() {
        let page = Page::read(&name);
        let folder = Path::new(&name).parent().expect("a folder").to_owned();
        for link in page.links().iter().filter(|link| !link.contains("://")) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if target.is_empty() { name.clone() } else { normalized(&folder.join(target)) };
            assert!(Path::new(ROOT).join(&target).exists(), "{name}: {link}: there is no {target}");
            // mdBook makes `.html` of every `.md`, also where the page is not in the book.
            let leaves_the_book = name.starts_with("docs/") && !target.starts_with("docs/");
            assert!(!(leaves_the_book && target.ends_with(".md")), "{name}: {link} is not in the book");
            assert!(
                anchor.is_empty() || Page::read(&target).anchors().contains(anchor),
                "{name}: {target} has no heading #{anchor}"
            );
        }
    }
}

/// Without `..`.
fn normalized(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

#[test]
fn every_page_begins_with_its_title_and_every_block_has_a_language_that_a_test_knows() {
    for name in page::names() {
        let page = Page::read(&name);
        assert!(page.text.starts_with("# "), "{name} has no title");
        for block in page.blocks() {
            let known = LANGUAGES.iter().any(|(language, _)| *language == block.language);
            assert!(known, "{name}, line {}: no test looks at `{}`", block.line, block.language);
        }
    }
}

#[test]
fn the_pages_have_no_contraction_and_no_word_that_says_nothing() {
    let endings = ["n't", "'ll", "'re", "'ve", "'m", "it's", "that's", "let's", "there's"];
    for name in page::names() {
        for line in Page::read(&name).prose() {
            let words = line.split(|c: char| !(c.is_alphanumeric() || c == '\'')).map(str::to_lowercase);
            for word in words {
                let is_contraction = endings.iter().any(|ending| word.ends_with(ending));
                let is_empty = ["please", "simply", "obviously", "easily"].contains(&word.as_str());
                assert!(!is_contraction && !is_empty, "{name}: `{word}` in: {line}");
            }
        }
    }
}

#[test]
fn the_readme_is_short_and_its_contents_name_every_section() {
    let readme = Page::read("README.md");
    let (lines, words) = (readme.text.lines().count(), readme.text.split_whitespace().count());
    assert!(lines <= 200 && words <= 1500, "README.md has {lines} lines and {words} words");
    let contents = readme.text.split("\n## ").find(|part| part.starts_with("Contents\n")).expect("contents");
    let listed: Vec<_> = contents.lines().filter_map(|line| line.split("](#").nth(1)?.split(')').next()).collect();
    let sections: Vec<_> = readme.text.lines().filter_map(|line| line.strip_prefix("## ")).map(page::anchor).collect();
    assert_eq!(listed, sections.iter().map(String::as_str).filter(|name| *name != "contents").collect::<Vec<_>>());
}

#[test]
fn mdbook_builds_the_book_without_a_word_and_every_page_of_it_is_there() {
    let Some(mdbook) = tool::find("mdbook") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(mdbook);
    command.arg("build").arg("--dest-dir").arg(folder.path()).arg(Path::new(ROOT).join("docs"));
    let built = command.output().expect("mdbook");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{said}");
    for link in Page::read("docs/SUMMARY.md").links() {
        let name = if link == "README.md" { "index.html".to_owned() } else { link.replace(".md", ".html") };
        let html = std::fs::read_to_string(folder.path().join(&name)).unwrap_or_else(|_| panic!("no {name}"));
        // The anchors that our own check computes are mdBook's.
        for anchor in Page::read(&format!("docs/{link}")).anchors() {
            assert!(html.contains(&format!("id=\"{anchor}\"")), "{name} has no #{anchor}");
        }
    }
}
