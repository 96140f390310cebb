//! The command that leads to the other host.

use std::process::Command;

use chronos_store::backend::{BackendError, BackendResult};

use crate::location::SftpPlace;
use crate::variables::Variables;

/// Names another program than `ssh`, with arguments that come first.
const VARIABLE: &str = "CHRONOS_SSH_COMMAND";

/// What is said to every `ssh`: nobody is there to answer a question, a host that has gone is noticed, and what is sent is compressed already.
const OPTIONS: [&str; 3] = ["-oBatchMode=yes", "-oServerAliveInterval=15", "-oCompression=no"];

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SshCommand {
    pub(super) program: String,
    arguments: Vec<String>,
}

impl SshCommand {
    /// The `ssh` that the variables name, with what the place says; all else is left to the configuration of `ssh`.
    ///
    /// # Errors
    /// An open quote in the variable.
    pub(super) fn new(place: &SftpPlace, variables: &Variables) -> BackendResult<Self> {
        let given = variables.get(VARIABLE).unwrap_or("ssh");
        let mut words = words(given).ok_or_else(|| {
            BackendError::Invalid(format!(
                "{VARIABLE}: a quote is not closed, or there is no program: {given}"
            ))
        })?;
        let program = words.remove(0);
        let mut arguments = words;
        arguments.extend(OPTIONS.map(str::to_owned));
        if let Some(user) = &place.user {
            arguments.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = place.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        // Brackets belong to addresses in URLs alone.
        let host = place.host.trim_start_matches('[').trim_end_matches(']');
        arguments.extend(["-s", "--", host, "sftp"].map(str::to_owned));
        Ok(Self { program, arguments })
    }

    pub(super) fn to_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }
}

/// The words of a text, at least one; blanks within quotes separate none.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::location::Location;

    fn line(location: &str, variable: &str) -> BackendResult<String> {
        let Location::Sftp(place) = Location::parse(location).unwrap() else { panic!() };
        let variables = [(VARIABLE.to_owned(), variable.to_owned())].into_iter().collect();
        SshCommand::new(&place, &variables).map(|c| format!("{}|{}", c.program, c.arguments.join("|")))
    }

    #[test]
    fn only_what_the_place_says_is_told_to_ssh() {
        let options = OPTIONS.join("|");
        assert_eq!(line("sftp://nas/x", "").unwrap(), format!("ssh|{options}|-s|--|nas|sftp"));
        assert_eq!(
            line("sftp://me@[::1]:2222/x", "").unwrap(),
            format!("ssh|{options}|-l|me|-p|2222|-s|--|::1|sftp")
        );
    }

    #[test]
    fn another_program_comes_with_its_arguments() {
        let told = line("sftp://nas/x", " /opt/my\\ssh -F '/a b/c' -i \"d'e\"'' \"\" ").unwrap();
        assert!(told.starts_with("/opt/my\\ssh|-F|/a b/c|-i|d'e||-oBatchMode"), "{told}");
        for bad in ["ssh -F '/a", "  "] {
            let told = line("sftp://nas/x", bad).unwrap_err().to_string();
            assert!(told.contains("CHRONOS_SSH_COMMAND"), "{told}");
        }
    }
}
