//! Words that stand before a command, such as `docker exec NAME`, and how variables get through them.
//!
//! A secret never stands among the arguments of a program, where every user of the host can read it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Programs that start others in containers, with their words for it; they pass on a variable whose name follows `-e`,
/// and standard input if `-i` is given.
const CONTAINERS: &[&str] = &["docker", "podman", "nerdctl"];

/// Reads `NAME=value` lines up to an empty one from standard input, then becomes the command in its arguments, which finds
/// the rest of standard input there: `read` takes no byte more than its line.
const FROM_STANDARD_INPUT: &str =
    r#"while IFS= read -r line && [ -n "$line" ]; do export "$line"; done; exec "$@""#;

/// How environment variables get to the program behind the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Passing {
    /// The prefix hands its environment on: no prefix, `nice`, `runuser -u NAME --`, `sudo -E`.
    #[default]
    Environment,
    /// `-e NAME` without the value behind the word `exec` of a container program, which takes the value from its own environment.
    Flags,
    /// As lines before everything else on standard input, which a shell behind the prefix reads: `ssh HOST`, `kubectl exec -i`.
    StandardInput,
}

/// Words that stand before every command of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    words: Vec<OsString>,
    passing: Passing,
    /// The words behind it go through a shell of another host.
    is_remote: bool,
}

/// A command with its prefix, ready to be started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prefixed {
    pub(crate) words: Vec<OsString>,
    /// Whether variables go through standard input instead of the environment.
    pub(crate) by_input: bool,
}

impl Prefix {
    /// No prefix if `words` is empty. How variables get through is told from the first word: by `-e` for container
    /// programs, on standard input for `ssh` and `kubectl`, else with the environment.
    pub fn new(words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let first = words.first().and_then(|w| Path::new(w).file_name()).and_then(OsStr::to_str);
        let is_remote = first == Some("ssh");
        let passing = match first {
            Some(name) if CONTAINERS.contains(&name) => Passing::Flags,
            Some("ssh" | "kubectl" | "oc") => Passing::StandardInput,
            _ => Passing::Environment,
        };
        Self { words, passing, is_remote }
    }

    /// The same with another way for variables.
    #[must_use]
    pub fn passing(self, passing: Passing) -> Self {
        Self { passing, ..self }
    }

    /// The words of `command` behind this prefix; `names` are the variables that it is to have.
    pub(crate) fn before(&self, command: Vec<OsString>, names: &[&str], needs_input: bool) -> Prefixed {
        let mut words = self.words.clone();
        let by_input = self.passing == Passing::StandardInput && !names.is_empty();
        if self.passing == Passing::Flags
            && let Some(verb) = words.iter().position(|w| w == "exec" || w == "run")
        {
            let input = needs_input.then(|| OsString::from("-i"));
            let flags = names.iter().flat_map(|name| [OsString::from("-e"), OsString::from(name)]);
            let rest = words.split_off(verb + 1);
            words.extend(input.into_iter().chain(flags).chain(rest));
        }
        let shell = by_input.then(|| ["sh", "-c", FROM_STANDARD_INPUT, "sh"].map(OsString::from));
        let command = shell.into_iter().flatten().chain(command);
        if self.is_remote {
            words.extend(command.map(|word| quoted(&word)));
        } else {
            words.extend(command);
        }
        Prefixed { words, by_input }
    }
}

/// A word that a shell takes as it is.
fn quoted(word: &OsStr) -> OsString {
    let inner = word.as_bytes().split(|b| *b == b'\'').collect::<Vec<_>>().join(&br"'\''"[..]);
    OsString::from_vec([b"'", inner.as_slice(), b"'"].concat())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn words(prefix: &[&str], needs_input: bool) -> (Vec<String>, bool) {
        let command = vec!["pg_dump".into(), "-w".into()];
        let done = Prefix::new(prefix).before(command, &["PGUSER", "PGPASSWORD"], needs_input);
        (done.words.iter().map(|w| w.to_str().unwrap_or_default().to_owned()).collect(), done.by_input)
    }

    #[test]
    fn a_container_program_takes_variables_by_name() {
        let (words, by_input) = words(&["docker", "exec", "db"], true);
        assert_eq!(words.join(" "), "docker exec -i -e PGUSER -e PGPASSWORD db pg_dump -w");
        assert!(!by_input);
    }

    #[test]
    fn without_prefix_nothing_is_added() {
        assert_eq!(words(&[], true), (vec!["pg_dump".to_owned(), "-w".to_owned()], false));
    }

    #[test]
    fn a_prefix_that_has_no_way_for_variables_gets_them_on_standard_input() {
        let (words, by_input) = words(&["/usr/bin/kubectl", "exec", "-i", "pod", "--"], false);
        assert!(by_input && words.ends_with(&["sh".to_owned(), "pg_dump".to_owned(), "-w".to_owned()]));
    }

    #[test]
    fn a_shell_of_another_host_sees_the_same_words() {
        let done = Prefix::new(["ssh", "host"]).before(vec!["echo".into(), "it's $HOME".into()], &[], false);
        assert_eq!(done.words.last().unwrap(), r"'it'\''s $HOME'");
    }
}
