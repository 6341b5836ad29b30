//! `isn serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::console::{self, Page};
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::size;
use crate::cli::run::{Run, Verb};
use crate::cli::values::{parse_address, parse_age, parse_size, parse_timeout};
use crate::serve::{PublishOptions, ServeOptions, ServeReport, Server};
use isn_format::error::{Error, Result, count};
use isn_format::text::one_line;
use isn_registry::files;
use isn_registry::registry::BUNDLED;
use isn_registry::trust::RegistryId;

/// Arguments of `isn serve`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ServeArgs {
    /// The registry's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The address and port to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    listen: SocketAddr,
    /// The certificate chain for TLS, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key for TLS, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The maximum number of connections at a time; less if the limit of open files is lower
    #[arg(long, value_name = "N", default_value = "4096", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// The maximum number of connections from one address; 0 for no limit, for example behind a proxy
    #[arg(long, value_name = "N", default_value = "256")]
    max_per_address: u32,
    /// The time within which a client must send the head of its request
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse_timeout)]
    header_timeout: u64,
    /// The time within which a client must send or receive at least a kilobyte
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_timeout)]
    idle_timeout: u64,
    /// The time that running answers get after SIGTERM or SIGINT
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_age)]
    grace: u64,
    /// The file of users who may publish: on each line NAME and the BLAKE3 in hex of a token, which has at
    /// least 16 characters [default: nobody]
    #[arg(long, value_name = "FILE")]
    publish_tokens: Option<PathBuf>,
    /// The maximum size of staged objects per token, for example 500M or 64G
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = parse_size, requires = "publish_tokens")]
    publish_quota: u64,
    /// The maximum number of staged objects per token
    #[arg(long, value_name = "N", default_value = "10000", requires = "publish_tokens")]
    publish_objects: u32,
    /// The maximum number of images of a published version
    #[arg(long, value_name = "N", default_value = "1500000", requires = "publish_tokens")]
    publish_images: u32,
    /// The maximum number of entries added to the log per token and day
    #[arg(long, value_name = "N", default_value = "1000", requires = "publish_tokens")]
    publish_entries: u32,
    /// Print a line on stderr for each request
    #[arg(long)]
    log: bool,
}

impl Verb for ServeArgs {
    fn aim(&self) -> Aim {
        Aim::Serve
    }

    fn kept(&self) -> Option<&'static str> {
        None
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        if RegistryId::of_url(&self.dir.to_string_lossy())?.is_some() {
            return Err(Error::invalid(self.dir.display(), "is a URL: only a folder can be served"));
        }
        if self.dir == Path::new(BUNDLED) && files::is_absent(&self.dir) {
            let why = "is the registry in the program: `isn mirror bundled DIR` copies it to a folder, which can be \
                       served";
            return Err(Error::invalid(BUNDLED, why));
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
        // Nobody learns the address.
        if run.output.is_broken() {
            return Ok(ExitCode::SUCCESS);
        }
        print_ended(&server.run()?);
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the address at once, since whoever started the server waits for it.
fn print_begun(output: &Output, server: &Server) {
    let url = server.url();
    output.print(&Page::of(format_args!("{url}")), json!({ "url": url, "address": server.address() }));
}

fn print_line(line: &str) {
    console::message("", &one_line(line));
}

/// Prints on stderr how the server ended: stdout has had its report.
fn print_ended(report: &ServeReport) {
    let how = if report.finished { "all answers were finished" } else { "some answers were cut off" };
    let connections = count(usize::try_from(report.connections).unwrap_or(usize::MAX), "connection");
    print_line(&format!("stopped after {connections} and {} sent; {how}", size(report.sent)));
}
