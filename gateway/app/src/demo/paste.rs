//! What the demo prints: lines to paste.

/// Secrets of a gateway that only speaks to simulated providers, on this machine, until Ctrl-C.
pub(super) const RETAIL_KEY: &str = "demo-retail-search-key";
pub(super) const HEALTH_KEY: &str = "demo-health-triage-key";
pub(super) const ADMIN_TOKEN: &str = "demo-admin-token-0001";

/// The lines, for a gateway at these addresses; `console` is where a browser signs in.
pub(super) fn lines(data: &str, admin: &str, console: &str) -> String {
    format!(
        r#"
Tollgate runs on simulated providers in three regions; nothing leaves this machine.

  data port  {data}     key of team retail:  {RETAIL_KEY}
  admin API  {admin}     key of team health:  {HEALTH_KEY} (data stays in the EU)
  console    {console}
             (the link signs in once; later with the token {ADMIN_TOKEN})

curl, a plain answer and a stream:

  curl {data}/v1/chat/completions -H "Authorization: Bearer {RETAIL_KEY}" -H "content-type: application/json" \
    -d '{{"model":"gpt-5-mini","messages":[{{"role":"user","content":"Hello"}}]}}'
  curl -N {data}/v1/messages -H "x-api-key: {RETAIL_KEY}" -H "anthropic-version: 2023-06-01" -H "content-type: application/json" \
    -d '{{"model":"claude-haiku-4-5","max_tokens":64,"stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'

Python (pip install openai anthropic):

  python3 -c 'from openai import OpenAI; c = OpenAI(base_url="{data}/v1", api_key="{RETAIL_KEY}"); print(c.chat.completions.create(model="gpt-5-mini", messages=[{{"role": "user", "content": "Hello"}}]).choices[0].message.content)'
  python3 -c 'from anthropic import Anthropic; c = Anthropic(base_url="{data}", api_key="{RETAIL_KEY}"); print(c.messages.create(model="claude-haiku-4-5", max_tokens=64, messages=[{{"role": "user", "content": "Hello"}}]).content[0].text)'

Node (npm install openai @anthropic-ai/sdk):

  node -e 'const O = require("openai"); new O({{baseURL: "{data}/v1", apiKey: "{RETAIL_KEY}"}}).chat.completions.create({{model: "gpt-5-mini", messages: [{{role: "user", content: "Hello"}}]}}).then(r => console.log(r.choices[0].message.content))'
  node -e 'const A = require("@anthropic-ai/sdk"); new A({{baseURL: "{data}", apiKey: "{RETAIL_KEY}"}}).messages.create({{model: "claude-haiku-4-5", max_tokens: 64, messages: [{{role: "user", content: "Hello"}}]}}).then(r => console.log(r.content[0].text))'

What it cost, and a region taken out of service and back:

  curl -H "Authorization: Bearer {ADMIN_TOKEN}" "{admin}/api/v1/usage?by=team,model,region"
  curl -X POST -H "Authorization: Bearer {ADMIN_TOKEN}" -H "content-type: application/json" -d '{{"reason":"trying it"}}' {admin}/api/v1/regions/eastus/drain
  curl -X POST -H "Authorization: Bearer {ADMIN_TOKEN}" -H "content-type: application/json" -d '{{"reason":"done"}}' {admin}/api/v1/regions/eastus/enable

Ctrl-C ends it.
"#
    )
}
