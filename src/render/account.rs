//! `exoscale.toml`, the exo CLI's file: one of `[[accounts]]`, and which of them is the default.
//!
//! exo ends in an error without a `defaultAccount`, even when variables hold a key. Its reader (viper) takes keys in
//! upper and lower case alike.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::pairs::{Pairs, line_ending};

/// The variable beside the key that the file has a place for, and the place.
pub(super) const ZONE: (&str, &str) = ("EXOSCALE_ZONE", "defaultZone");

const ACCOUNTS: &str = "accounts";

/// A program that exo would run for the secret, whatever `secret` says.
const COMMAND: &str = "secretCommand";

/// A file with this account alone. No value has a character that TOML would read otherwise inside quotes.
pub(super) fn write(text: &mut String, account: &str, pairs: &Pairs<'_>, ending: &str) {
    write_line(text, "defaultAccount", account, ending);
    text.push_str(ending);
    write_account(text, ACCOUNTS, account, pairs, ending);
}

fn write_account(text: &mut String, list: &str, account: &str, pairs: &Pairs<'_>, ending: &str) {
    for part in ["[[", list, "]]", ending] {
        text.push_str(part);
    }
    write_line(text, "name", account, ending);
    for (key, value) in pairs {
        write_line(text, key, value, ending);
    }
}

fn write_line(text: &mut String, key: &str, value: &str, ending: &str) {
    for part in [key, " = \"", value, "\"", ending] {
        text.push_str(part);
    }
}

/// Puts the pairs into the account of `old`, replaced where they stand; all of it is appended to `new`. An account that
/// is not there goes to the end, and is the default where there is none.
///
/// # Errors
/// Not TOML, or written in a way that cannot be edited without touching more than the account.
pub(super) fn edit(new: &mut String, old: &str, account: &str, pairs: &Pairs<'_>) -> Result<(), String> {
    let root = parse(old)?;
    let ending = line_ending(old);
    if member(&root, "defaultAccount")?.is_none() {
        write_line(new, "defaultAccount", account, ending);
    }
    match find_account(&root, account)? {
        Some(table) => edit_account(new, old, table, pairs, ending)?,
        None => {
            new.push_str(old);
            if !old.is_empty() && !old.ends_with('\n') {
                new.push_str(ending);
            }
            new.push_str(ending);
            // TOML would take another spelling for another list.
            let list = member(&root, ACCOUNTS)?.map_or(ACCOUNTS, |found| found.spelling);
            write_account(new, list, account, pairs, ending);
        }
    }
    let unsafe_edit = || format!("has `accounts` in a form in which {account} cannot be edited safely");
    let root = parse(new).map_err(|_| unsafe_edit())?;
    let table = find_account(&root, account)?.ok_or_else(unsafe_edit)?;
    for (key, value) in pairs {
        if member(table, key)?.and_then(|found| found.content.as_str()) != Some(*value) {
            return Err(unsafe_edit());
        }
    }
    Ok(())
}

/// Security: the parser's own words may repeat what the file holds.
fn parse(text: &str) -> Result<DeTable<'_>, String> {
    let wrong = |error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        format!("is no TOML in line {line}")
    };
    // The table with places takes a number as it stands; another reader would not take every one.
    toml::from_str::<toml::Table>(text).map_err(wrong)?;
    DeTable::parse(text).map(toml::Spanned::into_inner).map_err(wrong)
}

/// A key as it is spelled, its value, and where both stand.
struct Member<'t, 'a> {
    spelling: &'t str,
    key: Range<usize>,
    value: Range<usize>,
    content: &'t DeValue<'a>,
}

/// The member of a name in whatever case.
fn member<'t, 'a>(table: &'t DeTable<'a>, name: &str) -> Result<Option<Member<'t, 'a>>, String> {
    let mut found = table.iter().filter(|(key, _)| key.get_ref().eq_ignore_ascii_case(name));
    let first = found.next().map(|(key, value)| Member {
        spelling: key.get_ref(),
        key: key.span(),
        value: value.span(),
        content: value.get_ref(),
    });
    if found.next().is_some() { Err(format!("has {name} in more than one case")) } else { Ok(first) }
}

fn find_account<'t, 'a>(root: &'t DeTable<'a>, account: &str) -> Result<Option<&'t DeTable<'a>>, String> {
    let Some(accounts) = member(root, ACCOUNTS)? else { return Ok(None) };
    let accounts = accounts.content.as_array().ok_or("has `accounts` that are no list")?;
    let mut found = None;
    for table in accounts.iter().filter_map(|one| one.get_ref().as_table()) {
        if member(table, "name")?.is_some_and(|name| name.content.as_str() == Some(account))
            && found.replace(table).is_some()
        {
            return Err(format!("has the account {account} twice"));
        }
    }
    Ok(found)
}

/// The accounts of the file.
pub(super) fn names(text: &str) -> Vec<String> {
    let Ok(root) = parse(text) else { return Vec::new() };
    let accounts = member(&root, ACCOUNTS).ok().flatten().and_then(|found| found.content.as_array());
    let tables = accounts.into_iter().flatten().filter_map(|one| one.get_ref().as_table());
    let name = |table| Some(member(table, "name").ok()??.content.as_str()?.to_owned());
    tables.filter_map(name).collect()
}

