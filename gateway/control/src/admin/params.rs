//! What a call brings: its query, its body, the names in its path. Whatever does not fit is told as
//! a problem, and what is not known is refused: a misspelt filter must not widen an answer.

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::problem::Problem;

const LARGEST_BODY: usize = 4 << 20;
/// Invoices of a large organisation: tens of thousands of lines.
const LARGEST_FILES: usize = 128 << 20;

/// The query, as a struct that denies unknown fields.
pub(super) struct Params<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(params)| Self(params))
            .map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}

/// The name in the path.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(name)| Self(name))
            .map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}

/// All names in the path, in their order.
pub(super) struct Segments(pub(super) Vec<String>);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map(|Path(names)| Self(names.into_iter().map(|(_, name)| name).collect()))
            .map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}

/// A JSON body; an empty one is the default.
pub(super) struct Body<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        json(&read(request, LARGEST_BODY).await?).map(Self)
    }
}

/// A JSON body that holds whole files.
pub(super) struct Files<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for Files<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        json(&read(request, LARGEST_FILES).await?).map(Self)
    }
}

fn json<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(bytes).map_err(|error| Problem::invalid(format!("the body: {error}")))
}

/// A body that is text.
pub(super) struct Text(pub(super) String);

impl<S: Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read(request, LARGEST_BODY).await?;
        let text = String::from_utf8(bytes.into()).map_err(|_| Problem::invalid("the body is not UTF-8"))?;
        Ok(Self(text))
    }
}

async fn read(request: Request, largest: usize) -> Result<Bytes, Problem> {
    to_bytes(request.into_body(), largest).await.map_err(|_| {
        Problem::invalid(format!("the body did not arrive whole, or is larger than {largest} bytes"))
    })
}
