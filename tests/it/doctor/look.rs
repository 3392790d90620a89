//! How the diagnosis looks: marks or words, 80 columns, colour at a terminal only.

use super::marks;
use crate::support::World;

#[test]
fn marks_are_words_where_the_locale_is_not_utf_8() {
    let world = World::start();
    let run = world.command_as("id-token", "doctor aws --role 365-dev");
    let plain = run.run().ok();
    assert!(plain.is_ascii() && plain.starts_with("ok   configuration "), "{plain}");
    for (name, value) in [("LANG", "C.UTF-8"), ("LC_CTYPE", "en_US.utf8"), ("LC_ALL", "C.UTF-8")] {
        let text = run.clone().env(name, value).run().ok();
        assert!(text.starts_with("\u{2713} configuration "), "{name}: {text}");
        assert!(text.contains("\u{2013} "), "{name}: {text}");
    }
    assert!(run.clone().env("LANG", "C.UTF-8").env("LC_ALL", "C").run().ok().is_ascii());
}

#[test]
fn no_line_is_wider_than_a_terminal() {
    let world = World::start();
    let ran = world.command_as("id-token", "doctor aws --role 365-dev --mount nowhere").run();
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(marks(&ran).len() >= 15, "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.stdout);
}
