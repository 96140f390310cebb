//! Where work is done: this user's folders, the configuration, and the repository that is meant, opened.
//!
//! The command line and the service begin here. Nobody is asked and nothing is told: what a person should know is in the answers.

mod choices;
mod identity;
pub mod key_file;
pub mod location;
pub mod places;
mod repository;
pub mod secret;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_remote as remote;
use chronos_store::backend::Backend;
use chronos_store::{Env, LocalDirs, Monitor, OpenOptions};

use crate::config::Config;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::secret::SecretRef;
use crate::state::State;
use crate::values::parse_size;

pub use choices::{Choices, Variables};
pub use identity::{client, host};
pub use location::{Location, Origin};
pub use places::Places;
pub(crate) use repository::CONFIG_OBJECT;
pub use repository::{Created, Key, Opened, exists};
pub use secret::{Given, Opener};

/// Digits that stand for the place of a repository.
const PLACE_ID_LEN: usize = 16;
/// Configuration of the whole machine.
const SYSTEM_CONFIG: &str = "/etc/chronos/chronos.toml";

/// Where restores are tried, each user's in a folder of its own: in the user's home no other account could run a server.
const DRILLS: &str = "/var/tmp/chronos-drills";

/// What was found out about where things are.
#[derive(Clone, Debug)]
pub struct Workplace {
    /// This user's folders.
    pub places: Places,
    /// The configuration.
    pub config: Config,
    /// The file it comes from.
    pub config_file: Option<PathBuf>,
    /// The variables of existing deployments.
    pub environment: Environment,
    /// What of the configuration comes from the environment, for people.
    pub overrides: Vec<String>,
    /// The repository that is meant.
    pub location: Location,
    /// Clock and randomness.
    pub env: Env,
    /// Who is told of progress, and says when to stop.
    pub monitor: Arc<dyn Monitor>,
    choices: Choices,
    variables: Variables,
}

impl Workplace {
    /// Finds out where things are.
    pub fn find(choices: Choices, variables: Variables, env: Env, monitor: Arc<dyn Monitor>) -> Result<Self> {
        let places = user_places(&choices, &variables)?;
        let environment = Environment::read(|name| variables.text(name))?;
        let config_file = config_file(&choices, &variables, &places);
        let mut config = config_file.as_deref().map(Config::load).transpose()?.unwrap_or_default();
        if let Some(file) = &config_file {
            let file = std::path::absolute(file).map_err(|e| Error::local(file, e))?;
            config.add_own(&file, &keys(&choices, &variables, &places), State::file(&places.state));
        }
        let overrides = environment.lay_over(&mut config)?;
        let named = variables.text("CHRONOS_REPO");
        let location =
            Location::find(choices.repo.as_deref(), named.as_deref(), &environment, &config, &places)?;
        Ok(Self {
            places,
            config,
            config_file,
            environment,
            overrides,
            location,
            env,
            monitor,
            choices,
            variables,
        })
    }

    /// The same place for another piece of work, which reports by itself and is stopped by itself.
    pub fn reporting_to(&self, monitor: Arc<dyn Monitor>) -> Self {
        Self { monitor, ..self.clone() }
    }

    /// The same place with another repository.
    ///
    /// # Errors
    /// [`Error::NoLocation`], [`Error::Location`].
    pub fn at(&self, repository: &str) -> Result<Self> {
        Ok(Self { location: Location::named(repository)?, ..self.clone() })
    }

    /// The same place with another configuration, which is or belongs at `file`.
    ///
    /// # Errors
    /// Those of what the environment says beside it.
    pub(crate) fn with_config(&self, file: PathBuf, mut config: Config) -> Result<Self> {
        let keys = keys(&self.choices, &self.variables, &self.places);
        config.add_own(&file, &keys, State::file(&self.places.state));
        let overrides = self.environment.lay_over(&mut config)?;
        Ok(Self { config, config_file: Some(file), overrides, ..self.clone() })
    }

    /// The configuration file that is taken if none is named now: it may have come meanwhile.
    pub(crate) fn usual_config(&self) -> Option<PathBuf> {
        config_file(&self.choices, &self.variables, &self.places)
            .and_then(|file| std::path::absolute(file).ok())
    }

    /// The repository that is meant if no option names one.
    ///
    /// # Errors
    /// [`Error::NoLocation`], [`Error::Location`].
    pub(crate) fn usual_location(&self) -> Result<Location> {
        let named = self.variables.text("CHRONOS_REPO");
        Location::find(None, named.as_deref(), &self.environment, &self.config, &self.places)
    }

