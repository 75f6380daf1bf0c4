//! Bytes to values.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use smallvec::SmallVec;
use tollgate_domain::{Money, Name, RequestId, UnitPrice, UnixMillis, Usage, UsageSource};

use super::{
    MAX_SHARED, field,
    wire::{DecodeError, Field, Fields},
};
use crate::{
    ledger::entry::{Attempt, End, Entry, Flags, Identity, Kind, Place, ServedBy},
    price::{Meter, MeterKind},
};

/// Reads rows and shares what they have in common: a thousand rows of one key have one identity.
#[derive(Debug)]
pub struct Decoder {
    blank: Entry,
    identities: Known<Arc<Identity>>,
    places: Known<Arc<Place>>,
    names: Known<Name>,
}

/// Values by the bytes that they were read from. Most of these bytes are our own configuration's, the
/// seed is random, and a map is emptied before it is large: a hash that withstands more than that
/// would cost more than everything else in reading a row.
type Known<T> = HashMap<Box<[u8]>, T, foldhash::fast::RandomState>;

impl Decoder {
    /// A decoder that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            blank: blank(),
            identities: HashMap::default(),
            places: HashMap::default(),
            names: HashMap::default(),
        }
    }

    /// Reads a row that [`encode_entry`](super::encode_entry) wrote.
    ///
    /// # Errors
    /// The bytes are no row, or one with values that this build does not know.
    pub fn entry(&mut self, bytes: &[u8]) -> Result<Entry, DecodeError> {
        let mut id = None;
        let mut identity = None;
        let mut entry = self.blank.clone();
        for field in Fields(bytes) {
            let field = field?;
            match field.number {
                field::ID => id = Some(RequestId::from_bytes(field.array()?)),
                field::KIND => entry.kind = Kind::from_number(field.number()?).ok_or(field.malformed())?,
                field::STARTED_AT => entry.started_at = UnixMillis::new(field.signed()?),
                field::ENDED_AT => entry.ended_at = UnixMillis::new(field.signed()?),
                field::IDENTITY => identity = Some(self.identity(field)?),
                field::REQUEST_TAG => entry.request_tags.push(self.tag(field)?),
                field::END_USER => entry.end_user = Some(field.text()?.into()),
                field::SESSION => entry.session = Some(field.text()?.into()),
                field::CLIENT => entry.client = Some(field.text()?.into()),
                field::MODEL => entry.model = self.name(field)?.into(),
                field::PLACE => entry.place = Some(self.place(field)?),
                field::SERVED_MODEL => entry.served_model = Some(field.text()?.into()),
                field::DIALECT => entry.dialect = word(field)?,
                field::OPERATION => entry.operation = word(field)?,
                field::STREAM => entry.stream = field.number()? != 0,
                field::STATUS => entry.status = field.narrow()?,
                field::ERROR_CODE => entry.error_code = Some(word(field)?),
                field::END => entry.end = Some(End::from_number(field.number()?).ok_or(field.malformed())?),
                field::SERVED_BY => {
                    entry.served_by = ServedBy::from_number(field.number()?).ok_or(field.malformed())?;
                }
                field::USAGE => entry.usage = usage(field)?,
                field::USAGE_SOURCE => entry.usage_source = source(field)?,
                field::METER => entry.meters.push(self.meter(field)?),
                field::SERVICE_TIER => entry.service_tier = Some(field.text()?.into()),
                field::COST => entry.cost = Some(field.money()?),
                field::CURRENCY => entry.currency = self.name(field)?,
                field::RESERVED_COST => entry.reserved_cost = field.money()?,
                field::WASTE_COST => entry.waste_cost = field.money()?,
                field::ATTEMPT => entry.attempts.push(self.attempt(field)?),
                field::UPSTREAM_REQUEST_ID => entry.upstream_request_id = Some(field.text()?.into()),
                field::TRACE_ID => entry.trace_id = Some(field.text()?.into()),
                field::TTFT_MS => entry.ttft_ms = Some(field.narrow()?),
                field::DURATION_MS => entry.duration_ms = field.narrow()?,
                field::CONFIG_VERSION => entry.config_version = field.number()?,
                field::ADJUSTS => entry.adjusts = Some(RequestId::from_bytes(field.array()?)),
                field::FLAGS => entry.flags = Flags::from_bits(field.narrow()?),
                _ => {}
            }
        }
        entry.id = id.ok_or(DecodeError::Missing("id"))?;
        entry.identity = identity.ok_or(DecodeError::Missing("identity"))?;
        Ok(entry)
    }

    /// Reads whose row it is, and nothing else.
    ///
    /// # Errors
    /// The bytes up to there are no row.
    pub fn identity_of(&mut self, bytes: &[u8]) -> Result<Arc<Identity>, DecodeError> {
        for field in Fields(bytes) {
            let field = field?;
            if field.number == field::IDENTITY {
                return self.identity(field);
            }
        }
        Err(DecodeError::Missing("identity"))
    }

    /// Reads a START.
    pub(in crate::ledger) fn start(&mut self, bytes: &[u8]) -> Result<OpenRequest, DecodeError> {
        // What a START shares with a row has the same numbers; the rest is picked out here.
        let mut open = OpenRequest {
            row: self.entry(bytes)?,
            input_estimate: 0,
            output_reserved: 0,
            output_so_far: 0,
            price: None,
            hard: false,
        };
        for field in Fields(bytes) {
            let field = field?;
            match field.number {
                field::INPUT_ESTIMATE => open.input_estimate = field.number()?,
                field::OUTPUT_RESERVED => open.output_reserved = field.number()?,
                field::HARD => open.hard = field.number()? != 0,
                field::START_PRICE => open.price = Some(self.start_price(field)?),
                _ => {}
            }
        }
        Ok(open)
    }

    /// Reads what every record begins with: its id, and a row's kind.
    pub(in crate::ledger) fn head(bytes: &[u8]) -> Result<(RequestId, Option<Kind>), DecodeError> {
        let mut fields = Fields(bytes);
        let id = match fields.next() {
            Some(field) => field?,
            None => return Err(DecodeError::Missing("id")),
        };
        if id.number != field::ID {
            return Err(DecodeError::Missing("id"));
        }
        let kind = match fields.next() {
            Some(Ok(kind)) if kind.number == field::KIND => Kind::from_number(kind.number()?),
            _ => None,
        };
        Ok((RequestId::from_bytes(id.array()?), kind))
    }

    /// Reads a CHECKPOINT's output tokens.
    pub(in crate::ledger) fn checkpoint(bytes: &[u8]) -> Result<u64, DecodeError> {
        for field in Fields(bytes) {
            let field = field?;
            if field.number == field::OUTPUT_SO_FAR {
                return field.number();
            }
        }
        Ok(0)
    }

    /// A name; one that was seen before is known to be text.
    fn name(&mut self, field: Field<'_>) -> Result<Name, DecodeError> {
        if let Some(known) = self.names.get(field.content) {
            return Ok(known.clone());
        }
        let name: Name = field.text()?.into();
        remember(&mut self.names, field.content, &name);
        Ok(name)
    }

    fn identity(&mut self, field: Field<'_>) -> Result<Arc<Identity>, DecodeError> {
        if let Some(known) = self.identities.get(field.content) {
            return Ok(known.clone());
        }
        let none: Name = "".into();
        let mut identity = Identity {
            organization: none.clone(),
            instance: none.clone(),
            team: none.clone().into(),
            project: none.clone().into(),
            key: none.into(),
            cost_center: None,
            tags: Vec::new(),
        };
        for part in Fields(field.content) {
            let part = part?;
            match part.number {
                1 => identity.organization = self.name(part)?,
                2 => identity.instance = self.name(part)?,
                3 => identity.team = self.name(part)?.into(),
                4 => identity.project = self.name(part)?.into(),
                5 => identity.key = self.name(part)?.into(),
                6 => identity.cost_center = Some(self.name(part)?),
                7 => identity.tags.push(self.tag(part)?),
                _ => {}
            }
        }
        let identity = Arc::new(identity);
        remember(&mut self.identities, field.content, &identity);
        Ok(identity)
    }

    fn place(&mut self, field: Field<'_>) -> Result<Arc<Place>, DecodeError> {
        if let Some(known) = self.places.get(field.content) {
            return Ok(known.clone());
        }
        let none: Name = "".into();
        let mut place = Place {
            provider: none.clone(),
            account: None,
            upstream: none.clone().into(),
            upstream_model: none.clone().into(),
            region: none.clone().into(),
            zone: none.into(),
        };
        for part in Fields(field.content) {
            let part = part?;
            match part.number {
                1 => place.provider = self.name(part)?,
                2 => place.account = Some(self.name(part)?),
                3 => place.upstream = self.name(part)?.into(),
                4 => place.upstream_model = self.name(part)?.into(),
                5 => place.region = self.name(part)?.into(),
                6 => place.zone = self.name(part)?.into(),
                _ => {}
            }
        }
        let place = Arc::new(place);
        remember(&mut self.places, field.content, &place);
        Ok(place)
    }

    fn tag(&mut self, field: Field<'_>) -> Result<(Name, Name), DecodeError> {
        let (mut name, mut value) = (None, None);
        for part in Fields(field.content) {
            let part = part?;
            match part.number {
                1 => name = Some(self.name(part)?),
                // Values may be as many as there are requests: not worth remembering.
                2 => value = Some(part.text()?.into()),
                _ => {}
            }
        }
        name.zip(value).ok_or(field.malformed())
    }

    fn meter(&mut self, field: Field<'_>) -> Result<Meter, DecodeError> {
        let (mut meter, mut price_id, mut list_price) = (None, None, None);
        let (mut quantity, mut unit_price, mut cost) = (0, UnitPrice::default(), Money::ZERO);
        for part in Fields(field.content) {
            let part = part?;
            match part.number {
                1 => meter = Some(MeterKind::from_name(part.text()?).ok_or(part.malformed())?),
                2 => quantity = part.number()?,
                3 => unit_price = UnitPrice::from_pico(part.signed()?),
                4 => cost = part.money()?,
                5 => price_id = Some(self.name(part)?),
                6 => list_price = Some(UnitPrice::from_pico(part.signed()?)),
                _ => {}
            }
        }
        let (meter, price_id) = meter.zip(price_id).ok_or(field.malformed())?;
        Ok(Meter { meter, quantity, unit_price, list_price, cost, price_id })
    }

    fn attempt(&mut self, field: Field<'_>) -> Result<Attempt, DecodeError> {
        let none = &self.blank.currency;
        let mut attempt = Attempt {
            n: 0,
            upstream: none.clone().into(),
            region: none.clone().into(),
            outcome: Cow::Borrowed(""),
            status: None,
            upstream_request_id: None,
            ttft_ms: None,
            duration_ms: 0,
            meters: SmallVec::new(),
            waste: Money::ZERO,
        };
        for part in Fields(field.content) {
            let part = part?;
            match part.number {
                1 => attempt.n = part.narrow()?,
                2 => attempt.upstream = self.name(part)?.into(),
                3 => attempt.region = self.name(part)?.into(),
                4 => attempt.outcome = word(part)?,
                5 => attempt.status = Some(part.narrow()?),
                6 => attempt.upstream_request_id = Some(part.text()?.into()),
                7 => attempt.ttft_ms = Some(part.narrow()?),
                8 => attempt.duration_ms = part.narrow()?,
                9 => attempt.meters.push(self.meter(part)?),
                10 => attempt.waste = part.money()?,
                _ => {}
            }
        }
        Ok(attempt)
    }

    fn start_price(&mut self, field: Field<'_>) -> Result<OpenPrice, DecodeError> {
        let (mut price_id, mut currency) = (None, None);
        let (mut input, mut output) = (UnitPrice::default(), UnitPrice::default());
        for part in Fields(field.content) {
            let part = part?;
            match part.number {
                1 => price_id = Some(self.name(part)?),
                2 => currency = Some(self.name(part)?),
                3 => input = UnitPrice::from_pico(part.signed()?),
                4 => output = UnitPrice::from_pico(part.signed()?),
                _ => {}
            }
        }
        let (price_id, currency) = price_id.zip(currency).ok_or(field.malformed())?;
        Ok(OpenPrice { price_id, currency, input, output })
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// A request of which only the START, and perhaps CHECKPOINTs, are known.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::ledger) struct OpenRequest {
    /// The row as far as the START tells it.
    pub(in crate::ledger) row: Entry,
    pub(in crate::ledger) input_estimate: u64,
    pub(in crate::ledger) output_reserved: u64,
    pub(in crate::ledger) output_so_far: u64,
    pub(in crate::ledger) price: Option<OpenPrice>,
    pub(in crate::ledger) hard: bool,
}