/// Every change is a place in the old text and what comes there, from the first to the last.
fn edit_account(
    new: &mut String,
    old: &str,
    table: &DeTable<'_>,
    pairs: &Pairs<'_>,
    ending: &str,
) -> Result<(), String> {
    let mut changes = Vec::with_capacity(pairs.len() + 1);
    let mut lines = String::new();
    let mut last = 0;
    for (key, value) in pairs {
        match member(table, key)? {
            Some(found) => changes.push((found.value, format!("\"{value}\""))),
            None => write_line(&mut lines, key, value, ending),
        }
    }
    for key in pairs.iter().map(|(key, _)| *key).chain(["name"]) {
        last = member(table, key)?.map_or(last, |found| last.max(found.value.end));
    }
    if !lines.is_empty() {
        let end = line_end(old, last)?;
        if !old[..end].ends_with('\n') {
            lines.insert_str(0, ending);
        }
        changes.push((end..end, lines));
    }
    if let Some(found) = member(table, COMMAND)? {
        let start = old[..found.key.start].rfind('\n').map_or(0, |before| before + 1);
        if !old[start..found.key.start].trim().is_empty() {
            return Err(one_line(COMMAND));
        }
        changes.push((start..line_end(old, found.value.end)?, String::new()));
    }
    let mut copied = 0;
    // A handful: the library's sort would be larger than this file.
    while let Some(first) = (0..changes.len()).min_by_key(|index| (changes[*index].0.start, changes[*index].0.end)) {
        let (place, text): (Range<usize>, String) = changes.swap_remove(first);
        new.push_str(old.get(copied..place.start).ok_or_else(|| one_line("the account"))?);
        new.push_str(&text);
        copied = place.end;
    }
    new.push_str(&old[copied..]);
    Ok(())
}

/// Where the line ends that a value stands on, and no other value behind it.
fn line_end(text: &str, value: usize) -> Result<usize, String> {
    let end = text[value..].find('\n').map_or(text.len(), |end| value + end + 1);
    let rest = text[value..end].trim();
    if rest.is_empty() || rest.starts_with('#') { Ok(end) } else { Err(one_line("the account")) }
}

fn one_line(what: &str) -> String {
    format!("has {what} on one line with something else")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: [(&str, &str); 3] = [("key", "EXOnew"), ("secret", "new"), ("defaultZone", "ch-gva-2")];

    fn edited(old: &str, pairs: &Pairs<'_>) -> Result<String, String> {
        let mut new = String::new();
        edit(&mut new, old, "ci", pairs).map(|()| new)
    }

    #[test]
    fn a_missing_account_goes_to_the_end_and_is_the_default_where_there_is_none() {
        let account = "[[accounts]]\nname = \"ci\"\nkey = \"EXOnew\"\nsecret = \"new\"\n";
        for (old, new) in [
            ("", format!("defaultAccount = \"ci\"\n\n{account}")),
            ("# mine", format!("defaultAccount = \"ci\"\n# mine\n\n{account}")),
            (
                "defaultaccount = 'a'\n[[Accounts]]\nname='a'\n",
                format!("defaultaccount = 'a'\n[[Accounts]]\nname='a'\n\n{}", account.replace("accounts", "Accounts")),
            ),
        ] {
            assert_eq!(edited(old, &NEW[..2]).unwrap(), new, "{old:?}");
        }
    }

    #[test]
    fn values_are_replaced_where_they_stand_and_the_rest_stays() {
        let old = "defaultAccount = 'a' # top\r\n[[accounts]]\r\n  name = \"ci\" # mine\r\n  Key= 'EXOold'\r\n\
                   secretCommand = [\r\n 'cat', # x\r\n 'f']\r\n  environment = 'api'\r\n[[accounts]]\r\nname = 'a'\r\nkey = 'EXOa'";
        let new = "defaultAccount = 'a' # top\r\n[[accounts]]\r\n  name = \"ci\" # mine\r\n  Key= \"EXOnew\"\r\n\
                   secret = \"new\"\r\ndefaultZone = \"ch-gva-2\"\r\n  environment = 'api'\r\n[[accounts]]\r\nname = 'a'\r\nkey = 'EXOa'";
        assert_eq!(edited(old, &NEW).unwrap(), new);
        assert_eq!(edited(new, &NEW).unwrap(), new);
        let last = "defaultAccount='ci'\n[[accounts]]\nname='ci'";
        let lines = "key = \"EXOnew\"\nsecret = \"new\"\n";
        assert_eq!(edited(last, &NEW[..2]).unwrap(), format!("{last}\n{lines}"));
        let inline = "defaultAccount='ci'\naccounts = [{name='ci', key='a', secret='b'}]\n";
        assert_eq!(
            edited(inline, &NEW[..2]).unwrap(),
            "defaultAccount='ci'\naccounts = [{name='ci', key=\"EXOnew\", secret=\"new\"}]\n"
        );
    }

    #[test]
    fn what_cannot_be_edited_safely_is_refused_and_not_repeated() {
        for (old, expected) in [
            ("a = \n", "is no TOML in line 1"),
            ("a = 1\nb = 0b\n", "is no TOML in line 2"),
            ("x = 1\nsecret = \"Sw0rdfish\n", "is no TOML in line 2"),
            ("accounts = 'x'\n", "has `accounts` that are no list"),
            ("accounts = []\n", "has `accounts` in a form in which ci cannot be edited safely"),
            ("accounts = [{name='ci', key='a'}]\n", "has the account on one line"),
            ("[[accounts]]\nname='ci'\n[[accounts]]\nname='ci'\n", "has the account ci twice"),
            ("[[accounts]]\nname='ci'\nkey='a'\nKEY='b'\n", "has key in more than one case"),
            ("accounts=[]\nAccounts=[]\n", "has accounts in more than one case"),
        ] {
            let problem = edited(old, &NEW[..2]).unwrap_err();
            assert!(problem.starts_with(expected) && !problem.contains("Sw0rd"), "{old:?}: {problem}");
        }
    }
}
