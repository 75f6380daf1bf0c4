//! The names in an expression of PromQL. Not its meaning: `promtool` reads that.

/// What an expression names.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Expression {
    pub(super) selectors: Vec<Selector>,
    /// Labels in `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`.
    pub(super) grouping: Vec<String>,
}

/// A metric with the labels that it is narrowed by.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Selector {
    pub(super) metric: String,
    pub(super) labels: Vec<String>,
    /// The function that takes it as a range.
    pub(super) range_of: Option<String>,
}

const OPERATORS: [&str; 8] = ["and", "or", "unless", "bool", "offset", "inf", "nan", "atan2"];
const LABEL_LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Word(String),
    Text,
    Mark(char),
}

/// Reads the names. Ranges may be variables of Grafana.
///
/// # Errors
/// Brackets or quotation marks without their other half.
pub(super) fn read(text: &str) -> Result<Expression, String> {
    let tokens = tokens(text)?;
    let mut found = Expression::default();
    let mut at = 0;
    let mut call = None;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let Token::Word(word) = token else { continue };
        let opens = tokens.get(at) == Some(&Token::Mark('('));
        // An aggregation's labels may stand before what it takes.
        let aggregates =
            matches!(tokens.get(at), Some(Token::Word(next)) if matches!(&**next, "by" | "without"));
        if LABEL_LISTS.contains(&word.as_str()) {
            if opens {
                found.grouping.extend(words_until(&tokens, &mut at, ')'));
            }
        } else if opens || aggregates {
            call = Some(word.clone());
        } else if !OPERATORS.contains(&word.to_lowercase().as_str()) {
            let mut labels = Vec::new();
            if tokens.get(at) == Some(&Token::Mark('{')) {
                labels = words_until(&tokens, &mut at, '}');
            }
            let is_range = tokens.get(at) == Some(&Token::Mark('['));
            let range_of = call.clone().filter(|_| is_range);
            found.selectors.push(Selector { metric: word.clone(), labels, range_of });
        }
    }
    Ok(found)
}

fn words_until(tokens: &[Token], at: &mut usize, end: char) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(token) = tokens.get(*at) {
        *at += 1;
        match token {
            Token::Word(word) => words.push(word.clone()),
            Token::Mark(mark) if *mark == end => break,
            Token::Text | Token::Mark(_) => {}
        }
    }
    words
}

/// Numbers, durations and what stands in `[…]` name nothing and are left out.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut open = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' | '\'' => {
                loop {
                    match letters.next() {
                        Some('\\') => drop(letters.next()),
                        Some(end) if end == letter => break,
                        Some(_) => {}
                        None => return Err("a quotation mark is not closed".into()),
                    }
                }
                tokens.push(Token::Text);
            }
            '[' => {
                tokens.push(Token::Mark('['));
                letters.find(|letter| *letter == ']').ok_or("a bracket is not closed")?;
            }
            '(' | '{' => {
                open.push(if letter == '(' { ')' } else { '}' });
                tokens.push(Token::Mark(letter));
            }
            ')' | '}' => {
                if open.pop() != Some(letter) {
                    return Err("a bracket is closed that was not opened".into());
                }
                tokens.push(Token::Mark(letter));
            }
            _ if letter.is_alphanumeric() || matches!(letter, '_' | ':' | '$') => {
                let mut word = String::from(letter);
                while let Some(next) = letters.next_if(|next| next.is_alphanumeric() || "_:.".contains(*next))
                {
                    word.push(next);
                }
                if !letter.is_ascii_digit() && letter != '$' {
                    tokens.push(Token::Word(word));
                }
            }
            _ if letter.is_whitespace() => {}
            _ => tokens.push(Token::Mark(letter)),
        }
    }
    match open.is_empty() {
        true => Ok(tokens),
        false => Err("a bracket is not closed".into()),
    }
}

#[test]
fn names_are_found_where_they_stand() {
    let text = "sum by (team) (rate(requests_total{code=~\"5..\",end!=\"a\\\"b\"}[$__rate_interval] offset 5m)) \
                / on (team) group_left 1e3 * up > bool $threshold and (time() - started) < 14 * 86400";
    let found = read(text).expect("it is whole");
    let selector = |metric: &str, labels: &[&str], range_of: Option<&str>| Selector {
        metric: metric.into(),
        labels: labels.iter().map(ToString::to_string).collect(),
        range_of: range_of.map(str::to_owned),
    };
    assert_eq!(
        found,
        Expression {
            selectors: vec![
                selector("requests_total", &["code", "end"], Some("rate")),
                selector("up", &[], None),
                selector("started", &[], None),
            ],
            grouping: vec!["team".into(), "team".into()],
        }
    );
    for broken in ["a{b=\"c}", "rate(a[5m)", "a)", "(a"] {
        assert!(read(broken).is_err(), "{broken}");
    }
}
