//! Text that is no YAML, fields that do not exist, values of another kind.

use super::{Mistake, included, main, price};

pub(super) const ALL: &[Mistake] = &[
    // No YAML.
    main(
        "zones: [us, eu]\n        models:",
        "zones: [us, eu\n        models‹:",
        "the `[` of line 45, column 16 is still open here; close it",
    ),
    main("tokens:\n    - {", "tokens:\n\t‹- {", "indent with spaces"),
    main("organization: contoso", "organization: ‹'contoso", "close it"),
    main("organization: contoso", "organization: \"con\"‹toso\"", "close the quote before it"),
    main("currency: USD", "currency: USD\n‹currency: EUR", "once"),
    main("organization: contoso", "organization: contoso‹: gmbh", "in quotes"),
    main("models: [gpt-5-mini]", "models: ‹*common", "&NAME"),
    main("organization: contoso", "organization: ‹@contoso", "quotes"),
    main(
        "zone: eu }\nupstreams:\n  - name",
        "zone: eu\nupstreams:\n  ‹- name",
        "the `{` of line 19, column 5 is still open here; close it",
    ),
    main("organization: contoso", "organization: ‹%contoso", "quotes"),
    included("        zones: [eu]", "       ‹zones: [eu]", "indent alike what belongs together"),
    main("zones: [us, eu]", "zones: [us, eu]‹]", "one too many"),
    main("data_dir: ./data\n", "data_dir: ‹\"C:\\data\"\n", "single quotes"),
    main("data_dir: ./data\n", "‹data_dir ./data\n", "write a field as `name: value`"),
    main("regions:\n", "---\n‹regions:\n", "use `include` for more files"),
    main("prices: [prices.yaml]", "prices: ‹- prices.yaml", "put it in brackets"),
    // No such field.
    main("upstreams:\n", "‹upstream:\n", "did you mean `upstreams`?"),
    main("zone: us }", "‹zome: us }", "did you mean `zone`?"),
    main("base_url: https://contoso-eastus", "‹baseurl: https://contoso-eastus", "did you mean `base_url`?"),
    main("requests_per_minute: 600", "‹requests_per_min: 600", "did you mean `requests_per_minute`?"),
    main("shutdown: { drain: 600s }", "shutdown: { ‹grace: 600s }", "there are drain, delay"),
    main("zone: us }", "zone: us, ‹country: usa }", "there are name, zone, title, failback"),
    included("models: [gpt-5-mini]", "‹model: [gpt-5-mini]", "did you mean `models`?"),
    price("input: \"0.25\"", "‹imput: \"0.25\"", "did you mean `input`?"),
    // What is missing.
    main("{ name: swedencentral, zone: eu }", "‹{ name: swedencentral }", "the field `zone` is missing"),
    main(
        "{ upstream: aoai-eastus, model: gpt-5 }",
        "‹{ upstream: aoai-eastus }",
        "the field `model` is missing",
    ),
    price(
        "{ id: five, model: gpt-5, from: 2025-01-01,",
        "‹{ id: five, model: gpt-5,",
        "the field `from` is missing",
    ),
    // Another kind of value.
    main("organization: contoso", "organization: ‹2026", "put it in quotes"),
    main("instance: gw-1", "instance: ‹true", "put it in quotes"),
    main("priority: 1,", "priority: ‹first,", "expected a whole number"),
    main("requests_per_minute: 600", "requests_per_minute: ‹\"600\"", "leave out its quotes"),
    main("models: [gpt-5-mini]", "models: ‹gpt-5-mini", "put it in brackets"),
    main("limits: { requests_per_minute: 600 }", "limits: ‹600rpm", "write fields with their values"),
    main("prices: [prices.yaml]", "prices: ‹prices.yaml", "put it in brackets"),
    main("data: { address: \"127.0.0.1:8080\" }", "share_port: ‹\"yes\"", "expected true or false"),
    main("role: admin", "role: ‹administrator", "admin, operator, finance, viewer; did you mean `admin`?"),
    main("dialect: azure-openai", "dialect: ‹azure_openai", "did you mean `azure-openai`?"),
    main("period: month", "period: ‹monthly", "did you mean `month`?"),
    main("mode: hard", "mode: ‹strict", "must be one of: hard, soft, observe"),
    main("durability: process", "durability: ‹disk", "must be one of: process, power"),
    price("input: \"0.25\"", "input: ‹0.25", "put it in quotes"),
];
