//! Not trusted. The echo server, with many clients at a time.

use super::Servers;
use super::inputs::Random;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

const ADDRESS: &str = "127.0.0.1:7777";
const CLIENTS: usize = 20;

/// Descriptors of a server that is to run out of them.
const FEW: usize = 12;

/// Ends the server whatever happens.
pub(super) struct Server(pub(super) Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many clients got back what they sent.
pub(super) fn run(servers: &Servers) -> Result<usize> {
    if TcpStream::connect(ADDRESS).is_ok() {
        bail!("another program listens on {ADDRESS}, where the echo server would");
    }
    let mut count = with_limit(servers, 1024, |number| thread::spawn(move || client(number)))?;
    count += with_limit(servers, 1024, |number| thread::spawn(move || late_reader(number)))?;
    // Most clients have to wait until others end.
    count += with_limit(servers, FEW, |number| thread::spawn(move || client(number)))?;
    Ok(count)
}

/// A server with this many descriptors, and clients at the same time.
fn with_limit(
    servers: &Servers,
    descriptors: usize,
    start: impl Fn(usize) -> thread::JoinHandle<Result<()>>,
) -> Result<usize> {
    let mut server = servers.start("echo", "", descriptors)?;
    server.wait(ADDRESS)?;
    let clients: Vec<_> = (1..=CLIENTS).map(start).collect();
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

impl Server {
    /// Until it listens.
    pub(super) fn wait(&mut self, address: &str) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.0.try_wait()? {
                bail!("the server ended: {status}");
            }
            if start.elapsed() > Duration::from_secs(20) {
                bail!("the server does not listen on {address}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Sends all before it reads anything: more than the server has room for, so that it has to wait.
fn late_reader(number: usize) -> Result<()> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let sent = Random(number as u64).bytes(1_000_000 + number);
    let (mut writer, all) = (stream.try_clone()?, sent.clone());
    let feeder = thread::spawn(move || {
        let written = writer.write_all(&all);
        written.and_then(|()| writer.shutdown(Shutdown::Write))
    });
    thread::sleep(Duration::from_millis(300));
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    super::same(&back, &sent)?;
    match feeder.join() {
        Ok(written) => Ok(written?),
        Err(_) => bail!("a writer panicked"),
    }
}

/// Some pieces, each read back before the next is sent; then the end, which the server answers
/// with its own. Every fifth client hangs up in the middle.
fn client(number: usize) -> Result<()> {
    let mut random = Random(number as u64);
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
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
