//! What holds for every request: there and back again it is the same, and arguments keep their text.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{CHAT, CONVERSE, GENERATE, MESSAGES, RESPONSES, carried};

/// Text that says something: what is blank is not carried.
fn text() -> impl Strategy<Value = String> {
    "[ -~é漢😀\\n]{0,20}[a-zé漢😀]"
}

fn arguments() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "[1-9][0-9]{20,30}",
        "-?[0-9]\\.[0-9]{1,3}0",
        "[1-9]e[0-9]{1,2}",
    ];
    let member = (prop::string::string_regex("[a-z]{1,3}").expect("a pattern"), number);
    prop::collection::vec(member, 0..4).prop_map(|members| {
        let members: Vec<String> =
            members.iter().enumerate().map(|(n, (name, value))| format!("\"{name}{n}\": {value}")).collect();
        format!("{{{}}}", members.join(", "))
    })
}

/// A conversation that both dialects can say.
fn conversation() -> impl Strategy<Value = Vec<Value>> {
    let call = (text(), arguments(), text()).prop_map(|(said, arguments, result)| {
        vec![
            json!({"role": "assistant", "content": said, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}]}),
            json!({"role": "tool", "content": result, "tool_call_id": "c1"}),
        ]
    });
    let reply = text().prop_map(|said| vec![json!({"role": "assistant", "content": said})]);
    let turn = (text(), prop_oneof![call, reply]).prop_map(|(asked, answer)| {
        let mut turn = vec![json!({"role": "user", "content": asked})];
        turn.extend(answer);
        turn
    });
    (prop::option::of(text()), prop::collection::vec(turn, 0..3), text()).prop_map(|(system, turns, last)| {
        let mut messages: Vec<Value> =
            system.map(|text| json!({"role": "system", "content": text})).into_iter().collect();
        messages.extend(turns.into_iter().flatten());
        if messages.last().is_none_or(|last| last["role"] != "tool") {
            messages.push(json!({"role": "user", "content": last}));
        }
        messages
    })
}

proptest! {
    #[test]
    fn a_conversation_is_the_same_there_and_back_again(messages in conversation()) {
        let body = json!({"model": "theirs", "messages": messages, "max_completion_tokens": 9,
            "temperature": 0.25, "stop": ["x"]});
        for other in [MESSAGES, GENERATE] {
            let there = carried(CHAT, other, &body.to_string()).expect("both can say it");
            let back = carried(other, CHAT, &there).expect("both can say it");
            let back: Value = serde_json::from_str(&back).expect("JSON");
            for name in ["messages", "max_completion_tokens", "temperature", "stop"] {
                // Arguments keep their text but for blanks around it.
                prop_assert_eq!(&back[name], &body[name], "{:?} {}", other, name);
            }
        }
    }

    #[test]
    fn a_conversation_is_the_same_through_converse(messages in conversation()) {
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
        let body = json!({"model": "theirs", "messages": messages, "max_completion_tokens": 9,
            "temperature": 0.25, "stop": ["x"], "tools": tools, "tool_choice": "auto"});
        let there = carried(CHAT, CONVERSE, &body.to_string()).expect("both can say it");
        let back = carried(CONVERSE, CHAT, &there).expect("both can say it");
        let back: Value = serde_json::from_str(&back).expect("JSON");
        for name in ["messages", "max_completion_tokens", "temperature", "stop", "tools", "tool_choice"] {
            prop_assert_eq!(&back[name], &body[name], "{}", name);
        }
    }

    #[test]
    fn a_conversation_is_the_same_through_responses(messages in conversation()) {
        let body = json!({"model": "theirs", "messages": messages, "max_completion_tokens": 9,
            "temperature": 0.25, "user": "u", "metadata": {"a": "b"}});
        let there = carried(CHAT, RESPONSES, &body.to_string()).expect("both can say it");
        for via in [None, Some(MESSAGES)] {
            let there = match via {
                None => there.clone(),
                // Of those three each can say it.
                Some(via) => {
                    let between = carried(RESPONSES, via, &there).expect("both can say it");
                    carried(via, RESPONSES, &between).expect("both can say it")
                }
            };
            let back = carried(RESPONSES, CHAT, &there).expect("both can say it");
            let back: Value = serde_json::from_str(&back).expect("JSON");
            for name in ["messages", "max_completion_tokens", "temperature", "user"] {
                prop_assert_eq!(&back[name], &body[name], "{}", name);
            }
            prop_assert_eq!(back["metadata"] == body["metadata"], via.is_none(), "only the family knows it");
        }
    }

    #[test]
    fn arguments_keep_their_text_through_responses(arguments in arguments()) {
        let body = json!({"input": [
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments},
            {"type": "function_call_output", "call_id": "c", "output": "x"}]}).to_string();
        for there in [CHAT, MESSAGES, GENERATE] {
            let between = carried(RESPONSES, there, &body).expect("both can say it");
            let back = carried(there, RESPONSES, &between).expect("both can say it");
            let back: Value = serde_json::from_str(&back).expect("JSON");
            prop_assert_eq!(back["input"][0]["arguments"].as_str(), Some(&*arguments));
        }
    }

    #[test]
    fn no_body_makes_a_reader_panic(body in ".{0,200}", name in "[a-z_]{1,12}") {
        for (from, to) in [(CHAT, MESSAGES), (MESSAGES, CHAT), (CHAT, GENERATE), (GENERATE, CHAT)] {
            let _ = carried(from, to, &body);
        }
        let nested = json!({"messages": [{"role": "user", "content": [{"type": name, name.clone(): body}]}]});
        let _ = carried(CHAT, MESSAGES, &nested.to_string());
        let _ = carried(MESSAGES, CHAT, &nested.to_string());
        let _ = carried(CHAT, GENERATE, &nested.to_string());
        let item = json!({"input": [{"type": name, name.clone(): body, "summary": [{}], "content": [{"type": name}]}]});
        let _ = carried(RESPONSES, CHAT, &item.to_string());
        let _ = carried(RESPONSES, MESSAGES, &item.to_string());
        let nested = json!({"contents": [{"parts": [{name.clone(): body, "text": body}, {name.clone(): {"name": body}}]}]});
        let _ = carried(GENERATE, CHAT, &nested.to_string());
        let _ = carried(GENERATE, MESSAGES, &nested.to_string());
        let of_blocks = json!([{name.clone(): body, "text": body}, {name.clone(): {"name": body}}, {"image": {"format": "png", "source": {name.clone(): body, "bytes": body}}}]);
        let nested = json!({"messages": [{"role": "user", "content": of_blocks}], "system": of_blocks, name: {"type": body}});
        for other in [CHAT, MESSAGES, GENERATE] {
            let _ = (carried(CONVERSE, other, &body), carried(other, CONVERSE, &body));
            let _ = carried(CONVERSE, other, &nested.to_string());
        }
    }
}
