//! Names that people give to things, each a type of its own.
//!
//! A name is cheap to clone (one reference count) and never empty of meaning: a [`ModelAlias`] is
//! what a client asks for, an [`UpstreamModel`] what a provider is sent, and mixing them up does
//! not compile.

use std::{fmt, sync::Arc};

/// A name without a more telling type: an organisation, an instance, a currency, an account.
pub type Name = Arc<str>;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $type(Name);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The shared text itself, for places that keep names of many kinds.
            #[must_use]
            pub fn name(&self) -> &Name {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<Name> for $type {
            fn from(text: Name) -> Self {
                Self(text)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    /// A team: the unit that finance charges.
    TeamName
);
name!(
    /// A project of a team: the unit that residency, models and limits are given to.
    ProjectName
);
name!(
    /// A key of a project, by its name; never its secret.
    KeyName
);
name!(
    /// What a client calls a model. Only routing turns it into an [`UpstreamModel`].
    ModelAlias
);
name!(
    /// What a provider calls a model or deployment.
    UpstreamModel
);
name!(
    /// A provider's endpoint with its credential, in a region.
    UpstreamName
);
name!(
    /// Where an upstream's endpoint stands.
    RegionName
);
name!(
    /// A residency area: where data is processed.
    ZoneName
);
name!(
    /// The account at a provider that upstreams share; what an exhausted quota takes down at once.
    AccountName
);
