//! What a command works with: the output, the configuration, and the repository that is meant, opened.

pub(crate) mod key_file;
pub(crate) mod location;
pub(crate) mod places;
pub(crate) mod prompt;
pub(crate) mod secret;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_server::{Config, Environment, parse_size};
use chronos_store::backend::{Backend, BackendError, LocationOptions, open_location};
use chronos_store::{CreateOptions, Env, ErrorKind, LocalDirs, OpenOptions, Repository, Secret};

use crate::error::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::values::shown;
use location::{Location, Origin};
use places::Places;
use secret::Given;

/// Object that every repository has.
const CONFIG_OBJECT: &str = "config";
/// Areas that hold something as soon as a repository was used.
const WRITTEN_AREAS: [&str; 3] = ["snap/", "packs/", "log/"];
/// Configuration of the whole machine.
const SYSTEM_CONFIG: &str = "/etc/chronos/chronos.toml";

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
    settings: OnceCell<Settings>,
}

/// What was found out about where things are.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// This user's folders.
    pub(crate) places: Places,
    /// The configuration.
    pub(crate) config: Config,
    /// The file it comes from.
    pub(crate) config_file: Option<PathBuf>,
    /// The variables of existing deployments.
    pub(crate) environment: Environment,
    /// The repository that is meant.
    pub(crate) location: Location,
}

/// A new repository and the key file that was made for it.
#[derive(Debug)]
pub(crate) struct Created {
    /// The repository.
    pub(crate) repository: Repository,
    /// The key file, if this run made one.
    pub(crate) key_file: Option<PathBuf>,
}

/// An environment variable that is set, not empty and text.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

impl App {
    /// A run with these options.
    pub(crate) fn new(global: Global, output: Output, program: fn() -> clap::Command) -> Self {
        Self { global, output, program, env: Env::system(), settings: OnceCell::new() }
    }

    /// Where things are; found out once.
    pub(crate) fn settings(&self) -> Result<&Settings, Failure> {
        if let Some(found) = self.settings.get() {
            return Ok(found);
        }
        let found = self.find_settings()?;
        Ok(self.settings.get_or_init(|| found))
    }

    /// This user's folders.
    pub(crate) fn places(&self) -> Result<Places, Failure> {
        // A service may have no HOME; the user database knows it too.
        let get = |name: &str| match std::env::var_os(name).filter(|v| !v.is_empty()) {
            None if name == "HOME" => std::env::home_dir(),
            value => value.map(PathBuf::from),
        };
        let mut places = Places::find(get)?;
        if let Some(dir) = &self.global.cache_dir {
            places.cache = std::path::absolute(dir).map_err(|e| Failure::file(dir, &e))?;
        }
        Ok(places)
    }

    fn find_settings(&self) -> Result<Settings, Failure> {
        let places = self.places()?;
        let environment = Environment::read(variable)?;
        let config_file = self.config_file(&places);
        let config = config_file.as_deref().map(Config::load).transpose()?.unwrap_or_default();
        let repo = self.global.repo.as_deref();
        let variable = variable("CHRONOS_REPO");
        let location = Location::find(repo, variable.as_deref(), &environment, &config, &places)?;
        Ok(Settings { places, config, config_file, environment, location })
    }

    /// The configuration file: the one that was named, else the first of the usual ones that is there.
    pub(crate) fn config_file(&self, places: &Places) -> Option<PathBuf> {
        let named = self.global.config.clone().or_else(|| variable("CHRONOS_CONFIG").map(PathBuf::from));
        named.or_else(|| {
            [places.config.join("chronos.toml"), PathBuf::from(SYSTEM_CONFIG)]
                .into_iter()
                .find(|p| p.exists())
        })
    }

    /// The storage of the repository that is meant, with the limits of speed.
    pub(crate) fn backend(&self) -> Result<Arc<dyn Backend>, Failure> {
        let settings = self.settings()?;
        self.backend_at(&settings.location.path)
    }

