//! Names of tools, for which each dialect has its own letters and its own length.
//!
//! A name that the upstream would refuse goes there as another one, and comes back as the client's own. The
//! other name is made of the name itself, so that every call of a conversation writes the same one and
//! nothing has to be remembered between them.

use std::collections::{BTreeSet, HashSet};

use super::{HubBlock, HubChoice, HubEvent, HubReply, HubRequest, Untranslatable};

/// What a dialect takes for the name of a tool. Letters and digits are ASCII's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NameRule {
    /// The most characters.
    pub longest: usize,
    /// What may stand in it beside letters and digits.
    pub marks: &'static str,
    /// It begins with a letter or an underscore.
    pub begins_with_letter: bool,
}

impl NameRule {
    /// True for a name that passes as it is.
    #[must_use]
    pub fn permits(&self, name: &str) -> bool {
        // Only ASCII passes, so that bytes are characters.
        let is_long = name.is_empty() || name.len() > self.longest;
        !is_long && name.chars().all(|letter| self.takes(letter)) && self.begins(name)
    }

    fn takes(&self, letter: char) -> bool {
        letter.is_ascii_alphanumeric() || self.marks.contains(letter)
    }

    fn begins(&self, name: &str) -> bool {
        !self.begins_with_letter
            || name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    }

    /// A permitted name that still tells a model what the tool is for. Each `attempt` gives another one.
    fn made_of(&self, name: &str, attempt: u32) -> String {
        let mark = format!("_{:08x}", hash(attempt, name));
        let room = self.longest.saturating_sub(mark.len());
        let front = if self.begins(name) { "" } else { "_" };
        let letters = name.chars().map(|letter| if self.takes(letter) { letter } else { '_' });
        front.chars().chain(letters).take(room).chain(mark.chars()).collect()
    }
}

/// FNV-1a of both, folded to 32 bits: it tells names apart and keeps no secret.
fn hash(attempt: u32, name: &str) -> u32 {
    let bytes = attempt.to_be_bytes().into_iter().chain(name.bytes());
    let whole = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (whole ^ (whole >> 32)) as u32
}

/// The tools of one request that its upstream knows by another name. Mostly there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<Renamed>);

#[derive(Clone, Debug)]
struct Renamed {
    /// As the client names it.
    here: String,
    /// As the upstream does.
    there: String,
}

impl Names {
    /// What the rule demands for this request: a function of the set of its names alone. No two tools get
    /// one name, also where the client gave one of them the name that another would get.
    pub(crate) fn of(request: &HubRequest, rule: &NameRule) -> Self {
        let refused: BTreeSet<&str> = names(request).filter(|name| !rule.permits(name)).collect();
        if refused.is_empty() {
            return Self::default();
        }
        let mut taken: HashSet<String> =
            names(request).filter(|name| rule.permits(name)).map(str::to_owned).collect();
        let rename = |here: &str| {
            let made = (0..=u32::MAX).map(|attempt| rule.made_of(here, attempt));
            let there = made.into_iter().find(|there| taken.insert(there.clone()))?;
            Some(Renamed { here: here.to_owned(), there })
        };
        Self(refused.into_iter().filter_map(rename).collect())
    }

    /// The request as the upstream is to read it; `None` where that is the client's own.
    ///
    /// # Errors
    /// A tool has no name at all.
    pub(crate) fn applied(&self, request: &HubRequest) -> Result<Option<HubRequest>, Untranslatable> {
        if let Some(tool) = request.tools.iter().find(|tool| tool.name.is_empty()) {
            return Err(Untranslatable::malformed(&*tool.at, "has an empty name"));
        }
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut renamed = request.clone();
        for tool in &mut renamed.tools {
            self.out(&mut tool.name);
        }
        if let Some(HubChoice::Named(name)) = renamed.choice.as_mut().map(|choice| &mut choice.value) {
            self.out(name);
        }
        for block in renamed.turns.iter_mut().flat_map(|turn| &mut turn.blocks) {
            if let HubBlock::ToolUse { name, .. } = block {
                self.out(name);
            }
        }
        Ok(Some(renamed))
    }

    /// Gives the calls of an answer their tools' own names.
    pub(crate) fn restore(&self, reply: &mut HubReply) {
        for block in &mut reply.blocks {
            if let HubBlock::ToolUse { name, .. } = block {
                self.back(name);
            }
        }
    }

    /// The same for a step of a stream.
    pub(crate) fn restore_step(&self, step: &mut HubEvent) {
        if let HubEvent::ToolStart { name, .. } = step {
            self.back(name);
        }
    }

