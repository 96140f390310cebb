//! How a server is reached: as the variables that every client program of PostgreSQL reads.
//!
//! Nothing of it stands in an argument: there everybody on the host would see it, and a database name could be taken for a
//! connection string.

use std::path::PathBuf;

use crate::error::{Error, Result, shown};
use crate::secret::Secret;

/// Seconds until a server that does not answer has failed, unless the connection says otherwise.
const CONNECT_SECONDS: &str = "15";
/// Parameters of a connection URL and their variables.
const PARAMETERS: &[(&str, &str)] = &[
    ("application_name", "PGAPPNAME"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("client_encoding", "PGCLIENTENCODING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("gssencmode", "PGGSSENCMODE"),
    ("hostaddr", "PGHOSTADDR"),
    ("krbsrvname", "PGKRBSRVNAME"),
    ("options", "PGOPTIONS"),
    ("requirepeer", "PGREQUIREPEER"),
    ("service", "PGSERVICE"),
    ("sslcert", "PGSSLCERT"),
    ("sslcompression", "PGSSLCOMPRESSION"),
    ("sslcrl", "PGSSLCRL"),
    ("sslkey", "PGSSLKEY"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslsni", "PGSSLSNI"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];
/// Parameters that libraries of applications put into connection URLs; they say nothing of the connection itself.
const OF_APPLICATIONS: &[&str] =
    &["schema", "pgbouncer", "connection_limit", "pool_timeout", "statement_cache_size", "pool_mode", "supa"];

/// A server, and as whom to speak to it. What is `None` is what the client programs take for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Host names or the folder of a socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// A password file in the format of PostgreSQL, readable where the client programs run.
    pub password_file: Option<PathBuf>,
    /// Database.
    pub database: Option<String>,
    /// More variables, such as `PGSSLMODE`.
    pub more: Vec<(String, String)>,
}

impl Connection {
    /// From a URL such as `postgresql://user:password@host:5432/database?sslmode=require`.
    pub fn from_url(url: &Secret) -> Result<Self> {
        let invalid = |why: &str| Error::Invalid(format!("the connection URL of PostgreSQL {why}"));
        let rest =
            ["postgresql://", "postgres://"].iter().find_map(|scheme| url.reveal().strip_prefix(scheme));
        let rest = rest.ok_or_else(|| invalid("does not begin with postgresql://"))?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').map_or((login, None), |(user, p)| (user, Some(p)));
        let text =
            |part: &str| decoded(part).ok_or_else(|| invalid("has a % that is not followed by two digits"));
        let some = |part: &str| text(part).map(|t| (!t.is_empty()).then_some(t));
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in hosts.split(',') {
            // An address of IPv6 has colons of its own, in brackets.
            let end = host.rfind(']').map_or(0, |bracket| bracket + 1);
            let (name, port) = match host.get(end..).and_then(|tail| tail.find(':')) {
                Some(colon) => (host.get(..end + colon), host.get(end + colon + 1..)),
                None => (Some(host), None),
            };
            names.push(text(name.unwrap_or_default().trim_start_matches('[').trim_end_matches(']'))?);
            ports.push(port.unwrap_or_default().to_owned());
        }
        let list = |list: Vec<String>| Some(list.join(",")).filter(|l| l.bytes().any(|b| b != b','));
        let mut connection = Self {
            host: list(names),
            port: list(ports),
            user: some(user)?,
            password: password.map(text).transpose()?.map(Secret::new),
            database: some(database)?,
            ..Self::default()
        };
        for parameter in parameters.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            connection.set(name, text(value)?)?;
        }
        Ok(connection)
    }

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            "host" => self.host = Some(value),
            "port" => self.port = Some(value),
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            "passfile" => self.password_file = Some(value.into()),
            "dbname" => self.database = Some(value),
            other if OF_APPLICATIONS.contains(&other) => {}
            other => {
                let known = PARAMETERS.iter().find(|(parameter, _)| *parameter == other);
                let (_, variable) = known.ok_or_else(|| {
                    Error::Invalid(format!(
                        "the connection URL of PostgreSQL has an unknown parameter {other}"
                    ))
                })?;
                self.more.push(((*variable).to_owned(), value));
            }
        }
        Ok(())
    }

    /// The variables for a client program that connects to `database`, or to that of the connection.
    pub(super) fn variables(&self, database: Option<&str>) -> Vec<(String, Secret)> {
        let file = self.password_file.as_ref().map(|path| path.to_string_lossy().into_owned());
        let plain = [
            ("PGHOST", &self.host),
            ("PGPORT", &self.port),
            ("PGUSER", &self.user),
            ("PGPASSFILE", &file),
            ("PGDATABASE", &database.map(str::to_owned).or_else(|| self.database.clone())),
        ];
        let plain =
            plain.into_iter().filter_map(|(name, value)| Some((name, Secret::new(value.as_ref()?.as_str()))));
        let mut all: Vec<(String, Secret)> = plain.map(|(name, value)| (name.to_owned(), value)).collect();
        all.extend(self.password.iter().map(|password| ("PGPASSWORD".to_owned(), password.clone())));
        all.extend(self.more.iter().map(|(name, value)| (name.clone(), Secret::new(value.as_str()))));
        for (name, value) in [("PGCONNECT_TIMEOUT", CONNECT_SECONDS), ("PGAPPNAME", "chronos")] {
            if !all.iter().any(|(known, _)| known == name) {
                all.push((name.to_owned(), Secret::new(value)));
            }
        }
        // Messages that are searched for words, whatever language the host speaks.
        all.push(("LC_MESSAGES".to_owned(), Secret::new("C")));
        all
    }

    /// The server, for people: without the password.
    pub fn shown(&self) -> String {
        let host = self.host.as_deref().unwrap_or("the local socket");
        let port = self.port.as_deref().map(|port| format!(":{port}")).unwrap_or_default();
        format!("PostgreSQL at {}{port}", shown(host))
    }
}

