//! The models that a target's upstream says it serves: one that comes anew is a silent change.

use parking_lot::Mutex;
use tollgate_domain::UnixMillis;

/// Models of one target that are told apart; of a router that serves more, the newest.
const MOST: usize = 8;
/// A model that was not seen for so long comes anew. While a provider rolls a version out, old and new
/// answer in turn; that is one change and not thousands.
const FORGOTTEN_MILLIS: i64 = 3_600_000;

/// Which models have answered lately, the last one at the end.
#[derive(Debug, Default)]
pub(crate) struct ServedModels(Mutex<Vec<Seen>>);

#[derive(Debug)]
struct Seen {
    model: Box<str>,
    at: UnixMillis,
}

impl ServedModels {
    /// Takes in which model has answered. Gives the one before where this one comes anew.
    pub(crate) fn answered(&self, model: &str, at: UnixMillis) -> Option<Box<str>> {
        let mut seen = self.0.lock();
        if let Some(last) = seen.last_mut()
            && *last.model == *model
        {
            last.at = last.at.max(at);
            return None;
        }
        let before = seen.last().map(|last| last.model.clone());
        let known = seen.iter().position(|known| *known.model == *model).map(|place| seen.remove(place));
        let is_remembered = known.is_some_and(|known| at.since(known.at) < FORGOTTEN_MILLIS);
        if seen.len() == MOST {
            seen.remove(0);
        }
        seen.push(Seen { model: model.into(), at });
        before.filter(|_| !is_remembered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_comes_anew_is_a_change_and_one_that_takes_turns_is_none() {
        let served = ServedModels::default();
        let hour = FORGOTTEN_MILLIS;
        let steps = [
            ("the first is no change", "a", 0, None),
            ("the same", "a", 1, None),
            ("another", "b", 2, Some("a")),
            ("back, while both are served", "a", 3, None),
            ("and again", "b", 4, None),
            ("long after", "a", 4 + hour, Some("b")),
            ("a clock that is set back", "a", 0, None),
            ("still remembered", "b", 5 + hour - 2, None),
        ];
        for (step, model, at, want) in steps {
            assert_eq!(served.answered(model, UnixMillis::new(at)).as_deref(), want, "{step}");
        }
    }

    #[test]
    fn few_models_are_remembered_however_many_come() {
        let served = ServedModels::default();
        for n in 0..100 {
            served.answered(&format!("m{n}"), UnixMillis::new(n));
        }
        assert_eq!(served.0.lock().len(), MOST);
    }
}
