//! Finance files, read back as a spreadsheet or a script would.

mod csv;
mod focus;
mod ground;
mod mixed;
mod parquet;
mod readers;
mod rules;
mod same_total;
mod validator;
mod xlsx;