/// A START's price, owned.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::ledger) struct OpenPrice {
    pub(in crate::ledger) price_id: Name,
    pub(in crate::ledger) currency: Name,
    pub(in crate::ledger) input: UnitPrice,
    pub(in crate::ledger) output: UnitPrice,
}

fn blank() -> Entry {
    let none: Name = "".into();
    Entry {
        id: RequestId::from_bytes([0; 16]),
        seq: 0,
        kind: Kind::Usage,
        started_at: UnixMillis::default(),
        ended_at: UnixMillis::default(),
        identity: Arc::new(Identity {
            organization: none.clone(),
            instance: none.clone(),
            team: none.clone().into(),
            project: none.clone().into(),
            key: none.clone().into(),
            cost_center: None,
            tags: Vec::new(),
        }),
        request_tags: Vec::new(),
        end_user: None,
        session: None,
        client: None,
        model: none.clone().into(),
        place: None,
        served_model: None,
        dialect: Cow::Borrowed(""),
        operation: Cow::Borrowed(""),
        stream: false,
        status: 0,
        error_code: None,
        end: None,
        served_by: ServedBy::Upstream,
        usage: Usage::default(),
        usage_source: UsageSource::Estimated,
        meters: SmallVec::new(),
        service_tier: None,
        cost: None,
        currency: none,
        reserved_cost: Money::ZERO,
        waste_cost: Money::ZERO,
        attempts: SmallVec::new(),
        upstream_request_id: None,
        trace_id: None,
        ttft_ms: None,
        duration_ms: 0,
        config_version: 0,
        adjusts: None,
        flags: Flags::default(),
    }
}

