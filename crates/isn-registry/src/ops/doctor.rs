//! `isn doctor`: collects the facts for a bug report, and finds what is wrong with this machine's set-up and
//! how to fix it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::client::Client;
use crate::files;
use crate::registry::{BUNDLED, Registry, layout};
use crate::transport::{self, probe::probe};
use isn_format::error::{Error, NetworkKind, bytes as size, chain};

/// A pull soon uses up less free space than this, in bytes.
const LITTLE_SPACE: u64 = 2 << 30;
/// A pull with many threads needs to have more files open than this.
const FEW_FILES: u64 = 128;
/// A larger clock error than this sooner or later makes certificates invalid.
const CLOCK_OFF: Duration = Duration::from_secs(300);
/// File systems that are on another machine or served by a program, by their magic numbers on Linux
/// (`statfs(2)`).
const DISTANT: [(u64, &str); 9] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x00C3_6400, "Ceph"),
    (0x0102_1997, "9P"),
];

/// What only the command line knows about its environment.
pub struct Surroundings<'a> {
    /// The folder of keys, trust and known logs.
    pub home: &'a Path,
    /// The folder of the cache.
    pub cache: Option<&'a Path>,
    /// The working folder.
    pub here: &'a Path,
    /// The environment variables that matter, without the secrets in them.
    pub variables: Vec<(String, String)>,
    /// The socket of the SSH agent.
    pub agent: Option<&'a Path>,
    /// Whether the program can serve a registry.
    pub serves: bool,
}

/// The state of what was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, but could be better.
    Note,
    /// Something will not work.
    Wrong,
}

/// One check and its result.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was checked.
    pub what: String,
    /// Its state.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// The result of all checks.
#[derive(Debug)]
pub struct DoctorReport {
    /// Facts for a bug report.
    pub facts: Vec<(String, String)>,
    /// The results, in the order of the checks.
    pub findings: Vec<Finding>,
}

impl DoctorReport {
    /// Whether something will not work.
    pub fn is_ill(&self) -> bool {
        self.findings.iter().any(|finding| finding.state == State::Wrong)
    }
}

/// Checks the machine, and the connection to each registry. It changes nothing: what it tries out, it tries
/// out with temporary files. If there is no `client`, it reports the reason and checks no registry.
pub fn doctor(client: Result<&Client, &Error>, around: &Surroundings<'_>) -> DoctorReport {
    let mut findings = vec![files_open()];
    findings.push(folder("home", around.home, "set ISN_HOME to a folder that you may write to"));
    findings.extend(private_files(around.home));
    if let Some(cache) = around.cache {
        findings.push(folder(
            "cache",
            cache,
            "set ISN_CACHE to a folder on a local disk that you may write to",
        ));
    }
    findings.push(folder("this folder", around.here, "work in a folder that you may write to, or give --to"));
    findings.extend(around.agent.map(agent));
    match client {
        Ok(client) => {
            findings.extend(certificates(client));
            findings.extend(client.locations.iter().flat_map(|location| registry(client, location)));
        }
        Err(e) => {
            let cure = match e {
                Error::TrustFile { cure, .. } => cure,
                _ => "repair it, or move it away",
            };
            let found = format!("{}; no registry was tried", chain(e));
            findings.push(finding("settings", State::Wrong, found, Some(cure)));
        }
    }
    DoctorReport { facts: facts(around), findings }
}

