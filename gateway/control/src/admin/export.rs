//! `GET /export/…`: finance's files, streamed from the ledger.

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
use tollgate_finance::{ExportError, FocusVersion, TimeRange, export_csv, export_focus};

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
    let name = file_name("tollgate", range);
    stream(name, move |out| export_csv(&*state.store, &query, out)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedFocus {
    from: String,
    to: String,
    version: Option<String>,
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
    let (range, query) = rows_of(&state, &caller, &asked.from, &asked.to)?;
    let (name, zone) = (file_name("focus", range), state.time_zone());
    stream(name, move |out| export_focus(&*state.store, &query, version, &zone, out)).await
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

/// Answers with the file as it is being written.
async fn stream(
    name: String,
    write: impl FnOnce(&mut dyn Write) -> Result<u64, ExportError> + Send + 'static,
) -> Result<Response, Problem> {
    let (sender, mut receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut file = BufWriter::with_capacity(CHUNK, ChannelWriter(sender));
        let written = write(&mut file);
        let ended = written.map_err(io::Error::other).and_then(|_| file.flush());
        if let Err(error) = ended {
            // Fails when the reader has left, and then nobody is to be told.
            let _ = file.get_ref().0.blocking_send(Err(error));
        }
    });
    // What fails before the first byte is a problem; what fails later breaks the connection, so
    // that half a file never looks whole.
    let first = receiver.recv().await.unwrap_or_else(|| Ok(Bytes::new()));
    let first = first.map_err(|error| Problem::ledger_unavailable(error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::new(ChannelBody { first: Some(first), rest: receiver })).into_response())
}

fn file_name(kind: &str, range: TimeRange) -> String {
    let day =
        |at: Option<_>| at.map(rfc3339).map(|at| at.chars().take(10).collect::<String>()).unwrap_or_default();
    format!("{kind}-{}-{}.csv", day(range.from), day(range.to))
}

/// The end that a blocking thread writes into.
struct ChannelWriter(mpsc::Sender<io::Result<Bytes>>);

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
    rest: mpsc::Receiver<io::Result<Bytes>>,
}

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.rest.poll_recv(context).map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }
}
