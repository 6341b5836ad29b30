//! `isn serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::console::{self, Page};
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::size;
use crate::cli::run::{Run, Verb};
use crate::cli::values::{parse_age, parse_size, parse_timeout};
use crate::serve::{PublishOptions, ServeOptions, ServeReport, Server};
use isn_format::error::{Error, Result, count};
use isn_format::text::one_line;

/// What to serve, where, and within which limits.
#[derive(Debug, Args)]
pub(in crate::cli) struct ServeArgs {
    /// The registry's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Certificate chain for TLS, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key for TLS, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The most connections at a time; fewer where fewer files may be open
    #[arg(long, value_name = "N", default_value = "4096", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// The most connections from one address; 0 is no limit, as behind a proxy
    #[arg(long, value_name = "N", default_value = "256")]
    max_per_address: u32,
    /// How long a client may take to ask
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse_timeout)]
    header_timeout: u64,
    /// How long a client may be silent, or take less than a kilobyte
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_timeout)]
    idle_timeout: u64,
    /// How long answers may go on after SIGTERM or SIGINT
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_age)]
    grace: u64,
    /// Who may publish: a file with NAME and the BLAKE3 of a token in hex a line [default: nobody]
    #[arg(long, value_name = "FILE")]
    publish_tokens: Option<PathBuf>,
    /// How much may be staged with one token, for example 500M or 64G
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = parse_size, requires = "publish_tokens")]
    publish_quota: u64,
    /// How many objects may be staged with one token
    #[arg(long, value_name = "N", default_value = "10000", requires = "publish_tokens")]
    publish_objects: u32,
    /// How many images a version may have that is published here
    #[arg(long, value_name = "N", default_value = "1500000", requires = "publish_tokens")]
    publish_images: u32,
    /// How many entries may be added to the log in a day with one token
    #[arg(long, value_name = "N", default_value = "1000", requires = "publish_tokens")]
    publish_entries: u32,
    /// Write a line to stderr for each request
    #[arg(long)]
    log: bool,
}

impl Verb for ServeArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        if self.dir.to_string_lossy().contains("://") {
            return Err(Error::invalid(self.dir.display(), "is a URL: a folder is what can be served"));
        }
        let trust = run.settings.trust()?;
        let publish = self.publish_tokens.clone().map(|tokens| PublishOptions {
            tokens,
            quota: self.publish_quota,
            most_objects: self.publish_objects as usize,
            most_images: self.publish_images.into(),
            most_entries: self.publish_entries as usize,
            logs: run.settings.logs(),
            trust,
        });
        let options = ServeOptions {
            registry: self.dir.clone(),
            listen: self.listen,
            tls: self.tls_cert.clone().zip(self.tls_key.clone()),
            max_connections: self.max_connections as usize,
            max_per_address: self.max_per_address as usize,
            header_timeout: Duration::from_secs(self.header_timeout),
            idle_timeout: Duration::from_secs(self.idle_timeout),
            grace: Duration::from_secs(self.grace),
            threads: run.jobs,
            publish,
            log: self.log,
        };
        let server = Server::bind(&options, Arc::new(print_line))?;
        print_begun(&run.output, &server);
        // Whoever started it waits for the address, and does not get it.
        if run.output.is_broken() {
            return Ok(ExitCode::SUCCESS);
        }
        print_ended(&server.run()?);
        Ok(ExitCode::SUCCESS)
    }
}

/// Printed at once: whoever started the server waits for it.
fn print_begun(output: &Output, server: &Server) {
    let url = server.url();
    output.print(&Page::of(format_args!("{url}")), json!({ "url": url, "address": server.address() }));
}

fn print_line(line: &str) {
    console::message("", &one_line(line));
}

/// On stderr: the data has been printed.
fn print_ended(report: &ServeReport) {
    let how = if report.finished { "all answers were finished" } else { "some answers were cut off" };
    let connections = count(usize::try_from(report.connections).unwrap_or(usize::MAX), "connection");
    print_line(&format!("stopped after {connections} and {} sent; {how}", size(report.sent)));
}
