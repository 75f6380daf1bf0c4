//! The files of the console, put together once.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, sync::OnceLock};

use axum::body::Bytes;
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::POLICY;
use crate::codes::{CODES, ErrorCode};

/// Release builds carry the files; other builds read them where they stand.
#[derive(RustEmbed)]
#[folder = "console/"]
struct Embedded;

const PAGE: &str = "index.html";
/// Stands in the page where the folder of its parts is named.
const FOLDER: &str = "{{folder}}";
/// Stands in the page where names of modules that are no paths are told.
const IMPORTS: &str = "{{imports}}";
/// Stands in the page where its modules are listed, so that a browser fetches all of them at once.
const MODULES: &str = "{{modules}}";

/// The module that tells what error codes mean.
const CODES_MODULE: &str = "codes.js";

/// The page and its parts.
pub(super) struct Site {
    version: String,
    policy: String,
    page: File,
    parts: BTreeMap<String, File>,
}

/// One file, as it is sent.
pub(super) struct File {
    pub(super) bytes: Bytes,
    /// Its media type.
    pub(super) kind: &'static str,
    /// Its hash, in quotes.
    pub(super) etag: String,
    gzip: OnceLock<Bytes>,
}

impl Site {
    /// What this binary carries.
    pub(super) fn of_the_binary() -> Self {
        let files = Embedded::iter().filter_map(|name| {
            let file = Embedded::get(&name)?;
            Some((name.into_owned(), Bytes::from(file.data.into_owned())))
        });
        let codes = (CODES_MODULE.to_owned(), codes_module().into());
        Self::new(files.chain([codes]).collect())
    }

    fn new(mut files: BTreeMap<String, Bytes>) -> Self {
        let mut hash = Sha256::new();
        for (name, bytes) in &files {
            hash.update(name);
            hash.update([0]);
            hash.update(Sha256::digest(bytes));
        }
        let version = hex::encode(&hash.finalize()[..8]);
        let template = files.remove(PAGE).unwrap_or_default();
        let modules = files.keys().filter(|name| name.ends_with(".js") && !name.starts_with("vendor/uplot"));
        let folder = format!("/console/{version}");
        let imports = import_map(&folder);
        let page = fill(&String::from_utf8_lossy(&template), &folder, &imports, modules);
        let policy =
            format!("{POLICY}; script-src 'self' 'sha256-{}'", STANDARD.encode(Sha256::digest(&imports)));
        let parts = files.into_iter().filter_map(|(name, bytes)| {
            let file = File::new(bytes, kind(&name)?);
            Some((name, file))
        });
        Self {
            page: File::new(page.into(), "text/html; charset=utf-8"),
            parts: parts.collect(),
            version,
            policy,
        }
    }

    /// The hash of all files.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// The content policy of the page: that of all answers, and the one script that stands in the page, by
    /// its hash.
    pub(super) fn policy(&self) -> &str {
        &self.policy
    }

    pub(super) fn page(&self) -> &File {
        &self.page
    }

    pub(super) fn part(&self, path: &str) -> Option<&File> {
        self.parts.get(path)
    }
}

impl File {
    fn new(bytes: Bytes, kind: &'static str) -> Self {
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&bytes)[..16]));
        Self { bytes, kind, etag, gzip: OnceLock::new() }
    }

    /// The content compressed, which is done when it is first asked for.
    pub(super) fn gzip(&self) -> Bytes {
        let compress = || {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&self.bytes).and_then(|()| encoder.finish()).expect("memory takes everything")
        };
        self.gzip.get_or_init(|| compress().into()).clone()
    }
}

/// What the table of error codes says, as a module: the page explains codes in the words that
/// `tollgate explain` has.
fn codes_module() -> String {
    let entry = |code: &ErrorCode| {
        (
            code.code.to_owned(),
            json!({ "status": code.status, "meaning": code.meaning, "remedy": code.remedy }),
        )
    };
    let table: serde_json::Map<_, _> = CODES.iter().map(entry).collect();
    format!("export const CODES = {};\n", Value::from(table))
}

/// Preact's hooks name Preact by its package. Browsers take this map only from the page itself.
fn import_map(folder: &str) -> String {
    json!({ "imports": { "preact": format!("{folder}/vendor/preact.js") } }).to_string()
}

