//! What it cost: each meter by its price line.

use tollgate_accounting::ledger::{Entry, Flags};
use tollgate_domain::{Money, UsageSource};

use super::Explanation;

pub(super) fn tell(row: &Entry, said: &mut Explanation) {
    let currency = &row.currency;
    for meter in &row.meters {
        let list = meter.list_price.map(|list| format!(", by the list {list}")).unwrap_or_default();
        said.costs.push(format!(
            "{} {} ({}) × {}{list} = {} {currency}, by the price {}",
            meter.quantity,
            meter.meter.unit(),
            meter.meter.as_str(),
            meter.unit_price,
            meter.cost,
            meter.price_id
        ));
    }
    said.costs.push(match row.cost {
        None => "Its cost is not known: the model has no price.".to_owned(),
        Some(cost) => format!("Together {cost} {currency}."),
    });
    if row.reserved_cost != Money::ZERO {
        said.costs.push(format!("Before the call {} {currency} were reserved.", row.reserved_cost));
    }
    if row.waste_cost != Money::ZERO {
        said.costs.push(format!(
            "Attempts without an answer cost {} {currency} beside it; the caller is not charged for them.",
            row.waste_cost
        ));
    }
    if row.flags.contains(Flags::PRICE_INCOMPLETE) {
        said.costs.push("A count had no price of its own, so its parent's was used.".to_owned());
    }
    match row.usage_source {
        UsageSource::Reported => {}
        UsageSource::Counted => {}
        UsageSource::Estimated => {
            said.unknown.push("what the provider counted: the usage is the gateway's estimate".to_owned());
        }
    }
}
