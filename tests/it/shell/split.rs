use super::stage;
use crate::support::World;
use crate::support::expect::WHOLE;
use crate::support::shell::{self, EVALS, Shell, Stage};

/// What a value, a path or a profile can have beside letters and digits, the quote around it, and what separates
/// statements or acts in a shell.
const OTHERS: &str = "_+/=.:@%,-'|&;{}()<>$`\\\"~^#";

/// A value with every character that the sets of the clouds have.
const VALUE: &str = "xSw0rdfish0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+/=_.:@%,-abcdefghijklmnopqrstuvwxyzx";

/// Evaluates the text with each of these as `IFS`, in a shell of its own, and gives one line for each: the number, the
/// status, and what became of the three variables.
const EACH: &str = r#"
n=0
while [ $n -lt $COUNT ]; do
    n=$((n + 1))
    eval "separators=\$IFS_$n"
    ( stale=old; unset EXPORTED LAST; IFS=$separators
      eval $(cat "$OUT/text") 2>>"$OUT/errors"
      code=$?
      unset IFS
      printf '%s %s %s %s %s\n' $n $code "${EXPORTED-}" "${LAST-}" "${stale-}" >>"$OUT/lines" ) 2>>"$OUT/errors"
    echo "$n ended $?" >>"$OUT/lines"
done
"#;

fn is_of_a_value(c: char) -> bool {
    VALUE.contains(c)
}

/// The text of a run whose values have every character: the real one's, with other names and values.
fn text() -> String {
    format!("unset stale;\n{WHOLE} &&\nexport EXPORTED='{VALUE}' &&\nexport LAST='{VALUE}';\n")
}

// check: 2
#[test]
fn no_character_in_ifs_changes_a_value_in_any_shell() {
    let world = World::start();
    let characters: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').chain(OTHERS.chars()).collect();
    let separators: Vec<String> = characters.iter().flat_map(|c| [c.to_string(), format!(" \t\n{c}")]).collect();
    let mut stage = stage(&world, &[]).env("COUNT", &separators.len().to_string());
    for (index, separator) in separators.iter().enumerate() {
        stage = stage.env(&format!("IFS_{}", index + 1), separator);
    }
    std::fs::create_dir_all(stage.out("")).expect("a folder");
    for shell in shell::posix() {
        let script = format!("cat >\"$OUT/text\" <<'END'\n{}END\n{EACH}", text());
        let played = stage.play(&shell, &script);
        assert_eq!(played.ran.code, 0, "{}: {:?}", shell.name, played.ran);
        let lines = std::fs::read_to_string(stage.out("lines")).expect("lines");
        let errors = std::fs::read_to_string(stage.out("errors")).expect("what the shells said");
        assert!(!errors.contains("rdfi"), "{}: a value in a message: {errors}", shell.name);
        // ksh93's eval does nothing when its first argument is empty, as where the text begins with a separator.
        let of_ksh = |separator: &str| shell.name == "ksh93" && separator.ends_with('u');
        for (index, separator) in separators.iter().enumerate().filter(|(_, separator)| !of_ksh(separator)) {
            let number = (index + 1).to_string();
            let of_it = |line: &&str| line.split(' ').next() == Some(&number);
            let end: Vec<_> = lines.lines().filter(of_it).collect();
            let what = format!("{}: IFS={separator:?}: {end:?}", shell.name);
            let c = separator.chars().last().expect("one");
            let whole = format!("{number} 0 {VALUE} {VALUE} ");
            let succeeded = end.iter().any(|line| line.starts_with(&format!("{number} 0 ")));
            assert_ne!(end, [format!("{number} ended 0")], "{what}: it ended a job as if all were well");
            assert!(!succeeded || end[0] == whole, "{what}: a changed value");
            assert!(!(succeeded && is_of_a_value(c)), "{what}: not noticed");
        }
    }
}

/// The message stands on stderr, and the script ends with the code of a usage error.
fn assert_told(stage: &Stage, shell: &Shell, line: &str, separator: &str, (open, close): (&str, &str)) {
    let what = format!("{}: {line}: IFS={separator}", shell.name);
    let script = format!(
        "set -eu\nIFS={separator}\ntrap 'env -0 >\"$OUT/after\"' EXIT\n\
         {open}ci-creds {line}{close}\ntouch \"$OUT/reached\"\n"
    );
    let played = stage.play(shell, &script);
    assert!(!played.reached, "{what}: it went on: {:?}", played.ran);
    assert_eq!(played.ran.code, 64, "{what}: {:?}", played.ran);
    for stale in ["AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"] {
        assert_eq!(played.dump("after").get(stale), None, "{what}: {:?}", played.ran);
    }
    // The message is split too.
    assert!(played.ran.stderr.contains(" IFS would split the credential"), "{what}: {:?}", played.ran);
}

// check: 2
#[test]
fn an_ifs_that_splits_a_credential_fails_the_eval_and_unsets_what_is_stale() {
    let world = World::start();
    let stage = stage(&world, &["AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"]);
    for shell in shell::posix() {
        for separator in ["/", ":", "=", "','", "'/+'", "' \n\t/'"] {
            for (open, close) in [EVALS[0], EVALS[2]] {
                assert_told(&stage, &shell, "aws --role 365-dev", separator, (open, close));
            }
            assert_told(&stage, &shell, "aws --role 365-dev --format file", separator, EVALS[0]);
        }
        // `.` of a path that is split finds no file: nothing is set, and the shell says so.
        let script = "set -e\nIFS=/\neval $(ci-creds aws --role 365-dev --via-file)\ntouch \"$OUT/reached\"\n";
        let played = stage.play(&shell, script);
        assert!(!played.reached && played.ran.code != 0, "{}: {:?}", shell.name, played.ran);
    }
}

#[test]
fn an_ifs_that_splits_does_nothing_to_a_quoted_eval_or_a_sourced_file() {
    let world = World::start();
    let stage = stage(&world, &["AWS_PROFILE"]);
    for shell in shell::posix() {
        for line in [
            "eval \"$(ci-creds aws --role 365-dev)\"",
            "x=$(ci-creds aws --role 365-dev); eval \"$x\"",
            "ci-creds aws --role 365-dev >\"$OUT/f\"; . \"$OUT/f\"",
        ] {
            let script =
                format!("set -eu\nIFS=/+=n\n{line}\nunset IFS\nenv -0 >\"$OUT/after\"\ntouch \"$OUT/reached\"\n");
            let played = stage.play(&shell, &script);
            assert!(played.reached && played.ran.stderr.is_empty(), "{}: {line}: {:?}", shell.name, played.ran);
            let secrets = world.vault.secrets();
            assert!(secrets.contains(&played.dump("after")["AWS_SECRET_ACCESS_KEY"]), "{}: {line}", shell.name);
        }
    }
}
