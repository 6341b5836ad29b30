//! Attacks on a registry, one test each. The forger has every key that the attack needs. The reader is
//! refused with exit 4 and a message that names the attack; an invalid log entry does no harm, and the reader
//! is told.

use crate::forger::Forger;
use crate::sandbox::{Ran, ran};

mod amplification;
mod claims;
#[cfg(target_os = "linux")]
mod damaged_builds;
mod destinations;
mod entry;
mod first_contact;
#[cfg(unix)]
mod hidden_files;
mod history;
mod kept_work;
mod ledgers;
mod locations;
mod lock_paths;
mod long_inputs;
mod lost_files;
mod mirroring;
mod mirrors;
mod named_faults;
mod near_names;
mod no_locks;
#[cfg(target_os = "linux")]
mod not_utf8;
mod notices;
mod offline;
mod other_logs;
mod other_users;
#[cfg(target_os = "linux")]
mod outputs;
mod own_files;
#[cfg(target_os = "linux")]
mod own_links;
mod packs;
#[cfg(unix)]
mod pipes;
mod poisoned_cache;
#[cfg(all(feature = "serve", target_os = "linux"))]
mod publishing;
#[cfg(target_os = "linux")]
mod removals;
#[cfg(target_os = "linux")]
mod replaced_trees;
mod reserved_names;
#[cfg(all(feature = "serve", target_os = "linux"))]
mod serving;
mod stalls;
mod stdout;
#[cfg(unix)]
mod stored_links;
mod swapped_objects;
mod terminal;
#[cfg(target_os = "linux")]
mod two_trees;
#[cfg(unix)]
mod unreadable;
mod verified_registry;
mod writers_help;
mod wrong_help;

/// Runs `isn` as the reader, with these registries in order and without retries.
fn run(forger: &Forger, registries: &str, args: &[&str]) -> Ran {
    let mut command = forger.command(args);
    command.env("ISN_HOME", forger.path("reader")).env("ISN_REGISTRY", registries).env("ISN_RETRIES", "0");
    ran(&mut command)
}
