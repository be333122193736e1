//! Every route, in one list: the router is made of it, and the tests go through it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};

use super::problem::Problem;
use super::{Here, Site, assets, document, locks, log, ops, past, socket, suggestions};
use crate::limits::{BODY_LEN_MAX, REQUEST_TIME_MAX};

/// What a request must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: there is nothing of the document in the answer.
    Open,
    /// The token.
    Read,
    /// The token; in a cookie only together with the page's own origin.
    Change,
}

/// A route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What it needs.
    pub access: Access,
    handler: fn() -> MethodRouter<Arc<Site>>,
}

macro_rules! routes {
    ($($access:ident $method:literal $path:literal $handler:expr;)+) => {
        &[$(Route {
            method: $method,
            path: $path,
            access: Access::$access,
            handler: || $handler,
        }),+]
    };
}

/// All routes.
pub const ROUTES: &[Route] = routes! {
    Open "GET" "/open/{ticket}" get(open);
    Open "GET" "/doc/{id}" get(document::page);
    Open "GET" "/assets/{name}" get(assets::asset);
    Open "GET" "/livez" get(StatusCode::NO_CONTENT);
    Open "GET" "/favicon.ico" get(StatusCode::NO_CONTENT);
    Change "POST" "/api/v1/links" post(link);
    Read "GET" "/api/v1/docs" get(document::list);
    Read "GET" "/api/v1/docs/{id}" get(document::base);
    Read "GET" "/api/v1/docs/{id}/text" get(document::whole);
    Read "GET" "/api/v1/docs/{id}/sections/{sid}" get(document::section);
    Read "GET" "/api/v1/docs/{id}/log" get(log::log);
    Read "GET" "/api/v1/docs/{id}/diff" get(document::difference);
    Read "GET" "/api/v1/docs/{id}/blame/{sid}" get(past::blame);
    Read "GET" "/api/v1/docs/{id}/suggestions" get(suggestions::list);
    Change "POST" "/api/v1/docs/{id}/suggestions/{n}/accept" post(suggestions::accept);
    Change "POST" "/api/v1/docs/{id}/suggestions/{n}/reject" post(suggestions::reject);
    Change "POST" "/api/v1/docs/{id}/locks" post(locks::lock);
    Change "PUT" "/api/v1/docs/{id}/locks/{sid}" put(locks::renew);
    Change "DELETE" "/api/v1/docs/{id}/locks/{sid}" delete(locks::unlock);
    Change "POST" "/api/v1/docs/{id}/revert" post(past::revert);
    Change "POST" "/api/v1/docs/{id}/ops" post(ops::op);
    Change "GET" "/api/v1/docs/{id}/ws/{room}" get(socket::open);
};

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The service behind every connection.
pub(super) fn router(site: &Arc<Site>) -> Router {
    let routes = ROUTES
        .iter()
        .fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    routes
        .fallback(async || {
            let detail = "see API.md for what there is";
            Problem::new(StatusCode::NOT_FOUND, "no-route", "there is no such address", detail)
        })
        .method_not_allowed_fallback(async || {
            let title = "this address does not know the method";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", title, "see API.md")
        })
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(site), guard))
        .with_state(Arc::clone(site))
}

/// Lets a request in or not, gives it its time, and puts the headers on every answer.
async fn guard(State(site): Here, mut request: Request, next: Next) -> Response {
    let judged = site.rules.judge(request.method(), request.uri(), request.headers());
    let is_api = request.uri().path().starts_with("/api");
    let mut response = match judged {
        Err(problem) => problem.into_response(),
        Ok(shown) => {
            request.extensions_mut().insert(shown);
            let answer = tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await;
            answer.unwrap_or_else(|_| slow().into_response())
        }
    };
    let headers = response.headers_mut();
    let always = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// `GET /open/{ticket}`: a link that is good once becomes a cookie.
async fn open(State(site): Here, Path(ticket): Path<String>, method: Method) -> Response {
    // Previews of links ask for the head only.
    if method != Method::GET || !site.links.take(&ticket) {
        let title = "this link was opened before, or is none of ours";
        let detail = "`ggml-agent doc link` prints a new one";
        return Problem::new(StatusCode::GONE, "used-link", title, detail).into_response();
    }
    let (name, token) = (&site.rules.cookie, site.rules.token.expose());
    let cookie = format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict");
    let to = format!("/doc/{}", site.doc.id);
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, to)];
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    (StatusCode::SEE_OTHER, headers, no_store).into_response()
}

/// `POST /api/v1/links`: a new one-time link.
async fn link(State(site): Here) -> Response {
    axum::Json(serde_json::json!({ "path": site.link() })).into_response()
}

fn slow() -> Problem {
    let title = format!("the request took longer than {} s", REQUEST_TIME_MAX.as_secs());
    let detail = "what was asked may have been done: read the document, then try again";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", title, detail)
}
