use axum::http::HeaderValue;

use super::*;

const COOKIE: &str = "Cookie";
const TOKEN: &str = "0101010101010101010101010101010101010101010101010101010101010101";

fn rules() -> Rules {
    let hosts = ["localhost", "127.0.0.1", "[::1]", "docs.example"].map(str::to_owned).to_vec();
    Rules { token: Secret::new([1; 32]), cookie: "ggml-agent-7420".to_owned(), hosts }
}

/// What a request with these headers, `; ` between them, is answered: 0 if it is let in.
fn judge(method: &str, path: &str, heads: &str) -> u16 {
    let mut headers = HeaderMap::new();
    for head in heads.split("| ").filter(|head| !head.is_empty()) {
        let (name, value) = head.split_once(": ").unwrap();
        let value = value.replace("TOKEN", TOKEN);
        let name: HeaderName = name.to_ascii_lowercase().parse().unwrap();
        headers.append(name, HeaderValue::from_str(value.trim_end()).unwrap());
    }
    let (method, uri) = (method.parse().unwrap(), path.parse().unwrap());
    rules().judge(&method, &uri, &headers).map_or_else(|problem| problem.status().as_u16(), |_| 0)
}

#[test]
fn who_is_let_in() {
    let api = "/api/v1/docs/plan";
    let socket = "/api/v1/docs/plan/ws/plan@1";
    let good = format!("Host: localhost:7420| {COOKIE}: a=b; ggml-agent-7420=TOKEN");
    let bearer = "Host: localhost:7420| Authorization: Bearer TOKEN";
    let table: &[(&str, &str, String, u16)] = &[
        // Names.
        ("GET", "/doc/plan", "Host: localhost:7420".into(), 0),
        ("GET", "/doc/plan", "Host: LOCALHOST".into(), 0),
        ("GET", "/doc/plan", "Host: 127.0.0.1:9".into(), 0),
        ("GET", "/doc/plan", "Host: [::1]:9".into(), 0),
        ("GET", "/doc/plan", "Host: docs.example".into(), 0),
        ("GET", "/doc/plan", "Host: evil.example".into(), 421),
        ("GET", "/doc/plan", "Host: localhost.evil.example".into(), 421),
        ("GET", "/doc/plan", "Host: localhost:7420@evil.example".into(), 421),
        ("GET", "/doc/plan", "Host: ".into(), 421),
        ("GET", "/doc/plan", String::new(), 421),
        ("GET", "/doc/plan", "Host: localhost| Host: evil.example".into(), 421),
        ("GET", "http://evil.example/doc/plan", "Host: localhost".into(), 421),
        // Tokens.
        ("GET", api, "Host: localhost".into(), 401),
        ("GET", "/api", "Host: localhost".into(), 401),
        ("GET", api, good.clone(), 0),
        ("GET", api, bearer.into(), 0),
        ("GET", api, "Host: localhost| Authorization: Bearer TOKENx".into(), 401),
        ("GET", api, "Host: localhost| Authorization: Basic TOKEN".into(), 401),
        ("GET", api, "Host: localhost| Authorization: Bearer ".into(), 401),
        ("GET", api, "Host: localhost| Cookie: ggml-agent-7421=TOKEN".into(), 401),
        ("GET", api, "Host: localhost| Cookie: ggml-agent-7420=0".into(), 401),
        // Origins: a change needs the page's own, or the token in a header.
        ("POST", api, good.clone(), 403),
        ("POST", api, format!("{good}| Origin: http://localhost:7420"), 0),
        ("POST", api, format!("{good}| Origin: https://localhost:7420"), 0),
        ("POST", api, format!("{good}| Origin: http://localhost:7421"), 403),
        ("POST", api, format!("{good}| Origin: http://127.0.0.1:7420"), 403),
        ("POST", api, format!("{good}| Origin: null"), 403),
        ("POST", api, format!("{good}| Origin: ftp://localhost:7420"), 403),
        ("POST", api, bearer.into(), 0),
        ("POST", api, format!("{bearer}| Origin: http://evil.example"), 403),
        ("DELETE", api, "Host: localhost| Origin: http://localhost".into(), 401),
        ("GET", api, format!("{good}| Origin: http://evil.example"), 403),
        ("GET", api, format!("{good}| Sec-Fetch-Site: cross-site"), 403),
        ("GET", api, format!("{good}| Sec-Fetch-Site: same-site"), 403),
        ("GET", api, format!("{good}| Sec-Fetch-Site: same-origin"), 0),
        // A socket counts as a change; one without the token is told so by a close code, which a page can read.
        ("GET", socket, good.clone(), 403),
        ("GET", socket, format!("{good}| Origin: http://evil.example"), 403),
        ("GET", socket, format!("{good}| Origin: http://localhost:7420"), 0),
        ("GET", socket, "Host: localhost| Origin: http://localhost".into(), 0),
        ("GET", socket, "Host: localhost".into(), 403),
        ("POST", socket, "Host: localhost| Origin: http://localhost".into(), 401),
        ("GET", api, "Host: localhost| Upgrade: websocket| Origin: http://localhost".into(), 401),
    ];
    for (method, path, heads, expected) in table {
        assert_eq!(judge(method, path, heads), *expected, "{method} {path} {heads}");
    }
}
