//! The page: what is embedded, and nothing else, is served.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// A file of the page.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal),+ $(,)?) => {
        &[$(Asset {
            name: $name,
            bytes: include_bytes!(concat!("../../assets/", $name)),
        }),+]
    };
}

const PAGE: Asset = Asset { name: "index.html", bytes: include_bytes!("../../assets/index.html") };

const ASSETS: &[Asset] = assets![
    "api.js",
    "dom.js",
    "editor.js",
    "history.js",
    "keys.js",
    "LICENSES.txt",
    "link.js",
    "page.css",
    "page.js",
    "panel.js",
    "people.js",
    "rescue.js",
    "section-editor.js",
    "section.js",
    "sections.js",
    "suggestions.js",
];

/// An ETag for each asset, in their order.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| ASSETS.iter().map(Asset::tag).collect());

/// `GET /assets/{name}`.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match ASSETS.iter().position(|asset| asset.name == name) {
        Some(at) => ASSETS[at].answer(&TAGS[at], &headers),
        None => Problem::new(
            StatusCode::NOT_FOUND,
            "no-asset",
            "there is no such file",
            "reload the page; its files are those of this version",
        )
        .into_response(),
    }
}

/// The page of a document; which one, it reads from its own address.
pub(super) fn page(headers: &HeaderMap) -> Response {
    PAGE.answer(&PAGE.tag(), headers)
}

impl Asset {
    fn tag(&self) -> String {
        format!("\"{}\"", &blake3::hash(self.bytes).to_hex()[..16])
    }

    fn kind(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, end)| end) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        }
    }

    fn answer(&self, tag: &str, headers: &HeaderMap) -> Response {
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let is_known = known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag));
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, self.kind())], self.bytes).into_response()
        };
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(tag) {
            headers.insert(header::ETAG, tag);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever adds a file to the page adds it here.
    #[test]
    fn every_file_of_the_page_is_embedded() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let files = std::fs::read_dir(folder).unwrap();
        let mut there: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let mut embedded: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        embedded.push(PAGE.name);
        there.sort_unstable();
        embedded.sort_unstable();
        assert_eq!(there, embedded);
    }
}
