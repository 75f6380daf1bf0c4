//! Price lists that others keep, as entries of ours.
//!
//! The list of the LiteLLM project tells prices per token as JSON numbers; [`import`] reads their
//! digits, never a float, and gives what differs from the prices in force. Whatever looks like a
//! mistake is refused by name and left out.

pub(crate) mod amount;
mod litellm;
mod write;

use std::fmt;

use tollgate_accounting::price::{PriceBook, PriceEntry, Rates};
use tollgate_domain::{Money, Name, UnixMillis, UpstreamModel, UpstreamName};

pub use write::write_entries;

/// A change by more than this factor, up or down, is taken for a mistake of the list.
const LARGEST_CHANGE: i128 = 10;
/// Output that costs less than this part of the input is taken for swapped figures.
const LEAST_OUTPUT_PART: i128 = 10;

/// What is imported, and as what.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// From when on the prices count.
    pub from: UnixMillis,
    /// The currency of the list.
    pub currency: Name,
    /// Only models of these providers, by the list's own names; all when empty.
    pub providers: Vec<String>,
    /// The upstream that the entries are for; `None` is every upstream.
    pub upstream: Option<UpstreamName>,
    /// Takes prices that changed by more than a factor of ten.
    pub allow_large_changes: bool,
}

/// What a list gave.
#[derive(Debug, Default)]
pub struct Import {
    /// Prices that are new or differ from those in force, sorted by model.
    pub entries: Vec<PriceEntry>,
    /// Prices that are in force already.
    pub unchanged: usize,
    /// Models of the list that have no price by tokens, or none at all.
    pub skipped: usize,
    /// Prices that look like mistakes.
    pub refused: Vec<Refusal>,
}

/// A price that was left out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The list's name of the model.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.why)
    }
}

/// A file that is no price list.
#[derive(Debug, thiserror::Error)]
#[error("not a price list: {0}")]
pub struct ImportError(#[from] serde_json::Error);

/// Reads a list of the LiteLLM project and compares it with the `present` prices.
///
/// # Errors
/// The text is not a JSON object of models. Faults of single models are told in the result.
pub fn import(text: &[u8], present: &[PriceEntry], options: &ImportOptions) -> Result<Import, ImportError> {
    let mut import = Import::default();
    let mut taken: Vec<UpstreamModel> = Vec::new();
    for (name, model) in litellm::read(text)? {
        let entry = match model.entry(&name, options) {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                import.skipped += 1;
                continue;
            }
            Err(why) => {
                import.refused.push(Refusal { name, why });
                continue;
            }
        };
        if let Err(unsound) = PriceBook::build(vec![entry.clone()]) {
            import.refused.push(Refusal { name, why: unsound.to_string() });
            continue;
        }
        let now = in_force(present, &entry);
        if now.is_some_and(|now| same_price(now, &entry)) {
            import.unchanged += 1;
        } else if let Err(why) = plausible(&entry, now, options) {
            import.refused.push(Refusal { name, why });
        } else if taken.contains(&entry.model) {
            let why = format!("the list has `{}` under another name too: import one provider", entry.model);
            import.refused.push(Refusal { name, why });
        } else {
            taken.push(entry.model.clone());
            import.entries.push(entry);
        }
    }
    import.entries.sort_by(|one, other| one.model.as_str().cmp(other.model.as_str()));
    Ok(import)
}

/// The price that would count without the import: that of the same upstream, else that of every one.
fn in_force<'a>(present: &'a [PriceEntry], entry: &PriceEntry) -> Option<&'a PriceEntry> {
    let newest = |upstream: Option<&UpstreamName>| {
        present
            .iter()
            .filter(|known| known.model == entry.model && known.region.is_none())
            .filter(|known| known.upstream.as_ref() == upstream)
            .filter(|known| known.from <= entry.from)
            .max_by_key(|known| known.from)
    };
    entry.upstream.as_ref().and_then(|upstream| newest(Some(upstream))).or_else(|| newest(None))
}

/// What the list cannot say (fees that it lacks, an id of ours) does not make a difference.
fn same_price(now: &PriceEntry, entry: &PriceEntry) -> bool {
    let comparable = now.per == entry.per && now.currency == entry.currency;
    let tiers = |of: &PriceEntry| {
        of.tiers.iter().map(|tier| (tier.above_input_tokens, tier.rates)).collect::<Vec<_>>()
    };
    comparable
        && now.rates == entry.rates
        && tiers(now) == tiers(entry)
        && (entry.batch_multiplier.is_none() || now.batch_multiplier == entry.batch_multiplier)
        && (entry.per_search.is_none() || now.per_search == entry.per_search)
}

