//! `ci-creds explain`: the page of an error, from the tables that word the errors. It needs no configuration and no network.

mod page;
mod search;
mod table;
mod way;

use crate::error::{Error, Kind, Result};
use crate::host::Host;

use super::finish;

/// The text of stdin is an error and a few lines around it. The rest of a longer one is not read.
const LONGEST: usize = 64 * 1024;

/// `ci-creds explain TEXT…`: prints the pages that the text asks for. `-` alone stands for stdin.
///
/// # Errors
/// [`Kind::Usage`] if there is no page for the text; [`Kind::Output`].
pub(crate) fn run(words: &[String], host: &Host) -> Result<()> {
    let text = if words == ["-"] { host.read_stdin(LONGEST)? } else { words.join(" ") };
    finish(explain(&text)?, host)
}

fn explain(text: &str) -> Result<String> {
    let text = text.trim();
    if let Some(kind) = search::find_kind(text) {
        return Ok(page::of_kind(kind));
    }
    if let Some(code) = text.parse().ok().filter(|code| matches!(code, 1 | 125..=127)) {
        return Ok(page::of_code(code));
    }
    let (found, kinds) = search::find(text);
    if !found.is_empty() || !kinds.is_empty() {
        let kinds = kinds.into_iter().map(page::of_kind);
        let pages: Vec<_> = kinds.chain((!found.is_empty()).then(|| page::of_explanations(&found))).collect();
        return Ok(pages.join("\n"));
    }
    match search::find_kind_in(text) {
        Some(kind) => Ok(page::of_kind(kind)),
        None => Err(no_page()),
    }
}

fn no_page() -> Error {
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    Error::new(Kind::Usage, "there is no page for this text")
        .hint(format!("pass an exit code, a whole error line of ci-creds or of Vault, or one of {}", kinds.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::table::{Cause, causes};
    use super::*;
    use crate::vault::refusal::{Refusal, Says, find, word};

    /// A refusal that the row is made for.
    fn sample(says: Says) -> Vec<Refusal> {
        let refusal = |status, reason: &str| Refusal { status, reason: reason.to_owned() };
        match says {
            Says::Status(statuses) => statuses.iter().map(|status| refusal(*status, "")).collect(),
            Says::Text(texts) => texts.iter().map(|text| refusal(400, text)).collect(),
            Says::Whole(text) => vec![refusal(400, text)],
            Says::PolicyDenies => vec![refusal(403, "1 error occurred: permission denied")],
            Says::TokenDenied | Says::TokenGone => vec![refusal(403, "permission denied")],
            Says::WrappingTokenInvalid => vec![refusal(400, "wrapping token is not valid or does not exist")],
            Says::NoSuchLogin => vec![refusal(400, "missing client token")],
            Says::Anything => vec![refusal(400, "something that nobody has seen")],
        }
    }

    #[test]
    fn a_row_has_an_id_of_its_own_and_a_page_by_that_id() {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for Cause { row, .. } in causes() {
            let is_id = row.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            assert!(is_id && row.id.contains('-'), "{}", row.id);
            assert!(seen.insert(row.id, row.change).is_none_or(|change| change == row.change), "{} twice", row.id);
            assert!(explain(row.id).unwrap().contains(&format!("{}: exit code {}", row.id, row.kind.code())));
        }
        assert!(seen.len() > 80, "{}", seen.len());
    }

    #[test]
    fn the_page_of_a_row_is_found_by_the_text_of_the_server_and_by_the_line_that_is_printed() {
        let mut by_text = 0;
        for Cause { table, row } in causes() {
            for refusal in sample(row.says) {
                // Told by its text, where the text alone tells.
                if row.says.fits_text(&refusal.reason) {
                    let page = explain(&refusal.reason)
                        .unwrap_or_else(|error| panic!("{}: {}: {error:?}", row.id, refusal.reason));
                    assert!(page.contains(&format!("{}: ", row.id)), "{}: {}\n{page}", row.id, refusal.reason);
                    by_text += 1;
                }
                if find(table.rows, &refusal).is_none_or(|first| first.id != row.id) {
                    continue;
                }
                let error = word(row, &|name| match name {
                    "because" => refusal.because(),
                    "said" => format!(": {}", refusal.reason),
                    "status" => refusal.status.to_string(),
                    name => format!("x/{name}"),
                });
                for line in
                    [error.render(false), format!("job output\n{}ERROR: Job failed", error.also("x").render(false))]
                {
                    let page = explain(&line).unwrap();
                    assert!(page.contains(&format!("{}: exit code", row.id)), "{}: {line}\n{page}", row.id);
                }
            }
        }
        assert!(by_text > 60, "{by_text}");
    }

    #[test]
    fn a_kind_has_a_page_by_its_code_its_name_and_a_line_of_it() {
        for kind in Kind::ALL {
            let head = format!("{}: exit code {}", kind.name(), kind.code());
            let line = Error::new(kind, "what no table knows").render(false);
            for text in [kind.code().to_string(), kind.name().to_owned(), format!("error[{}]", kind.name()), line] {
                assert!(explain(&text).unwrap().starts_with(&head), "{text}");
            }
            // Every cause of the kind is on its page.
            let page = explain(kind.name()).unwrap();
            for Cause { row, .. } in causes().filter(|cause| cause.row.kind == kind) {
                assert!(page.contains(row.id), "{}", row.id);
            }
        }
        assert!(explain("129").unwrap().starts_with("ended: exit code 129"));
        assert!(explain("ERROR: Job failed: exit code 77").unwrap().starts_with("denied: exit code 77"));
        for code in ["125", "126", "127"] {
            assert!(explain(code).unwrap().contains("docs/exec.md"));
        }
    }

    #[test]
    fn a_page_fits_into_80_columns_and_has_the_values_of_the_line() {
        for text in Kind::ALL
            .map(|kind| kind.name().to_owned())
            .into_iter()
            .chain(causes().map(|cause| cause.row.id.to_owned()))
        {
            for line in explain(&text).unwrap().lines() {
                assert!(line.len() <= 80 || !line.trim().contains(' '), "{text}: {line}");
                assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}: {line}");
            }
        }
        let line = "ci-creds: error[denied]: the login with the ID token (from VAULT_ID_TOKEN) at auth/ci/login was refused \
            (400: role staging could not be found)";
        let page = explain(line).unwrap();
        assert!(page.contains("jwt-no-role: ") && page.contains("vault list auth/ci/role"), "{page}");
    }

    #[test]
    fn a_text_that_nobody_prints_has_no_page_and_the_kinds_are_listed() {
        for text in ["", "hello", "99", "0", "error[nope]", "-", "255"] {
            let error = explain(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
            assert!(error.change().unwrap().contains("usage, data, input"), "{text}");
        }
    }
}