    /// The storage of the repository that is meant, with the limits of speed.
    pub fn backend(&self) -> Result<Arc<dyn Backend>> {
        self.backend_at(&self.location.place)
    }

    /// The storage at a place.
    pub fn backend_at(&self, place: &remote::Location) -> Result<Arc<dyn Backend>> {
        Ok(remote::open(place, &self.connection()).map_err(chronos_store::Error::from)?)
    }

    /// Tries what a place keeps of what repositories rest on.
    ///
    /// # Errors
    /// If it cannot be spoken to, or the monitor asks to stop.
    pub(crate) fn probe(
        &self,
        place: &remote::Location,
        depth: remote::Depth,
    ) -> Result<remote::ProbeReport> {
        let id = self.env.random_bytes()?;
        Ok(remote::probe(place, &self.connection(), depth, id, &*self.monitor)?)
    }

    /// How places are spoken to from here.
    fn connection(&self) -> remote::OpenOptions {
        let limits = &self.config.limits;
        let rate = |option: Option<u64>, text: &Option<String>| {
            option.or_else(|| text.as_deref().and_then(|t| parse_size(t).ok()))
        };
        remote::OpenOptions {
            limit_upload: rate(self.choices.limit_upload, &limits.upload),
            limit_download: rate(self.choices.limit_download, &limits.download),
            cache_dir: Some(self.places.cache.clone()),
            variables: self.variables.of_connections(),
        }
    }

    /// How a repository is opened here.
    pub fn open_options(&self) -> OpenOptions {
        OpenOptions {
            dirs: LocalDirs { cache: self.places.cache.clone(), state: self.places.state.clone() },
            env: self.env.clone(),
            monitor: Arc::clone(&self.monitor),
        }
    }

    /// The secret that somebody named, if anybody did.
    pub fn given(&self) -> Result<Option<Given>> {
        match self.named()? {
            None => self.configured(),
            named => Ok(named),
        }
    }

    fn named(&self) -> Result<Option<Given>> {
        secret::named(&self.choices, &self.variables)
    }

    fn configured(&self) -> Result<Option<Given>> {
        secret::configured(&self.config.repository)
    }

    /// Name of the user that runs the program, or the number.
    pub fn user(&self) -> String {
        identity::user(&self.variables)
    }

    /// The environment variables that are seen here.
    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The value of a secret of the configuration.
    pub fn resolve(&self, secret: &SecretRef) -> Result<chronos_connect::Secret> {
        secret.resolve(&|name| self.variables.text(name))
    }

    /// By what the repository that is meant is told apart in the state of this host, also while it cannot be opened.
    pub(crate) fn key(&self) -> String {
        self.location.place.to_string()
    }

    /// Stands for the place of the repository, where that need not be opened: may be part of a file's name.
    pub(crate) fn place_id(&self) -> String {
        let digits = blake3::hash(self.key().as_bytes()).to_hex();
        digits.chars().take(PLACE_ID_LEN).collect()
    }

    /// The folder that restores are tried in.
    pub fn drill_scratch(&self) -> PathBuf {
        let own = || PathBuf::from(format!("{DRILLS}-{}", rustix::process::geteuid().as_raw()));
        self.config.drill.scratch.clone().unwrap_or_else(own)
    }

    /// The program's own folders, which are never backed up.
    pub fn own_folders(&self) -> Vec<PathBuf> {
        let places = &self.places;
        let mut folders = vec![places.cache.clone(), places.state.clone(), self.drill_scratch()];
        folders.extend(self.location.folder().map(Path::to_owned));
        folders
    }
}

/// This user's folders.
pub fn user_places(choices: &Choices, variables: &Variables) -> Result<Places> {
    let mut places = Places::find(|name| variables.path(name))?;
    if let Some(dir) = &choices.cache_dir {
        places.cache = std::path::absolute(dir).map_err(|e| Error::local(dir, e))?;
    }
    Ok(places)
}

/// What opens repositories, wherever it is named but in the configuration.
fn keys(choices: &Choices, variables: &Variables, places: &Places) -> Vec<PathBuf> {
    let mut keys = secret::files(choices, variables);
    keys.push(places.keys());
    keys
}

/// The configuration file: the one that was named, else the first of the usual ones that is there.
fn config_file(choices: &Choices, variables: &Variables, places: &Places) -> Option<PathBuf> {
    let named = choices.config.clone().or_else(|| variables.text("CHRONOS_CONFIG").map(PathBuf::from));
    named.or_else(|| {
        [places.config.join("chronos.toml"), PathBuf::from(SYSTEM_CONFIG)].into_iter().find(|p| p.exists())
    })
}