fn facts(around: &Surroundings<'_>) -> Vec<(String, String)> {
    let mut facts = vec![
        ("isn".into(), env!("CARGO_PKG_VERSION").into()),
        ("features".into(), features(around.serves)),
        ("system".into(), format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("threads".into(), crate::parallel::available().to_string()),
        ("home".into(), around.home.display().to_string()),
    ];
    facts.extend(around.cache.map(|cache| ("cache".into(), cache.display().to_string())));
    facts.extend(around.variables.iter().cloned());
    facts
}

fn features(serves: bool) -> String {
    let has = [("serve", serves), ("cloud", cfg!(feature = "cloud")), ("parquet", cfg!(feature = "parquet"))];
    let names: Vec<&str> = has.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn finding(what: &str, state: State, found: impl Into<String>, cure: Option<&str>) -> Finding {
    Finding { what: what.into(), state, found: found.into(), cure: cure.map(Into::into) }
}

fn files_open() -> Finding {
    #[cfg(target_os = "linux")]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        if limit.is_some_and(|limit| limit < FEW_FILES) {
            let found = format!("{} may be open at once", limit.unwrap_or_default());
            let cure = Some("raise the limit with `ulimit -n 1024`");
            return finding("open files", State::Note, found, cure);
        }
        let found = limit.map_or_else(|| "no limit".into(), |limit| format!("{limit} at once"));
        finding("open files", State::Ok, found, None)
    }
    #[cfg(not(target_os = "linux"))]
    finding("open files", State::Ok, "not looked at on this system", None)
}

/// Checks whether a folder can be written to, has free space, and is on a disk that supports what isn needs.
fn folder(what: &str, path: &Path, cure: &str) -> Finding {
    // A folder that does not exist yet will be made below its first ancestor that does.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let there = absolute.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    if !there.is_dir() {
        let found = format!("{} is not a folder", there.display());
        return finding(what, State::Wrong, found, Some(cure));
    }
    let tried = match try_out(there) {
        Ok(tried) => tried,
        Err(e) => return finding(what, State::Wrong, chain(&e), Some(cure)),
    };
    let free = files::free_space(there).map(|(_, free)| free);
    let distant = distant(there);
    let mut found = vec![path.display().to_string()];
    found.extend(free.map(|free| format!("{} free", size(free))));
    found.extend(distant.map(|name| format!("on {name}, not on this machine's disk")));
    found.extend(tried.iter().map(|lack| lack.what.to_string()));
    let found = found.join(", ");
    if free.is_some_and(|free| free < LITTLE_SPACE) {
        let cure = Some("there is little room: `isn cache gc --max-size` frees some");
        return finding(what, State::Note, found, cure);
    }
    let mut cures: Vec<&str> = tried.iter().map(|lack| lack.cure).collect();
    cures.extend(distant.map(|_| "it works, but slower: ISN_CACHE on a local disk saves network traffic"));
    if !cures.is_empty() {
        return finding(what, State::Note, found, Some(&cures.join("; ")));
    }
    finding(what, State::Ok, found, None)
}

/// Something that a disk does not support, and its consequence.
struct Lack {
    what: &'static str,
    cure: &'static str,
}

const ONE_CASE: Lack = Lack {
    what: "does not tell upper from lower case",
    cure: "names that differ only in case cannot be in one folder there",
};
const NO_LOCKS: Lack = Lack {
    what: "has no file locks",
    cure: "run only one isn at a time there that changes trust, logs, isn.lock or a ledger, or one change may undo \
    another; a killed pull or build starts again, and what it left stays",
};
const NO_EXCHANGE: Lack = Lack {
    what: "cannot exchange folders in one step",
    cure: "a tree that is replaced there is gone for a moment: nothing should read it meanwhile",
};

/// Does with temporary files what isn does with trees.
fn try_out(dir: &Path) -> Result<Vec<Lack>, Error> {
    let scratch = tempfile::Builder::new().prefix(files::TEMP_PREFIX).tempdir_in(dir);
    let scratch = scratch.map_err(Error::io("write in", dir))?;
    let at = |name: &str| scratch.path().join(name);
    let mut lacking = Vec::new();
    fs::write(at("a"), "a").map_err(Error::io("write in", dir))?;
    fs::write(at("B"), "b").map_err(Error::io("write in", dir))?;
    if at("b").exists() {
        lacking.push(ONE_CASE);
    }
    if !files::Lock::try_take(&at("lock"))?.is_some_and(|lock| lock.is_held()) {
        lacking.push(NO_LOCKS);
    }
    let folders = [at("c"), at("d")];
    for folder in &folders {
        fs::create_dir(folder).map_err(Error::io("create folder", folder))?;
    }
    if !files::exchange_at_once(&folders[0], &folders[1])? {
        lacking.push(NO_EXCHANGE);
    }
    Ok(lacking)
}

