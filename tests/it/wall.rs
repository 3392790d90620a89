//! The walls between the rooms of `src/`, read off its `use` lines and paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A file's module path in segments: `config/proxy.rs` is `["config", "proxy"]`, `lib.rs` is `[]`.
type Module = Vec<String>;

/// What each file imports, re-exports followed to where the thing is defined.
struct House {
    imports: BTreeMap<Module, BTreeSet<Module>>,
}

/// The file without comments, its unit tests and texts.
pub fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code = code.split("#[cfg(test)]\npub(crate) mod tests").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn files(folder: &Path, module: &Module, found: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let mut inner = module.clone();
        if path.is_dir() {
            inner.push(stem);
            files(&path, &inner, found);
        } else {
            if !["mod", "lib", "main"].contains(&stem.as_str()) {
                inner.push(stem.clone());
            }
            if stem != "main" {
                found.insert(inner, code_of(&path));
            }
        }
    }
}

/// The paths of a `use` tree, one each: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((before, inside)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().to_owned()];
    };
    let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("one at least").push(c);
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty()).flat_map(|part| expand(part));
    parts
        .map(|part| if part == "self" { before.trim_end_matches(':').into() } else { format!("{before}{part}") })
        .collect()
}

/// Each `use` of a file: whether it is a re-export, and its path.
fn uses(code: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        let Some(start) = statement.rfind("use ") else { continue };
        let before = &statement[..start];
        if !before.is_empty() && !before.ends_with(['\n', ' ', ')']) {
            continue;
        }
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with("pub") {
            found.extend(expand(&statement[start + 4..]).into_iter().map(|path| (!line.is_empty(), path)));
        }
    }
    found
}

/// The paths in the code itself that begin at the crate, a parent or a name: `super::x`, `entry::Token`.
fn paths(code: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let is_use = |line: &&str| line.starts_with("use ") || (line.starts_with("pub") && line.contains(" use "));
    let words =
        code.lines().filter(|line| !is_use(&line.trim_start())).flat_map(|line| line.split(|c: char| !is_part(c)));
    words.map(|word| word.trim_matches(':')).filter(|word| word.contains("::")).map(str::to_owned).collect()
}

