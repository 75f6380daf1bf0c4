//! Tables as Apache Parquet (<https://parquet.apache.org/docs/file-format/>), typed so that no reader
//! has to guess: amounts are `DECIMAL(38,12)`, counts `INT64`, instants `TIMESTAMP(MICROS)` in UTC, all
//! else UTF-8. Objects and lists are JSON text, the same text as in CSV and in the API: readers that
//! know no nested columns, spreadsheets among them, can still open the file.
//!
//! Columns are compressed while rows come in; what is held is the encoded part of one row group, whose
//! raw size is bounded in rows and in bytes. The same rows give the same bytes: no clock goes into a
//! file.

mod column;

use std::{io, sync::Arc};

use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, Type},
};
use tollgate_accounting::ledger::{Form, LedgerStore, RowQuery, rfc3339};

use crate::{
    ExportError,
    rows::{headings, write_rows},
    table::{Cell, Heading, Table},
};

use column::OpenColumn;

/// Rows of a group at most, and bytes of it before encoding.
const GROUP_ROWS: usize = 131_072;
const GROUP_BYTES: usize = 64 << 20;
/// Rows that are handed to the encoders at a time.
const BATCH_ROWS: usize = 1_024;
/// The places of `DECIMAL(38,12)`: an amount's pico-units are its unscaled value.
const PRECISION: i32 = 38;
const SCALE: i32 = 12;

/// Columns whose texts hardly ever repeat: a dictionary would only be built and thrown away.
const DISTINCT: [&str; 3] = ["id", "upstream_request_id", "trace_id"];

/// Writes every row that `query` wants, in its order, and says how many there were. Columns are those
/// of the ledger.
///
/// The query's `limit` and `after` are the export's own business. Memory holds a few pages of rows and
/// one row group, whatever the range.
///
/// # Errors
/// The ledger cannot be read or `out` not be written; what was written before is no Parquet file.
pub fn export_parquet(
    store: &dyn LedgerStore,
    query: &RowQuery,
    out: &mut (dyn io::Write + Send),
) -> Result<u64, ExportError> {
    let mut metadata = vec![
        ("tollgate_dataset", "ledger rows".to_owned()),
        ("tollgate_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("tollgate_lists", "json".to_owned()),
    ];
    metadata.extend(query.from.map(|from| ("tollgate_from", rfc3339(from))));
    metadata.extend(query.to.map(|to| ("tollgate_to", rfc3339(to))));
    write_rows(store, query, Box::new(ParquetTable::new(out, headings(), metadata)?))
}

/// A Parquet file.
pub(crate) struct ParquetTable<'a> {
    file: SerializedFileWriter<&'a mut (dyn io::Write + Send)>,
    headings: Vec<Heading>,
    properties: WriterPropertiesPtr,
    columns: Vec<OpenColumn>,
    /// Rows and raw bytes of the open group.
    rows: usize,
    bytes: usize,
}

impl<'a> ParquetTable<'a> {
    /// Begins the file.
    pub(crate) fn new(
        out: &'a mut (dyn io::Write + Send),
        headings: Vec<Heading>,
        metadata: Vec<(&'static str, String)>,
    ) -> Result<Self, ExportError> {
        let properties = Arc::new(properties_of(&headings, metadata));
        let schema = Arc::new(schema_of(&headings)?);
        let file = SerializedFileWriter::new(out, schema, Arc::clone(&properties))?;
        let mut table = Self { file, headings, properties, columns: Vec::new(), rows: 0, bytes: 0 };
        table.open_columns();
        Ok(table)
    }

    fn open_columns(&mut self) {
        let schema = self.file.schema_descr();
        self.columns = (0..self.headings.len())
            .map(|at| OpenColumn::new(schema.column(at), Arc::clone(&self.properties)))
            .collect();
    }

    fn encode_batch(&mut self) -> Result<(), ExportError> {
        self.columns.iter_mut().try_for_each(|column| column.encode_batch().map_err(ExportError::from))
    }

    /// Writes the open group, if there is anything in it.
    fn close_group(&mut self) -> Result<(), ExportError> {
        if self.rows == 0 {
            return Ok(());
        }
        self.encode_batch()?;
        let mut group = self.file.next_row_group()?;
        for column in self.columns.drain(..) {
            let (chunk, close) = column.close()?;
            group.append_column(&chunk, close)?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        self.open_columns();
        Ok(())
    }
}

impl Table for ParquetTable<'_> {
    fn row(&mut self, cells: &mut dyn Iterator<Item = Cell<'_>>) -> Result<(), ExportError> {
        for ((column, heading), cell) in self.columns.iter_mut().zip(&self.headings).zip(cells) {
            let fits = column.push(&cell);
            self.bytes +=
                fits.ok_or_else(|| ExportError::DoesNotFit { column: heading.name, value: cell.shown() })?;
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.close_group()
        } else if self.rows.is_multiple_of(BATCH_ROWS) {
            self.encode_batch()
        } else {
            Ok(())
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        self.close_group()?;
        self.file.finish()?;
        Ok(())
    }
}

fn properties_of(headings: &[Heading], metadata: Vec<(&'static str, String)>) -> WriterProperties {
    let metadata = metadata.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("tollgate ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(metadata));
    for heading in headings {
        if heading.form == Form::Instant || heading.name == "seq" || DISTINCT.contains(&heading.name) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(heading.name), false);
        }
    }
    properties.build()
}

fn schema_of(headings: &[Heading]) -> Result<Type, ParquetError> {
    let fields = headings
        .iter()
        .map(|heading| Ok(Arc::new(field_of(heading)?)))
        .collect::<Result<_, ParquetError>>()?;
    Type::group_type_builder("schema").with_fields(fields).build()
}

fn field_of(heading: &Heading) -> Result<Type, ParquetError> {
    let field =
        |physical| Type::primitive_type_builder(heading.name, physical).with_repetition(Repetition::OPTIONAL);
    match heading.form {
        Form::Text | Form::List => {
            field(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String)).build()
        }
        Form::Count => field(Physical::INT64).build(),
        Form::Truth => field(Physical::BOOLEAN).build(),
        Form::Amount => field(Physical::FIXED_LEN_BYTE_ARRAY)
            .with_length(16)
            .with_converted_type(ConvertedType::DECIMAL)
            .with_precision(PRECISION)
            .with_scale(SCALE)
            .build(),
        Form::Instant => field(Physical::INT64)
            .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
            .build(),
    }
}

impl From<ParquetError> for ExportError {
    /// Whatever goes wrong while writing is the file's; what the reader of `out` said is kept.
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(error) => Self::Write(*error),
                Err(other) => Self::Write(io::Error::other(other)),
            },
            other => Self::Write(io::Error::other(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    /// Row groups of a file of `rows` texts of `length`.
    fn groups(rows: usize, length: usize) -> Vec<i64> {
        let text = "x".repeat(length);
        let mut file = Vec::new();
        let headings = vec![Heading { name: "text", form: Form::Text }];
        let mut table = Box::new(ParquetTable::new(&mut file, headings, Vec::new()).expect("begun"));
        for _ in 0..rows {
            table.row(&mut [Cell::Text(text.as_str().into())].into_iter()).expect("written");
        }
        table.finish().expect("finished");
        let reader = SerializedFileReader::new(Bytes::from(file)).expect("a Parquet file");
        reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect()
    }

    #[test]
    fn row_groups_are_bounded_in_rows_and_in_bytes() {
        assert_eq!(groups(GROUP_ROWS + 1, 1), [GROUP_ROWS as i64, 1]);
        assert_eq!(groups(150, 1 << 20), [64, 64, 22]);
    }
}
