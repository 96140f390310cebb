//! What a command works with: the output, and the workplace that the options and the environment name.
//!
//! What the workplace cannot do by itself is done here: a person is asked for a password, and is told what was found.

pub(crate) mod prompt;

use std::cell::OnceCell;
use std::path::Path;
use std::time::Duration;

use chronos_remote as remote;
use chronos_server::events::flush;
use chronos_server::shown;
use chronos_server::workplace::location::shown_place;
use chronos_server::workplace::{Created, Given, Key, Opened, Opener, Places, user_places};
use chronos_server::{Error, Variables, Workplace};
use chronos_store::{CreateOptions, Env, Repository, Secret};

use crate::error::Failure;
use crate::global::Global;
use crate::output::Output;

/// How long the end of a command waits for others to be told; what is left goes with the next command, or with the service.
const DELIVER_MAX: Duration = Duration::from_secs(3);

/// One run of the program.
#[derive(Debug)]
pub(crate) struct App {
    /// Options that every command takes.
    pub(crate) global: Global,
    /// Where answers go.
    pub(crate) output: Output,
    /// The command line as it is described to people.
    pub(crate) program: fn() -> clap::Command,
    /// Clock and randomness.
    pub(crate) env: Env,
    workplace: OnceCell<Workplace>,
}

/// An environment variable that is set, not empty and text.
pub(crate) fn variable(name: &str) -> Option<String> {
    Variables::of_process().text(name)
}

impl App {
    /// A run with these options.
    pub(crate) fn new(global: Global, output: Output, program: fn() -> clap::Command) -> Self {
        Self { global, output, program, env: Env::system(), workplace: OnceCell::new() }
    }

    /// Where things are; found out once.
    pub(crate) fn workplace(&self) -> Result<&Workplace, Failure> {
        if let Some(found) = self.workplace.get() {
            return Ok(found);
        }
        let variables = Variables::of_process();
        let found =
            Workplace::find(self.global.choices(), variables, self.env.clone(), self.output.monitor())?;
        Ok(self.workplace.get_or_init(|| found))
    }

    /// This user's folders.
    pub(crate) fn places(&self) -> Result<Places, Failure> {
        Ok(user_places(&self.global.choices(), &Variables::of_process())?)
    }

    /// Sends what others are to be told, where something waits and no service does it; for a few seconds at most.
    pub(crate) fn deliver(&self) {
        if let Some(workplace) = self.workplace.get()
            && let Err(error) = flush(workplace, DELIVER_MAX)
        {
            self.output.detail(format!("What others are to be told waits: {error}"));
        }
    }

    /// Opens the repository that is meant.
    pub(crate) fn open(&self) -> Result<Repository, Failure> {
        let workplace = self.workplace()?;
        self.opened(workplace.open(), &workplace.location.place)
    }

    /// Opens the repository that is meant; makes it first if it is this user's own and not there yet.
    pub(crate) fn open_or_create(&self) -> Result<Repository, Failure> {
        let workplace = self.workplace()?;
        self.opened(workplace.open_or_create(), &workplace.location.place)
    }

    /// Opens the repository at a place where there is one.
    pub(crate) fn open_at(&self, place: &remote::Location) -> Result<Repository, Failure> {
        self.opened(self.workplace()?.open_at(place), place)
    }

    /// Opens a repository beside the one that is meant, with a secret of its own.
    pub(crate) fn open_other(
        &self,
        place: &remote::Location,
        opener: &Opener,
    ) -> Result<Repository, Failure> {
        self.opened(self.workplace()?.open_other(place, opener), place)
    }

    /// Asks for a password where nothing else opens the repository, and says what opened it.
    fn opened(&self, opened: Result<Opened, Error>, place: &remote::Location) -> Result<Repository, Failure> {
        let Opened { repository, key } = match opened {
            Err(Error::NoSecret { .. } | Error::NoOtherSecret { .. }) if prompt::possible() => {
                let question = format!("Password of {}", shown_place(place));
                let password = prompt::ask(&question, &*self.output.monitor())?;
                return Ok(self.workplace()?.open_with(place, &Secret::Password(password))?);
            }
            opened => opened?,
        };
        match &key {
            Key::Given => {}
            Key::Exposed(file) => {
                self.output.warning(format!("others may read the key file {}: chmod 600", file.display()));
            }
            Key::Own(file) => self.output.detail(format!("Opened with the key file {}", shown(file))),
            Key::New(file) => {
                self.output.note(format!("Made a new repository: {}", shown_place(place)));
                self.note_key(file.as_deref());
            }
        }
        Ok(repository)
    }

    /// Creates the repository that is meant, with the secret that was given or a new key file.
    pub(crate) fn create(&self, given: Option<Given>, create: &CreateOptions) -> Result<Created, Failure> {
        Ok(self.workplace()?.create(given, create)?)
    }

    /// Says where the key of a new repository is.
    pub(crate) fn note_key(&self, file: Option<&Path>) {
        if let Some(file) = file {
            self.output.note(format!("Its key is in {}", shown(file)));
            self.output.note("Keep a copy of it elsewhere, or a recovery kit (`chronos kit export`): without it nothing can be restored.");
        }
    }
}