#[cfg(target_os = "linux")]
fn distant(path: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(path).ok()?.f_type as u64 & 0xFFFF_FFFF;
    DISTANT.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

#[cfg(not(target_os = "linux"))]
fn distant(_: &Path) -> Option<&'static str> {
    let _ = DISTANT;
    None
}

/// Finds files of secrets that other users can read.
fn private_files(home: &Path) -> Vec<Finding> {
    let keys = home.join("keys");
    let mut secret: Vec<PathBuf> = vec![home.join("tokens.toml")];
    let names = files::names_in(&keys).unwrap_or_default();
    secret.extend(names.iter().filter(|name| !name.ends_with(".pub")).map(|name| keys.join(name)));
    let refused = secret.iter().filter(|path| path.is_file()).filter_map(|path| {
        let error = files::check_private(path).err()?;
        let cure = format!("chmod 600 {}", path.display());
        Some(finding("secrets", State::Wrong, chain(&error), Some(&cure)))
    });
    refused.collect()
}

fn certificates(client: &Client) -> Option<Finding> {
    let path = client.access.ca_bundle.as_ref()?;
    Some(match transport::http::Http::new("https://localhost", &client.access) {
        Ok(_) => finding("certificates", State::Ok, path.display().to_string(), None),
        Err(e) => {
            let cure = "ISN_CA_BUNDLE must name a file with certificates in PEM, or not be set";
            finding("certificates", State::Wrong, chain(&e), Some(cure))
        }
    })
}

fn agent(socket: &Path) -> Finding {
    match socket.exists() {
        true => finding("SSH agent", State::Ok, socket.display().to_string(), None),
        false => {
            let found = format!("{} is not there", socket.display());
            let cure = "only publishers need it: start ssh-agent, or unset SSH_AUTH_SOCK";
            finding("SSH agent", State::Note, found, Some(cure))
        }
    }
}

/// Checks whether a registry can be reached, what it is, and whether its clock agrees with this machine's.
fn registry(client: &Client, location: &str) -> Vec<Finding> {
    let what = format!("registry {location}");
    let wrong = |error: &Error, cure: &str| finding(&what, State::Wrong, chain(error), Some(cure));
    let opened = Registry::open(location, &client.access).and_then(|registry| {
        let runtime = transport::runtime()?;
        Ok((registry, runtime))
    });
    let (registry, runtime) = match opened {
        Ok(opened) => opened,
        Err(e) => {
            return vec![wrong(&e, "--registry, ISN_REGISTRY, isn.toml and config.toml say where to look")];
        }
    };
    let mut findings = Vec::new();
    let is_web = ["http://", "https://"].iter().any(|scheme| registry.name().starts_with(scheme));
    if is_web {
        let url = format!("{}/{}", registry.name(), layout::REGISTRY_JSON);
        match runtime.block_on(probe(&url, &client.access)) {
            Ok(probe) => {
                let took = probe.first_byte.as_millis();
                if !probe.sends_parts {
                    let found = format!(
                        "answers by {} in {took} ms, but does not support range requests",
                        probe.protocol
                    );
                    let cure = "a part of a version costs whole shards there: its operator can enable range \
                    requests";
                    findings.push(finding(&what, State::Note, found, Some(cure)));
                } else {
                    let found = format!("answers by {} in {took} ms", probe.protocol);
                    findings.push(finding(&what, State::Ok, found, None));
                }
                findings.extend(probe.clock.map(|clock| clocks(clock, SystemTime::now())));
            }
            Err(e) => return vec![wrong(&e, cure_of(&e))],
        }
    }
    let about = match runtime.block_on(registry.about()) {
        Ok(about) => about,
        Err(e) => {
            let cure = if is_web { "the address is not that of a registry" } else { cure_of(&e) };
            findings.push(wrong(&e, cure));
            return findings;
        }
    };
    match (about.log_key, runtime.block_on(registry.signed_checkpoint(layout::LOG))) {
        (_, Err(e)) => findings.push(wrong(&e, cure_of(&e))),
        (Some(key), Ok(None)) => {
            let found = format!("names the log {key}, and has no {}", layout::CHECKPOINT);
            let cure = "its operator must repair it: `isn verify REGISTRY` lists all faults";
            findings.push(finding(&what, State::Wrong, found, Some(cure)));
        }
        (Some(key), Ok(Some(_))) if !is_web => {
            findings.push(finding(&what, State::Ok, format!("log {key}"), None));
        }
        (None, Ok(_)) if !is_web => findings.push(finding(&what, State::Ok, "has no log", None)),
        _ => {}
    }
    if location != BUNDLED
        && let Ok(belief) = runtime.block_on(client.belief(&registry))
        && belief.log.is_none()
        && belief.keys.is_empty()
    {
        let cure = "pins work; for names, `isn trust add REGISTRY KEY` with the vkey or the publisher's key";
        findings.push(finding(&what, State::Note, "none of its keys is trusted", Some(cure)));
    }
    findings
}