/// The page with the place of its parts filled in.
fn fill<'a>(
    template: &str,
    folder: &str,
    imports: &str,
    modules: impl Iterator<Item = &'a String>,
) -> String {
    let mut links = String::new();
    for module in modules {
        writeln!(links, "<link rel=\"modulepreload\" href=\"{folder}/{module}\">")
            .expect("a String takes everything");
    }
    template.replace(FOLDER, folder).replace(IMPORTS, imports).replace(MODULES, links.trim_end())
}

/// The media type by a name's ending; nothing for what is not served.
fn kind(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser loads before it shows the first view, compressed.
    const LARGEST_PAGE: usize = 150 << 10;

    #[test]
    fn every_vendored_file_is_the_one_of_the_manifest_and_has_its_licence() {
        let file = |name: &str| Embedded::get(&format!("vendor/{name}")).unwrap_or_else(|| panic!("{name}"));
        let manifest: Value = serde_json::from_slice(&file("manifest.json").data).expect("JSON");
        let mut named = vec!["manifest.json".to_owned()];
        for entry in manifest["files"].as_array().expect("a list") {
            let name = entry["file"].as_str().expect("a name");
            assert_eq!(entry["sha256"], hex::encode(Sha256::digest(&file(name).data)), "{name}");
            named.push(name.to_owned());
            for licence in entry["license_files"].as_array().expect("a list") {
                let licence = licence.as_str().expect("a name");
                assert!(file(licence).data.len() > 500, "{licence}");
                named.push(licence.to_owned());
            }
        }
        for found in Embedded::iter().filter_map(|name| name.strip_prefix("vendor/").map(str::to_owned)) {
            assert!(named.contains(&found), "{found} is not in the manifest");
        }
    }

    #[test]
    fn the_whole_console_is_small() {
        let site = Site::of_the_binary();
        let loaded =
            site.parts.iter().filter(|(name, _)| !name.ends_with(".txt") && !name.ends_with(".json"));
        let total = site.page.gzip().len() + loaded.map(|(_, file)| file.gzip().len()).sum::<usize>();
        assert!(total <= LARGEST_PAGE, "{total} bytes");
    }

    #[test]
    fn the_page_names_parts_that_exist_and_nothing_from_elsewhere() {
        let site = Site::of_the_binary();
        let page = String::from_utf8_lossy(&site.page.bytes).into_owned();
        let named = page.split(['"']).filter(|text| text.starts_with('/')).collect::<Vec<_>>();
        assert!(named.len() > 10, "{page}");
        for path in named {
            let part =
                path.strip_prefix(&format!("/console/{}/", site.version)).unwrap_or_else(|| panic!("{path}"));
            assert!(site.part(part).is_some(), "{path}");
        }
        for foreign in ["//", "{{", "<style", "style=", "onload"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn no_module_of_ours_makes_markup_of_text_or_speaks_to_anybody_else() {
        let ours = Embedded::iter().filter(|name| name.ends_with(".js") && !name.starts_with("vendor/"));
        let mut count = 0;
        for name in ours {
            let file = Embedded::get(&name).expect("it was listed");
            let text = String::from_utf8_lossy(&file.data).into_owned();
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "dangerously",
                "document.write",
                "eval(",
                "new Function",
            ] {
                assert!(!text.contains(forbidden), "{name}: {forbidden}");
            }
            count += 1;
        }
        assert!(count > 10, "{count}");
    }

    #[test]
    fn the_policy_lets_the_page_s_own_script_in_by_its_hash_and_nothing_else() {
        let site = Site::of_the_binary();
        let page = String::from_utf8_lossy(&site.page.bytes).into_owned();
        let inline: Vec<&str> = page
            .split("<script")
            .skip(1)
            .filter_map(|rest| rest.split_once('>')?.1.split("</script>").next())
            .filter(|text| !text.is_empty())
            .collect();
        let [script] = inline[..] else { panic!("{inline:?}") };
        let hash = STANDARD.encode(Sha256::digest(script));
        assert!(site.policy.ends_with(&format!("; script-src 'self' 'sha256-{hash}'")), "{}", site.policy);
        assert!(serde_json::from_str::<Value>(script).is_ok(), "{script}");
    }

    #[test]
    fn another_content_is_another_version() {
        let site = |text: &'static str| {
            Site::new(BTreeMap::from([("a.js".to_owned(), Bytes::from_static(text.as_bytes()))]))
        };
        assert_ne!(site("1").version, site("2").version);
        assert_eq!(site("1").version, site("1").version);
    }
}
