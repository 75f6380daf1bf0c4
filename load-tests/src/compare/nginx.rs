//! nginx as a plain keep-alive proxy without buffering: the yardstick.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

use crate::server::{Server, free_addr, quiet, spawn};

/// Whether each request is logged, as the gateway always does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AccessLog {
    Off,
    On,
}

impl AccessLog {
    fn target(self) -> &'static str {
        match self {
            Self::Off => "nginx",
            Self::On => "nginx+log",
        }
    }
}

pub(super) fn start(program: &Path, folder: &Path, upstream: SocketAddr, log: AccessLog) -> Result<Server> {
    let folder = folder.join(log.target());
    fs::create_dir(&folder)?;
    let addr = free_addr()?;
    let file = folder.join("nginx.conf");
    fs::write(&file, config(&folder, addr, upstream, log))?;
    let mut command = quiet(program);
    command.arg("-p").arg(&folder).arg("-c").arg(&file);
    let child = spawn(&mut command).context("install nginx, or say where it is with --nginx")?;
    Server::new(log.target(), addr, child).accepting()
}

fn config(folder: &Path, addr: SocketAddr, upstream: SocketAddr, log: AccessLog) -> String {
    let folder = folder.display();
    let log = match log {
        AccessLog::Off => "off".to_owned(),
        AccessLog::On => format!("{folder}/access.log"),
    };
    format!(
        "daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 16384; }}
http {{
    access_log {log};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 1m;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    upstream provider {{
        server {upstream};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {addr} reuseport backlog=4096;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}
    }}
}}
"
    )
}
