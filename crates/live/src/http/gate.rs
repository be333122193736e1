//! Who may come in: decided for every request before anything else, by its head alone.
//!
//! A page of somebody else that the same browser shows can send requests to a loopback address, also under a name of
//! its own (DNS rebinding). So the Host must be a name of ours, and what changes something must come from our own
//! page, or carry the token in a header, which no other page can make a browser send.

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};

use super::problem::Problem;
use super::secret::Secret;

/// What the gate knows.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) token: Secret,
    /// Name of the cookie that holds the token.
    pub(super) cookie: String,
    /// Names of this server, without a port, in lower case; as a Host has them.
    pub(super) hosts: Vec<String>,
}

/// How a request has shown that it may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Not at all.
    Nothing,
    /// By the cookie, which a browser sends unasked.
    Cookie,
    /// By the token in a header.
    Bearer,
}

impl Rules {
    /// Whether this request is let in, and what it has shown.
    pub(super) fn judge(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Shown, Problem> {
        let host = self.host(uri, headers)?;
        let shown = self.shown(headers);
        if !(uri.path() == "/api" || uri.path().starts_with("/api/")) {
            return Ok(shown);
        }
        let is_socket = method == Method::GET && is_socket_path(uri.path());
        // A socket without the token is told so by a close code: a page is not shown the status of an upgrade.
        if !is_socket && shown == Shown::Nothing {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "no-token",
                "this needs the token of the server",
                "open the page by the link that `ggml-agent doc serve` prints, or send \
                 `Authorization: Bearer TOKEN`",
            ));
        }
        let is_change = is_socket || !(method == Method::GET || method == Method::HEAD);
        if is_change || headers.contains_key(header::ORIGIN) {
            check_origin(host, shown, headers)?;
        }
        let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
        if matches!(site, Some("cross-site" | "same-site")) && shown != Shown::Bearer {
            return Err(foreign());
        }
        Ok(shown)
    }

    /// The Host of a request, which must be ours.
    fn host<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
        let mut named = headers.get_all(header::HOST).iter();
        let host = match (named.next(), named.next()) {
            (Some(host), None) => host.to_str().ok(),
            _ => None,
        };
        let is_ours = |host: &str| {
            let name = without_port(host).to_ascii_lowercase();
            self.hosts.contains(&name)
        };
        let by_uri = uri.authority().is_none_or(|authority| is_ours(authority.as_str()));
        host.filter(|host| by_uri && is_ours(host)).ok_or_else(|| {
            Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "host",
                "this server is not known by that name",
                "use its address as `doc serve` prints it; further names are given by --host",
            )
        })
    }

    fn shown(&self, headers: &HeaderMap) -> Shown {
        let bearer = text(headers, &header::AUTHORIZATION)
            .and_then(|value| value.strip_prefix("Bearer "))
            .is_some_and(|token| self.token.is(token.trim()));
        if bearer {
            return Shown::Bearer;
        }
        let cookies =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let has_cookie = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| name == self.cookie && self.token.is(value));
        if has_cookie { Shown::Cookie } else { Shown::Nothing }
    }
}

/// A page's origin must be ours; who is no page has shown the token in a header.
fn check_origin(host: &str, shown: Shown, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return if shown == Shown::Bearer { Ok(()) } else { Err(foreign()) };
    };
    let of = origin.to_str().ok().and_then(|origin| {
        // TLS may end before us.
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
    });
    if of.is_some_and(|of| of.eq_ignore_ascii_case(host)) { Ok(()) } else { Err(foreign()) }
}

fn foreign() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "origin",
        "only the document's own page may do this",
        "open the page by its own address; scripts send `Authorization: Bearer TOKEN` and no Origin",
    )
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `/api/v1/docs/{id}/ws/{room}`.
fn is_socket_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts[..], ["", "api", "v1", "docs", _, "ws", _])
}

/// `[::1]:80` is `[::1]`, `localhost:80` is `localhost`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests;
