//! The AWS SDKs' shared credentials file: `[name]`, then `key = value` from column 0.
//!
//! The SDKs' grammars differ in quotes, comments, blank values and indentation; written is only what all of them
//! read alike. What others wrote is read as botocore reads it, by far the strictest: one line that it cannot parse
//! costs it every profile. Nothing of theirs is changed or mended.

mod ini;

use ini::{Entry, Line, Outline, Role};

use super::pairs::{Pairs, line_ending};

/// When the credential ends, by the name that other tools write and show. Every SDK passes over it.
pub(super) const EXPIRES: &str = "x_security_token_expires";

/// What an older credential may have left in a profile. botocore believes the last but one before any other.
const MANAGED: [&str; 5] =
    ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token", EXPIRES];

/// Keys by which an SDK gets credentials in another way. Measured with botocore 1.44: `role_arn`,
/// `web_identity_token_file` and whatever begins with `sso_` win over keys in the same profile, in either file. Rust's SDK
/// prefers `credential_process` too; a `source_profile` alone is an error to Go's.
const RIVALS: [&str; 6] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "credential_process",
    "login_session",
];

fn is_rival(key: &str) -> bool {
    RIVALS.contains(&key) || key.starts_with("sso_")
}

fn is_ours(key: &str) -> bool {
    MANAGED.contains(&key) || is_rival(key)
}

/// What in the config file, the other one of AWS, makes an SDK pass over the keys of this profile. A file that botocore
/// cannot parse says nothing.
pub(super) fn find_rival(config: &str, profile: &str) -> Option<String> {
    let outline = Outline::parse(config).ok()?;
    entries_of(&outline, profile, false).find(|entry| is_rival(&entry.key)).map(describe)
}

/// What in either file gives an SDK a credential before it asks a container's endpoint. A role that is assumed with the
/// endpoint's own credential does not.
pub(super) fn find_source(text: &str, profile: &str) -> Option<String> {
    let outline = Outline::parse(text).ok()?;
    let mut entries = entries_of(&outline, profile, true);
    if entries.any(|entry| entry.key == "credential_source" && entry.value.eq_ignore_ascii_case("EcsContainer")) {
        return None;
    }
    let is_source = |key: &str| is_rival(key) || key == "aws_access_key_id";
    entries_of(&outline, profile, true).find(|entry| is_source(&entry.key)).map(describe)
}

/// The region of the profile in a config file.
pub(super) fn find_region(config: &str, profile: &str) -> Option<String> {
    let outline = Outline::parse(config).ok()?;
    entries_of(&outline, profile, false).find(|entry| entry.key == "region").map(|entry| entry.value.to_owned())
}

/// The entries of a profile in a config file: `[default]` and `[profile NAME]`. With `bare`, also in a credentials file:
/// `[NAME]`.
fn entries_of<'a>(outline: &'a Outline<'a>, profile: &str, bare: bool) -> impl Iterator<Item = &'a Entry<'a>> {
    let is_of_it = move |section: &str| match named_in_config(section) {
        Some(name) => name == profile,
        None => (bare || profile == "default") && section.trim() == profile,
    };
    let is_of_it = move |entry: &&Entry<'_>| is_of_it(outline.sections[entry.section].name);
    outline.entries.iter().filter(move |entry| outline.is_default(entry) || is_of_it(entry))
}

fn describe(entry: &Entry<'_>) -> String {
    format!("{} in line {}", entry.key, entry.line + 1)
}

/// The name of a profile in the config file. botocore takes `[profile "ci"]` and any blanks between the words.
fn named_in_config(section: &str) -> Option<&str> {
    let rest = section.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t']))?;
    Some(rest.trim().trim_matches(['"', '\'']))
}

/// The profiles of either file. The config file has other sections too, which are no profiles: `[sso-session x]`. They
/// have a blank in their names, so no flag takes them.
pub(super) fn names(text: &str) -> Vec<String> {
    let Ok(outline) = Outline::parse(text) else { return Vec::new() };
    outline.sections.iter().map(|section| named_in_config(section.name).unwrap_or(section.name).to_owned()).collect()
}

