//! How the admin API says no: problem details for HTTP APIs (RFC 9457).

use std::fmt;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tollgate_accounting::ledger::StoreError;
use tollgate_finance::TimeError;

use crate::{
    drills::{DrillError, Unsound},
    keys::KeyError,
    operate::{Home, OperateError},
    raises::RaiseError,
};

/// A refusal or failure, as JSON of type `application/problem+json`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    /// Several things that are wrong at once, such as the errors of a configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("urn:tollgate:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            errors: Vec::new(),
        }
    }

    /// Nobody, or nobody known, is calling.
    pub(super) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// The caller is known but may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// No such thing.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// The path exists for other methods.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this path takes other methods; see /api/v1/openapi.json",
        )
    }

    /// The request is not what the call takes.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    /// It cannot be done as things stand, and nothing was changed.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// Projects would be left without a target that they permit, and nobody has said that they may.
    fn no_home(detail: impl Into<String>, homes: &[Home]) -> Self {
        let name = |home: &Home| format!("project {}/{}, model {}", home.team, home.project, home.model);
        let errors = homes.iter().map(name).collect();
        Self { errors, ..Self::new(StatusCode::CONFLICT, "no_permitted_home", detail) }
    }

    /// Invoices differ from the ledger, and nobody has said that they may.
    pub(super) fn not_reconciled(detail: impl Into<String>, errors: Vec<String>) -> Self {
        Self { errors, ..Self::new(StatusCode::CONFLICT, "not_reconciled", detail) }
    }

    /// The configuration is not one that can run.
    pub(super) fn bad_config(errors: Vec<String>) -> Self {
        let detail = "the configuration has errors; the running one is unchanged";
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "config_invalid", detail) }
    }

    /// What the change was made from is not what there is.
    pub(super) fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// The caller has to say what the change was made from.
    pub(super) fn precondition_required(detail: &str) -> Self {
        Self::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", detail)
    }

    /// Something else is under way that this must not happen beside.
    pub(super) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "busy", detail)
    }

    /// The ledger cannot be read or changed at the moment.
    pub(super) fn ledger_unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", detail)
    }

    /// A bug of ours.
    pub(super) fn internal(detail: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).expect("texts and numbers are JSON");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadCursor(_) | StoreError::RowsDropped { .. } => Self::invalid(error.to_string()),
            StoreError::Exists(_) => Self::conflict(error.to_string()),
            StoreError::Failed { .. } | StoreError::TooNew { .. } | StoreError::BadRow { .. } => {
                Self::ledger_unavailable(error.to_string())
            }
        }
    }
}

impl From<TimeError> for Problem {
    fn from(error: TimeError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Unknown { .. } => Self::not_found(error.to_string()),
            OperateError::Unsound(_) => Self::invalid(error.to_string()),
            OperateError::Conflict(_) => Self::conflict(error.to_string()),
            OperateError::NoHome(ref homes) => Self::no_home(error.to_string(), homes),
            OperateError::NotKept(_) | OperateError::NotAudited(_) => {
                Self::ledger_unavailable(error.to_string())
            }
        }
    }
}

impl From<DrillError> for Problem {
    fn from(error: DrillError) -> Self {
        match error {
            DrillError::Unsound(Unsound::Order(_)) => Self::invalid(error.to_string()),
            DrillError::Unsound(Unsound::Unknown { .. }) | DrillError::Unknown(_) => {
                Self::not_found(error.to_string())
            }
            DrillError::Busy { .. } => Self::busy(error.to_string()),
            DrillError::Over(_) => Self::conflict(error.to_string()),
            DrillError::NotKept(_) | DrillError::NotAudited(_) => Self::ledger_unavailable(error.to_string()),
        }
    }
}

impl From<RaiseError> for Problem {
    fn from(error: RaiseError) -> Self {
        match error {
            RaiseError::NoBudget(_) => Self::not_found(error.to_string()),
            RaiseError::NotRaised(_) | RaiseError::NotKept(StoreError::Exists(_)) => {
                Self::conflict(error.to_string())
            }
            RaiseError::Unsound(_) => Self::invalid(error.to_string()),
            RaiseError::NotKept(_) | RaiseError::NotAudited(_) => Self::ledger_unavailable(error.to_string()),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unknown(_) | KeyError::UnknownProject(_) => Self::not_found(error.to_string()),
            KeyError::Unsound(_) => Self::invalid(error.to_string()),
            KeyError::NameTaken(_) | KeyError::Over(_) | KeyError::NotKept(StoreError::Exists(_)) => {
                Self::conflict(error.to_string())
            }
            KeyError::NoRandom(_) => Self::internal(&error.to_string()),
            KeyError::NotKept(_) | KeyError::NotAudited(_) => Self::ledger_unavailable(error.to_string()),
        }
    }
}
