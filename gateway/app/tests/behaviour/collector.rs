//! A collector of OpenTelemetry's protocol over HTTP, in the test's hand: it reads what it gets and answers
//! as it is told to.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use anyhow::{Context as _, Result};
use prost::Message as _;
use tollgate_telemetry::otlp::proto::{
    Data, ExportMetricsServiceRequest, ExportTraceServiceRequest, KeyValue, Metric, Resource, Span, Value,
};

/// How a collector behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// Takes everything.
    Takes,
    /// Takes connections and says nothing.
    Silent,
    /// Answers this status.
    Says(u16),
    /// Answers what is no HTTP.
    Raves,
}

/// A running collector.
pub(crate) struct Collector {
    address: SocketAddr,
    heard: Arc<Heard>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What it was told.
#[derive(Default)]
struct Heard {
    messages: Mutex<Vec<Message>>,
}

/// One message.
struct Message {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Collector {
    pub(crate) fn start(manner: Manner) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (heard, ends) = (Arc::<Heard>::default(), Arc::new(AtomicBool::new(false)));
        let (tells, ended) = (Arc::clone(&heard), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            // Kept, so that nobody sees their end.
            let mut silent = Vec::new();
            for connection in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                match manner {
                    Manner::Silent => silent.push(connection),
                    // What cannot be read is not heard, and the test misses it.
                    manner => _ = tells.serve(connection, manner),
                }
            }
        });
        Ok(Self { address, heard, ends, thread: Some(thread) })
    }

    /// The line of the configuration that names it, as the last fields of `otlp` say.
    pub(crate) fn section(&self, more: &str) -> String {
        section(self.address, more)
    }

    /// The spans that it was told of, in the order in which they began.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = self
            .bodies("/v1/traces")
            .iter()
            .map(|body| ExportTraceServiceRequest::decode(&**body).expect("a message of spans"))
            .flat_map(|message| message.resource_spans)
            .flat_map(|spans| spans.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect();
        spans.sort_by_key(|span| (span.start_time_unix_nano, span.kind));
        spans
    }

    /// The figures that it was last told, and who told them.
    pub(crate) fn figures(&self) -> Option<(Resource, Vec<Metric>)> {
        let body = self.bodies("/v1/metrics").pop()?;
        let message = ExportMetricsServiceRequest::decode(&*body).expect("a message of figures");
        let told = message.resource_metrics.into_iter().next()?;
        let metrics = told.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
        Some((told.resource?, metrics.collect()))
    }

    /// A header of the first message, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let messages = self.heard.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let header = messages.first()?.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.clone())
    }

    /// How many messages came.
    pub(crate) fn messages(&self) -> usize {
        self.heard.messages.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let messages = self.heard.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().filter(|message| message.path == path).map(|message| message.body.clone()).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // The listener looks up when somebody comes.
        let _somebody = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_told = thread.join();
        }
    }
}

impl Heard {
    /// Reads one message, which ends its connection.
    fn serve(&self, connection: TcpStream, manner: Manner) -> Result<()> {
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let path = line.split(' ').nth(1).context("a request line")?.to_owned();
        let (mut headers, mut length) = (Vec::new(), 0);
        loop {
            let mut field = String::new();
            reader.read_line(&mut field)?;
            let Some((name, value)) = field.trim_end().split_once(':') else { break };
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            if name == "content-length" {
                length = value.parse()?;
            }
            headers.push((name, value));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answer = match manner {
            Manner::Takes | Manner::Silent => answer(200, ""),
            Manner::Says(status) => answer(status, "no"),
            Manner::Raves => "\0\u{1}\u{2} what is this\r\n\r\n".repeat(100),
        };
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(Message { path, headers, body });
        reader.get_mut().write_all(answer.as_bytes())?;
        Ok(())
    }
}

fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

/// The section of the configuration that names a collector at this address.
pub(crate) fn section(address: SocketAddr, more: &str) -> String {
    format!("\ntelemetry: {{ otlp: {{ endpoint: \"http://{address}\"{more} }} }}\n")
}

/// The value of an attribute as text.
pub(crate) fn said(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_ref());
    match found.and_then(|value| value.value.as_ref()) {
        None => String::new(),
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
    }
}

/// The sum of a metric's whole numbers, or of the counts of its distributions.
pub(crate) fn total(metrics: &[Metric], name: &str) -> u64 {
    use tollgate_telemetry::otlp::proto::Number;

    let data = metrics.iter().find(|metric| metric.name == name).and_then(|metric| metric.data.as_ref());
    match data {
        Some(Data::Sum(sum)) => {
            let whole = |point: &tollgate_telemetry::otlp::proto::NumberDataPoint| match point.value {
                Some(Number::AsInt(number)) => u64::try_from(number).unwrap_or(0),
                _ => 0,
            };
            sum.data_points.iter().map(whole).sum()
        }
        Some(Data::Histogram(histogram)) => histogram.data_points.iter().map(|point| point.count).sum(),
        Some(Data::Gauge(_)) | None => 0,
    }
}