/// The profile as it stands alone.
pub(super) fn write(text: &mut String, profile: &str, pairs: &Pairs<'_>, ending: &str) {
    for part in ["[", profile, "]", ending] {
        text.push_str(part);
    }
    write_lines(text, pairs, "", ending);
}

fn write_lines(text: &mut String, pairs: &Pairs<'_>, indent: &str, ending: &str) {
    for (key, value) in pairs {
        for part in [indent, key, " = ", value, ending] {
            text.push_str(part);
        }
    }
}

/// Puts the pairs into the profile's section of `old`, and takes what an older credential left there out of it; all of
/// it is appended to `new`. A section that is not there goes to the end.
///
/// # Errors
/// What keeps a reader from the profile: a line that botocore cannot parse, or one that has a say in it from elsewhere, or,
/// without `replace`, in it.
pub(super) fn edit(new: &mut String, old: &str, profile: &str, replace: bool, pairs: &Pairs<'_>) -> Result<(), String> {
    let outline = Outline::parse(old)?;
    refuse_others(&outline, profile)?;
    let section = outline.section(profile);
    let rival = outline.entries.iter().find(|entry| Some(entry.section) == section && is_rival(&entry.key));
    if let (Some(rival), false) = (rival, replace) {
        return Err(format!(
            "has {} in line {}, which SDKs use in place of the keys of [{profile}] (--replace-profile removes it)",
            rival.key,
            rival.line + 1
        ));
    }
    match section {
        Some(section) => edit_section(new, &outline, section, pairs, line_ending(old)),
        None => {
            let ending = line_ending(old);
            new.push_str(old);
            if !old.is_empty() && !old.ends_with(['\n', '\r']) {
                new.push_str(ending);
            }
            write(new, profile, pairs, ending);
        }
    }
    // What the edit made is what will be read; a value of [DEFAULT] may have been harmless before.
    let outline = Outline::parse(new)?;
    let section = outline.section(profile);
    let found = section.map(|section| outline.entries.iter().filter(move |entry| entry.section == section));
    let whole = found.is_some_and(|entries| {
        let managed: Vec<_> = entries.filter(|entry| is_ours(&entry.key)).collect();
        managed.len() == pairs.len() && managed.iter().all(|entry| pairs.contains(&(entry.key.as_str(), entry.value)))
    });
    if whole { Ok(()) } else { Err(format!("has a section [{profile}] that cannot be edited safely")) }
}

/// Sections beside ours that some SDK would mix into it.
fn refuse_others(outline: &Outline<'_>, profile: &str) -> Result<(), String> {
    for section in &outline.sections {
        if section.name != profile && section.name.trim() == profile {
            return Err(format!("has a section in line {} that some SDKs read as [{profile}]", section.line + 1));
        }
    }
    let inherited = outline.entries.iter().find(|entry| outline.is_default(entry) && is_ours(&entry.key));
    match inherited {
        Some(entry) => Err(format!("sets {} for every profile by [DEFAULT], in line {}", entry.key, entry.line + 1)),
        None => Ok(()),
    }
}

