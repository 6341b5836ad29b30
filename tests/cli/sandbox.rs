//! A folder, an `ISN_HOME` and a small dataset for tests.

use std::borrow::BorrowMut;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use isn_registry::cache::Cache;
use isn_registry::client::Client;
use isn_registry::known_logs::KnownLogs;
use isn_registry::transport::Access;
use isn_registry::trust::TrustStore;

/// The program under test.
pub const ISN: &str = env!("CARGO_BIN_EXE_isn");
/// How long a run may take.
const DEADLINE: Duration = Duration::from_secs(120);

pub struct Sandbox {
    dir: tempfile::TempDir,
}

/// The output of a run.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The last line of stdout, which is an object with `--json`.
    pub fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_else(|| panic!("no output; stderr: {}", self.stderr));
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn fails(self, code: i32, message: &str) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        let all = format!("{}{}", self.stdout, self.stderr);
        assert!(all.contains(message), "expected '{message}' in:\n{all}");
        self
    }
}

/// Makes a temporary folder: in memory if there is room, since tests write many small files and sync each; or
/// where `TMPDIR` says.
pub fn folder() -> tempfile::TempDir {
    #[cfg(target_os = "linux")]
    if std::env::var_os("TMPDIR").is_none() && has_room("/dev/shm") {
        return tempfile::tempdir_in("/dev/shm").unwrap();
    }
    tempfile::tempdir().unwrap()
}

/// Whether a file system has a gigabyte for the tests; in a container, `/dev/shm` often has 64 MB.
#[cfg(target_os = "linux")]
fn has_room(path: &str) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|about| about.f_bavail * about.f_frsize >= 1 << 30)
}

impl Sandbox {
    pub fn new() -> Self {
        Sandbox { dir: folder() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs isn in the sandbox.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(ISN);
        command.args(args);
        command
    }

    /// Runs a program in the sandbox that may run isn, such as `strace`. It inherits only the search path and
    /// the folder for temporary files from the tests' environment, so that a developer's settings cannot
    /// change a test.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).stdin(Stdio::null()).env_clear();
        let kept = ["PATH", "TMPDIR"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.envs(kept).env("LANG", "C.UTF-8");
        command.env("HOME", self.path("user")).env("ISN_HOME", self.path("home"));
        // Not the certificates of this system: parsing them all would be most of a run that uses a network.
        command.env("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/ca.pem"));
        command
    }

    pub fn isn(&self, args: &[&str]) -> Ran {
        ran(self.command(args))
    }

    /// What the library needs to read from `location` with the cache, trust and logs in the folder `home`.
    pub fn client(&self, home: &str, location: &str) -> Client {
        let home = self.path(home);
        Client {
            locations: vec![location.into()],
            named_by: String::new(),
            trust: TrustStore::open(home.join("trust.toml")).unwrap(),
            logs: KnownLogs::new(home.join("logs")),
            cache: Some(Cache::new(home.join("cache"))),
            access: Access::default(),
            max_age: None,
            whole_log: false,
        }
    }

    /// Runs `isn` as a user whom permissions bind, as they do not bind root; `None` if that is not possible.
    #[cfg(unix)]
    pub fn bound(&self, args: &[&str]) -> Option<Ran> {
        if !rustix::process::geteuid().is_root() {
            return Some(self.isn(args));
        }
        if !has_tool("setpriv") {
            return None;
        }
        let mut command = self.program("setpriv");
        Some(ran(command.args(["--bounding-set=-all", "--inh-caps=-all", ISN]).args(args)))
    }

    /// Makes a source of drawn images: `count` in each of `classes`, in ImageFolder layout without splits.
    pub fn image_folder(&self, name: &str, classes: &[&str], count: usize) {
        for (c, class) in classes.iter().enumerate() {
            fs::create_dir_all(self.path(name).join(class)).unwrap();
            for i in 0..count {
                let path = self.path(name).join(class).join(format!("{class}_{i}.png"));
                gradient(40 + i as u32, 30 + c as u32, (c * 64 + i) as u8).save(path).unwrap();
            }
        }
    }