impl House {
    fn read() -> Self {
        let mut texts = BTreeMap::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &Vec::new(), &mut texts);
        assert!(texts.len() > 60, "{} files", texts.len());
        let absolute = |module: &Module, path: &str| -> Option<Module> {
            let mut segments: Vec<String> = path.split("::").map(str::to_owned).collect();
            let mut base = match segments[0].as_str() {
                "crate" => return Some(segments.split_off(1)),
                "self" => {
                    segments.remove(0);
                    module.clone()
                }
                "super" => {
                    let mut base = module.clone();
                    while segments.first().is_some_and(|segment| segment == "super") {
                        segments.remove(0);
                        base.pop();
                    }
                    base
                }
                first => {
                    let mut child = module.clone();
                    child.push(first.to_owned());
                    if !texts.contains_key(&child) {
                        return None;
                    }
                    module.clone()
                }
            };
            base.extend(segments);
            Some(base)
        };
        let mut exported: BTreeMap<(Module, String), Module> = BTreeMap::new();
        for (module, code) in &texts {
            for (_, path) in uses(code).into_iter().filter(|(public, _)| *public) {
                if let Some(path) = absolute(module, &path) {
                    exported.insert((module.clone(), path.last().cloned().unwrap_or_default()), path);
                }
            }
        }
        let owner = |mut path: Module| -> Option<Module> {
            for _ in 0..8 {
                let length = (0..=path.len()).rev().find(|length| texts.contains_key(&path[..*length]))?;
                let module = path[..length].to_vec();
                match path.get(length).and_then(|name| exported.get(&(module.clone(), name.clone()))) {
                    Some(target) => path = target.iter().chain(&path[length + 1..]).cloned().collect(),
                    None => return Some(module),
                }
            }
            None
        };
        let mut imports = BTreeMap::new();
        for (module, code) in &texts {
            let uses = uses(code);
            let mut all: BTreeSet<String> =
                uses.iter().filter(|(public, _)| !public).map(|(_, path)| path.clone()).collect();
            for path in paths(code) {
                let first = path.split("::").next().unwrap_or_default();
                let imported = uses.iter().find(|(_, used)| used.rsplit("::").next() == Some(first) && first != "self");
                all.insert(match imported {
                    Some((_, used)) => format!("{used}{}", &path[first.len()..]),
                    None => path,
                });
            }
            let owners = all.iter().filter_map(|path| owner(absolute(module, path)?));
            imports.insert(module.clone(), owners.filter(|owner| owner != module).collect());
        }
        Self { imports }
    }

    /// Everything that a room's files import from another room.
    fn between(&self, room: &str, other: &str) -> Vec<String> {
        let of = |module: &Module, room: &str| module.first().is_some_and(|first| first == room);
        let rows = self.imports.iter().filter(|(module, _)| of(module, room));
        let pairs = rows.flat_map(|(module, imports)| imports.iter().map(move |import| (module, import)));
        pairs
            .filter(|(_, import)| of(import, other))
            .map(|(module, import)| format!("{} imports {}", module.join("/"), import.join("/")))
            .collect()
    }

    /// A way from a file back to itself, if there is one.
    fn circle(&self) -> Option<String> {
        fn walk(house: &House, way: &mut Vec<Module>, done: &mut BTreeSet<Module>) -> Option<String> {
            let here = way.last().cloned().unwrap_or_default();
            for next in &house.imports[&here] {
                if let Some(start) = way.iter().position(|module| module == next) {
                    let names: Vec<_> = way[start..].iter().chain([next]).map(|module| module.join("/")).collect();
                    return Some(names.join(" -> "));
                }
                if done.contains(next) {
                    continue;
                }
                way.push(next.clone());
                if let Some(circle) = walk(house, way, done) {
                    return Some(circle);
                }
                way.pop();
            }
            done.insert(here);
            None
        }
        let mut done = BTreeSet::new();
        self.imports.keys().find_map(|module| walk(self, &mut vec![module.clone()], &mut done))
    }
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    assert_eq!(House::read().circle(), None);
}

#[test]
fn no_room_looks_into_one_above_it() {
    let house = House::read();
    for (room, above) in [
        ("http", "config"),
        ("http", "vault"),
        ("vault", "config"),
        ("vault", "auth"),
        ("vault", "provider"),
        ("vault", "cache"),
        ("auth", "config"),
        ("auth", "provider"),
        ("auth", "cache"),
        ("render", "config"),
        ("render", "cli"),
        ("render", "vault"),
        ("provider", "config"),
        ("provider", "cli"),
        ("provider", "http"),
        ("provider", "vault"),
        ("provider", "render"),
        ("provider", "host"),
        ("identity", "config"),
        ("ci", "config"),
        ("ci", "host"),
        ("ci", "http"),
        ("config", "job_token"),
        ("job_token", "auth"),
        ("job_token", "source"),
        ("job_token", "command"),
        ("host", "config"),
        ("host", "vault"),
        ("policy", "config"),
        ("policy", "cli"),
        ("policy", "host"),
        ("policy", "vault"),
        ("config", "vault"),
        ("config", "auth"),
        ("credential", "vault"),
        ("lease", "config"),
        ("lease", "custody"),
        ("custody", "config"),
        ("custody", "engine"),
        ("custody", "source"),
        ("engine", "source"),
        ("source", "chain"),
        ("chain", "vault"),
        ("chain", "command"),
        ("renewal", "custody"),
        ("renewal", "source"),
        ("renewal", "command"),
        ("rotation", "custody"),
        ("rotation", "source"),
        ("rotation", "command"),
        ("endpoint", "config"),
        ("endpoint", "credential"),
        ("endpoint", "render"),
        ("endpoint", "rotation"),
        ("endpoint", "vault"),
        ("renewal", "rotation"),
        ("revocation", "config"),
        ("revocation", "custody"),
        ("revocation", "command"),
        ("custody", "revocation"),
        ("delivery", "custody"),
        ("gitlab", "vault"),
        ("gitlab", "auth"),
        ("gitlab", "command"),
        ("auth", "gitlab"),
        ("http", "gitlab"),
        ("diagnosis", "cli"),
        ("diagnosis", "custody"),
        ("diagnosis", "command"),
        ("auth", "diagnosis"),
        ("engine", "diagnosis"),
        ("vault", "diagnosis"),
        ("command", "cli"),
        ("command", "app"),
    ] {
        assert_eq!(house.between(room, above), [""; 0], "{room} and {above}");
    }
}

