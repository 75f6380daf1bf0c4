//! Proofs of reasoning go through clients of another dialect and come back to their vendor.

use serde_json::{Value, json};

use crate::{CHAT, MESSAGES, RESPONSES, carried};

#[test]
fn a_proof_of_this_gateways_comes_back_to_its_vendor() {
    // An answer of messages as a client of responses has it, sent back in the next turn.
    let answer = json!({"model": "claude-x", "stop_reason": "tool_use", "content": [
        {"type": "redacted_thinking", "data": "Emwa"},
        {"type": "thinking", "thinking": "h\u{e9}, m", "signature": "EqoB"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]});
    let way = crate::way(RESPONSES, MESSAGES);
    let reply = way.reply(answer.to_string().as_bytes(), &crate::told(None)).expect("an answer");
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    let mut input = vec![json!({"role": "user", "content": "Hi."})];
    input.extend(reply["output"].as_array().expect("items").clone());
    input.push(json!({"type": "function_call_output", "call_id": "toolu_1", "output": "42"}));
    // A client may leave the summary behind; the proof holds the text that it is for.
    input[2]["summary"] = json!([]);
    let next = json!({"model": "ours", "input": input, "reasoning": {"effort": "low"}}).to_string();
    let body = carried(RESPONSES, MESSAGES, &next).expect("it can be said");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["messages"][1]["content"], answer["content"]);
    assert_eq!(body["thinking"]["type"], "adaptive", "it goes on reasoning");
    // To another vendor they mean nothing.
    let body = carried(RESPONSES, CHAT, &next).expect("it can be said");
    assert!(!body.contains("EqoB") && !body.contains("tollgate.1."), "{body}");
}

#[test]
fn a_proof_of_responses_comes_back_through_messages() {
    let answer = json!({"model": "gpt-x", "status": "completed", "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gBBB"},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}]});
    for (client, conversation) in [(MESSAGES, "messages"), (CHAT, "messages")] {
        let way = crate::way(client, RESPONSES);
        let reply = way.reply(answer.to_string().as_bytes(), &crate::told(None)).expect("an answer");
        let reply: Value = serde_json::from_slice(&reply).expect("JSON");
        let said = match client == CHAT {
            true => vec![
                reply["choices"][0]["message"].clone(),
                json!({"role": "tool", "tool_call_id": "call_1", "content": "42"}),
            ],
            false => vec![
                json!({"role": "assistant", "content": reply["content"]}),
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "42"}]}),
            ],
        };
        let mut turns = vec![json!({"role": "user", "content": "Hi."})];
        turns.extend(said);
        let next = json!({"model": "ours", "max_tokens": 99, conversation: turns}).to_string();
        let body: Value =
            serde_json::from_str(&carried(client, RESPONSES, &next).expect("it can be said")).expect("JSON");
        let sealed: Vec<&Value> = body["input"]
            .as_array()
            .expect("items")
            .iter()
            .filter_map(|item| item.get("encrypted_content"))
            .collect();
        assert_eq!(sealed, ["gAAA", "gBBB"], "{body}");
        assert_eq!(body["input"][1]["summary"][0]["text"], "hm");
        // The vendor whose form the proof had meanwhile cannot take it.
        if client == CHAT {
            let there = carried(CHAT, MESSAGES, &next).expect("it can be said");
            assert!(!there.contains("gAAA") && !there.contains("gBBB"), "{there}");
        }
    }
}