    pub fn recipe(&self, name: &str, version: &str, classes: &[&str], more: &str) {
        self.recipe_with(name, version, classes, "png", more);
    }

    pub fn recipe_with(&self, name: &str, version: &str, classes: &[&str], encode: &str, more: &str) {
        let encode = if encode == "png" { "\"png\"".to_string() } else { encode.to_string() };
        let mut text = format!(
            "format = \"isn-recipe/1\"\nname = \"{name}\"\nversion = \"{version}\"\ntitle = \"Drawn gradients\"\n\
             description = \"For tests.\"\nlicence = \"CC0-1.0\"\nauthors = [\"A. Tester\"]\n\n\
             [source]\nkind = \"imagefolder\"\n\n[image]\nsize = 24\nfilter = \"catmullrom\"\nencode = {encode}\n\
             small = \"keep\"\nexif_orientation = \"ignore\"\n\n\
             [split]\npolicy = \"pool\"\nval = 0.25\nsalt = \"tests\"\n{more}\n"
        );
        // An audit takes gradients for similar images.
        if !more.contains("[gates]") {
            text += "\n[gates]\nleakage = \"allow\"\n";
        }
        for class in classes {
            text += &format!("\n[[class]]\nid = \"{class}\"\nlabel = \"the {class}\"\n");
        }
        fs::write(self.path(&format!("{name}-{version}.toml")), text).unwrap();
    }

    /// Source `raw`, build `out`, key `me`, registry `reg`: publishes `grads@1.0` with 3 classes of 8 images.
    /// Returns its pin.
    pub fn published() -> (Self, String) {
        let sandbox = Sandbox::built();
        let pin = sandbox.publish("out");
        (sandbox, pin)
    }

    /// Like [`Sandbox::published`], but with 72 incompressible images: some 77 kB each, 5.5 MB in one shard,
    /// so that a pull makes several requests.
    pub fn published_large() -> (Self, String) {
        let sandbox = Sandbox::new();
        let classes = ["ant", "bee", "cat"];
        sandbox.noise("raw", &classes, 24);
        sandbox.large_recipe("1.0", &classes);
        sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
        sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
        let pin = sandbox.publish("out");
        (sandbox, pin)
    }

    /// Makes a source like [`Sandbox::image_folder`], of noise.
    pub fn noise(&self, name: &str, classes: &[&str], count: usize) {
        for (c, class) in classes.iter().enumerate() {
            fs::create_dir_all(self.path(name).join(class)).unwrap();
            for i in 0..count {
                let path = self.path(name).join(class).join(format!("{class}_{i}.png"));
                noise((c * 1000 + i) as u64).save(path).unwrap();
            }
        }
    }

    /// A recipe of `grads` that does not resize the noise.
    pub fn large_recipe(&self, version: &str, classes: &[&str]) {
        self.recipe("grads", version, classes, "");
        let name = format!("grads-{version}.toml");
        let text = String::from_utf8(self.read(&name)).unwrap();
        self.write(&name, text.replace("size = 24", "size = 160").as_bytes());
    }

    /// Like [`Sandbox::published`], but without publishing and without a trusted key.
    pub fn built() -> Self {
        let sandbox = Sandbox::new();
        let classes = ["ant", "bee", "cat"];
        sandbox.image_folder("raw", &classes, 8);
        sandbox.recipe("grads", "1.0", &classes, "");
        sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
        sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
        sandbox
    }

    /// Publishes a build to `reg` with the key `me`, and trusts that key.
    pub fn publish(&self, out: &str) -> String {
        let ran = self.isn(&["publish", out, "--registry", "reg", "--key", "me", "--json"]).ok();
        self.trust_me("reg");
        ran.json()["pin"].as_str().unwrap().to_string()
    }

