//! Not trusted. `cargo xtask bench-servers`: the HTTP server beside nginx, on the same files, by
//! turns. What counts are the ratios of one run; the times of the processor matter more than the
//! requests per second when others use the machine, too.

use super::Bench;
use super::server::Server;
use crate::run::root;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

const SIZES: &[usize] = &[100, 4096, 65_536];
const ROUNDS: usize = 5;

/// What one run of `wrk` gave: requests per second; seconds of the server's processor per request.
#[derive(Clone, Copy)]
struct Rate {
    requests: f64,
    seconds: f64,
}

/// A server, by name.
struct Contender {
    name: &'static str,
    server: Server,
    port: u16,
}

/// Prints a table of medians.
pub(crate) fn bench(binaries: &Path) -> Result<()> {
    let bench = Bench::new(binaries)?;
    bench.assemble("httpd")?;
    let directory = root().join("target/bench/www");
    fs::create_dir_all(&directory)?;
    for size in SIZES {
        fs::write(directory.join(size.to_string()), vec![b'x'; *size])?;
    }
    let contenders = [httpd(&bench, &directory)?, nginx(&directory)?];
    println!(
        "{:>8} {:>12} {:>12} {:>7} {:>12} {:>12} {:>7}",
        "bytes", "httpd req/s", "nginx req/s", "ratio", "httpd us", "nginx us", "ratio"
    );
    for size in SIZES {
        let mut rates: [Vec<Rate>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (contender, rates) in contenders.iter().zip(&mut rates) {
                rates.push(contender.load(*size).context(contender.name)?);
            }
        }
        let [ours, theirs] = rates.map(|rates| median(&rates));
        println!(
            "{size:>8} {:>12.0} {:>12.0} {:>7.2} {:>12.1} {:>12.1} {:>7.2}",
            ours.requests,
            theirs.requests,
            ours.requests / theirs.requests,
            ours.seconds * 1e6,
            theirs.seconds * 1e6,
            ours.seconds / theirs.seconds
        );
    }
    Ok(())
}

fn median(rates: &[Rate]) -> Rate {
    let middle = |value: fn(&Rate) -> f64| {
        let mut values: Vec<f64> = rates.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Rate { requests: middle(|r| r.requests), seconds: middle(|r| r.seconds) }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn start(name: &'static str, port: u16, mut command: Command) -> Result<Contender> {
    let mut server = Server(command.stdin(Stdio::null()).spawn().context(name)?);
    server.wait(&format!("127.0.0.1:{port}"))?;
    Ok(Contender { name, server, port })
}

fn httpd(bench: &Bench, directory: &Path) -> Result<Contender> {
    let port = free_port()?;
    let mut command = Command::new(bench.tool("tal-load"));
    command.arg("run").arg(bench.program("httpd")).arg(directory).arg(port.to_string());
    start("httpd", port, command)
}

/// One process, no log, `sendfile`.
fn nginx(directory: &Path) -> Result<Contender> {
    let port = free_port()?;
    let prefix = root().join("target/bench/nginx");
    fs::create_dir_all(&prefix)?;
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{ listen 127.0.0.1:{port}; root {}; }} }}\n",
        directory.display()
    );
    fs::write(prefix.join("nginx.conf"), configuration)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&prefix).args(["-c", "nginx.conf", "-e", "stderr"]);
    start("nginx", port, command)
}

impl Contender {
    /// One run of the load generator.
    fn load(&self, size: usize) -> Result<Rate> {
        let url = format!("http://127.0.0.1:{}/{size}", self.port);
        let before = self.processor_time()?;
        let output = Command::new("wrk").args(["-t1", "-c64", "-d2s", &url]).output();
        let output = output.context("wrk (apt-get install wrk)")?;
        let used = self.processor_time()? - before;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() || text.contains("Socket errors") || text.contains("Non-2xx") {
            bail!("{text}");
        }
        let number = |line: &str, word: usize| -> Option<f64> {
            let line = text.lines().find(|l| l.contains(line))?;
            line.split_whitespace().nth(word)?.parse().ok()
        };
        let total = number(" requests in ", 0).context("wrk counts nothing")?;
        let requests = number("Requests/sec:", 1).context("wrk measures nothing")?;
        Ok(Rate { requests, seconds: used / total })
    }

    /// Seconds that the process has run, in user and kernel mode.
    fn processor_time(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.server.0.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |field: usize| fields.get(field).and_then(|f| f.parse::<f64>().ok());
        let (Some(user), Some(kernel)) = (ticks(11), ticks(12)) else { bail!("no times") };
        // Linux counts in hundredths for everybody, whatever it uses inside.
        Ok((user + kernel) / 100.0)
    }
}
