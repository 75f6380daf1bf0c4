//! Rows and STARTs as bytes: what the journal carries and what stores keep.
//!
//! A record is a list of (field number, length, bytes). Fields that hold nothing are left out, and
//! a reader skips numbers that it does not know, so that older builds read what newer ones write.
//! No bytes, however damaged, make a decoder panic.

mod decode;
mod encode;
mod wire;

pub use decode::Decoder;
pub(super) use decode::OpenRequest;
pub use encode::encode_entry;
pub(super) use encode::{Encoder, encode_checkpoint};
pub use wire::DecodeError;

/// The numbers of the fields. A number is never given a second meaning.
mod field {
    pub(super) const ID: u64 = 1;
    pub(super) const KIND: u64 = 2;
    pub(super) const STARTED_AT: u64 = 3;
    pub(super) const ENDED_AT: u64 = 4;
    pub(super) const IDENTITY: u64 = 5;
    pub(super) const REQUEST_TAG: u64 = 6;
    pub(super) const END_USER: u64 = 7;
    pub(super) const SESSION: u64 = 8;
    pub(super) const CLIENT: u64 = 9;
    pub(super) const MODEL: u64 = 10;
    pub(super) const PLACE: u64 = 11;
    pub(super) const SERVED_MODEL: u64 = 12;
    pub(super) const DIALECT: u64 = 13;
    pub(super) const OPERATION: u64 = 14;
    pub(super) const STREAM: u64 = 15;
    pub(super) const STATUS: u64 = 16;
    pub(super) const ERROR_CODE: u64 = 17;
    pub(super) const END: u64 = 18;
    pub(super) const SERVED_BY: u64 = 19;
    pub(super) const USAGE: u64 = 20;
    pub(super) const USAGE_SOURCE: u64 = 21;
    pub(super) const METER: u64 = 22;
    pub(super) const SERVICE_TIER: u64 = 23;
    pub(super) const COST: u64 = 24;
    pub(super) const CURRENCY: u64 = 25;
    pub(super) const RESERVED_COST: u64 = 26;
    pub(super) const WASTE_COST: u64 = 27;
    pub(super) const ATTEMPT: u64 = 28;
    pub(super) const UPSTREAM_REQUEST_ID: u64 = 29;
    pub(super) const TRACE_ID: u64 = 30;
    pub(super) const TTFT_MS: u64 = 31;
    pub(super) const DURATION_MS: u64 = 32;
    pub(super) const CONFIG_VERSION: u64 = 33;
    pub(super) const ADJUSTS: u64 = 34;
    pub(super) const FLAGS: u64 = 35;
    pub(super) const INPUT_ESTIMATE: u64 = 40;
    pub(super) const OUTPUT_RESERVED: u64 = 41;
    pub(super) const START_PRICE: u64 = 42;
    pub(super) const HARD: u64 = 43;
    pub(super) const OUTPUT_SO_FAR: u64 = 44;
}

/// A text from outside is cut here, so that a record fits the journal whatever a client or an
/// upstream sends.
const MAX_TEXT: usize = 512;

/// Tags of a request beyond this many are left out, for the same reason.
const MAX_REQUEST_TAGS: usize = 32;

/// Shared parts that an encoder or a decoder remembers at most, per kind; then it forgets them all.
const MAX_SHARED: usize = 4_096;

/// `text` up to [`MAX_TEXT`] bytes, whole characters only.
#[inline]
fn clip(text: &str) -> &str {
    if text.len() <= MAX_TEXT {
        return text;
    }
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests;
