//! The command as its users run it: one binary, a file a verb. Everything happens in a sandbox: a folder and an
//! `ISN_HOME` of the test's own, no network, no terminal.

mod architecture;
mod build;
mod cite;
mod damage;
mod demo;
mod http;
mod key;
mod kill;
mod publish;
mod pull;
mod real_data;
mod sandbox;
mod stock_tools;
mod sync;
mod trust;
mod verify;
