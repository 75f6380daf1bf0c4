//! One question over one connection, for steering and looking; not for load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The status and the JSON of an answer; null for a body that is none.
pub(crate) fn get(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<(u16, Value)> {
    ask(addr, "GET", path, headers, "")
}

/// The same for a POST of JSON.
pub(crate) fn post(
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<(u16, Value)> {
    ask(addr, "POST", path, headers, &body.to_string())
}

fn ask(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(u16, Value)> {
    let mut socket = TcpStream::connect_timeout(&addr, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len()));
    socket.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).with_context(|| format!("{method} {path} at {addr}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    let status =
        head.get(9..12).and_then(|status| status.parse().ok()).context("an answer without a status")?;
    Ok((status, serde_json::from_str(body).unwrap_or_default()))
}
