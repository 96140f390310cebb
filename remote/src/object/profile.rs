//! The two files in which users of AWS keep keys and settings by profile: `~/.aws/credentials` and `~/.aws/config`.
//!
//! What they say is described in the "Shared config and credentials files" reference of the AWS SDKs. Of its ways to come by keys, those
//! written down are understood here; others (single sign-on, roles, processes) are refused by name.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::variables::Variables;

/// What there is about one profile.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profile(BTreeMap<String, String>);

/// What belongs together.
const KEYS: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];

/// Settings that lead to keys which nothing here can fetch.
const ELSEWHERE: [&str; 4] = ["sso_session", "sso_start_url", "credential_process", "role_arn"];

impl Profile {
    /// Reads the profile of that name, or of the variable, or the one called `default`.
    ///
    /// # Errors
    /// A file that cannot be read, or a profile that was asked for and is in none.
    pub(super) fn read(named: Option<&str>, variables: &Variables) -> io::Result<Self> {
        let asked = named.or(variables.get("AWS_PROFILE")).or(variables.get("AWS_DEFAULT_PROFILE"));
        let name = asked.unwrap_or("default");
        let file = |variable, usual: &str| -> Option<PathBuf> {
            let named = variables.get(variable).map(PathBuf::from);
            named.or_else(|| Some(PathBuf::from(variables.get("HOME")?).join(".aws").join(usual)))
        };
        let mut settings: BTreeMap<String, String> = BTreeMap::new();
        for path in [file("AWS_CONFIG_FILE", "config"), file("AWS_SHARED_CREDENTIALS_FILE", "credentials")] {
            let Some(path) = path else { continue };
            let text = match std::fs::read_to_string(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                text => text.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?,
            };
            let found = section(&text, name);
            // The later file's keys are a pair of their own: half of one and half of the other opens nothing.
            if KEYS.iter().any(|key| found.contains_key(*key)) {
                settings.retain(|key, _| !KEYS.contains(&key.as_str()));
            }
            settings.extend(found);
        }
        if settings.is_empty()
            && let Some(name) = asked
        {
            let why = format!("there is no profile {name:?} in the files config and credentials of AWS");
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        Ok(Self(settings))
    }

    /// A setting.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The setting by which its keys would have to be fetched from elsewhere.
    pub(super) fn elsewhere(&self) -> Option<&'static str> {
        ELSEWHERE.into_iter().find(|key| self.get("aws_access_key_id").is_none() && self.get(key).is_some())
    }
}

/// The settings of `[name]` or `[profile name]`. What is indented belongs to the setting above it, of which only the name counts here.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut is_in = false;
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with(['#', ';', ' ', '\t'])) {
        if let Some(head) = line.trim_end().strip_prefix('[').and_then(|l| l.split(']').next()) {
            let head = head.trim();
            let named = head.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t']));
            is_in = unquoted(named.unwrap_or(head).trim()) == name;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_in) {
            let value = value.split(" #").next().unwrap_or_default().trim();
            found.insert(key.trim().to_lowercase(), value.to_owned());
        }
    }
    found.retain(|_, value| !value.is_empty());
    found
}

/// A name, which is quoted if it has spaces.
fn unquoted(name: &str) -> &str {
    let within = |quote: char| name.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const CONFIG: &str = "# all of them\n[default]\nregion=eu-1\n\n[profile backup]\nregion = us-9 # far\ns3 =\n  \
         addressing_style = path\nendpoint_url = https://s3.example.com\n[profile sso]\nsso_session = work\n";
    const CREDENTIALS: &str = "[default]\naws_access_key_id = A\naws_secret_access_key = B\n[backup]\n\
         aws_access_key_id=C\naws_secret_access_key=D=\n";

    #[test]
    fn keys_of_two_files_are_not_mixed_and_names_may_be_quoted() {
        let (home, variables) = home(&[]);
        let file =
            |name: &str, text: &str| std::fs::write(home.path().join(".aws").join(name), text).unwrap();
        file(
            "config",
            "[profile \"x y\"]\naws_access_key_id=A\naws_secret_access_key=B\naws_session_token=C\nregion=eu-1\n[profiles]\nregion=no\n",
        );
        let read = |name: &str| Profile::read(Some(name), &variables);
        assert_eq!(read("x y").unwrap().get("aws_session_token"), Some("C"));
        file("credentials", "['x y']\naws_access_key_id = D\naws_secret_access_key = E\n");
        let both = read("x y").unwrap();
        let keys = KEYS.map(|key| both.get(key));
        assert_eq!((keys, both.get("region")), ([Some("D"), Some("E"), None], Some("eu-1")));
        assert!(read("s").is_err());
    }

    fn home(variables: &[(&str, &str)]) -> (tempfile::TempDir, Variables) {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".aws");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("config"), CONFIG).unwrap();
        std::fs::write(folder.join("credentials"), CREDENTIALS).unwrap();
        let all = [("HOME", home.path().to_str().unwrap())].into_iter().chain(variables.iter().copied());
        let variables = all.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        (home, variables)
    }

    #[test]
    fn a_profile_is_put_together_from_both_files() {
        let (_home, variables) = home(&[]);
        let usual = Profile::read(None, &variables).unwrap();
        assert_eq!((usual.get("region"), usual.get("aws_secret_access_key")), (Some("eu-1"), Some("B")));
        let backup = Profile::read(Some("backup"), &variables).unwrap();
        let settings = ["region", "endpoint_url", "aws_access_key_id", "aws_secret_access_key", "s3"];
        let wanted = [Some("us-9"), Some("https://s3.example.com"), Some("C"), Some("D="), None];
        assert_eq!(settings.map(|key| backup.get(key)), wanted);
        let (_home, variables) = home(&[("AWS_PROFILE", "sso")]);
        assert_eq!(Profile::read(None, &variables).unwrap().elsewhere(), Some("sso_session"));
    }

    #[test]
    fn a_profile_that_is_asked_for_must_be_there() {
        let (_home, variables) = home(&[("AWS_PROFILE", "gone")]);
        assert!(Profile::read(None, &variables).unwrap_err().to_string().contains("\"gone\""));
        let nothing = Variables::from_iter([("HOME".to_owned(), "/nowhere".to_owned())]);
        assert_eq!(Profile::read(None, &nothing).unwrap(), Profile::default());
    }
}
