//! Invoices of providers: whatever the file, it is read or refused with its name.

use tollgate_finance::reconcile::{Format, Invoice, InvoiceFile};

pub(crate) fn check(format: Format, content: &[u8]) {
    let guessed = Format::of(content);
    assert!(Format::ALL.contains(&guessed));
    let file = InvoiceFile { name: "file", format, content };
    match Invoice::read(&[file]) {
        Err(fault) => assert!(fault.to_string().starts_with("file: "), "{fault}"),
        Ok(invoice) => {
            assert!(invoice.days().is_none_or(|(first, last)| first <= last));
            // The same once more is twice as much, and no overflow.
            let twice = Invoice::read(&[file, file]).expect("as before");
            assert_eq!(twice.days(), invoice.days());
        }
    }
}