fn edit_section(new: &mut String, outline: &Outline<'_>, section: usize, pairs: &Pairs<'_>, ending: &str) {
    let entries = || outline.entries.iter().filter(|entry| entry.section == section);
    let pair_of = |entry: &Entry<'_>| pairs.iter().find(|(key, _)| *key == entry.key).copied();
    let managed = |entry: usize| {
        let entry = &outline.entries[entry];
        (entry.section == section && is_ours(&entry.key)).then_some(entry)
    };
    let missing: Vec<_> = pairs.iter().filter(|(key, _)| entries().all(|entry| entry.key != *key)).copied().collect();
    let header = outline.sections[section].line;
    let last = entries().filter(|entry| pair_of(entry).is_some()).map(|entry| entry.line).next_back();
    let anchor = last.unwrap_or(header);
    for (number, line) in outline.lines.iter().enumerate() {
        match line.role {
            Role::Key(entry) if managed(entry).is_some() => {
                let own = if line.ending.ends_with('\n') { line.ending } else { ending };
                let pair = managed(entry).and_then(pair_of);
                write_lines(new, pair.as_slice(), line.indent(), own);
            }
            Role::Continuation(entry) if managed(entry).is_some() => {}
            _ => {
                new.push_str(line.text);
                new.push_str(line.ending);
            }
        }
        if number == anchor {
            if !new.ends_with(['\n', '\r']) {
                new.push_str(ending);
            }
            // What stands below must not become a continuation of what is put above it.
            let below = outline.lines[number + 1..].iter().find(|line| line.role != Role::Nothing);
            let beside = if last.is_some() { Some(line) } else { below };
            write_lines(new, &missing, beside.map_or("", Line::indent), ending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: [(&str, &str); 3] = [(MANAGED[0], "K"), (MANAGED[1], "S"), (MANAGED[2], "T")];
    const LINES: &str = "aws_access_key_id = K\naws_secret_access_key = S\naws_session_token = T\n";

    fn edited(old: &str, pairs: &Pairs<'_>) -> Result<String, String> {
        let mut new = String::new();
        edit(&mut new, old, "ci", false, pairs).map(|()| new)
    }

    #[test]
    fn a_missing_section_goes_to_the_end_and_everything_before_stays() {
        for (old, before) in [
            ("", ""),
            ("[a]\nk = v\n", "[a]\nk = v\n"),
            ("[a]\nk = v", "[a]\nk = v\n"),
            ("# only a comment", "# only a comment\n"),
            ("[a]\n  k = v\n    more\n\n ", "[a]\n  k = v\n    more\n\n \n"),
            ("[cid]\n[profile ci]\n[CI]\n", "[cid]\n[profile ci]\n[CI]\n"),
        ] {
            assert_eq!(edited(old, &NEW).unwrap(), format!("{before}[ci]\n{LINES}"), "{old:?}");
        }
        let windows = "[a]\r\nk = v";
        let lines = LINES.replace('\n', "\r\n");
        assert_eq!(edited(windows, &NEW).unwrap(), format!("{windows}\r\n[ci]\r\n{lines}"));
    }

    #[test]
    fn keys_are_replaced_where_they_stand_and_the_rest_of_the_section_stays() {
        let old = "; top\n[ci]\n# mine\nregion = eu\nAWS_Secret_Access_Key: old\n  # kept\n  rest of it\n\nx=1\n\
                   aws_security_token = stale\naws_access_key_id=old\n\n[z]\naws_session_token = z\n";
        assert_eq!(
            edited(old, &NEW).unwrap(),
            "; top\n[ci]\n# mine\nregion = eu\naws_secret_access_key = S\n  # kept\n\nx=1\n\
             aws_access_key_id = K\naws_session_token = T\n\n[z]\naws_session_token = z\n"
        );
        assert_eq!(edited("[ci]\naws_session_token = old", &NEW[..2]).unwrap(), format!("[ci]\n{}", &LINES[..48]));
        assert_eq!(edited("[ci]\naws_access_key_id = x", &NEW).unwrap(), format!("[ci]\n{LINES}"));
        assert_eq!(edited("[ci]", &NEW).unwrap(), format!("[ci]\n{LINES}"));
    }

    #[test]
    fn an_indented_section_stays_one_and_swallows_nothing() {
        let indented = LINES.replace("aws", "  aws");
        assert_eq!(edited("[ci]\n  region = eu\n", &NEW).unwrap(), format!("[ci]\n{indented}  region = eu\n"));
        assert_eq!(edited("[ci]\n  [z]\n", &NEW).unwrap(), format!("[ci]\n{indented}  [z]\n"));
        let one = "[ci]\n  aws_session_token = old\n  region = eu\n";
        assert_eq!(edited(one, &NEW[2..]).unwrap(), "[ci]\n  aws_session_token = T\n  region = eu\n");
    }

    #[test]
    fn a_key_that_an_sdk_uses_in_place_of_ours_is_refused_or_replaced() {
        for key in RIVALS.into_iter().chain(["sso_start_url", "sso_session", "SSO_Role_Name"]) {
            let old = format!("[a]\n{key} = 1\n[ci]\nregion = eu\n{key} = x\n  more\n[b]\n{key} = 2\n");
            let problem = edited(&old, &NEW).unwrap_err();
            assert!(problem.starts_with(&format!("has {} in line 5,", key.to_lowercase())), "{problem}");
            let mut new = String::new();
            edit(&mut new, &old, "ci", true, &NEW).unwrap();
            assert_eq!(new, format!("[a]\n{key} = 1\n[ci]\n{LINES}region = eu\n[b]\n{key} = 2\n"));
            let mut unchanged = String::new();
            let inherited = format!("[DEFAULT]\n{key} = x\n");
            assert!(
                edit(&mut unchanged, &inherited, "ci", true, &NEW).unwrap_err().contains("by [DEFAULT], in line 2")
            );
        }
    }

    #[test]
    fn a_config_file_has_its_say_by_its_own_sections_only() {
        for (config, profile, rival) in [
            ("[profile ci]\nregion = x\nrole_arn = y\n", "ci", Some("role_arn in line 3")),
            ("[profile \"ci\"]\nsso_session = y\n", "ci", Some("sso_session in line 2")),
            ("[profile\t ci ]\nsource_profile = y\n", "ci", Some("source_profile in line 2")),
            ("[default]\nrole_arn = y\n", "default", Some("role_arn in line 2")),
            ("[profile default]\nrole_arn = y\n", "default", Some("role_arn in line 2")),
            ("[DEFAULT]\nrole_arn = y\n", "ci", Some("role_arn in line 2")),
            ("[ci]\nrole_arn = y\n[profile cid]\nrole_arn = y\n[default]\nrole_arn = y\n", "ci", None),
            ("[profileci]\nrole_arn = y\n[sso-session ci]\nsso_region = y\n", "ci", None),
            ("[profile ci]\nrole_arn = y\nrubbish\n", "ci", None),
            ("[profile ci]\nregion = x\naws_access_key_id = y\n", "ci", None),
        ] {
            assert_eq!(find_rival(config, profile).as_deref(), rival, "{config:?}");
        }
    }

    #[test]
    fn a_file_that_some_reader_reads_differently_is_refused_by_its_line() {
        for (old, expected) in [
            ("[ci]\n[ci]\n", "has the section of line 2 twice"),
            ("[a]\nk=1\nK = 2\n", "has the key of line 3 twice"),
            ("k = v\n", "has no section before line 1"),
            ("\u{feff}[ci]\n", "begins with a byte order mark in line 1"),
            ("[a]\nrubbish\n", "has a line 2 that is neither"),
            ("[a]\n= v\n", "has a line 2 that is neither"),
            ("[a]\nk =\n  rubbish\n", "has a line 3 that is not a nested key"),
            ("[DEFAULT]\nk =\n  rubbish\n", "has a line 3 that is not a nested key"),
            ("[ ci ]\n", "has a section in line 1 that some SDKs read as [ci]"),
            (
                "[a]\n[DEFAULT]\naws_session_token = x\n",
                "sets aws_session_token for every profile by [DEFAULT], in line 3",
            ),
        ] {
            let problem = edited(old, &NEW).unwrap_err();
            assert!(problem.starts_with(expected), "{old:?}: {problem}");
        }
        for old in ["[DEFAULT]\n[DEFAULT]\n", "[a]\n[b]\nk=1\n[c]\nk=1\n", "[a] [b] # [c]\n", "[a]\nk =\n  x = y\n"] {
            assert!(edited(old, &NEW).is_ok(), "{old:?}");
        }
    }

    #[test]
    fn a_profile_has_a_source_of_its_own_unless_that_is_the_endpoint() {
        let process = "[default]\nregion = eu-west-1\ncredential_process = x\n[profile ci]\nregion = eu-west-2\n";
        assert_eq!(find_source(process, "default").as_deref(), Some("credential_process in line 3"));
        assert_eq!(find_source(process, "ci"), None);
        assert_eq!(find_region(process, "ci").as_deref(), Some("eu-west-2"));
        assert_eq!(find_region(process, "other"), None);
        let keys = "[ci]\naws_access_key_id = AKIA\n";
        assert_eq!(find_source(keys, "ci").as_deref(), Some("aws_access_key_id in line 2"));
        assert_eq!(find_region("[ci]\nregion = eu-west-1\n", "ci"), None);
        let role = "[profile ci]\nrole_arn = arn:aws:iam::1:role/x\ncredential_source = EcsContainer\n";
        assert_eq!(find_source(role, "ci"), None);
        assert!(find_source(&role.replace("EcsContainer", "Environment"), "ci").is_some());
    }
}