    pub fn trust_me(&self, registry: &str) {
        let key = self.isn(&["key", "show", "me"]).ok().stdout;
        self.isn(&["trust", "add", registry, key.trim()]).ok();
    }

    /// Makes source `raw2` and build `out2`: `grads@1.1`, which has the images of 1.0 and two more.
    pub fn build_second_version(&self) {
        let classes = ["ant", "bee", "cat"];
        self.image_folder("raw2", &classes, 8);
        gradient(55, 33, 200).save(self.path("raw2/ant/ant_new.png")).unwrap();
        gradient(56, 34, 201).save(self.path("raw2/bee/bee_new.png")).unwrap();
        self.recipe("grads", "1.1", &classes, "");
        self.isn(&["build", "grads-1.1.toml", "--source", "raw2", "--out", "out2"]).ok();
    }

    /// Runs `isn pull` from `reg` and nothing else: no cache, no other tree.
    pub fn pull(&self, reference: &str, more: &[&str]) -> Ran {
        self.isn(&[&["pull", reference, "--registry", "reg", "--no-cache", "--json"], more].concat())
    }

    /// Copies a folder of the sandbox.
    pub fn copy(&self, from: &str, to: &str) {
        for (name, bytes) in contents(&self.path(from)) {
            self.write(&format!("{to}/{name}"), &bytes);
        }
    }

    /// Writes a file in the sandbox, and creates the folders above it.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The objects of a registry or build whose names end with this, as paths relative to the sandbox.
    pub fn objects(&self, store: &str, ending: &str) -> Vec<String> {
        let found = contents(&self.path(store)).into_iter().map(|(name, _)| format!("{store}/{name}"));
        found.filter(|name| name.contains("/objects/") && name.ends_with(ending)).collect()
    }

    /// Everything in the sandbox that a killed or failed run could have left half-written.
    pub fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }
}

/// Runs a command to its end; kills one that takes longer than [`DEADLINE`], and panics.
#[track_caller]
pub fn ran(mut command: impl BorrowMut<Command>) -> Ran {
    ended(command.borrow_mut().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// As [`ran`], for a child.
#[track_caller]
pub fn ended(child: Child) -> Ran {
    let pid = rustix::process::Pid::from_child(&child);
    let (end, ends) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        let is_late = ends.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout);
        if is_late {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        is_late
    });
    let output = child.wait_with_output().unwrap();
    drop(end);
    let said = printed(output);
    let is_late = watch.join().unwrap();
    assert!(!is_late, "not ended after {DEADLINE:?}; stdout: {}\nstderr: {}", said.stdout, said.stderr);
    said
}

fn printed(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn gradient(width: u32, height: u32, seed: u8) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        let wave = |a: u32, b: u32| (x * a + y * b + u32::from(seed)) as u8;
        image::Rgb([wave(3, 1), wave(1, 5), wave(2, 2) ^ seed])
    })
}

/// 160 by 160 pixels of noise.
pub fn noise(seed: u64) -> image::RgbImage {
    let mut bytes = vec![0; 160 * 160 * 3];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    image::RgbImage::from_raw(160, 160, bytes).unwrap()
}

/// The dataset hash of a pin, as `b3:…`.
pub fn hash_of(pin: &str) -> &str {
    pin.split_once('#').unwrap().1
}

/// Every file below `root`, with its bytes.
pub fn contents(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The folder of real images, if there is one (see README.md); the tests that need it pass without.
pub fn real_data() -> Option<PathBuf> {
    let given = std::env::var_os("ISN_TEST_DATA").map(PathBuf::from);
    let path = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    path.is_dir().then_some(path)
}

/// Waits until `is_so` returns true; panics with `what` after 30 seconds.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(90), "not within 90 seconds: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a tool can be run; if not, a test that needs it says so and passes.
pub fn has_tool(name: &str) -> bool {
    let there =
        Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap().status.success();
    if !there {
        eprintln!("{name} is not on this machine: not tried");
    }
    there
}
