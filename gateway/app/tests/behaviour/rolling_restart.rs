//! Two instances behind one port are restarted one after the other, and no client notices.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use socket2::{Domain, Socket, Type};
use tollgate_simulator::Behaviour;
use tollgate_test_support::{Caller, ConfigText, Gateway};

use crate::{
    load::Load,
    stage::{PATIENCE, Stage, TOLLGATE, chat, short_or_long, text, until},
};

/// A port that both may listen on, kept for them: who does not listen is dealt no connection.
struct Port {
    address: SocketAddr,
    _kept: Socket,
}

impl Port {
    fn keep() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        let address = socket.local_addr()?.as_socket().context("an IP address")?;
        Ok(Self { address, _kept: socket })
    }
}

/// What both have: one port, time for their streams, a name of their own.
fn configure(config: &mut ConfigText, port: &Port, instance: &str) {
    let data = format!("  share_port: true\n  data: {{ address: \"{}\" }}", port.address);
    config.head = config
        .head
        .replace("  data: { address: \"127.0.0.1:0\" }", &data)
        .replace("instance: gw-test", &format!("instance: {instance}"))
        .replace("delay: 100ms", "delay: 500ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_is_cut_by_a_rolling_restart() -> Result<()> {
    // Three seconds or a minute of streaming, so that each restart meets streams in their middle.
    let pause = short_or_long(Duration::from_millis(150), Duration::from_secs(3));
    let streams_last = pause * 20;
    let behaviour = Behaviour { chunks: 20, chunk_pause: pause, ..Behaviour::default() };
    let port = Port::keep()?;
    let mut stage = Stage::with(behaviour, |config| configure(config, &port, "gw-a"))?;
    let mut config = ConfigText::two_regions(stage.east.addr(), stage.west.addr());
    config.head.push_str("\nshutdown: { delay: 100ms }");
    configure(&mut config, &port, "gw-b");
    let mut second = Gateway::launch(config.launch(TOLLGATE))?;
    ensure!(
        stage.gateway.data_url() == second.data_url(),
        "{} {}",
        stage.gateway.data_url(),
        second.data_url()
    );

    let load = Load::start(&stage.gateway.caller(ConfigText::KEY), 16);
    for gateway in [&stage.gateway, &second] {
        until("both are dealt calls", async || Ok(in_flight(gateway).await? > 0)).await?;
    }
    for gateway in [&mut stage.gateway, &mut second] {
        let before = load.answered();
        gateway.terminate()?;
        let status = gateway.ended(streams_last + PATIENCE).await?;
        ensure!(status.success(), "{status}; its log:\n{}", gateway.log());
        ensure!(!gateway.log().contains("are cut"), "its log:\n{}", gateway.log());
        gateway.restart()?;
        ensure!(load.answered() > before, "the other one has served nobody meanwhile");
    }
    let calls = load.finish().await;
    ensure!(calls.iter().any(|call| call.stream), "there were no streams");
    for call in &calls {
        ensure!(call.is_whole(), "cut: {}", call.told());
    }

    until("every call has its row", async || {
        let rows = rows(&stage.gateway).await? + rows(&second).await?;
        ensure!(rows <= calls.len() as u64, "{rows} rows for {} calls", calls.len());
        Ok(rows == calls.len() as u64)
    })
    .await?;
    second.terminate()?;
    second.ended(PATIENCE).await?;
    let audit = second.command(&["verify", "--dir", "data"])?;
    ensure!(audit.status.success(), "{}", text(&audit.stdout));
    stage.close().await
}

/// Calls that its ledger knows of.
async fn rows(gateway: &Gateway) -> Result<u64> {
    let usage = gateway.admin().usage("team").await?;
    usage["total"]["requests"].as_u64().context("a number of requests")
}

/// Attempts that upstreams are working on for this one.
async fn in_flight(gateway: &Gateway) -> Result<u64> {
    let shown = text(&gateway.admin().root("/metrics").await?.body);
    let samples = shown.lines().filter(|line| line.starts_with("tollgate_inflight_requests{"));
    Ok(samples.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_is_shared_only_with_those_who_say_so() -> Result<()> {
    let port = Port::keep()?;
    let address = format!("data: {{ address: \"{}\" }}", port.address);
    let mut stage = Stage::with(Behaviour::default(), |config| configure(config, &port, "gw-a"))?;
    let mut other = stage.config.clone();
    other.head = other.head.replace("gw-a", "gw-b").replace("  share_port: true\n", "");
    ensure!(other.head.contains(&address) && !other.head.contains("share_port"), "{}", other.head);
    let refused = Gateway::launch(other.launch(TOLLGATE)).err().context("it took the port of another")?;
    ensure!(refused.to_string().contains("ended with exit status: 1"), "{refused}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_a_gateway_that_leaves_are_the_last_of_their_connections() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.head = config.head.replace("delay: 100ms", "delay: 2s");
    })?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let ask = async |caller: &Caller| caller.chat(&chat("gpt-5-mini", false)).await;
    ensure!(ask(&caller).await?.header("connection") != "close", "it says goodbye too early");
    stage.gateway.terminate()?;
    until("it says goodbye", async || {
        let reply = ask(&caller).await?;
        ensure!(reply.status == StatusCode::OK, "it refuses while it still serves: {}", reply.status);
        Ok(reply.header("connection") == "close")
    })
    .await?;
    let status = stage.gateway.ended(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    stage.verify()
}
