//! Allocation: shares of teams that exist, and no more than there is.

use crate::config::{
    file::{AllocationMethod, AllocationRule},
    problem::Path,
};

use super::Check;

impl Check<'_> {
    pub(super) fn allocation(&mut self) {
        let here = Path::default().field("allocation");
        let rules = &self.file.allocation;
        self.allocation_rule(&here.field("used"), &rules.used);
        self.allocation_rule(&here.field("idle"), &rules.idle);
    }

    fn allocation_rule(&mut self, here: &Path, rule: &AllocationRule) {
        let shares = here.field("shares");
        match (rule.method == AllocationMethod::Shares, rule.shares.is_empty()) {
            (true, true) => self
                .error(here.field("method"), "`shares` needs the teams' `shares`, such as { retail: 60% }"),
            (false, false) => {
                self.error(shares.clone(), "are for the method `shares`: leave them out, or choose it")
            }
            _ => {}
        }
        for team in rule.shares.keys() {
            let known = self.file.teams.iter().map(|team| team.name.as_str());
            self.reference(shares.field(team), "team", team, known);
        }
        let sum: u64 = rule.shares.values().map(|share| u64::from(share.millionths)).sum();
        if sum > 1_000_000 {
            self.error(shares, "the shares are more than 100% together");
        }
    }
}
