//! Attacks on a registry, each a test of its name. The forger has every key that the attack takes; the reader is refused
//! with exit 4 in words that name the attack, or, where an entry of the log is invalid, loses nothing by it and is told.

mod amplification;
mod claims;
#[cfg(target_os = "linux")]
mod destinations;
mod entry;
#[cfg(unix)]
mod hidden_files;
mod history;
mod kept_work;
mod ledgers;
mod lock_paths;
mod mirroring;
mod mirrors;
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
