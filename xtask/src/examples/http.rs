//! Not trusted. The HTTP server at work: `curl`, a load generator, requests that are no requests,
//! clients that are slow, more clients than it has descriptors.

use super::inputs::Random;
use super::server::Server;
use super::{Servers, same};
use crate::run::step;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Sizes of files: around the buffers of the server, and one that no socket holds at once.
const SIZES: &[usize] = &[0, 1, 511, 512, 4096, 65_535, 65_536, 65_537, 6_000_000];
/// Descriptors of a server that is to run out of them.
const FEW: usize = 24;
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests, and the status that answers each; after it the connection ends.
const WRONG: &[(&str, &str)] = &[
    ("GET\r\n\r\n", "400"),
    ("GET /\r\n\r\n", "400"),
    (" GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
    ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
    ("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\r\n: no name\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", "400"),
    ("GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
    ("GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "400"),
    ("GET /%4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "400"),
    ("GET /a%00b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "400"),
    ("GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "400"),
    ("GET x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "400"),
    ("GET / HTTX/1.1\r\nHost: x\r\n\r\n", "400"),
    ("GET / HTTP/11\r\nHost: x\r\n\r\n", "400"),
    ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505"),
    ("GET / HTTP/0.9\r\nHost: x\r\n\r\n", "505"),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "413"),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", "413"),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501"),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "405"),
    ("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
    ("ELETE / HTTP/1.1\r\nHost: x\r\n\r\n", "501"),
    ("get / HTTP/1.1\r\nHost: x\r\n\r\n", "501"),
    ("G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
    // Right, but leading out of the directory, or to what is no file.
    ("GET /../secret HTTP/1.0\r\n\r\n", "404"),
    ("GET /sub/../../secret HTTP/1.0\r\n\r\n", "404"),
    ("GET /%2e%2e/secret HTTP/1.0\r\n\r\n", "404"),
    ("GET /..%2fsecret HTTP/1.0\r\n\r\n", "404"),
    ("GET /%2fetc/passwd HTTP/1.0\r\n\r\n", "404"),
    ("GET //etc/passwd HTTP/1.0\r\n\r\n", "404"),
    ("GET /link HTTP/1.0\r\n\r\n", "404"),
    ("GET /sub HTTP/1.0\r\n\r\n", "404"),
    ("GET /size-1/ HTTP/1.0\r\n\r\n", "404"),
    ("GET /pipe HTTP/1.0\r\n\r\n", "404"),
    // Right.
    ("GET / HTTP/1.0\r\n\r\n", "200"),
    ("GET / HTTP/1.0\n\n", "200"),
    ("\r\n\r\nGET / HTTP/1.0\r\n\r\n", "200"),
    ("GET /index.html?x=/../y HTTP/1.0\r\n\r\n", "200"),
    ("GET /sub/../index.html HTTP/1.0\r\n\r\n", "200"),
    ("GET http://x/index.html HTTP/1.1\r\nHost: x\r\nconnection: CLOSE\r\n\r\n", "200"),
    ("GET http://x HTTP/1.0\r\n\r\n", "200"),
];

/// A running server, and what it serves.
struct Site {
    server: Server,
    port: u16,
    directory: PathBuf,
}

/// How many exchanges went well.
pub(super) fn run(servers: &Servers) -> Result<usize> {
    let directory = make(&servers.directory.join("www"))?;
    let mut site = Site::start(servers, &directory, 1024)?;
    let mut count = curl(&site)?;
    for (request, status) in WRONG {
        site.expect(request.as_bytes(), status).with_context(|| format!("{request:?}"))?;
        count += 1;
    }
    count += too_long(&site)?;
    count += site.pieces()?;
    count += site.ahead()?;
    count += site.slow_reader()?;
    count += site.crowd(24, 100)?;
    site.slow_writer()?;
    count += site.noise(400)?;
    load(&site)?;
    site.alive()?;
    let mut site = Site::start(servers, &directory, FEW)?;
    count += site.crowd(8 * FEW, 2)?;
    site.alive()?;
    Ok(count + 1)
}

/// Files of all sizes, names that have to be encoded, and traps.
fn make(directory: &Path) -> Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    let root = directory.join("root");
    fs::create_dir_all(root.join("sub"))?;
    fs::write(directory.join("secret"), "secret")?;
    fs::write(root.join("index.html"), "<p>index</p>\n")?;
    fs::write(root.join("sub/index.html"), "<p>sub</p>\n")?;
    fs::write(root.join("a b%.txt"), "blank\n")?;
    let mut random = Random(0x11);
    for size in SIZES {
        fs::write(root.join(format!("size-{size}")), random.bytes(*size))?;
    }
    std::os::unix::fs::symlink("../secret", root.join("link"))?;
    let fifo = Command::new("mkfifo").arg(root.join("pipe")).status()?;
    if fifo.success() { Ok(root) } else { bail!("mkfifo: {fifo}") }
}

/// All files in one run of `curl`, over one connection.
fn curl(site: &Site) -> Result<usize> {
    let sizes = SIZES.iter().map(|size| format!("size-{size}"));
    let names: Vec<String> = sizes.chain(["a%20b%25.txt", "", "sub/"].map(String::from)).collect();
    let urls = names.iter().map(|name| format!("http://127.0.0.1:{}/{name}", site.port));
    let output = Command::new("curl").args(["-sS", "--fail", "-m", "60"]).args(urls).output();
    let output = output.context("curl")?;
    if !output.status.success() {
        bail!("curl: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut wanted = Vec::new();
    for name in &names {
        let name = name.replace("%20", " ").replace("%25", "%");
        let index = if name.is_empty() || name.ends_with('/') { "index.html" } else { "" };
        wanted.extend(fs::read(site.directory.join(name + index))?);
    }
    same(&output.stdout, &wanted)?;
    Ok(names.len())
}

/// Targets and heads that are longer than the server has room for.
fn too_long(site: &Site) -> Result<usize> {
    let long = "x".repeat(3000);
    site.expect(format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(), "414")?;
    site.expect(format!("GET /{long}{long}").as_bytes(), "414")?;
    let fields = "A: b\r\n".repeat(1000);
    site.expect(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes(), "431")?;
    site.expect(&[b'x'; 5000], "414")?;
    site.expect(&[b'\n'; 20_000], "")?;
    Ok(5)
}

/// A head without its date, which it must have.
fn undated(head: &str) -> Result<String> {
    let (before, rest) = head.split_once("\r\nDate: ").context("no date")?;
    let (date, after) = rest.split_at_checked(29).context("no date")?;
    if !date.ends_with(" GMT") || !after.starts_with("\r\n") {
        bail!("a strange date: {date}");
    }
    Ok(format!("{before}{after}"))
}

/// `wrk`, if it is there.
fn load(site: &Site) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/size-4096", site.port);
    let output =
        Command::new("wrk").args(["-t1", "-c100", "-d2s", "--timeout", "20s", &url]).output();
    let Ok(output) = output else {
        step("WRK IS NOT INSTALLED (apt-get install wrk): NO LOAD GENERATOR HAS RUN");
        return Ok(());
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || !text.contains("Requests/sec") {
        bail!("wrk: {text}");
    }
    if text.contains("Socket errors") || text.contains("Non-2xx") {
        bail!("wrk: {text}");
    }
    Ok(())
}

impl Site {
    /// Starts the server with this many descriptors, on a port that was free.
    fn start(servers: &Servers, directory: &Path, descriptors: usize) -> Result<Site> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let arguments = format!("'{}' {port}", directory.display());
        let mut server = servers.start("httpd", &arguments, descriptors)?;
        server.wait(&format!("127.0.0.1:{port}"))?;
        Ok(Site { server, port, directory: directory.to_path_buf() })
    }

    fn alive(&mut self) -> Result<()> {
        match self.server.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the server ended: {status}"),
        }
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends these bytes; everything that comes back has this status, and then the connection ends.
    fn expect(&self, request: &[u8], status: &str) -> Result<()> {
        let mut stream = self.connect()?;
        stream.write_all(request)?;
        if status.is_empty() {
            stream.shutdown(Shutdown::Write)?;
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer);
        let got = text.strip_prefix("HTTP/1.1 ").map_or("", |rest| rest.get(..3).unwrap_or(""));
        if got != status || text.contains("secret") {
            bail!("answered {text:?} instead of {status}");
        }
        match text.split_once("\r\n\r\n") {
            Some((head, body)) => {
                let length = format!("\r\nContent-Length: {}", body.len());
                if head.contains(&length) {
                    Ok(())
                } else {
                    bail!("the length is not that of {text}")
                }
            }
            None if status.is_empty() => Ok(()),
            None => bail!("no head: {text:?}"),
        }
    }

    /// One answer of a connection that stays open: its head and its body.
    fn answer(stream: &mut TcpStream, has_body: bool) -> Result<(String, Vec<u8>)> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head)?;
        let length = head.split_once("Content-Length: ").context("no length")?.1;
        let length: usize = length.split("\r\n").next().unwrap_or("").parse()?;
        let mut body = vec![0; if has_body { length } else { 0 }];
        stream.read_exact(&mut body)?;
        Ok((head, body))
    }

    fn file(&self, name: &str) -> Result<Vec<u8>> {
        Ok(fs::read(self.directory.join(name))?)
    }

    /// A request byte by byte, and HEAD beside GET.
    fn pieces(&self) -> Result<usize> {
        let mut stream = self.connect()?;
        for byte in b"GET /size-511 HTTP/1.1\r\nHost: x\r\n\r\n" {
            stream.write_all(&[*byte])?;
        }
        let (head, body) = Self::answer(&mut stream, true)?;
        same(&body, &self.file("size-511")?)?;
        stream.write_all(b"HEAD /size-511 HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let (same_head, _) = Self::answer(&mut stream, false)?;
        same(undated(&same_head)?.as_bytes(), undated(&head)?.as_bytes())?;
        stream.write_all(b"HEAD /none HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let (head, _) = Self::answer(&mut stream, false)?;
        stream.write_all(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let (same_head, _) = Self::answer(&mut stream, true)?;
        same(undated(&same_head)?.as_bytes(), undated(&head)?.as_bytes())?;
        if head.starts_with("HTTP/1.1 404 ") { Ok(4) } else { bail!("{head}") }
    }

    /// Many requests before the first answer is read; the last one is bad, and all are answered.
    fn ahead(&self) -> Result<usize> {
        let mut stream = self.connect()?;
        let mut requests = String::new();
        for number in 0..200 {
            let size = SIZES[number % 8];
            requests +=
                &format!("GET /size-{size} HTTP/1.1\r\nHost: x\r\nNumber: {number}\r\n\r\n");
        }
        requests += "GET / HTTP/3.0\r\n\r\n";
        let mut writer = stream.try_clone()?;
        let feeder = thread::spawn(move || writer.write_all(requests.as_bytes()));
        for number in 0..200 {
            let (_, body) = Self::answer(&mut stream, true).with_context(|| format!("{number}"))?;
            same(&body, &self.file(&format!("size-{}", SIZES[number % 8]))?)?;
        }
        let (head, _) = Self::answer(&mut stream, true)?;
        if !head.starts_with("HTTP/1.1 505 ") {
            bail!("{head}");
        }
        let _ = feeder.join();
        Ok(201)
    }

    /// A client that takes its time to read: nothing is lost, and others do not wait.
    fn slow_reader(&self) -> Result<usize> {
        let mut stream = self.connect()?;
        stream.write_all(b"GET /size-6000000 HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut part = vec![0; 300_000];
        loop {
            let count = stream.read(&mut part)?;
            if count == 0 {
                break;
            }
            answer.extend_from_slice(&part[..count]);
            if answer.len() < 2_000_000 {
                thread::sleep(Duration::from_millis(100));
                self.expect(b"GET / HTTP/1.0\r\n\r\n", "200")?;
            }
        }
        let file = self.file("size-6000000")?;
        same(&answer[answer.len().saturating_sub(file.len())..], &file)?;
        Ok(1)
    }

    /// Requests with bytes changed, cut off or doubled: each gets an answer, or none if it has no
    /// end, and then the connection ends.
    fn noise(&self, requests: usize) -> Result<usize> {
        let model = b"GET /size-511?a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nA: b\r\n\r\n";
        let mut random = Random(0x4E01);
        for _ in 0..requests {
            let mut request = model.to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(request.len());
                let part = request[at..].to_vec();
                match random.below(4) {
                    0 => request.truncate(at),
                    1 => request.extend(part),
                    2 => request.insert(at, b"\r\n :/%\0."[random.below(8)]),
                    _ => request[at] = random.bytes(1)[0],
                }
                request.push(b'\n');
            }
            let mut stream = self.connect()?;
            // It may have been answered, and the connection ended, before all is sent.
            let _ = stream.write_all(&request).and_then(|()| stream.shutdown(Shutdown::Write));
            let mut answer = Vec::new();
            let ended = stream.read_to_end(&mut answer);
            let text = String::from_utf8_lossy(&answer).into_owned();
            if ended.is_err() || !text.is_empty() && !text.starts_with("HTTP/1.1 ") {
                bail!("{:?}: {ended:?} {text:?}", String::from_utf8_lossy(&request));
            }
        }
        Ok(requests)
    }

    /// A client that never ends its request is told so, however it goes on.
    fn slow_writer(&self) -> Result<()> {
        let mut stream = self.connect()?;
        let begun = Instant::now();
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(b"GET / HTTP/1.1\r\n")?;
        let mut answer = [0; 12];
        while stream.read_exact(&mut answer).is_err() {
            if begun.elapsed() > PATIENCE {
                bail!("a request that does not end is waited for");
            }
            stream.write_all(b"A: b\r\n")?;
        }
        same(&answer, b"HTTP/1.1 408")
    }

    /// This many clients at once, each with so many requests over one connection.
    fn crowd(&self, clients: usize, requests: usize) -> Result<usize> {
        let wanted = self.file("size-65537")?;
        let one = |_| -> Result<()> {
            let mut stream = self.connect()?;
            for _ in 0..requests {
                stream.write_all(b"GET /size-65537 HTTP/1.1\r\nHost: x\r\n\r\n")?;
                let (_, body) = Self::answer(&mut stream, true)?;
                same(&body, &wanted)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let all: Vec<_> = (0..clients).map(|n| scope.spawn(move || one(n))).collect();
            for client in all {
                match client.join() {
                    Ok(result) => result?,
                    Err(_) => bail!("a client panicked"),
                }
            }
            Ok(clients * requests)
        })
    }
}
