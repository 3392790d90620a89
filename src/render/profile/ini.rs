//! What botocore sees in a credentials file: Python's `RawConfigParser`, and its own nested values behind it.
//!
//! A line that is indented deeper than the key before it goes on with that key's value, a section's header among
//! them; `optionxform` lower-cases keys; a section or key may stand once; what is no section, key, comment or
//! continuation is an error. Held against the real one by the tests.

use std::collections::HashSet;

/// A file's lines and what each of them is.
pub(super) struct Outline<'a> {
    pub(super) lines: Vec<Line<'a>>,
    pub(super) sections: Vec<Section<'a>>,
    pub(super) entries: Vec<Entry<'a>>,
}

/// One line, and what ends it.
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    pub(super) ending: &'a str,
    pub(super) role: Role,
}

/// What a line is: which section's header, which entry's key or value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Blank, or a comment.
    Nothing,
    Header,
    Key(usize),
    Continuation(usize),
}

/// A section's first header; only `[DEFAULT]` may have more of them.
pub(super) struct Section<'a> {
    pub(super) name: &'a str,
    pub(super) line: usize,
}

/// A key, as Python lower-cases it, and its value on the same line.
pub(super) struct Entry<'a> {
    pub(super) section: usize,
    pub(super) key: String,
    pub(super) value: &'a str,
    pub(super) line: usize,
    /// A line below a blank value that botocore, which takes it for a nested key, cannot read.
    unreadable: Option<usize>,
}

/// The names of sections, and of the keys in each: a file of a thousand profiles is not to be searched for each line.
type Names = HashSet<(Option<usize>, String)>;

/// The section whose values every other one inherits.
const DEFAULT: &str = "DEFAULT";

impl<'a> Outline<'a> {
    /// # Errors
    /// What botocore could not parse, and in which line.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        if text.starts_with('\u{feff}') {
            return Err("begins with a byte order mark in line 1, which no SDK takes".into());
        }
        let mut outline = Self { lines: split(text), sections: Vec::new(), entries: Vec::new() };
        let mut seen = Names::new();
        let mut section = None;
        let mut entry = None;
        let mut level = 0;
        for number in 0..outline.lines.len() {
            let text = outline.lines[number].text;
            let content = strip(text);
            if content.is_empty() || content.starts_with(['#', ';']) {
                continue;
            }
            let indent = text.chars().take_while(|c| is_space(*c)).count();
            if let Some(entry) = entry.filter(|_| indent > level) {
                outline.lines[number].role = Role::Continuation(entry);
                outline.entries[entry].go_on(content, number);
                continue;
            }
            level = indent;
            if let Some(name) = header(content) {
                section = Some(outline.open(name, number, &mut seen)?);
                entry = None;
                outline.lines[number].role = Role::Header;
            } else {
                let section = section.ok_or_else(|| format!("has no section before line {}", number + 1))?;
                entry = Some(outline.add(section, content, number, &mut seen)?);
                outline.lines[number].role = Role::Key(outline.entries.len() - 1);
            }
        }
        outline.check_nested()?;
        Ok(outline)
    }

    /// The section that is called exactly so.
    pub(super) fn section(&self, name: &str) -> Option<usize> {
        self.sections.iter().position(|section| section.name == name)
    }

    /// Whether every section inherits the entry.
    pub(super) fn is_default(&self, entry: &Entry<'_>) -> bool {
        self.sections[entry.section].name == DEFAULT
    }

    fn open(&mut self, name: &'a str, line: usize, seen: &mut Names) -> Result<usize, String> {
        if !seen.insert((None, name.to_owned())) {
            let twice = || format!("has the section of line {} twice", line + 1);
            return self.section(name).filter(|_| name == DEFAULT).ok_or_else(twice);
        }
        self.sections.push(Section { name, line });
        Ok(self.sections.len() - 1)
    }

    fn add(&mut self, section: usize, content: &'a str, line: usize, seen: &mut Names) -> Result<usize, String> {
        let (key, value) = content
            .split_once(['=', ':'])
            .filter(|(key, _)| !strip(key).is_empty())
            .ok_or_else(|| format!("has a line {} that is neither a section nor a key", line + 1))?;
        let key = strip(key).to_lowercase();
        if !seen.insert((Some(section), key.clone())) {
            return Err(format!("has the key of line {} twice in its section", line + 1));
        }
        self.entries.push(Entry { section, key, value: strip(value), line, unreadable: None });
        Ok(self.entries.len() - 1)
    }

    /// A value of `[DEFAULT]` counts in every section that has none of its own.
    fn check_nested(&self) -> Result<(), String> {
        for entry in &self.entries {
            let Some(line) = entry.unreadable else { continue };
            let overridden =
                |section: usize| self.entries.iter().any(|other| other.section == section && other.key == entry.key);
            let inherited = (0..self.sections.len()).any(|section| section != entry.section && !overridden(section));
            if !self.is_default(entry) || inherited {
                return Err(format!("has a line {} that is no nested key", line + 1));
            }
        }
        Ok(())
    }
}

impl Entry<'_> {
    fn go_on(&mut self, content: &str, line: usize) {
        // What `str.splitlines` splits at, beside the ends of lines.
        let pieces = content.split(['\x0b', '\x0c', '\x1c', '\x1d', '\x1e', '\u{85}', '\u{2028}', '\u{2029}']);
        let readable = pieces.map(strip).all(|piece| piece.is_empty() || piece.contains('='));
        if self.value.is_empty() && !readable {
            self.unreadable.get_or_insert(line);
        }
    }
}

impl<'a> Line<'a> {
    /// What stands before the first character that is no blank.
    pub(super) fn indent(&self) -> &'a str {
        &self.text[..self.text.len() - self.text.trim_start_matches(is_space).len()]
    }
}

/// Python opens the file with universal newlines.
fn split(mut text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    while !text.is_empty() {
        let end = text.find(['\n', '\r']).unwrap_or(text.len());
        let length = if text[end..].starts_with("\r\n") { 2 } else { (text.len() - end).min(1) };
        lines.push(Line { text: &text[..end], ending: &text[end..end + length], role: Role::Nothing });
        text = &text[end + length..];
    }
    lines
}

/// Python takes all up to the last bracket for the name, and ignores what follows.
fn header(content: &str) -> Option<&str> {
    let inner = content.strip_prefix('[')?;
    Some(&inner[..inner.rfind(']')?]).filter(|name| !name.is_empty())
}

fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// What `str.isspace` says: Unicode's white space, and four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
