//! Why there is no answer (RFC 9457).

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

/// Why there is no answer, for people, and as a number for programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    status: StatusCode,
    detail: String,
    /// What a program needs to go on.
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), header: None }
    }

    pub(crate) fn with(self, name: HeaderName, value: &str) -> Self {
        Self { header: HeaderValue::from_str(value).ok().map(|value| (name, value)), ..self }
    }

    /// 400: the question makes no sense.
    pub fn mistake(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: there is no such thing.
    pub fn nothing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 500: it could not be done.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// 503: not now.
    pub fn not_now(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 504: it takes longer than it may.
    pub fn late(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
    }

    /// 413: it takes more than it may.
    pub fn too_much(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(crate) fn stranger(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail).with(hyper::header::WWW_AUTHENTICATE, "Bearer")
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn other_method(allowed: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("ask it with {allowed}"))
            .with(hyper::header::ALLOW, allowed)
    }

    pub(crate) fn not_in_that_form(forms: &str) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, format!("it can be had as {forms}"))
    }

    /// What breaks off looks whole to HTTP/1.0.
    pub(crate) fn old_version() -> Self {
        Self::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "ask with HTTP/1.1 (of a proxy: proxy_http_version 1.1)",
        )
    }

    pub(crate) fn crowded() -> Self {
        Self::not_now("as many questions as fit are being answered: ask again")
            .with(hyper::header::RETRY_AFTER, "1")
    }

    /// The number of the status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub(crate) fn response(&self) -> Response<Full<Bytes>> {
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({"title": title, "status": self.status(), "detail": self.detail});
        let mut response = Response::new(Full::from(format!("{body}\n")));
        *response.status_mut() = self.status;
        let media = HeaderValue::from_static("application/problem+json");
        let headers = [(CONTENT_TYPE, media)].into_iter().chain(self.header.clone());
        response.headers_mut().extend(headers.map(|(name, value)| (Some(name), value)).collect::<Vec<_>>());
        response
    }
}
