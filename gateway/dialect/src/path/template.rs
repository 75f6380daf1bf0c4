//! The path at which an operation is documented, with what a client puts into it left open.

use crate::wire::{Dialect, Operation};

use super::verb;

/// The documented path of an operation, such as `/v1beta/models/{model}:generateContent`: a few for all
/// requests, whatever their clients wrote.
#[must_use]
pub fn path_template(dialect: Dialect, operation: Operation) -> String {
    let (verb, rest) = (verb(operation), rest(operation));
    match dialect {
        Dialect::OpenAi => format!("/v1/{verb}{rest}"),
        Dialect::AzureOpenAi => format!("/openai/v1/{verb}{rest}"),
        Dialect::Anthropic => format!("/v1/{verb}{rest}"),
        Dialect::Cohere => format!("/v2/{verb}{rest}"),
        Dialect::Gemini => match super::gemini::verb(operation) {
            Some(verb) => format!("/v1beta/models/{{model}}:{verb}"),
            None => format!("/v1beta/{verb}{rest}"),
        },
        Dialect::Bedrock => match super::bedrock::verb(operation) {
            Some(verb) => format!("/model/{{model}}/{verb}"),
            None => format!("/{verb}{rest}"),
        },
    }
}

/// What follows an operation's verb.
const fn rest(operation: Operation) -> &'static str {
    match operation {
        Operation::GetResponse
        | Operation::DeleteResponse
        | Operation::GetConversation
        | Operation::UpdateConversation
        | Operation::DeleteConversation
        | Operation::GetModel => "/{id}",
        Operation::CancelResponse => "/{id}/cancel",
        Operation::ListResponseInput => "/{id}/input_items",
        Operation::ListConversationItems | Operation::CreateConversationItems => "/{id}/items",
        Operation::GetConversationItem | Operation::DeleteConversationItem => "/{id}/items/{item}",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recognised, recognise};

    #[test]
    fn the_template_of_an_operation_leads_to_it() {
        let cases = [
            (Dialect::OpenAi, Operation::ChatCompletions, "/v1/chat/completions"),
            (Dialect::OpenAi, Operation::GetResponse, "/v1/responses/{id}"),
            (Dialect::OpenAi, Operation::CancelResponse, "/v1/responses/{id}/cancel"),
            (Dialect::OpenAi, Operation::GetConversationItem, "/v1/conversations/{id}/items/{item}"),
            (Dialect::AzureOpenAi, Operation::Responses, "/openai/v1/responses"),
            (Dialect::Anthropic, Operation::Messages, "/v1/messages"),
            (Dialect::Gemini, Operation::GenerateContent, "/v1beta/models/{model}:generateContent"),
            (Dialect::Gemini, Operation::CountTokens, "/v1beta/models/{model}:countTokens"),
            (Dialect::Bedrock, Operation::ConverseStream, "/model/{model}/converse-stream"),
            (Dialect::Cohere, Operation::Rerank, "/v2/rerank"),
        ];
        for (dialect, operation, template) in cases {
            assert_eq!(path_template(dialect, operation), template);
            let path = template.replace("{model}", "m").replace("{id}", "i").replace("{item}", "n");
            let found = recognise(operation.method(), &path, |_| false);
            let Recognised::Call(call) = found else { panic!("{path}: {found:?}") };
            assert_eq!((call.dialect, call.operation), (dialect, operation), "{path}");
        }
    }
}
