//! Errors as the page and scripts read them: problem details (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// A refused request: what is the cause, and what to do next.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// The last word of its type.
    kind: &'static str,
    title: String,
    detail: String,
    more: Map<String, Value>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        title: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        let (title, detail) = (title.into(), detail.into());
        Self { status, kind, title, detail, more: Map::new() }
    }

    /// Of an error that says "cause; next step".
    pub(super) fn of(
        status: StatusCode,
        kind: &'static str,
        error: &impl std::error::Error,
    ) -> Self {
        let text = error.to_string();
        let (title, detail) = text.split_once("; ").unwrap_or((&text, "read the document again"));
        Self::new(status, kind, title, detail)
    }

    /// One more field.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn bad(title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", title, detail)
    }

    pub(super) fn no_document() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-document",
            "there is no such document here",
            "check the address; `GET /api/v1/docs` lists what is served",
        )
    }

    pub(super) fn no_section(section: &str) -> Self {
        let title = format!("the document has no section {section:?}");
        let detail = "read the list of sections again";
        Self::new(StatusCode::NOT_FOUND, "no-section", title, detail)
    }

    /// The document's agent gave no answer.
    pub(super) fn unreachable(error: &impl std::error::Error) -> Self {
        let title = format!("the document did not answer: {error}");
        let detail = "what was asked may have been done: read the document, then try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title, detail)
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("/problems/{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(fields) = body.as_object_mut() {
            fields.extend(self.more);
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
