//! Who is let in, on every route; and what none lets in.

use ggml_agent_live::http::{Access, ROUTES, Route};
use ggml_agent_live::limits::{BODY_LEN_MAX, HEAD_LEN_MAX};

use super::client::{As, Up, token};

fn path(route: &Route) -> String {
    let path = route.path.replace("{id}", "report").replace("{sid}", "s1");
    path.replace("{n}", "1").replace("{room}", "report@1").replace("{name}", "page.js")
}

/// What a route answers somebody.
async fn status(up: &Up, route: &Route, heads: &str) -> u16 {
    let answer = up.ask(route.method, &path(route), heads, "").await;
    for head in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff"] {
        assert!(answer.head.contains(head), "{route:?}: {}", answer.head);
    }
    if answer.status >= 400 {
        assert_ne!(answer.problem(), "no-route", "{route:?}");
    }
    answer.status
}

#[tokio::test]
async fn every_route_lets_in_who_may_and_nobody_else() {
    let up = Up::new().await;
    assert!(ROUTES.len() > 15);
    for route in ROUTES {
        let is_socket = route.path.ends_with("{room}");
        let is_open = route.access == Access::Open;
        let status = async |who| status(&up, route, &up.heads(who)).await;
        let (nobody, wrong) = (status(As::Nobody).await, status(As::Wrong).await);
        match route.access {
            Access::Open => assert!(![401, 403].contains(&nobody), "{route:?}: {nobody}"),
            // Who has no token learns it from the close code; this one is not even a socket.
            _ if is_socket => assert_eq!((nobody, wrong), (426, 403), "{route:?}"),
            _ => assert_eq!((nobody, wrong), (401, 401), "{route:?}"),
        }
        let other = status(As::OtherPage).await;
        assert_eq!(other == 403, !is_open, "{route:?}: {other}");
        for who in [As::Script, As::Page] {
            let found = status(who).await;
            assert!(![401, 403, 405, 421, 500].contains(&found), "{route:?}: {found}");
            // Of the suggestions there is none.
            assert_eq!(found == 404, route.path.contains("{n}"), "{route:?}");
        }
        let evil = up.heads(As::Page).replacen(&up.addr.to_string(), "evil.example", 1);
        assert_eq!(self::status(&up, route, &evil).await, 421, "{route:?}");
    }
}

#[tokio::test]
async fn a_link_is_good_once_and_its_cookie_lets_the_page_in() {
    let up = Up::new().await;
    let link = up.server.link();
    let host = format!("Host: {}\r\n", up.addr);
    let preview = up.ask("HEAD", &link, &host, "").await;
    assert_eq!(preview.status, 410);
    let opened = up.ask("GET", &link, &host, "").await;
    assert_eq!(opened.status, 303, "a preview does not use it up");
    assert!(opened.head.contains("location: /doc/report"), "{}", opened.head);
    let cookie = opened.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("; httponly; samesite=strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let heads = format!("{host}Cookie: {cookie}\r\n");
    assert_eq!(up.ask("GET", "/api/v1/docs/report", &heads, "").await.status, 200);
    assert_eq!(up.ask("GET", &link, &host, "").await.problem(), "used-link");
    let made_up = format!("/open/{}", token().expose());
    assert_eq!(up.ask("GET", &made_up, &host, "").await.status, 410, "the token opens nothing");
    let more = up.ask("POST", "/api/v1/links", &up.heads(As::Page), "").await;
    let more = more.json()["path"].as_str().unwrap().to_owned();
    assert_eq!(up.ask("GET", &more, &host, "").await.status, 303);
}

#[tokio::test]
async fn only_the_files_of_the_page_are_served() {
    let up = Up::new().await;
    let host = format!("Host: {}\r\n", up.addr);
    for path in [
        "/assets/../Cargo.toml",
        "/assets/..%2FCargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets//etc/passwd",
        "/assets/%2Fetc%2Fpasswd",
        "/assets/page.js%00",
        "/assets/index.html",
        "/assets/",
        "/assets",
        "/doc/../assets/page.js",
        "/doc/other",
        "/doc/report/",
        "/",
        "//",
        "/api/../doc/report",
    ] {
        let answer = up.ask("GET", path, &host, "").await;
        let expected = if path.starts_with("/api") { 401 } else { 404 };
        assert_eq!(answer.status, expected, "{path}");
        answer.problem();
    }
    let page = up.ask("GET", "/assets/page.js", &host, "").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/javascript"), "{}", page.head);
    assert!(page.head.contains("cache-control: no-cache"), "{}", page.head);
    let tag = page.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let known = format!("{host}If-None-Match: {tag}\r\n");
    assert_eq!(up.ask("GET", "/assets/page.js", &known, "").await.status, 304);
}

#[tokio::test]
async fn what_is_too_long_or_no_request_is_refused() {
    let up = Up::new().await;
    let script = up.heads(As::Script);
    let path = "/api/v1/docs/report/locks";
    let long = " ".repeat(BODY_LEN_MAX + 1);
    assert_eq!(up.ask("POST", path, &script, &long).await.problem(), "too-large");
    let fits = " ".repeat(BODY_LEN_MAX);
    assert_eq!(up.ask("POST", path, &script, &fits).await.problem(), "bad-request");
    let head = format!("{script}X-Long: {}\r\n", "x".repeat(HEAD_LEN_MAX));
    assert_eq!(up.ask("GET", "/doc/report", &head, "").await.status, 431);
    assert_eq!(up.ask("PATCH", path, &script, "").await.problem(), "method");
    assert_eq!(up.ask("GET", "/api/v2", &script, "").await.problem(), "no-route");
    assert_eq!(up.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.problem(), "host");
    assert_eq!(up.raw(b"nonsense\r\n\r\n").await.status, 400);
    for body in ["", "{", "[]", "{\"sections\":[\"s1\"]}", "{\"sections\":1,\"lease_ms\":1}"] {
        assert_eq!(up.ask("POST", path, &script, body).await.problem(), "bad-request", "{body}");
    }
}
