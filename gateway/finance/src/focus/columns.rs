//! The columns and what a charge says in each.

use std::borrow::Cow;

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use tollgate_domain::{Money, UnixMillis};

use super::{
    FocusVersion, HOUR,
    charge::{Charge, Origin, Status, Sums, What},
    line::Line,
    measure::Measure,
    sku::{self, meter_name},
};
use crate::table::{Cell, Heading};

/// The columns of a version.
pub(super) struct Columns {
    version: FocusVersion,
    zone: TimeZone,
}

impl Columns {
    /// The columns of `version`; billing periods are the months of `zone`.
    pub(super) fn new(version: FocusVersion, zone: TimeZone) -> Self {
        Self { version, zone }
    }

    /// The header: the names of any line, here of one that says nothing.
    pub(super) fn headings(&self) -> Vec<Heading> {
        let nothing = Charge {
            organization: "".into(),
            team: "".into(),
            project: "".into(),
            key: "".into(),
            cost_center: None,
            tags: Default::default(),
            alias: "".into(),
            currency: "".into(),
            served: None,
            origin: Origin::Request,
            what: What::Lump(Money::ZERO),
            status: Status::Settled,
        };
        self.line(UnixMillis::new(0), &nothing, &Sums::default()).headings()
    }

    /// The line of a charge that the ledger counts in the hour that begins at `hour`.
    pub(super) fn cells(
        &self,
        hour: UnixMillis,
        charge: &Charge,
        sums: &Sums,
    ) -> impl Iterator<Item = Cell<'static>> {
        self.line(hour, charge, sums).cells()
    }

    fn line(&self, hour: UnixMillis, charge: &Charge, sums: &Sums) -> Line {
        let mut line = Line::default();
        let charged = match charge.origin {
            Origin::Request | Origin::Capacity(_) => hour,
            Origin::Late { hour } | Origin::Correction { hour, .. } => hour,
        };
        let period = self.month(hour);
        let class = if self.month(charged) == period { Class::Regular } else { Class::Correction };
        money(charge, class, sums, &mut line);
        line.instant("ChargePeriodStart", charged);
        line.instant("ChargePeriodEnd", charged.plus(HOUR));
        line.instant("BillingPeriodStart", period.0);
        line.instant("BillingPeriodEnd", period.1);
        self.parties(charge, &mut line);
        sku::describe(charge, &mut line);
        own(charge, sums, &mut line);
        line
    }

    /// The calendar month of an instant: its begin, and that of the next.
    fn month(&self, at: UnixMillis) -> (UnixMillis, UnixMillis) {
        let at = Timestamp::from_millisecond(at.get()).unwrap_or_default();
        let first = self.zone.to_datetime(at).date().first_of_month();
        let next = first.checked_add(1.month()).unwrap_or(Date::MAX);
        let midnight = |date: Date| {
            let at = self.zone.to_timestamp(date.at(0, 0, 0, 0));
            UnixMillis::new(at.map(Timestamp::as_millisecond).unwrap_or_default())
        };
        (midnight(first), midnight(next))
    }

    fn parties(&self, charge: &Charge, line: &mut Line) {
        let provider = charge.served.as_ref().map_or("", |served| &served.provider);
        let (service, company) = names_of(provider);
        let company = if company.is_empty() { &*charge.organization } else { company };
        line.text("BillingAccountId", &*charge.organization);
        line.text("BillingAccountName", &*charge.organization);
        line.text("BillingAccountType", "Organization");
        line.text("SubAccountId", &*charge.project);
        line.text("SubAccountName", &*charge.project);
        line.text("SubAccountType", "Project");
        // The gateway invoices nobody, and does not know the provider's invoices.
        line.text("InvoiceId", "");
        line.text("InvoiceIssuerName", company);
        let (seller, runner) = match self.version {
            FocusVersion::V1_2 => ("ProviderName", "PublisherName"),
            FocusVersion::V1_4 => ("ServiceProviderName", "HostProviderName"),
        };
        line.text(seller, company);
        line.text(runner, company);
        let region = charge.served.as_ref().map_or("", |served| &served.region);
        line.text("ServiceCategory", "AI and Machine Learning");
        line.text("ServiceSubcategory", "Generative AI");
        line.text("ServiceName", service);
        line.text("RegionId", region);
        line.text("RegionName", region);
    }
}

/// Whether a charge belongs to the billing period in which it happened.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Class {
    Regular,
    /// Its month was closed when it came to light.
    Correction,
}

