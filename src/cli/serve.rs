//! `isn serve`: arguments in, the server's address out, and how it ended.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::commands::Run;
use super::render::Output;
use super::values::{parse_age, parse_size, parse_timeout};
use crate::cli::exit::ExitCode;
use crate::serve::{PublishOptions, ServeOptions, Server};
use isn_format::error::{Error, Result};

/// What to serve, where, and within which limits.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
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

impl Run {
    pub(super) fn serve(&self, args: ServeArgs) -> Result<ExitCode> {
        if args.dir.to_string_lossy().contains("://") {
            return Err(Error::invalid(args.dir.display(), "is a URL: a folder is what can be served"));
        }
        let trust = self.settings.trust()?;
        let publish = args.publish_tokens.map(|tokens| PublishOptions {
            tokens,
            quota: args.publish_quota,
            most_objects: args.publish_objects as usize,
            most_images: args.publish_images.into(),
            most_entries: args.publish_entries as usize,
            logs: self.settings.logs(),
            trust,
        });
        let options = ServeOptions {
            registry: args.dir,
            listen: args.listen,
            tls: args.tls_cert.zip(args.tls_key),
            max_connections: args.max_connections as usize,
            max_per_address: args.max_per_address as usize,
            header_timeout: Duration::from_secs(args.header_timeout),
            idle_timeout: Duration::from_secs(args.idle_timeout),
            grace: Duration::from_secs(args.grace),
            threads: self.jobs,
            publish,
            log: args.log,
        };
        let server = Server::bind(&options, Arc::new(Output::line))?;
        self.output.serving(&server);
        // Whoever started it waits for the address, and does not get it.
        if self.output.is_broken() {
            return Ok(ExitCode::SUCCESS);
        }
        self.output.served(&server.run()?);
        Ok(ExitCode::SUCCESS)
    }
}
