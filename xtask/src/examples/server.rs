//! Not trusted. The echo server, with many clients at a time.

use super::Bench;
use super::inputs::Random;
use crate::run::command;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const ADDRESS: &str = "127.0.0.1:7777";
const CLIENTS: usize = 20;

/// Ends the server whatever happens.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many clients got back what they sent.
pub(super) fn run(bench: &Bench) -> Result<usize> {
    if TcpStream::connect(ADDRESS).is_ok() {
        bail!("another program listens on {ADDRESS}, where the echo server would");
    }
    let program = bench.program("echo");
    let mut start = command(&bench.tool("tal-load"), &["run", &program]);
    let mut server = Server(start.stdin(Stdio::null()).spawn()?);
    wait(&mut server.0)?;
    let clients: Vec<_> =
        (1..=CLIENTS).map(|number| thread::spawn(move || client(number))).collect();
    for one in clients {
        match one.join() {
            Ok(result) => result?,
            Err(_) => bail!("a client panicked"),
        }
    }
    match server.0.try_wait()? {
        None => Ok(CLIENTS),
        Some(status) => bail!("the server ended: {status}"),
    }
}

/// Until it listens.
fn wait(server: &mut Child) -> Result<()> {
    let start = Instant::now();
    while TcpStream::connect(ADDRESS).is_err() {
        if let Some(status) = server.try_wait()? {
            bail!("the server ended: {status}");
        }
        if start.elapsed() > Duration::from_secs(20) {
            bail!("the server does not listen on {ADDRESS}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Some pieces, each read back before the next is sent; then the end, which the server answers
/// with its own. Every fifth client hangs up in the middle.
fn client(number: usize) -> Result<()> {
    let mut random = Random(number as u64);
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    for size in [1, 2, 1000, 16_384, 16_385, 40_000, random.below(60_000) + 1] {
        let sent = random.bytes(size);
        stream.write_all(&sent)?;
        if number.is_multiple_of(5) && size > 20_000 {
            return Ok(());
        }
        let mut back = vec![0; size];
        stream.read_exact(&mut back).with_context(|| format!("client {number}, {size} bytes"))?;
        super::same(&back, &sent)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    if rest.is_empty() { Ok(()) } else { bail!("client {number}: {} bytes too many", rest.len()) }
}
