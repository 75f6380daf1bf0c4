//! `GET /export/…`: finance's files, streamed from the ledger.
//!
//! What goes wrong before the first byte is a problem; what goes wrong later breaks the connection, so
//! that half a file never looks whole. A client that leaves ends the reading.

use std::{
    io::{self, BufWriter, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use http_body::Frame;
use serde::Deserialize;
use tokio::sync::mpsc;
use tollgate_accounting::ledger::{RowQuery, rfc3339};
use tollgate_finance::{
    ExportError, FocusForm, FocusVersion, TimeRange, XlsxDetail, export_csv, export_focus, export_parquet,
    export_xlsx,
};

use super::{AdminState, access::Caller, params::Params, problem::Problem};

/// Bytes that are sent at a time.
const CHUNK: usize = 64 << 10;
/// Chunks that wait for a slow reader; then the export waits too.
const WAITING: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: String,
    to: String,
}

pub(super) async fn csv(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let (range, query) = rows_of(&state, &caller, &asked.from, &asked.to)?;
    stream(Form::Csv.file("tollgate", range), move |out| export_csv(&*state.store, &query, out)).await
}

pub(super) async fn parquet(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let (range, query) = rows_of(&state, &caller, &asked.from, &asked.to)?;
    stream(Form::Parquet.file("tollgate", range), move |out| export_parquet(&*state.store, &query, out)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedXlsx {
    from: String,
    to: String,
    #[serde(default)]
    detail: bool,
}

pub(super) async fn xlsx(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<AskedXlsx>,
) -> Result<Response, Problem> {
    let detail = if asked.detail { XlsxDetail::Requests } else { XlsxDetail::Report };
    let (range, query) = rows_of(&state, &caller, &asked.from, &asked.to)?;
    let zone = state.time_zone();
    let write = move |out: &mut Out| export_xlsx(&*state.store, &query, detail, &zone, out);
    stream(Form::Xlsx.file("tollgate", range), write).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedFocus {
    from: String,
    to: String,
    version: Option<String>,
    format: Option<String>,
}

pub(super) async fn focus(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<AskedFocus>,
) -> Result<Response, Problem> {
    let version = match asked.version.as_deref() {
        None => FocusVersion::default(),
        Some(number) => FocusVersion::from_number(number)
            .ok_or_else(|| Problem::invalid(format!("no FOCUS version {number}: there are 1.2 and 1.4")))?,
    };
    let (form, focus_form) = match asked.format.as_deref() {
        None | Some("csv") => (Form::Csv, FocusForm::Csv),
        Some("parquet") => (Form::Parquet, FocusForm::Parquet),
        Some(other) => return Err(Problem::invalid(format!("no format {other}: there are csv and parquet"))),
    };
    let (range, query) = rows_of(&state, &caller, &asked.from, &asked.to)?;
    let zone = state.time_zone();
    let write = move |out: &mut Out| export_focus(&*state.store, &query, (version, focus_form), &zone, out);
    stream(form.file("focus", range), write).await
}

/// What the caller may see of a range.
fn rows_of(
    state: &AdminState,
    caller: &Caller,
    from: &str,
    to: &str,
) -> Result<(TimeRange, RowQuery), Problem> {
    let range = TimeRange::parse(Some(from), Some(to), state.now().wall, &state.time_zone())?;
    let query = RowQuery {
        kind: None,
        teams: caller.narrow(None)?,
        from: range.from,
        to: range.to,
        ..RowQuery::default()
    };
    Ok((range, query))
}

/// The form of a file.
#[derive(Clone, Copy)]
enum Form {
    Csv,
    Parquet,
    Xlsx,
}

/// How a file is called and what it is.
struct FileHead {
    name: String,
    media_type: &'static str,
}

impl Form {
    fn file(self, kind: &str, range: TimeRange) -> FileHead {
        let (ending, media_type) = match self {
            Self::Csv => ("csv", "text/csv; charset=utf-8"),
            Self::Parquet => ("parquet", "application/vnd.apache.parquet"),
            Self::Xlsx => ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        };
        let day = |at: Option<_>| {
            at.map(rfc3339).map(|at| at.chars().take(10).collect::<String>()).unwrap_or_default()
        };
        FileHead { name: format!("{kind}-{}-{}.{ending}", day(range.from), day(range.to)), media_type }
    }
}

/// Where an export writes to.
type Out = dyn Write + Send;

/// Answers with the file as it is being written.
async fn stream(
    file: FileHead,
    write: impl FnOnce(&mut Out) -> Result<u64, ExportError> + Send + 'static,
) -> Result<Response, Problem> {
    let (sender, mut receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(CHUNK, ChannelWriter(sender));
        let written = write(&mut out);
        if let Err(error) = written.and_then(|_| Ok(out.flush()?)) {
            // Fails when the reader has left, and then nobody is to be told.
            let _ = out.get_ref().0.blocking_send(Err(error));
            // What is still in the buffer belongs to a file that will never be whole.
            let _ = out.into_parts();
        }
    });
    let first = receiver.recv().await.unwrap_or_else(|| Ok(Bytes::new())).map_err(Problem::from)?;
    let headers = [
        (header::CONTENT_TYPE, file.media_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", file.name)),
    ];
    Ok((headers, Body::new(ChannelBody { first: Some(first), rest: receiver })).into_response())
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Store(error) => error.into(),
            ExportError::DoesNotFit { .. } | ExportError::TooLong(_) => Self::invalid(error.to_string()),
            ExportError::Write(_) => Self::internal(&error.to_string()),
        }
    }
}

/// The end that a blocking thread writes into.
struct ChannelWriter(mpsc::Sender<Result<Bytes, ExportError>>);

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end that the client reads from.
struct ChannelBody {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Result<Bytes, ExportError>>,
}

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = ExportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExportError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.rest.poll_recv(context).map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }
}
