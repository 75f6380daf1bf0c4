//! Rates of exchange: currencies that exist, rates that are rates, each date once.

use std::collections::HashMap;

use tollgate_accounting::price::Rate;

use crate::config::{currency::is_currency, problem::Path};

use super::Check;

impl Check<'_> {
    pub(super) fn exchange(&mut self) {
        let list = Path::default().field("fx");
        let mut first = HashMap::new();
        for (index, given) in self.file.fx.iter().enumerate() {
            let here = list.index(index);
            if !is_currency(&given.currency) {
                self.error(here.field("currency"), "not a currency: use a code of ISO 4217, such as EUR");
            } else if given.currency == self.file.currency {
                self.error(here.field("currency"), "this is the configuration's own currency: leave it out");
            }
            if Rate::from_decimal(given.rate).is_none() {
                self.error(
                    here.field("rate"),
                    "expected a decimal above 0 and up to 1000000 with at most six places",
                );
            }
            if let Some(earlier) = first.get(&(&given.currency, given.from)) {
                let earlier = self.tree.place_of(&list.index(*earlier)).clone();
                let message = format!(
                    "`{}` has a rate for this date already, at {earlier}: change the date of one",
                    given.currency
                );
                self.error(here.field("from"), message);
            } else {
                first.insert((&given.currency, given.from), index);
            }
        }
    }
}
