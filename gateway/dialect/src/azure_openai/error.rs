//! Azure's own error codes, before those of the family.

use crate::{
    fault::{Fault, FaultRules},
    openai,
};

pub(crate) static RULES: FaultRules = FaultRules {
    codes: &[
        ("DeploymentNotFound", Fault::ModelMissing),
        ("ResponsibleAIPolicyViolation", Fault::ContentFilter),
        ("TooManyRequests", Fault::Throttled),
        ("RateLimitReached", Fault::Throttled),
        ("QuotaExceeded", Fault::AccountExhausted),
        ("InternalServerError", Fault::Server),
        ("ServiceUnavailable", Fault::Server),
        ("AuthenticationFailed", Fault::Credential),
        ("PermissionDenied", Fault::Credential),
        ("AccessDenied", Fault::Credential),
    ],
    types: &[],
    phrases: &[],
    base: Some(&openai::error::RULES),
};