fn plausible(entry: &PriceEntry, now: Option<&PriceEntry>, options: &ImportOptions) -> Result<(), String> {
    if let (Some(input), Some(output)) = (entry.rates.input, entry.rates.output)
        && output.pico() < input.pico() / LEAST_OUTPUT_PART
    {
        return Err(format!("output at {output} is less than a tenth of input at {input}"));
    }
    let Some(now) = now.filter(|now| !options.allow_large_changes && now.per == entry.per) else {
        return Ok(());
    };
    let sides = |rates: &Rates| [("input", rates.input), ("output", rates.output)];
    for ((side, new), (_, old)) in sides(&entry.rates).into_iter().zip(sides(&now.rates)) {
        let (Some(new), Some(old)) = (new, old) else { continue };
        let jumps = |small: Money, large: Money| large.pico() > small.pico().saturating_mul(LARGEST_CHANGE);
        if jumps(old, new) || jumps(new, old) {
            return Err(format!("{side} changes from {old} to {new}, by more than a factor of ten"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tollgate_accounting::price::PriceBook;

    use super::*;

    fn options() -> ImportOptions {
        ImportOptions {
            from: UnixMillis::new(1_795_478_400_000),
            currency: "USD".into(),
            providers: Vec::new(),
            upstream: None,
            allow_large_changes: false,
        }
    }

    const LIST: &str = r#"{
        "sample_spec": {"input_cost_per_token": 0.0, "mode": "one of: chat"},
        "gpt-a": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 16384,
            "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
            "cache_read_input_token_cost": 1.25E-6, "input_cost_per_token_batches": 1.25e-06,
            "output_cost_per_token_batches": 5e-06,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.025}},
        "claude-b": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-06,
            "output_cost_per_token": 1.5e-05, "cache_creation_input_token_cost": 3.75e-06,
            "cache_creation_input_token_cost_above_1hr": 6e-06, "cache_read_input_token_cost": 3e-07,
            "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token_above_200k_tokens": 2.25e-05},
        "noisy": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 2.9999999999999997e-07,
            "output_cost_per_token": "0.0000006"},
        "embed": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 2e-08, "output_cost_per_token": 0.0},
        "free": {"mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0},
        "picture": {"mode": "image_generation", "input_cost_per_pixel": 1.9e-08},
        "swapped": {"mode": "chat", "input_cost_per_token": 7e-06, "output_cost_per_token": 1e-07},
        "negative": {"mode": "chat", "input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06},
        "words": {"mode": "chat", "input_cost_per_token": "cheap", "output_cost_per_token": 1e-06}
    }"#;

    fn names(import: &Import) -> Vec<&str> {
        import.entries.iter().map(|entry| entry.model.as_str()).collect()
    }

    #[test]
    fn prices_are_read_from_their_digits_and_what_looks_wrong_is_left_out() {
        let import = import(LIST.as_bytes(), &[], &options()).expect("a list");
        assert_eq!(names(&import), ["claude-b", "embed", "gpt-a", "noisy"]);
        let refused: Vec<&str> = import.refused.iter().map(|refusal| refusal.name.as_str()).collect();
        assert_eq!(refused, ["negative", "swapped", "words"]);
        assert_eq!(import.skipped, 3, "the sample, the free one and the picture");
        let text = write_entries(&import.entries);
        let want = [
            r#"  - { model: "claude-b", from: 2026-11-24, currency: USD, input: "3", cached_input: "0.3", cache_write: "3.75", cache_write_1h: "6", output: "15", tiers: [{ above_input_tokens: 200000, input: "6", output: "22.5" }] }"#,
            r#"  - { model: "embed", from: 2026-11-24, currency: USD, input: "0.02" }"#,
            r#"  - { model: "gpt-a", from: 2026-11-24, currency: USD, input: "2.5", cached_input: "1.25", output: "10", batch_multiplier: "0.5", per_search: "0.025" }"#,
            r#"  - { model: "noisy", from: 2026-11-24, currency: USD, input: "0.3", output: "0.6" }"#,
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), want);
        PriceBook::build(import.entries).expect("sound prices");
    }

    #[test]
    fn what_is_in_force_is_not_written_again_and_large_changes_need_a_word() {
        let first = import(LIST.as_bytes(), &[], &options()).expect("a list");
        let again = import(LIST.as_bytes(), &first.entries, &options()).expect("a list");
        assert_eq!((again.entries.len(), again.unchanged), (0, 4));
        let dearer = LIST.replace("2.5e-06", "2.6e-05");
        let changed = import(dearer.as_bytes(), &first.entries, &options()).expect("a list");
        assert_eq!(changed.entries.len(), 0);
        assert!(changed.refused.iter().any(|refusal| refusal.why.contains("from 2.5 to 26")), "{changed:?}");
        let allowed = ImportOptions { allow_large_changes: true, ..options() };
        let changed = import(dearer.as_bytes(), &first.entries, &allowed).expect("a list");
        assert_eq!(names(&changed), ["gpt-a"]);
    }

    #[test]
    fn one_provider_can_be_chosen_and_bound_to_an_upstream() {
        let options = ImportOptions {
            providers: vec!["anthropic".into()],
            upstream: Some("claude-eu".into()),
            ..options()
        };
        let import = import(LIST.as_bytes(), &[], &options).expect("a list");
        assert_eq!(names(&import), ["claude-b"]);
        assert!(
            write_entries(&import.entries).contains(r#"model: "claude-b", upstream: "claude-eu", from:"#)
        );
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "[]", "{", "{\"a\": 1}", "{\"a\": {\"mode\": \"chat\"} x"] {
            assert!(import(text.as_bytes(), &[], &options()).is_err(), "{text}");
        }
    }
}
