//! Where the journal goes when its own disk takes no records.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Size, Span};

/// The files in which every request is recorded before its answer ends. A change needs a restart.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct JournalSection {
    /// A second folder, best on another disk, taken while the first in `data_dir` has no space or once
    /// it has failed. Default: none. Example: `/mnt/other/tollgate`.
    pub second_dir: Option<PathBuf>,
    /// Size of the files that are reserved ahead, three or more at a time; from `256KiB` to `1GiB`.
    /// Default: `16MiB`.
    pub segment: Option<Size>,
    /// While the disk takes longer than this to confirm what was written, new requests are refused; five
    /// times as long, and the gateway is not ready. Default: `2s`.
    pub slow_sync: Option<Span>,
}
