//! Variables as lines of a file: for `cargo lambda watch --env-file`, and for a shell (`set -a; . FILE`).

use std::fmt::Write as _;

/// The lines. A variable that no line can say alike to both is left out, and a comment says so.
pub(crate) fn lines<'a>(variables: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    let mut lines = String::new();
    for (name, value) in variables {
        let value = quotable(value);
        // Writing into a string cannot fail.
        let _ = match value.contains(['\'', '\n', '\r']) || value.contains(r"\n") {
            true => writeln!(lines, "# {name} has a quote, a backslash or a line feed in it"),
            false => writeln!(lines, "{name}='{value}'"),
        };
    }
    lines
}

/// The same JSON in other words and on one line, if it is JSON. Nothing in single quotes means anything to a shell, but
/// cargo-lambda makes a line feed of `\n`, which JSON has in a key's text and cannot have as it is.
///
/// Source: `remove_quotes` of the crate env-file-reader 0.3.0, which cargo-lambda 1.9.2 reads such files with.
fn quotable(value: &str) -> String {
    if serde_json::from_str::<serde_json::Value>(value).is_err() {
        return value.to_owned();
    }
    let (mut words, mut characters, mut is_in_text) = (String::new(), value.chars(), false);
    while let Some(character) = characters.next() {
        is_in_text ^= character == '"';
        match (character, if character == '\\' { characters.next() } else { None }) {
            (' ' | '\t' | '\n' | '\r', _) if !is_in_text => {}
            ('\'', _) => words += r"\u0027",
            (_, Some('n')) => words += r"\u000a",
            (_, Some('\\')) => words += r"\u005c",
            (backslash, escaped) => words.extend([Some(backslash), escaped].into_iter().flatten()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_shell_reads_the_same_json_and_nothing_is_left_that_cargo_lambda_replaces() {
        let value = json!([{ "key": "-----BEGIN\nabc\n", "it's": r#"\n \\ \" ' $HOME `id` é"# }]);
        let text = format!("{value:#}").replace('\n', "\r\n");
        let lines = lines([("APPS", text.as_str()), ("URL", "http://127.0.0.1:1")].into_iter());
        let path = std::env::temp_dir().join(format!("wechat-functions-{}", shared::random::base64url::<12>()));
        std::fs::write(&path, &lines).unwrap();
        let script = r#". "$0"; printf '%s\n%s' "$URL" "$APPS""#;
        let output = Command::new("sh").args(["-c", script]).arg(&path).output().unwrap();
        std::fs::remove_file(path).unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let (url, apps) = output.split_once('\n').unwrap();
        assert_eq!((url, serde_json::from_str::<Value>(apps).unwrap()), ("http://127.0.0.1:1", value));
        assert_eq!(lines.lines().count(), 2);
        assert!(!lines.contains(r"\n") && !lines.contains(r"\'"), "{lines}");
    }

    #[test]
    fn what_cannot_be_said_is_left_out_with_a_line() {
        let values = [
            ("SEAL_KEY", "it's"),
            ("TABLE_NAME", r"a\nb"),
            ("EGRESS_IP", "a\nSEAL_KEY=b"),
            ("RUST_LOG", "a\r"),
            ("WECHAT_APPS", "{\n}{"),
            ("AWS_REGION", "us-east-1"),
        ];
        let lines = lines(values.into_iter());
        let (said, left_out): (Vec<_>, Vec<_>) = lines.lines().partition(|line| !line.starts_with('#'));
        assert_eq!(said, ["AWS_REGION='us-east-1'"]);
        let names = values.into_iter().map(|(name, _)| name).take(5);
        let expected: Vec<_> =
            names.map(|name| format!("# {name} has a quote, a backslash or a line feed in it")).collect();
        assert_eq!(left_out, expected);
    }
}
