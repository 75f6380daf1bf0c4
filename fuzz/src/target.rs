//! The list of targets: made of the dialects, framings and formats that there are.

use tollgate_dialect::{Dialect, Framing};
use tollgate_finance::reconcile::Format;

use crate::{form, hub, invoice, known, path, price_list, reply, request, row, split, stream, trace};

/// A parser with the laws that hold for it.
#[derive(Clone, Copy, Debug)]
pub struct Target(Parser);

#[derive(Clone, Copy, Debug)]
enum Parser {
    /// A stream into its events.
    Split(Framing),
    /// A request's head, its edits, its estimate.
    Request(Dialect),
    /// A plain answer's figures, an error's meaning.
    Reply(Dialect),
    /// A streamed answer's events.
    Stream(Dialect),
    /// A request into the hub form and out of it.
    HubRequest(Dialect),
    /// An answer into the hub form and out of it.
    HubReply(Dialect),
    /// A stream into the hub form and out of it.
    HubStream(Dialect),
    /// A request line.
    Path,
    /// A form with files.
    Form,
    /// A price list of somebody else.
    PriceList,
    /// A provider's invoice.
    Invoice(Format),
    /// A row of the journal.
    Row,
    /// A caller's place in a trace.
    TraceContext,
}

impl Target {
    /// Every target. A new dialect is in it by itself; a new framing by its line in `known`.
    #[must_use]
    pub fn all() -> Vec<Self> {
        use Parser::{
            Form, HubReply, HubRequest, HubStream, Invoice, Path, PriceList, Reply, Request, Row, Split,
            Stream, TraceContext,
        };
        let of_dialects = Dialect::ALL.into_iter().flat_map(|dialect| {
            let plain = [Request, Reply].map(|parser| parser(dialect));
            let streams = Some(Stream(dialect)).filter(|_| !known::streamed(dialect).is_empty());
            let hub = [HubRequest, HubReply, HubStream].map(|parser| parser(dialect));
            let has_hub = dialect.codec().hub().is_some();
            plain.into_iter().chain(streams).chain(hub.into_iter().filter(move |_| has_hub))
        });
        known::FRAMINGS
            .into_iter()
            .map(Split)
            .chain(of_dialects)
            .chain([Path, Form, PriceList, Row, TraceContext])
            .chain(Format::ALL.into_iter().map(Invoice))
            .map(Self)
            .collect()
    }

    /// The target of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|target| target.name() == name)
    }

    /// Its name, which its corpus has as well.
    #[must_use]
    pub fn name(&self) -> String {
        match self.0 {
            Parser::Split(framing) => format!("split-{}", known::framing_name(framing)),
            Parser::Request(dialect) => format!("request-{}", dialect.as_str()),
            Parser::Reply(dialect) => format!("reply-{}", dialect.as_str()),
            Parser::Stream(dialect) => format!("stream-{}", dialect.as_str()),
            Parser::HubRequest(dialect) => format!("hub-request-{}", dialect.as_str()),
            Parser::HubReply(dialect) => format!("hub-reply-{}", dialect.as_str()),
            Parser::HubStream(dialect) => format!("hub-stream-{}", dialect.as_str()),
            Parser::Path => "path".to_owned(),
            Parser::Form => "form".to_owned(),
            Parser::PriceList => "price-list".to_owned(),
            Parser::Invoice(format) => format!("invoice-{}", format.as_str()),
            Parser::Row => "row".to_owned(),
            Parser::TraceContext => "trace-context".to_owned(),
        }
    }

    /// The corpora whose files are worth a try: its own, and where two dialects share a family, that of
    /// the family's first as well.
    #[must_use]
    pub fn corpora(&self) -> Vec<String> {
        let own = self.name();
        let (Parser::Request(dialect)
        | Parser::Reply(dialect)
        | Parser::Stream(dialect)
        | Parser::HubRequest(dialect)
        | Parser::HubReply(dialect)
        | Parser::HubStream(dialect)) = self.0
        else {
            return vec![own];
        };
        let first = Dialect::ALL.into_iter().find(|other| other.family() == dialect.family());
        match first.filter(|first| *first != dialect) {
            Some(first) => {
                let kind = own.strip_suffix(dialect.as_str()).unwrap_or(&own);
                vec![format!("{kind}{}", first.as_str()), own]
            }
            None => vec![own],
        }
    }

    /// Checks its laws on some bytes.
    ///
    /// # Panics
    /// A law is broken.
    pub fn check(&self, bytes: &[u8]) {
        match self.0 {
            Parser::Split(framing) => split::check(framing, bytes),
            Parser::Request(dialect) => request::check(dialect, bytes),
            Parser::Reply(dialect) => reply::check(dialect, bytes),
            Parser::Stream(dialect) => stream::check(dialect, bytes),
            Parser::HubRequest(dialect) => hub::request(dialect, bytes),
            Parser::HubReply(dialect) => hub::reply(dialect, bytes),
            Parser::HubStream(dialect) => hub::stream(dialect, bytes),
            Parser::Path => path::check(bytes),
            Parser::Form => form::check(bytes),
            Parser::PriceList => price_list::check(bytes),
            Parser::Invoice(format) => invoice::check(format, bytes),
            Parser::Row => row::check(bytes),
            Parser::TraceContext => trace::check(bytes),
        }
    }
}