    /// The storage at a place.
    pub(crate) fn backend_at(&self, path: &Path) -> Result<Arc<dyn Backend>, Failure> {
        let limits = &self.settings()?.config.limits;
        let rate = |option: Option<u64>, text: &Option<String>| {
            option.or_else(|| text.as_deref().and_then(|t| parse_size(t).ok()))
        };
        let upload = rate(self.global.limit_upload, &limits.upload);
        let download = rate(self.global.limit_download, &limits.download);
        let options = LocationOptions {
            limit_upload: upload,
            limit_download: download,
            cache_dir: Some(self.settings()?.places.cache.clone()),
        };
        // `file:` keeps a folder with a colon in its name from being read as another kind of place.
        let text = format!("file:{}", path.display());
        Ok(open_location(&text, &options).map_err(chronos_store::Error::from)?)
    }

    /// How a repository is opened in this run.
    pub(crate) fn open_options(&self) -> Result<OpenOptions, Failure> {
        let places = &self.settings()?.places;
        Ok(OpenOptions {
            dirs: LocalDirs { cache: places.cache.clone(), state: places.state.clone() },
            env: self.env.clone(),
            monitor: self.output.monitor(),
        })
    }

    /// Opens the repository that is meant.
    pub(crate) fn open(&self) -> Result<Repository, Failure> {
        let location = &self.settings()?.location;
        if !exists(&*self.backend()?)? {
            let failure =
                Failure::new(Exit::NoRepository, format!("there is no repository at {}", location.shown()));
            return Err(failure.hint(match location.origin {
                Origin::Default => "`chronos backup FOLDER` makes it; -r names another one",
                _ => "check the name; `chronos init` makes a new repository there",
            }));
        }
        self.open_at(&location.path)
    }

    /// Opens the repository that is meant; makes it first if it is this user's own and not there yet.
    pub(crate) fn open_or_create(&self) -> Result<Repository, Failure> {
        let location = self.settings()?.location.clone();
        if location.origin != Origin::Default || exists(&*self.backend()?)? {
            return self.open();
        }
        let created = match self.create(self.given()?, &CreateOptions::default()) {
            Ok(created) => created,
            // Another first backup was faster.
            Err(_) if exists(&*self.backend()?)? => return self.open(),
            Err(failure) => return Err(failure),
        };
        self.output.note(format!("Made a new repository: {}", location.shown()));
        self.note_key(created.key_file.as_deref());
        Ok(created.repository)
    }

    /// Opens the repository at a place where there is one.
    pub(crate) fn open_at(&self, path: &Path) -> Result<Repository, Failure> {
        let settings = self.settings()?;
        let backend = self.backend_at(path)?;
        let options = self.open_options()?;
        if let Some(given) = self.given()? {
            if let Given::Key(file) = &given
                && key_file::is_exposed(file)
            {
                self.output.warning(format!("others may read the key file {}: chmod 600", file.display()));
            }
            return Ok(Repository::open(backend, &given.secret()?, options)?);
        }
        if let Some(repository) = self.open_with_own_keys(&backend, &options)? {
            return Ok(repository);
        }
        if !prompt::possible() {
            return Err(Failure::new(
                Exit::WrongKey,
                format!(
                    "no password was given for {}, and no key file in {} opens it",
                    shown(path),
                    settings.places.keys().display()
                ),
            )
            .hint("give it with --password-file, --password-command, --key-file or CHRONOS_PASSWORD"));
        }
        let password = prompt::ask(&format!("Password of {}", shown(path)), &*self.output.monitor())?;
        Ok(Repository::open(backend, &Secret::Password(password), options)?)
    }

