//! Finance files, read back as a spreadsheet or a script would.

mod csv;
mod focus;
mod ground;
