//! Names that lead nowhere or stand twice, settings that contradict each other, and what no call can meet.

use super::{Mistake, included, main, price, warned};

const UNPRICED: &str = r#"model: gpt-5 }
teams:
  - name: retail
    cost_center: CC-104
    budget: { amount: "5000.00", period: month, mode: hard }
    projects:
      - name: search
        zones: [us, eu]
        models: [gpt-5-mini]"#;
const UNPRICED_FOR_A_HARD_BUDGET: &str = r#"model: gpt-5-codex }
teams:
  - name: retail
    cost_center: CC-104
    budget: { amount: "5000.00", period: month, mode: hard }
    projects:
      - name: search
        zones: [us, eu]
        models: [gpt-5-mini, ‹gpt-5]"#;

pub(super) const ALL: &[Mistake] = &[
    // Names that lead nowhere.
    main("region: eastus\n", "region: ‹eastsu\n", "did you mean `eastus`?"),
    main("region: eastus\n", "region: ‹tokyo\n", "there are eastus, swedencentral"),
    main(
        "upstream: aoai-eastus, model: gpt-5 }",
        "upstream: ‹aoai-eastsu, model: gpt-5 }",
        "did you mean `aoai-eastus`?",
    ),
    main("models: [gpt-5-mini]", "models: [‹gpt-5-mni]", "did you mean `gpt-5-mini`?"),
    main("zones: [us, eu]", "zones: [us, ‹asia]", "there are us, eu"),
    main("model: gpt-5 }", "model: gpt-5, price: ‹fife }", "did you mean `five`?"),
    main("  - name: gpt-5-mini\n", "  - name: gpt-5-mini\n    fallback: ‹gpt-50\n", "did you mean `gpt-5`?"),
    main("role: admin", "role: finance, scope: { teams: [‹retial] }", "did you mean `retail`?"),
    main("prices: [prices.yaml]", "prices: [‹price.yaml]", "paths begin at the working directory"),
    main("include: [teams/*.yaml]", "include: [‹teams.yaml]", "paths begin at the working directory"),
    main("include: [teams/*.yaml]", "include: [‹t*/health.yaml]", "in the last part of a path only"),
    included("models: [gpt-5-mini]", "models: [‹gpt-5-mimi]", "did you mean `gpt-5-mini`?"),
    price("model: gpt-5-mini,", "model: gpt-5-mini, upstream: ‹aoai-eastsu,", "did you mean `aoai-eastus`?"),
    price("model: gpt-5-mini,", "model: gpt-5-mini, region: ‹estus,", "did you mean `eastus`?"),
    // Names twice.
    main("zone: us }\n", "zone: us }\n  - { name: ‹eastus, zone: eu }\n", "rename or take out one of them"),
    main("- name: gpt-5\n", "- name: ‹gpt-5-mini\n", "rename or take out one of them"),
    included("- name: health", "- name: ‹retail", "rename or take out one of them"),
    included("teams:\n", "organization: ‹fabrikam\nteams:\n", "keep it in one place"),
    included("teams:\n", "‹include: [more.yaml]\nteams:\n", "name this one's there"),
    main(
        "- { upstream: aoai-sweden, model: gpt-5-mini, priority: 2 }",
        "- ‹{ upstream: aoai-eastus, model: gpt-5-mini, priority: 2 }",
        "use `weight` for a larger part",
    ),
    main("  - name: gpt-5\n", "  - name: gpt-5\n    deployments: [‹gpt-5-mini]\n", "it can lead to one only"),
    price("{ id: five, model: gpt-5,", "‹{ id: five, model: gpt-5-mini,", "give one a later `from`"),
    main("- name: retail\n", "- name: ‹retail/eu\n", "a name cannot have `/`"),
    // Contradictions.
    main(
        "  - name: gpt-5\n",
        "  - name: gpt-5\n    fallback: ‹gpt-5\n",
        "name a larger one, or leave it out",
    ),
    warned(
        "  - name: gpt-5-mini\n    targets:\n      - { upstream: aoai-eastus, model: gpt-5-mini, priority: 1, weight: 80 }\n      - { upstream: aoai-sweden, model: gpt-5-mini, priority: 2 }\n  - name: gpt-5\n",
        "  - name: gpt-5-mini\n    fallback: ‹gpt-5\n    targets:\n      - { upstream: aoai-eastus, model: gpt-5-mini, priority: 1, weight: 80 }\n      - { upstream: aoai-sweden, model: gpt-5-mini, priority: 2 }\n  - name: gpt-5\n    fallback: gpt-5-mini\n",
        "(gpt-5-mini, gpt-5, gpt-5-mini): the largest of them has none",
    ),
    main("ledger: { durability: process }", "ledger: { store: ‹postgres }", "needs a `url`"),
    main(
        "ledger: { durability: process }",
        "ledger: { url: ‹\"postgres://u@h/db\" }",
        "or say `store: postgres`",
    ),
    main("  - name: gpt-5\n", "  - name: gpt-5\n    sensitivity: ‹10\n", "choose that, or leave it out"),
    main(
        "    region: eastus\n",
        "    region: eastus\n    capacity: { tokens_per_minute: 1000 }\n    billing: ‹provisioned\n",
        "`per_hour`: add one to a price file",
    ),
    main(
        "mode: hard }",
        "mode: hard, actions: [{ at: ‹120, refuse: true }] }",
        "a `soft` one can give grace",
    ),
    main(
        "targets:\n      - { upstream: aoai-eastus, model: gpt-5 }",
        "targets: ‹[]",
        "such as { upstream: NAME, model: NAME }",
    ),
    main(
        "model: gpt-5-mini, priority: 2 }",
        "model: gpt-5-mini-2025-08-07, priority: 2 }\n      - { upstream: aoai-sweden, model: ‹gpt-5-mini-2025-01-01, priority: 2 }",
        "give them different priorities",
    ),
    main("zones: [us, eu]", "zones: ‹[]", "leave it out for any zone"),
    main("version: 1\n", "version: 1\nfleet: ‹{ store: valkey }\n", "not available yet: take it out"),
    // What no call can meet.
    warned(
        "zones: [us, eu]\n        models: [gpt-5-mini]",
        "zones: [eu]\n        models: [gpt-5-mini, ‹gpt-5]",
        "add a target there, or a zone here",
    ),
    warned(UNPRICED, UNPRICED_FOR_A_HARD_BUDGET, "add one to a price file"),
    warned("amount: \"500.00\"", "amount: ‹\"50000.00\"", "above the team's budget of 5000"),
    warned(
        "  - name: aoai-sweden\n",
        "  - name: ‹aoai-idle\n    dialect: azure-openai\n    region: eastus\n    base_url: https://contoso-idle.openai.azure.com\n  - name: aoai-sweden\n",
        "add one, or take the upstream out",
    ),
    warned(
        "base_url: https://contoso-sweden.openai.azure.com",
        "base_url: ‹https://api.openai.com",
        "correct `processing` or the region",
    ),
];
