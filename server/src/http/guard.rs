//! What a web page could make a browser send is refused: requests for another host's name, and requests of another site.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::auth::Ends;
use crate::http::problem::Problem;
use crate::http::service::Service;

/// Where a browser says that a request comes from.
const SITE: &str = "sec-fetch-site";

/// Lets only those requests through that are meant for this service, and that no other site made.
pub(crate) async fn guard(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let local = request.extensions().get::<Ends>().map(|ends| ends.local.ip());
    let host = request
        .uri()
        .host()
        .map(str::to_owned)
        .or_else(|| request.headers().get(header::HOST).and_then(|v| v.to_str().ok()).map(str::to_owned));
    match check(host.as_deref(), request.headers(), local, &service.options().names) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(
    host: Option<&str>,
    headers: &HeaderMap,
    local: Option<IpAddr>,
    names: &[String],
) -> Result<(), Problem> {
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(Problem::malformed("the request has several Host headers"));
    }
    let Some(host) = host.filter(|h| !h.is_empty()) else {
        return Err(Problem::malformed("the request has no Host header"));
    };
    let name = without_port(host);
    if !is_own(name, local, names) {
        let shown = crate::http::fields::shortened(name);
        return Err(Problem::forbidden(format!(
            "this service is not called {shown:?}: ask for it by localhost or its address, or add the name to `names` of its [service] configuration"
        )));
    }
    if let Some(site) = headers.get(SITE)
        && !matches!(site.as_bytes(), b"same-origin" | b"none")
    {
        return Err(foreign());
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let port = headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or(host);
        if !own.is_some_and(|own| own.eq_ignore_ascii_case(port)) {
            return Err(foreign());
        }
    }
    Ok(())
}

fn foreign() -> Problem {
    Problem::forbidden("a web page of another site made this request; nothing was done")
}

fn is_own(name: &str, local: Option<IpAddr>, names: &[String]) -> bool {
    let plain = name.strip_suffix('.').unwrap_or(name);
    if plain.eq_ignore_ascii_case("localhost") || names.iter().any(|n| n.eq_ignore_ascii_case(plain)) {
        return true;
    }
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok_and(|address| {
        let address = address.to_canonical();
        address.is_loopback() || local.is_some_and(|local| local.to_canonical() == address)
    })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !is_bare_v6(host) => name,
        _ => host,
    }
}

fn is_bare_v6(host: &str) -> bool {
    !host.starts_with('[') && host.matches(':').count() > 1
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::net::Ipv4Addr;

    use axum::http::HeaderName;

    use super::*;

    fn status(headers: &[(&str, &str)]) -> Option<u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let host = map.get(header::HOST).map(|v| v.to_str().unwrap().to_owned());
        let local = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
        check(host.as_deref(), &map, local, &["backup.example".into()]).err().map(|p| p.status().as_u16())
    }

    #[test]
    fn only_own_names_are_answered() {
        for own in [
            "localhost",
            "LOCALHOST:8010",
            "localhost.:1",
            "127.0.0.1:8010",
            "127.1.2.3",
            "[::1]:8010",
            "[::1]",
            "192.0.2.7:8010",
            "[::ffff:192.0.2.7]:8010",
            "backup.example",
            "Backup.Example:80",
        ] {
            assert_eq!(status(&[("host", own)]), None, "{own}");
        }
        for other in [
            "evil.example",
            "192.0.2.8",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "0.0.0.0",
            "a:b",
        ] {
            assert_eq!(status(&[("host", other)]), Some(403), "{other}");
        }
        assert_eq!(status(&[]), Some(400));
        assert_eq!(status(&[("host", "localhost"), ("host", "evil.example")]), Some(400));
    }

    #[test]
    fn other_sites_are_refused_and_own_pages_are_not() {
        let host = ("host", "localhost:8010");
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:3000"),
            ("origin", "file://localhost:8010"),
        ] {
            assert_eq!(status(&[host, (name, value)]), Some(403), "{name}: {value}");
        }
        for (name, value) in [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
            ("origin", "http://localhost:8010"),
        ] {
            assert_eq!(status(&[host, (name, value)]), None, "{name}: {value}");
        }
    }
}
