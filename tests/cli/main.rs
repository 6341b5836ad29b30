//! The command as its users run it: one binary, a file a verb. Everything happens in a sandbox: a folder and an
//! `ISN_HOME` of the test's own, no network, no terminal.

mod architecture;
mod build;
mod damage;
mod kill;
mod rebuild;
mod sandbox;
mod vectors;
