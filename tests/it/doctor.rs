//! `ci-creds doctor`: which step it names, what it leaves behind, and how it looks.

mod form;
mod intact;
mod look;
mod setup;
mod step;

use crate::support::{Ran, Run};

/// The mark of each step, in order, without the texts.
pub fn marks(ran: &Ran) -> Vec<(String, String)> {
    const MARKS: [&str; 4] = ["ok", "warn", "FAIL", "skip"];
    let words = |line: &str| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
    let of_a_step = |line: &&str| !line.starts_with(' ') && MARKS.iter().any(|mark| line.starts_with(mark));
    let rows = ran.stdout.lines().filter(of_a_step).map(words);
    rows.map(|words| (words[1].clone(), words[0].clone())).collect()
}

/// The mark of one step.
pub fn mark<'a>(marks: &'a [(String, String)], step: &str) -> &'a str {
    let found = marks.iter().find(|(name, _)| name == step);
    found.map_or_else(|| panic!("no step {step} in {marks:?}"), |(_, mark)| mark)
}

/// Runs a diagnosis whose first failed step is this one, which has this exit code.
pub fn fails_at(run: &Run, step: &str, code: i32) -> Ran {
    let ran = run.run();
    let first = marks(&ran).into_iter().find(|(_, mark)| mark == "FAIL").map(|(name, _)| name);
    assert_eq!((first.as_deref(), ran.code), (Some(step), code), "{}\n{}", ran.stdout, ran.stderr);
    ran
}

/// The text of one step, its lines joined.
pub fn text_of(ran: &Ran, step: &str) -> String {
    let mut lines =
        ran.stdout.lines().skip_while(|line| line.starts_with(' ') || line.split_whitespace().nth(1) != Some(step));
    let first = lines.next().unwrap_or_else(|| panic!("no step {step}: {}", ran.stdout));
    let rest = lines.take_while(|line| line.starts_with(' '));
    std::iter::once(first).chain(rest).flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}
