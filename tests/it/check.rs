//! The checks of docs/security.md, and the tests that hold them.
//!
//! A test says `// check: 4, 5` above its `#[test]`. The page's list is made of that:
//! `CI_CREDS_REGENERATE=1 cargo test --test it check` writes it anew; in CI that is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const CHECKS: usize = 25;
const TABLE: &str = "\n## Twenty-five checks\n";
const LIST: &str = "\n## Tests of each check\n";
const MARK: &str = "// check: ";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md")
}

/// The tests that are marked, by the numbers of their checks.
fn marked(folder: &Path, module: &str, found: &mut BTreeMap<usize, Vec<String>>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let inner = if module.is_empty() { stem.to_owned() } else { format!("{module}::{stem}") };
        if path.is_dir() {
            marked(&path, &inner, found);
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(numbers) = line.strip_prefix(MARK) else { continue };
            assert_eq!(lines.next(), Some("#[test]"), "{inner}: no test follows {line}");
            let function = lines.next().and_then(|line| line.strip_prefix("fn ")).and_then(|rest| rest.split_once('('));
            let (name, _) = function.unwrap_or_else(|| panic!("{inner}: no function follows {line}"));
            for number in numbers.split(", ") {
                let number = number.parse().unwrap_or_else(|_| panic!("{inner}: {line} names no check"));
                assert!((1..=CHECKS).contains(&number), "{inner}: there is no check {number}");
                found.entry(number).or_default().push(format!("{inner}::{name}"));
            }
        }
    }
}

fn tests() -> BTreeMap<usize, Vec<String>> {
    let mut found = BTreeMap::new();
    marked(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"), "", &mut found);
    found.values_mut().for_each(|tests| tests.sort());
    found
}

/// The rows of the table: number, check, state.
fn rows(text: &str) -> Vec<[String; 3]> {
    let table = text.split(TABLE).nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the table");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    rows.map(|row| cells(row).try_into().unwrap_or_else(|cells| panic!("three cells: {cells:?}"))).collect()
}

fn list(rows: &[[String; 3]], tests: &BTreeMap<usize, Vec<String>>) -> String {
    let mut text = String::from(
        "\nA test names its checks in a line `// check: NUMBER` in [tests/it](../tests/it). This list is made of those lines:\n\
         `CI_CREDS_REGENERATE=1 cargo test --test it check`.\n",
    );
    for (number, [_, what, _]) in (1..).zip(rows) {
        text.push_str(&format!("\n### {number}: {what}\n\n"));
        match tests.get(&number) {
            Some(tests) => tests.iter().for_each(|test| text.push_str(&format!("* `{test}`\n"))),
            None => text.push_str("No test.\n"),
        }
    }
    text
}

#[test]
fn every_check_has_a_state_and_every_one_that_is_kept_a_test() {
    let text = fs::read_to_string(page()).expect("the page");
    let (rows, tests) = (rows(&text), tests());
    let numbers: Vec<_> = rows.iter().map(|[number, ..]| number.clone()).collect();
    assert_eq!(numbers, (1..=CHECKS).map(|number| number.to_string()).collect::<Vec<_>>());
    for (number, [_, what, state]) in (1..).zip(&rows) {
        let word = state.split([';', ':', ' ']).next().unwrap_or_default();
        assert!(["done", "partly", "open"].contains(&word), "{state}");
        assert_eq!(tests.contains_key(&number), word != "open", "{number}: {what} is {word}");
    }
}

#[test]
fn the_list_of_tests_is_made_of_the_marks_in_the_code() {
    let text = fs::read_to_string(page()).expect("the page");
    let (before, now) = text.split_once(LIST).expect("the list");
    let expected = list(&rows(&text), &tests());
    if std::env::var_os("CI_CREDS_REGENERATE").is_some() {
        assert!(std::env::var_os("CI").is_none(), "CI compares, and writes nothing");
        fs::write(page(), format!("{before}{LIST}{expected}")).expect("the page");
    } else {
        assert!(
            now == expected,
            "the list in docs/security.md is out of date: CI_CREDS_REGENERATE=1 cargo test --test it check"
        );
    }
}
