//! `GET /openapi.json`: the API's description. It is kept by hand, and a test holds it against the
//! table of routes.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::admin::{access::Access, routes};

    #[test]
    fn the_description_and_the_table_name_the_same_routes() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("the description is JSON");
        let paths = document["paths"].as_object().expect("it has paths");
        let described: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, calls)| {
                let methods =
                    calls.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase());
                methods.map(|method| (path.clone(), method))
            })
            .collect();
        let served: BTreeSet<(String, String)> =
            routes::admin_rules().iter().map(|rule| (rule.path.clone(), rule.method.to_string())).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn the_description_says_which_routes_need_no_token() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("the description is JSON");
        for rule in routes::admin_rules() {
            let call = &document["paths"][&rule.path][rule.method.as_str().to_lowercase()];
            let open = call["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(open, rule.access == Access::Open, "{} {}", rule.method, rule.path);
            assert!(call["summary"].is_string(), "{} {}", rule.method, rule.path);
        }
    }
}