fn cure_of(error: &Error) -> &'static str {
    let kind = match error {
        Error::Network { kind, .. } => kind,
        Error::Trust { .. } | Error::Integrity { .. } | Error::Invalid { .. } => {
            return "its operator must repair it: `isn verify REGISTRY` lists all faults";
        }
        _ => return "check the address, the connection, and the proxy variables (https_proxy, NO_PROXY)",
    };
    match kind {
        NetworkKind::Offline => "ISN_OFFLINE or --offline keeps isn off the network",
        NetworkKind::Certificate => {
            "install the system's certificates (ca-certificates), set ISN_CA_BUNDLE to your institution's, or \
             set this machine's clock"
        }
        NetworkKind::Proxy => {
            "the proxy wants a name and a password: https_proxy=http://NAME:PASSWORD@HOST:PORT"
        }
        NetworkKind::Dns => {
            "the name is not known here: check the address, the DNS, and whether a proxy is needed (https_proxy)"
        }
        NetworkKind::NotTls => "the server does not speak TLS: try http:// instead of https://",
        NetworkKind::Gone => "check its path, and whether its disk is mounted",
        NetworkKind::NoFile => "move away what is there, and restore the file",
        NetworkKind::Unreadable => "check who may read it (`ls -l`), and whether the disk is healthy",
        NetworkKind::Refused | NetworkKind::Timeout | NetworkKind::Status(_) | NetworkKind::Broken => {
            "check the address, the connection, and the proxy variables (https_proxy, NO_PROXY)"
        }
    }
}

fn clocks(server: SystemTime, here: SystemTime) -> Finding {
    let off = server.duration_since(here).or_else(|_| here.duration_since(server)).unwrap_or_default();
    let found = format!("{} seconds from the server's", off.as_secs());
    if off <= CLOCK_OFF {
        return finding("clock", State::Ok, found, None);
    }
    finding("clock", State::Wrong, found, Some("set this machine's clock: certificates have dates"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_a_little() {
        let now = SystemTime::now();
        let year = Duration::from_secs(365 * 24 * 3600);
        assert_eq!(clocks(now, now + Duration::from_secs(20)).state, State::Ok);
        for there in [now + 10 * year, now - 10 * year] {
            assert_eq!(clocks(there, now).state, State::Wrong);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_is_wrong_and_one_that_will_be_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(folder("cache", &file.join("below"), "cure").state, State::Wrong);
        assert_ne!(folder("cache", &dir.path().join("not/yet"), "cure").state, State::Wrong);
        assert_eq!(files::names_in(dir.path()).unwrap(), ["file"], "nothing is left");
    }
}
