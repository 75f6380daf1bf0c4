//! Names of sheets: at most 31 characters, none of `[]:*?/\`, no quote at an end, and no two alike
//! whatever their case.

use std::collections::BTreeSet;

pub(super) const SUMMARY: &str = "Summary";
pub(super) const NOTES: &str = "Notes";
pub(super) const REQUESTS: &str = "Requests";
/// A name that Excel keeps for itself.
const HISTORY: &str = "History";

const LONGEST: usize = 31;

/// The names that are taken, in lower case.
pub(super) struct SheetNames(BTreeSet<String>);

impl Default for SheetNames {
    fn default() -> Self {
        Self([SUMMARY, NOTES, REQUESTS, HISTORY].map(str::to_lowercase).into())
    }
}

impl SheetNames {
    /// A name for the sheet of a team: the team's own where that is possible, else as near as can be,
    /// with a number if it must.
    pub(super) fn of_team(&mut self, team: &str) -> String {
        let legal: String = team
            .chars()
            .map(|letter| match letter {
                '[' | ']' | ':' | '*' | '?' | '/' | '\\' => '_',
                letter if letter.is_control() => '_',
                letter => letter,
            })
            .collect();
        let legal = match legal.trim_matches('\'') {
            "" => "team",
            legal => legal,
        };
        let mut number = 1;
        loop {
            let suffix = if number == 1 { String::new() } else { format!(" ({number})") };
            let name = format!("{}{suffix}", cut(legal, LONGEST - suffix.len()));
            if self.0.insert(name.to_lowercase()) {
                return name;
            }
            number += 1;
        }
    }
}

/// The begin of a text that has at most `units` UTF-16 units, and ends in no quote.
fn cut(text: &str, units: usize) -> &str {
    let mut left = units;
    let end = text.char_indices().find(|(_, letter)| match left.checked_sub(letter.len_utf16()) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    text[..end.map_or(text.len(), |(at, _)| at)].trim_end_matches('\'')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_xlsxwriter::utility::check_sheet_name;

    use super::*;

    #[test]
    fn names_are_legal_and_no_two_alike() {
        let mut names = SheetNames::default();
        let long = "a-team-whose-name-is-longer-than-a-sheet-takes";
        let cases = [
            ("retail", "retail"),
            ("Retail", "Retail (2)"),
            ("summary", "summary (2)"),
            ("history", "history (2)"),
            ("a/b:c", "a_b_c"),
            ("'quoted'", "quoted"),
            ("", "team"),
            (long, "a-team-whose-name-is-longer-tha"),
            (long, "a-team-whose-name-is-longer (2)"),
        ];
        for (team, want) in cases {
            assert_eq!(names.of_team(team), want, "{team}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_teams_the_names_can_be_used(teams in prop::collection::vec("[ab'/\u{1F600}]{0,40}", 1..30)) {
            let mut names = SheetNames::default();
            let mut seen = BTreeSet::new();
            for team in teams {
                let name = names.of_team(&team);
                prop_assert!(check_sheet_name(&name).is_ok(), "{}", name);
                prop_assert!(seen.insert(name.to_lowercase()));
            }
        }
    }
}
