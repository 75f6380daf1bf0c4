//! Calls of models without a price: what they cost is unknown, so people must hear of them.
//!
//! Each is counted; the log tells once a minute and model, over all cores.

use std::collections::HashMap;

use parking_lot::Mutex;
use tollgate_domain::{ModelAlias, UnixMillis};

const MINUTE: i64 = 60_000;

/// When each model without a price was told of last.
#[derive(Debug, Default)]
pub(crate) struct Unpriced(Mutex<HashMap<ModelAlias, i64>>);

impl Unpriced {
    /// True for the first call of a model in a minute. Models are those of the configuration, so
    /// that few are remembered.
    pub(crate) fn is_news(&self, model: &ModelAlias, at: UnixMillis) -> bool {
        let minute = at.get().div_euclid(MINUTE);
        let mut told = self.0.lock();
        match told.get_mut(model) {
            Some(last) if *last == minute => false,
            Some(last) => {
                *last = minute;
                true
            }
            None => {
                told.insert(model.clone(), minute);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_news_once_a_minute() {
        let unpriced = Unpriced::default();
        let asked = |model: &str, at| unpriced.is_news(&model.into(), UnixMillis::new(at));
        assert_eq!([asked("a", 0), asked("a", 59_999), asked("b", 1)], [true, false, true]);
        assert_eq!([asked("a", 60_000), asked("a", 60_001)], [true, false]);
    }
}