    /// Tries the key files of this user.
    fn open_with_own_keys(
        &self,
        backend: &Arc<dyn Backend>,
        options: &OpenOptions,
    ) -> Result<Option<Repository>, Failure> {
        let mut waiting = key_file::list(&self.settings()?.places.keys())?;
        let mut damage = None;
        while let Some(file) = waiting.pop() {
            let key = match key_file::read(&file) {
                Ok(key) => key,
                // The process that makes it has just given it its last name.
                Err(_) if !file.exists() => {
                    waiting = key_file::list(&self.settings()?.places.keys())?;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            match Repository::open(Arc::clone(backend), &Secret::Key(key), options.clone()) {
                Err(e) if e.kind() == ErrorKind::WrongKey => {}
                // Also the key of an interrupted attempt to make this repository; another one may be the right one.
                Err(e) if e.kind() == ErrorKind::Damaged => damage = Some(e),
                opened => {
                    self.output.detail(format!("Opened with the key file {}", shown(&file)));
                    return Ok(Some(opened?));
                }
            }
        }
        damage.map_or(Ok(None), |e| Err(e.into()))
    }

    /// Creates the repository that is meant, with the secret that was given or a new key file.
    pub(crate) fn create(&self, given: Option<Given>, create: &CreateOptions) -> Result<Created, Failure> {
        let settings = self.settings()?;
        location::check_free(&settings.location.path)?;
        let backend = self.backend()?;
        let options = self.open_options()?;
        let location = settings.location.shown();
        match given {
            Some(Given::Key(file)) if !file.exists() => {
                let key = self.new_key()?;
                let repository = create_with_key(backend, key, &file, &location, create, options)?;
                Ok(Created { repository, key_file: Some(file) })
            }
            Some(given) => {
                let repository = Repository::create(backend, &given.secret()?, create, options)?;
                Ok(Created { repository, key_file: None })
            }
            None => {
                let folder = settings.places.keys();
                let draft = folder.join(format!("{}.key", hex::encode(self.env.random_bytes::<8>()?)));
                let key = self.new_key()?;
                let repository = create_with_key(backend, key, &draft, &location, create, options)?;
                let file = folder.join(format!("{}.key", repository.id()));
                key_file::rename(&draft, &file)?;
                Ok(Created { repository, key_file: Some(file) })
            }
        }
    }

    /// The secret that somebody named, if anybody did.
    pub(crate) fn given(&self) -> Result<Option<Given>, Failure> {
        secret::given(&self.global, &self.settings()?.config)
    }

    /// Says where the key of a new repository is.
    pub(crate) fn note_key(&self, file: Option<&Path>) {
        if let Some(file) = file {
            self.output.note(format!("Its key is in {}", shown(file)));
            self.output.note("Keep a copy of this file elsewhere: without it nothing can be restored.");
        }
    }

    fn new_key(&self) -> Result<key_file::Key, Failure> {
        Ok(self.env.random_bytes()?)
    }
}

/// The key is safe on disk before anything is sealed with it, and stays there once a repository may need it.
fn create_with_key(
    backend: Arc<dyn Backend>,
    key: key_file::Key,
    file: &Path,
    location: &str,
    create: &CreateOptions,
    options: OpenOptions,
) -> Result<Repository, Failure> {
    key_file::create(file, &key, location)?;
    match Repository::create(Arc::clone(&backend), &Secret::Key(key), create, options) {
        Ok(repository) => Ok(repository),
        Err(error) => {
            // What failed last may have failed when the repository was there already.
            if error.kind() == ErrorKind::Exists || matches!(exists(&*backend), Ok(false)) {
                key_file::remove(file)?;
            }
            Err(error.into())
        }
    }
}

/// Whether there is a repository. One that has lost its config is damaged, which is not the same as none.
pub(crate) fn exists(backend: &dyn Backend) -> Result<bool, Failure> {
    let failed = |error: BackendError| Failure::from(chronos_store::Error::from(error));
    match backend.stat(CONFIG_OBJECT) {
        Ok(_) => return Ok(true),
        Err(BackendError::NotFound(_)) => {}
        Err(error) => return Err(failed(error)),
    }
    // A key slot alone was left by an attempt to make a repository.
    for area in WRITTEN_AREAS {
        if !backend.list(area, None, 1).map_err(failed)?.is_empty() {
            return Err(chronos_store::Error::missing(CONFIG_OBJECT).into());
        }
    }
    Ok(false)
}