/// Without percent signs.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) =
                (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn parse(url: &str) -> Result<Connection> {
        Connection::from_url(&Secret::new(url))
    }

    #[test]
    fn a_url_is_taken_apart() {
        let found =
            parse("postgresql://me%40x:p%3Aw@db.example:6543/shop%2Fone?sslmode=require&schema=public")
                .unwrap();
        assert_eq!((found.user.as_deref(), found.password.as_ref().unwrap().reveal()), (Some("me@x"), "p:w"));
        assert_eq!((found.host.as_deref(), found.port.as_deref()), (Some("db.example"), Some("6543")));
        assert_eq!(found.database.as_deref(), Some("shop/one"));
        assert_eq!(found.more, [("PGSSLMODE".to_owned(), "require".to_owned())]);
        let given = found.variables(Some("a=b"));
        assert!(given.contains(&("PGDATABASE".to_owned(), Secret::new("a=b"))), "{given:?}");
        assert!(!format!("{found:?} {}", found.shown()).contains("p:w"));
    }

    #[test]
    fn sockets_several_hosts_and_parts_that_are_left_out() {
        let socket = parse("postgres:///app?host=/run/postgresql&port=5433").unwrap();
        assert_eq!((socket.host.as_deref(), socket.port.as_deref()), (Some("/run/postgresql"), Some("5433")));
        let encoded = parse("postgres://u@%2Frun%2Fpg/app").unwrap();
        assert_eq!((encoded.host.as_deref(), encoded.port, encoded.password), (Some("/run/pg"), None, None));
        let several = parse("postgres://a:1,[::1]:2,c/x").unwrap();
        assert_eq!((several.host.as_deref(), several.port.as_deref()), (Some("a,::1,c"), Some("1,2,")));
        assert_eq!(parse("postgres://").unwrap(), Connection::default());
    }

    #[test]
    fn what_is_not_understood_is_named_without_the_password() {
        for url in
            ["mysql://u:secret@h/x", "postgres://u:secret@h/x?sslmod=require", "postgres://u:secret%2@h"]
        {
            let said = parse(url).unwrap_err().to_string();
            assert!(!said.contains("secret"), "{said}");
        }
        assert!(parse("postgres://h/x?sslmod=require").unwrap_err().to_string().contains("sslmod"));
    }
}
