//! Secrets and credentials: written out, missing, too short, twice, of the wrong kind.

use super::{Mistake, main, warned};

pub(super) const ALL: &[Mistake] = &[
    warned(
        "secret: \"${env:SEARCH_KEY}\"",
        "secret: ‹a-literal-secret-0123",
        "use ${env:NAME} or ${file:PATH}",
    ),
    warned(
        "credential: \"${env:EAST_KEY}\"",
        "credential: ‹a-literal-secret-0123",
        "use ${env:NAME} or ${file:PATH}",
    ),
    main("secret: \"${env:SEARCH_KEY}\"", "secret: ‹\"${env:SEARCH_KEI}\"", "set it, or give a default"),
    main("secret: \"${env:SEARCH_KEY}\"", "secret: ‹\"${env:SEARCH_KEY\"", "write \"$$\" for a dollar sign"),
    main("secret: \"${env:SEARCH_KEY}\"", "secret: ‹\"${vault:search}\"", "use ${env:NAME}"),
    main(
        "secret: \"${env:SEARCH_KEY}\"",
        "secret: ‹\"${file:search.key}\"",
        "paths begin at the working directory",
    ),
    main("secret: \"${env:SEARCH_KEY}\"", "secret: ‹\"${env:SHORT}\"", "at least 16 bytes, this one has 7"),
    main("secret: \"${env:SEARCH_KEY}\"", "secret: ‹changeme-changeme-changeme", "openssl rand"),
    main("secret: \"${env:SEARCH_KEY}\"", "secret: ‹\"${env:OPS_TOKEN}\"", "each needs one of its own"),
    main(
        "- { name: prod, secret: \"${env:SEARCH_KEY}\" }",
        "- ‹{ name: prod }",
        "needs a `secret` or a `sha256`",
    ),
    main("secret: \"${env:SEARCH_KEY}\"", "sha256: ‹\"${env:SEARCH_KEY}\"", "64 hexadecimal digits"),
    main(
        "secret: \"${env:SEARCH_KEY}\"",
        "secret: \"${env:SEARCH_KEY}\", refusal_status: ‹200",
        "a status from 400 to 499",
    ),
    main(
        "secret: \"${env:SEARCH_KEY}\"",
        "secret: \"${env:SEARCH_KEY}\", access_key_id: ‹\"a b\"",
        "letters, digits, `_` and `-`",
    ),
    main(
        "credential: \"${env:EAST_KEY}\"",
        "credential: { type: ‹aws, access_key_id: a, secret_access_key: \"${env:EAST_KEY}\" }",
        "but: api_key, bearer, entra",
    ),
    main(
        "credential: \"${env:EAST_KEY}\"",
        "credential: ‹{ type: entra }",
        "one of: token_file, managed_identity, client_secret, workload_identity",
    ),
    main(
        "credential: \"${env:EAST_KEY}\"",
        "credential: { type: api_key, value: \"${env:EAST_KEY}\", tenant_id: ‹x }",
        "no such field, but: value",
    ),
    main(
        "credential: \"${env:EAST_KEY}\"",
        "credential: ‹\"\"",
        "leave it out for a server that asks for none",
    ),
    main(
        "base_url: https://contoso-eastus.openai.azure.com",
        "base_url: ‹https://user:hunter2@contoso-eastus.openai.azure.com",
        "put the secret into `credential`",
    ),
    main(
        "address: \"127.0.0.1:8080\"",
        "address: \"127.0.0.1:8080\", tls: ‹{ cert: tls.pem, key: tls.key }",
        "paths begin at the working directory",
    ),
    main(
        "    region: eastus\n",
        "    region: eastus\n    tls: ‹{ cert: client.pem }\n",
        "needs both `cert` and `key`",
    ),
];