#[test]
fn each_foreign_world_has_one_door() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut texts = BTreeMap::new();
    files(&root, &Vec::new(), &mut texts);
    for (word, door) in [
        ("reqwest::", "http"),
        ("hyper::", "endpoint"),
        ("clap::", "cli"),
        ("std::fs::", "host"),
        ("std::env::", "host"),
    ] {
        let named: BTreeSet<_> = texts
            .iter()
            .filter(|(_, code)| code.contains(word))
            .map(|(module, _)| module.first().cloned().unwrap_or_default())
            .collect();
        assert_eq!(named, BTreeSet::from([door.to_owned()]), "{word}");
    }
}

/// The types that a file names. An indented `type` is an associated one: its name is the trait's.
fn types(code: &str) -> Vec<&str> {
    fn name(line: &str) -> Option<&str> {
        let words: Vec<_> = line.split_whitespace().skip_while(|word| word.starts_with("pub")).collect();
        let [keyword, name, ..] = words.as_slice() else { return None };
        let is_type = ["struct", "enum", "trait", "union"].contains(keyword)
            || *keyword == "type" && !line.starts_with(char::is_whitespace);
        is_type.then(|| name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())
    }
    code.lines().filter_map(name).collect()
}

/// Each type's name with the files that define one.
fn types_of_src() -> BTreeMap<String, Vec<String>> {
    let mut texts = BTreeMap::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &Vec::new(), &mut texts);
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (module, code) in &texts {
        for name in types(code) {
            owners.entry(name.to_owned()).or_default().push(module.join("/"));
        }
    }
    assert!(owners.len() > 150, "{} types", owners.len());
    owners
}

#[test]
fn no_type_bears_the_name_of_another() {
    let mut owners = types_of_src();
    owners.retain(|_, modules| modules.len() > 1);
    assert_eq!(owners, BTreeMap::new());
}

#[test]
fn no_type_is_named_by_a_participle() {
    let mut owners = types_of_src();
    owners.retain(|name, _| name.ends_with("ed"));
    assert_eq!(owners, BTreeMap::new());
}

#[test]
fn the_reader_of_types_sees_local_ones_and_passes_over_associated_ones() {
    let code =
        "pub struct A<'a> {\n    type B = C;\n    struct D;\npub(crate) enum E {\npub type F = G;\nlet struct_h = 1;";
    assert_eq!(types(code), ["A", "D", "E", "F"]);
}

#[test]
fn the_reader_of_the_walls_sees_through_braces_renames_and_re_exports() {
    assert_eq!(expand("a::{b, c::{d, self}, e as f}"), ["a::b", "a::c::d", "a::c", "a::e"]);
    assert_eq!(
        uses("use a::b;\npub use c::d;\nlet because = 1;\npub(crate) use e;"),
        [(false, "a::b".to_owned()), (true, "c::d".to_owned()), (true, "e".to_owned())]
    );
    let house = House::read();
    // `crate::config::Plan` is defined in config/plan.rs.
    let plan = vec!["config".to_owned(), "plan".to_owned()];
    assert!(
        house.imports[&vec!["delivery".to_owned()]].contains(&plan),
        "{:?}",
        house.imports[&vec!["delivery".to_owned()]]
    );
}