    fn out(&self, name: &mut String) {
        if let Ok(at) = self.0.binary_search_by(|renamed| renamed.here.as_str().cmp(name)) {
            name.clone_from(&self.0[at].there);
        }
    }

    /// A name that no tool was given is the model's own invention, and stays.
    fn back(&self, name: &mut String) {
        if let Some(renamed) = self.0.iter().find(|renamed| renamed.there == *name) {
            name.clone_from(&renamed.here);
        }
    }
}

/// Every name of a tool in a request: defined, demanded, or called before.
fn names(request: &HubRequest) -> impl Iterator<Item = &str> {
    let defined = request.tools.iter().map(|tool| &*tool.name);
    let demanded = request.choice.iter().filter_map(|choice| match &choice.value {
        HubChoice::Named(name) => Some(&**name),
        _ => None,
    });
    let blocks = request.turns.iter().flat_map(|turn| &turn.blocks);
    let called = blocks.filter_map(|block| match block {
        HubBlock::ToolUse { name, .. } => Some(&**name),
        _ => None,
    });
    defined.chain(demanded).chain(called)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hub::HubTool;

    const RULES: [NameRule; 3] = [
        NameRule { longest: 64, marks: "_-", begins_with_letter: false },
        NameRule { longest: 128, marks: "_-", begins_with_letter: false },
        NameRule { longest: 64, marks: "_.:-", begins_with_letter: true },
    ];

    fn request(names: &[String]) -> HubRequest {
        let tool = |name: &String| HubTool {
            at: "tools[0]".into(),
            name: name.clone(),
            description: None,
            schema: None,
            strict: None,
            cache_mark: None,
        };
        HubRequest { tools: names.iter().map(tool).collect(), ..HubRequest::default() }
    }

    fn there(names: &[String], rule: &NameRule) -> Vec<String> {
        let request = request(names);
        let renamed = Names::of(&request, rule).applied(&request).expect("each has a name");
        renamed.unwrap_or(request).tools.into_iter().map(|tool| tool.name).collect()
    }

    #[test]
    fn a_rule_permits_its_own_letters_and_length() {
        let [plain, long, dotted] = RULES;
        let (sixty_five, too_long) = ("f".repeat(65), "f".repeat(129));
        let cases = [
            ("get_weather-2", [true, true, true]),
            ("2nd", [true, true, false]),
            ("-x", [true, true, false]),
            ("mcp.server:tool", [false, false, true]),
            ("get weather", [false, false, false]),
            ("wetter_für", [false, false, false]),
            ("", [false, false, false]),
            (&*sixty_five, [false, true, false]),
            (&*too_long, [false, false, false]),
        ];
        for (name, want) in cases {
            assert_eq!([plain, long, dotted].map(|rule| rule.permits(name)), want, "{name}");
        }
    }

    #[test]
    fn a_made_name_that_somebody_has_already_is_made_anew() {
        let rule = &RULES[0];
        let first = rule.made_of("a.b", 0);
        let both = ["a.b".to_owned(), first.clone()];
        assert_eq!(there(&both, rule), [rule.made_of("a.b", 1), first]);
    }

    #[test]
    fn a_tool_without_a_name_is_refused() {
        let request = request(&[String::new()]);
        let refused = Names::of(&request, &RULES[0]).applied(&request);
        assert!(matches!(refused, Err(Untranslatable::Malformed { param, .. }) if param == "tools[0]"));
    }

    proptest! {
        #[test]
        fn each_tool_gets_a_permitted_name_of_its_own_and_its_own_name_back(
            names in prop::collection::hash_set("[a-c.: -]{1,3}|[ -~é漢]{1,140}|[a-c_]{1,70}", 1..20),
            rule in 0..RULES.len(),
        ) {
            let (names, rule) = (Vec::from_iter(names), &RULES[rule]);
            let sent = there(&names, rule);
            let own: HashSet<&String> = sent.iter().collect();
            prop_assert_eq!(own.len(), names.len(), "no two tools have one name");
            let table = Names::of(&request(&names), rule);
            for (name, mut sent) in names.iter().zip(sent.clone()) {
                prop_assert!(rule.permits(&sent), "{}", sent);
                prop_assert!(sent == *name || !rule.permits(name), "a permitted name stays");
                table.back(&mut sent);
                prop_assert_eq!(&sent, name);
            }
            let mut turned = names.clone();
            turned.reverse();
            let mut again = there(&turned, rule);
            again.reverse();
            prop_assert_eq!(again, sent, "the order of tools does not matter");
        }
    }
}
