//! One column of the open row group.
//!
//! All columns of a group are encoded at once, row by row, while the file wants them one after the
//! other: each goes into memory of its own, compressed, and is appended when the group is closed.

use std::sync::Arc;

use parking_lot::Mutex;
use parquet::{
    basic::Type as Physical,
    column::{
        page::{CompressedPage, PageWriteSpec, PageWriter},
        writer::{ColumnCloseResult, ColumnWriter, get_column_writer, get_typed_column_writer_mut},
    },
    data_type::{BoolType, ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type},
    errors::Result,
    file::{
        properties::WriterPropertiesPtr,
        writer::{SerializedPageWriter, TrackedWrite},
    },
    schema::types::ColumnDescPtr,
};

use bytes::Bytes;

use super::PRECISION;
use crate::table::Cell;

/// The first amount that has more digits than the column.
const TOO_LARGE: u128 = 10_u128.pow(PRECISION as u32);

pub(super) struct OpenColumn {
    writer: ColumnWriter<'static>,
    pages: Pages,
    /// One per row of the batch: 1 where a value stands, 0 where none does.
    present: Vec<i16>,
    batch: Batch,
}

/// Values of rows that were not encoded yet.
enum Batch {
    /// Texts, one after the other, and where each ends.
    Texts {
        bytes: Vec<u8>,
        ends: Vec<usize>,
    },
    /// Unscaled amounts, 16 bytes each, the highest first.
    Amounts(Vec<u8>),
    /// Counts, or microseconds since 1970.
    Whole(Vec<i64>),
    Truths(Vec<bool>),
}

impl OpenColumn {
    pub(super) fn new(descriptor: ColumnDescPtr, properties: WriterPropertiesPtr) -> Self {
        let batch = match descriptor.physical_type() {
            Physical::INT64 => Batch::Whole(Vec::new()),
            Physical::BOOLEAN => Batch::Truths(Vec::new()),
            Physical::FIXED_LEN_BYTE_ARRAY => Batch::Amounts(Vec::new()),
            _ => Batch::Texts { bytes: Vec::new(), ends: Vec::new() },
        };
        let pages = Pages(Arc::new(Mutex::new(TrackedWrite::new(Vec::new()))));
        let writer = get_column_writer(descriptor, properties, Box::new(pages.clone()));
        Self { writer, pages, present: Vec::new(), batch }
    }

    /// Takes the next row's value and says how many bytes it has; none when the column cannot hold it.
    pub(super) fn push(&mut self, cell: &Cell<'_>) -> Option<usize> {
        let size = match (&mut self.batch, cell) {
            (_, Cell::Null) => {
                self.present.push(0);
                return Some(0);
            }
            (Batch::Texts { bytes, ends }, Cell::Text(text) | Cell::Foreign(text)) => {
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len());
                text.len()
            }
            (Batch::Amounts(bytes), Cell::Amount(_) | Cell::Zero) => {
                let unscaled = if let Cell::Amount(amount) = cell { amount.pico() } else { 0 };
                if unscaled.unsigned_abs() >= TOO_LARGE {
                    return None;
                }
                bytes.extend_from_slice(&unscaled.to_be_bytes());
                16
            }
            (Batch::Whole(values), Cell::Count(count)) => {
                values.push(i64::try_from(*count).ok()?);
                8
            }
            (Batch::Whole(values), Cell::Instant(at)) => {
                values.push(at.get().checked_mul(1_000)?);
                8
            }
            (Batch::Truths(values), Cell::Truth(truth)) => {
                values.push(*truth);
                1
            }
            _ => return None,
        };
        self.present.push(1);
        Some(size)
    }

    /// Encodes the rows that came since the last call.
    pub(super) fn encode_batch(&mut self) -> Result<()> {
        let (writer, present) = (&mut self.writer, Some(self.present.as_slice()));
        match &mut self.batch {
            Batch::Texts { bytes, ends } => {
                // One piece of memory for all texts of the batch; each text is a view of it.
                let whole = Bytes::from(std::mem::take(bytes));
                let mut begin = 0;
                let values: Vec<ByteArray> = ends
                    .drain(..)
                    .map(|end| whole.slice(std::mem::replace(&mut begin, end)..end).into())
                    .collect();
                get_typed_column_writer_mut::<ByteArrayType>(writer).write_batch(&values, present, None)?;
            }
            Batch::Amounts(bytes) => {
                let whole = Bytes::from(std::mem::take(bytes));
                let values: Vec<FixedLenByteArray> = (0..whole.len() / 16)
                    .map(|at| ByteArray::from(whole.slice(16 * at..16 * (at + 1))).into())
                    .collect();
                get_typed_column_writer_mut::<FixedLenByteArrayType>(writer)
                    .write_batch(&values, present, None)?;
            }
            Batch::Whole(values) => {
                get_typed_column_writer_mut::<Int64Type>(writer).write_batch(values, present, None)?;
                values.clear();
            }
            Batch::Truths(values) => {
                get_typed_column_writer_mut::<BoolType>(writer).write_batch(values, present, None)?;
                values.clear();
            }
        }
        self.present.clear();
        Ok(())
    }

    /// The encoded chunk, and what the file is to know of it.
    pub(super) fn close(self) -> Result<(Bytes, ColumnCloseResult)> {
        let close = self.writer.close()?;
        let pages = std::mem::replace(&mut *self.pages.0.lock(), TrackedWrite::new(Vec::new()));
        Ok((pages.into_inner()?.into(), close))
    }
}

/// Pages in memory. The column writer owns its page writer, so that the memory is shared with it.
#[derive(Clone)]
struct Pages(Arc<Mutex<TrackedWrite<Vec<u8>>>>);

impl PageWriter for Pages {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        SerializedPageWriter::new(&mut *self.0.lock()).write_page(page)
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