fn remember<T: ?Sized>(shared: &mut Known<Arc<T>>, bytes: &[u8], value: &Arc<T>) {
    if shared.len() >= MAX_SHARED {
        shared.clear();
    }
    shared.insert(bytes.into(), value.clone());
}

fn word(field: Field<'_>) -> Result<Cow<'static, str>, DecodeError> {
    Ok(Cow::Owned(field.text()?.to_owned()))
}

fn usage(field: Field<'_>) -> Result<Usage, DecodeError> {
    let mut usage = Usage::default();
    for part in Fields(field.content) {
        let part = part?;
        let count = match part.number {
            1 => &mut usage.input_uncached,
            2 => &mut usage.input_audio,
            3 => &mut usage.cache_read,
            4 => &mut usage.cache_write_5m,
            5 => &mut usage.cache_write_1h,
            6 => &mut usage.cache_write_other,
            7 => &mut usage.output_text,
            8 => &mut usage.output_reasoning,
            9 => &mut usage.output_audio,
            10 => &mut usage.web_searches,
            11 => &mut usage.cache_read_excess,
            12 => &mut usage.input_image,
            13 => &mut usage.output_image,
            14 => &mut usage.units.images,
            15 => &mut usage.units.audio_millis,
            16 => &mut usage.units.characters,
            17 => &mut usage.units.search_units,
            18 => &mut usage.cache_read_audio,
            _ => continue,
        };
        *count = part.number()?;
    }
    Ok(usage)
}

fn source(field: Field<'_>) -> Result<UsageSource, DecodeError> {
    match field.number()? {
        1 => Ok(UsageSource::Reported),
        2 => Ok(UsageSource::Counted),
        3 => Ok(UsageSource::Estimated),
        _ => Err(field.malformed()),
    }
}
