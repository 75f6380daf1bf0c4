//! Lengths of time, sizes, money, dates, percentages, addresses: values that are written wrongly or that
//! are too small, too large or impossible.

use super::{Mistake, main, price, warned};

pub(super) const ALL: &[Mistake] = &[
    main("drain: 600s", "drain: ‹600", "such as 250ms, 60s, 5m or 1h30m"),
    main("drain: 600s", "drain: ‹10 minutes", "such as 250ms, 60s, 5m or 1h30m"),
    main("data_dir: ./data", "data_dir: ./data\nedge: { max_body: ‹32MB }", "such as 512KiB, 32MiB or 1GiB"),
    main("amount: \"5000.00\"", "amount: ‹5000.00", "put it in quotes"),
    main("amount: \"5000.00\"", "amount: ‹\"5,000.00\"", "such as"),
    main("amount: \"5000.00\"", "amount: ‹\"$5000\"", "such as"),
    main("amount: \"5000.00\"", "amount: ‹\"-1\"", "expected 0 or more"),
    main("alerts: [50, 80]", "alerts: [50, ‹0]", "from 1 to 1000"),
    main("weight: 80", "weight: ‹0", "must be at least 1; to keep a target from being used, disable it"),
    main("weight: 80", "weight: ‹-5", "from 0 to"),
    main("priority: 1,", "priority: ‹1.5,", "expected a whole number"),
    main("requests_per_minute: 600", "requests_per_minute: ‹0", "leave it out for no limit"),
    main("currency: USD", "currency: ‹Dollar", "of three capital letters, such as USD"),
    main("timezone: UTC", "timezone: ‹CEST", "such as Europe/Berlin"),
    main("version: 1", "version: ‹2", "this gateway reads version 1"),
    main("address: \"127.0.0.1:8080\"", "address: ‹\"127.0.0.1:80800\"", "such as 127.0.0.1:8080"),
    main("address: \"127.0.0.1:8080\"", "address: ‹\"localhost:8080\"", "names are not looked up here"),
    main("address: \"127.0.0.1:9090\"", "address: ‹\"127.0.0.1:8080\"", "give each its own port"),
    main("address: \"127.0.0.1:9090\"", "address: ‹9090", "such as 127.0.0.1:8080"),
    warned(
        "address: \"127.0.0.1:9090\"",
        "address: ‹\"0.0.0.0:9090\"",
        "give it `tls`, or listen on 127.0.0.1",
    ),
    main(
        "base_url: https://contoso-eastus.openai.azure.com",
        "base_url: ‹contoso-eastus.openai.azure.com",
        "such as https://api.openai.com/v1",
    ),
    main(
        "base_url: https://contoso-eastus.openai.azure.com",
        "base_url: ‹ftp://contoso-eastus.openai.azure.com",
        "https:// or http://",
    ),
    main(
        "base_url: https://contoso-eastus.openai.azure.com",
        "base_url: ‹https://contoso-eastus.openai.azure.com?api-version=2024-10-21",
        "use `api_version`",
    ),
    main(
        "base_url: https://contoso-eastus.openai.azure.com",
        "base_url: ‹https://10.0.0.7",
        "needs `allow_private: true`",
    ),
    warned(
        "base_url: https://contoso-eastus.openai.azure.com",
        "base_url: ‹https://contoso-eastus.openai.azure.com/v1",
        "the gateway adds the path itself",
    ),
    warned(
        "base_url: https://contoso-eastus.openai.azure.com",
        "base_url: ‹http://contoso-eastus.openai.azure.com",
        "use https",
    ),
    main(
        "    region: eastus\n",
        "    region: eastus\n    headers: { authorization: ‹x }\n",
        "the gateway sets this header itself: leave it out",
    ),
    main("    region: eastus\n", "    region: eastus\n    max_concurrency: ‹0\n", "must be at least 1"),
    main(
        "  - name: gpt-5\n",
        "  - name: gpt-5\n    objectives: { success: ‹100% }\n",
        "expected more than 0% and less than 100%",
    ),
    main(
        "ledger: { durability: process }",
        "ledger: { journal: { segment: ‹1KiB } }",
        "between 256KiB and 1GiB",
    ),
    price("from: 2025-01-01", "from: ‹01.01.2025", "such as 2026-01-31"),
    price("input: \"0.25\"", "input: ‹\"-0.25\"", "expected 0 or more"),
    price("input: \"0.25\"", "input: ‹\"0,25\"", "such as"),
    price("per: 1000000", "per: ‹0", "must be at least 1"),
    price("currency: USD", "currency: ‹EUR", "needs an `fx` entry"),
    price("input: \"0.25\"", "input: \"0.25\", discount: ‹12.5", "such as 12.5%"),
    price(
        "{ id: five, model: gpt-5, from: 2025-01-01, input: \"1.25\", output: \"10.00\" }",
        "‹{ id: five, model: gpt-5, from: 2025-01-01 }",
        "give `input` and `output`",
    ),
];