fn money(charge: &Charge, class: Class, sums: &Sums, line: &mut Line) {
    let category = category(charge, class);
    let measure = Measure::of(charge, sums.quantity);
    let pricing = match (&charge.origin, &charge.what) {
        (Origin::Capacity(_), _) => "Committed",
        (_, What::Metered { .. } | What::Unpriced(_)) => "Standard",
        (_, What::Lump(_)) => "",
    };
    let frequency = match (category, &charge.origin) {
        (_, Origin::Capacity(_)) => "Recurring",
        (_, Origin::Correction { .. }) | ("Adjustment", _) => "One-Time",
        _ => "Usage-Based",
    };
    line.zero("BilledCost");
    line.decimal("EffectiveCost", sums.cost);
    line.decimal("ContractedCost", sums.cost);
    line.decimal("ListCost", measure.list_cost.unwrap_or(sums.cost));
    line.decimal("ContractedUnitPrice", measure.unit_price);
    line.decimal("ListUnitPrice", measure.list_price);
    line.text("BillingCurrency", &*charge.currency);
    line.decimal("PricingQuantity", measure.priced);
    line.text("PricingUnit", measure.pricing_unit);
    // Nothing more is consumed when a price is corrected.
    let is_consumed = !matches!(charge.origin, Origin::Correction { .. });
    line.decimal("ConsumedQuantity", measure.consumed.filter(|_| is_consumed));
    line.text("ConsumedUnit", if is_consumed { measure.consumed_unit } else { Cow::default() });
    line.text("PricingCategory", pricing);
    line.text("ChargeCategory", category);
    line.text("ChargeClass", if class == Class::Correction { "Correction" } else { "" });
    line.text("ChargeDescription", description(charge));
    line.text("ChargeFrequency", frequency);
}

/// Capacity is used by the hour, whoever uses it: a purchase would be something that covers charges to
/// come, and have no effective cost. A correction keeps the category of what it corrects, where a meter tells which that was. Within
/// the open period it is an adjustment, since only those of closed periods may leave out what was
/// consumed.
fn category(charge: &Charge, class: Class) -> &'static str {
    match (&charge.origin, &charge.what) {
        (Origin::Capacity(_), _) => "Usage",
        (_, What::Lump(_)) => "Adjustment",
        (Origin::Correction { .. }, _) if class == Class::Regular => "Adjustment",
        _ => "Usage",
    }
}

/// The service and the company behind it, of a provider's id in the ledger; its own name where it is
/// none of the well-known ones.
fn names_of(provider: &str) -> (&str, &str) {
    match provider {
        "openai" => ("OpenAI API", "OpenAI"),
        "azure" => ("Azure OpenAI", "Microsoft"),
        "anthropic" => ("Claude API", "Anthropic"),
        "aws" => ("Amazon Bedrock", "Amazon Web Services"),
        "" => ("AI gateway", ""),
        other => (other, other),
    }
}

fn description(charge: &Charge) -> String {
    let model = charge.served.as_ref().map_or(&*charge.alias, |served| &*served.model);
    let what = match &charge.what {
        What::Metered { meter, .. } => format!("{} of {model}", meter_name(*meter)),
        What::Unpriced(meter) => format!("{} of {model}, which has no price", meter_name(*meter)),
        What::Lump(_) => model.to_owned(),
    };
    match &charge.origin {
        Origin::Request => what,
        Origin::Capacity(_) => format!("Reserved capacity: {what}"),
        Origin::Late { .. } => format!("Told late: {what}"),
        Origin::Correction { .. } => format!("Adjustment: {what}"),
    }
}

fn own(charge: &Charge, sums: &Sums, line: &mut Line) {
    let status = match charge.status {
        Status::Settled => "Settled",
        Status::Estimated => "Estimated",
        Status::Unknown => "Unknown",
    };
    let price = match &charge.what {
        What::Metered { price_id, .. } => price_id,
        What::Unpriced(_) | What::Lump(_) => "",
    };
    let reason = match &charge.origin {
        Origin::Request => "",
        Origin::Capacity(reason) | Origin::Correction { reason, .. } => reason,
        Origin::Late { .. } => "late",
    };
    line.text("x_Team", &*charge.team);
    line.text("x_CostCenter", charge.cost_center.as_deref().unwrap_or_default());
    line.text("x_KeyId", &*charge.key);
    line.foreign("x_ModelAlias", &charge.alias);
    line.text("x_CostStatus", status);
    line.text("x_PriceVersion", price);
    line.count("x_RequestCount", sums.rows);
    line.count("x_LedgerFrom", sums.seqs.map(|(from, _)| from));
    line.count("x_LedgerTo", sums.seqs.map(|(_, to)| to));
    line.text("x_ChargeReason", reason);
}
