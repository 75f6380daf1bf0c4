//! Reserved capacity: an upstream that is paid by the hour needs its size and one price for the hour.

use std::collections::BTreeSet;

use crate::config::{
    file::{Billing, Upstream},
    problem::Path,
};

use super::Check;

impl Check<'_> {
    pub(super) fn capacity(&mut self, here: &Path, upstream: &Upstream) {
        if upstream.capacity.is_some_and(|capacity| capacity.tokens_per_minute == 0) {
            self.error(here.field("capacity").field("tokens_per_minute"), "must be at least 1");
        }
        if upstream.billing != Billing::Provisioned {
            return;
        }
        let billing = here.field("billing");
        if upstream.capacity.is_none() {
            self.error(
                billing.clone(),
                "reserved capacity needs `capacity: { tokens_per_minute: … }`, by which an hour is split into its used and its idle part",
            );
        }
        let targets = self.file.models.iter().flat_map(|model| &model.targets);
        let served: BTreeSet<_> = targets
            .filter(|target| target.upstream == upstream.name)
            .map(|target| (target.model.as_str(), target.price.as_deref()))
            .collect();
        let hourly = |(model, explicit): &&(&str, Option<&str>)| {
            self.prices.items.iter().any(|item| {
                item.per_hour.is_some()
                    && match explicit {
                        Some(id) => item.id.as_deref() == Some(id),
                        None => {
                            item.model == **model
                                && item.upstream.as_ref().is_none_or(|only| *only == upstream.name)
                                && item.region.as_ref().is_none_or(|only| *only == upstream.region)
                        }
                    }
            })
        };
        match served.iter().filter(hourly).count() {
            1 if served.len() == 1 => {}
            0 => self.error(
                billing,
                "none of the upstream's models has a price with `per_hour`: add one to a price file",
            ),
            _ => self.error(
                billing,
                "an hour of reserved capacity is one model's: give each deployment an upstream of its own",
            ),
        }
    }
}
