//! Forms with files: what is read stands where it is said to stand, and only that is edited.

use bytes::Bytes;
use tollgate_dialect::{Dialect, Edits, Operation, peek_form};

use crate::request::says_why;

const CONTENT_TYPE: &str = "multipart/form-data; boundary=B";
const BODY: &[u8] = b"--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--B--\r\n";

pub(crate) fn check(bytes: &[u8]) {
    for operation in [
        Operation::Transcriptions,
        Operation::Translations,
        Operation::ImageEdits,
        Operation::ImageVariations,
    ] {
        body(operation, bytes);
        // The same bytes as the header that names the boundary.
        if let Ok(content_type) = str::from_utf8(bytes)
            && let Some(Err(fault)) = peek_form(operation, content_type, BODY)
        {
            says_why(&fault);
        }
    }
}

fn body(operation: Operation, bytes: &[u8]) {
    let head = match peek_form(operation, CONTENT_TYPE, bytes).expect("the type says that it is a form") {
        Ok(head) => head,
        Err(fault) => return says_why(&fault),
    };
    assert!(head.form.is_some(), "a form is known as one");
    let (codec, body) = (Dialect::OpenAi.codec(), Bytes::copy_from_slice(bytes));
    assert_eq!(codec.request_body(operation, &head, &body, &Edits::default()), body);
    codec.estimate_input(operation, &body, &head);
    let edits = Edits { model: Some("other"), include_usage: true, output_cap: Some(9) };
    let edited = codec.request_body(operation, &head, &body, &edits);
    let Some(model) = &head.model else {
        assert_eq!(edited, body, "there is no model to edit");
        return;
    };
    assert_eq!(bytes.get(model.span.clone()), Some(model.value.as_bytes()));
    let want = [&bytes[..model.span.start], b"other", &bytes[model.span.end..]].concat();
    assert_eq!(edited, want, "the model and no other byte");
    let again = peek_form(operation, CONTENT_TYPE, &edited).expect("still a form").expect("still a fair one");
    assert_eq!(again.model.map(|model| model.value).as_deref(), Some("other"));
}
