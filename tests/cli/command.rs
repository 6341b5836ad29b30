//! What users expect of every command line tool: completions, man pages, `-v`, colours, Ctrl-C, and a list
//! that marks versions that should not be used.

use std::fs;
use std::process::Command;

use crate::forger::Forger;
use crate::sandbox::{Sandbox, ended, has_tool, ran};
use crate::server::Server;

#[test]
fn completions_know_every_verb_and_bash_can_read_them() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.isn(&["completions", shell]).ok().stdout;
        for word in ["verify-source", "rotate-key", "--max-age"] {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(script.contains(word), "{shell} does not know {word}");
        }
        let json = sandbox.isn(&["completions", shell, "--json"]).ok().json();
        assert_eq!((json["shell"].as_str(), json["script"].as_str()), (Some(shell), Some(&*script)));
        if shell == "bash" && has_tool("bash") {
            fs::write(sandbox.path("completions"), &script).unwrap();
            let checked = Command::new("bash").arg("-n").arg(sandbox.path("completions")).output().unwrap();
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
            // The script asks the `isn` that is in PATH.
            let isn = std::path::Path::new(crate::sandbox::ISN).parent().unwrap();
            let path = format!("{}:{}", isn.display(), std::env::var("PATH").unwrap());
            let complete = |words: &str, last: &str| {
                let call = format!(
                    "source completions; COMP_WORDS=(isn {words} {last} ''); \
                     COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _isn isn '' {last}; echo ${{COMPREPLY[@]}}"
                );
                let ran = sandbox.program("bash").args(["-c", &call]).env("PATH", &path).output();
                String::from_utf8(ran.unwrap().stdout).unwrap().trim().to_owned()
            };
            let formats = "imagefolder webdataset parquet hf npz tfrecord mds croissant";
            assert_eq!(complete("export demobirds", "--as"), formats);
            assert_eq!(complete("pull demobirds", "--split"), "train val test");
            assert_eq!(complete("publish out", "--key"), "");
            assert!(complete("pull demobirds", "--images").contains("completions"));
            let names = "demobirds grocerystore imagebirds imagebirds-320 imagesubnet50";
            for verb in ["pull", "info", "cite", "verify-source"] {
                assert!(complete(verb, "").starts_with(names), "{}", complete(verb, ""));
            }
            assert!(!complete("publish", "").contains("demobirds"));
        }
    }
    sandbox.isn(&["completions", "cmd"]).fails(2, "powershell");
}

#[test]
fn a_usage_error_is_an_object_with_json() {
    let sandbox = Sandbox::new();
    for (args, why) in [
        (&["pull", "demobirds@9", "--json"][..], "demobirds@9"),
        (&["pull", "demobirds@1.0", "--split", "nope", "--json"], "nope"),
        (&["pull", "--json"], "required"),
        (&["--json", "nothing"], "'nothing'"),
        (&["--json", "pull", "a\u{1b}[2J"], "dataset name"),
    ] {
        let ran = sandbox.isn(args).fails(2, why);
        let object = ran.json();
        assert!(object["error"].as_str().is_some() && object["exit_code"] == 2, "{object}");
        assert!(ran.stdout.lines().count() == 1 && !ran.stdout.contains('\u{1b}'), "{}", ran.stdout);
    }
    assert_eq!(sandbox.isn(&["pull", "nothing@x"]).fails(2, "").stdout, "");
}

#[test]
fn the_object_of_a_usage_error_has_what_stderr_says() {
    let sandbox = Sandbox::new();
    let of = |args: &[&str]| {
        let object = sandbox.isn(args).fails(2, "").json();
        (object["error"].as_str().unwrap().to_owned(), object["help"].as_str().map(str::to_owned))
    };
    for (args, error, help) in [
        (
            &["--json", "trust"][..],
            "'isn trust' requires a subcommand but one was not provided",
            Some("--help"),
        ),
        (&["cache", "--json"], "'isn cache' requires a subcommand but one was not provided", None),
        (&["pull", "--json"], "the following required arguments were not provided:\n  <REF|BUILD>", None),
        (
            &["--json", "pull", "", "--to", "x"],
            "invalid value '' for '<REF|BUILD>'",
            Some("it is empty: a variable"),
        ),
        (&["--json", "list", "--registry", ""], "a value is required", Some("it is empty: a variable")),
        (&["--json", "pull", "demobirds", "--output", "x"], "'--output'", Some("isn pull calls it '--to'")),
        (&["--json", "list", "a/b"], "unexpected argument 'a/b'", Some("did you mean '--registry a/b'?")),
        (&["--json", "pul", "x"], "unrecognized subcommand 'pul'", Some("'pull'")),
        (&["--json", "info", "Grads@1.0"], "invalid value 'Grads@1.0'", Some("did you mean grads@1.0?")),
    ] {
        let (said, helped) = of(args);
        assert!(said.contains(error), "{args:?}: {said}");
        assert!(
            !said.contains("\\n") && !said.contains("Usage") && !said.contains("tip:"),
            "{args:?}: {said}"
        );
        match help {
            Some(help) => {
                assert!(helped.as_ref().is_some_and(|it| it.contains(help)), "{args:?}: {helped:?}")
            }
            None => assert_eq!(helped, None, "{args:?}"),
        }
    }
    // What follows `--` is no option.
    for args in [&["pull", "--", "--json"][..], &["pull", "--", "--json", "--to"]] {
        let ran = sandbox.isn(args).fails(2, "");
        assert_eq!(ran.stdout, "", "{args:?}");
        assert!(!ran.stderr.contains("tip:"), "{args:?}: {}", ran.stderr);
    }
    let ran = sandbox.isn(&["pull", "demobirds", "--to", "x", "--", "--to"]).fails(2, "");
    assert!(!ran.stderr.contains("tip:"), "{}", ran.stderr);
}

#[test]
fn every_verb_has_a_man_page() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["man", "pages"]).ok();
    let help = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/help.txt")).unwrap();
    let verbs = help.lines().filter_map(|line| line.strip_prefix("$ isn")?.strip_suffix(" --help"));
    let mut names: Vec<String> = verbs.map(|verb| format!("isn{}.1", verb.replace(' ', "-"))).collect();
    names.sort();
    let mut pages: Vec<String> = fs::read_dir(sandbox.path("pages"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_eq!(pages, names);
    for page in pages {
        let text = String::from_utf8(sandbox.read(&format!("pages/{page}"))).unwrap();
        assert!(text.contains(".TH isn") && text.contains("Examples:"), "{page}: {text}");
    }
    let page = String::from_utf8(sandbox.read("pages/isn.1")).unwrap();
    let groups: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SS ")).collect();
    assert_eq!(groups.first(), Some(&"\"Use a dataset\""), "{page}");
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing: {page}"));
    assert!(place("SH OPTIONS") < place("isn\\-pull(1)") && place("isn\\-pull(1)") < place("isn\\-audit(1)"));
}

#[cfg(unix)]
#[test]
fn only_a_page_is_replaced_by_a_page() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["man", "pages"]).ok();
    sandbox.write("pages/isn.1", b"old");
    sandbox.isn(&["man", "pages"]).ok();
    assert!(sandbox.read("pages/isn.1").starts_with(b".ie"));

    sandbox.write("mine", b"mine");
    for (name, there) in [("link", "ln -s ../mine"), ("pipe", "mkfifo"), ("folder", "mkdir")] {
        fs::create_dir(sandbox.path(name)).unwrap();
        let script = format!("{there} {name}/isn.1");
        assert!(sandbox.program("sh").args(["-c", &script]).status().unwrap().success());
        sandbox.isn(&["man", name]).fails(1, &format!("{name}/isn.1 already exists, and is not a file"));
    }
    assert_eq!(sandbox.read("mine"), b"mine");
}

#[test]
fn verbose_reports_each_request_and_nothing_secret() {
    let (sandbox, _) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    let host = server.url.strip_prefix("http://").unwrap();
    let run = |more: &[&str], level: Option<&str>| {
        let args = ["fetch", "grads@1.0", "--registry", &server.url];
        let mut command = sandbox.command(&[&args[..], more].concat());
        command.env("ISN_TOKENS", format!("{host}=s3cret"));
        level.map(|level| command.env("ISN_LOG", level));
        let ran = ran(&mut command);
        assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
        ran
    };
    let before = server.log().len();
    let first = run(&["-v"], None).ok().stderr;
    let requests = server.log().len() - before;
    let lines: Vec<&str> = first.lines().filter(|line| line.contains(" GET http://")).collect();
    assert!(requests > 5 && lines.len() == requests, "{requests} requests: {first}");
    for line in &lines {
        assert!(line.contains(&format!(" GET {}/", server.url)) && line.contains(" status="), "{line}");
        assert!(line.contains(" bytes=") && line.contains(" ms="), "{line}");
    }
    let shard = server.sent(".tar.zst");
    assert!(
        lines.iter().any(|line| line.contains(".tar.zst") && line.contains(&format!("bytes={shard} "))),
        "{first}"
    );
    for said in [
        "cache miss: index ",
        "the log of registry ",
        &format!("grads@1.0 comes from registry {}", server.url),
    ] {
        assert!(first.contains(said), "{said}: {first}");
    }
    let again = run(&["--verbose"], None).ok().stderr;
    assert!(again.contains("cache hit: index "), "{again}");

    let info = run(&[], Some("info")).ok().stderr;
    assert!(info.contains("comes from registry") && !info.contains("GET "), "{info}");
    for level in [None, Some("off"), Some("error")] {
        assert_eq!(run(&[], level).ok().stderr, "", "{level:?}");
    }
    for wrong in ["loud", "5", "0"] {
        run(&[], Some(wrong)).fails(1, "ISN_LOG: expected off, error");
    }
    sandbox.isn(&["info", "grads@1.0", "--registry", "reg", "-v"]).fails(0, "READ reg/registry.json");
}

#[test]
fn a_list_marks_what_is_not_to_be_used() {
    let forger = Forger::with_two_versions();
    let say = |verb: &str, version: &str| {
        let args = [verb, version, "--reason", "labels are wrong", "--registry", "reg", "--key", "me"];
        forger.isn(&args).ok();
    };
    say("yank", "grads@1.0");
    say("withdraw", "grads@1.1");
    forger.write("reg/recipes/later/recipe.toml", b"# not built yet\n");
    let text = forger.reader(&["list", "--registry", "reg"]).ok().stdout;
    assert!(text.contains("grads  1.0 (yanked) 1.1 (withdrawn)  ("), "{text}");
    assert!(text.contains("later  (not released: a recipe only)  (reg)"), "{text}");
    let list = forger.reader(&["list", "--registry", "reg", "--json"]).ok().json();
    let grads = list["datasets"].as_array().unwrap().iter().find(|one| one["name"] == "grads").unwrap();
    assert_eq!(grads["versions"], serde_json::json!(["1.0", "1.1"]));
    assert_eq!(grads["yanked"], serde_json::json!({ "1.0": "labels are wrong" }));
    assert_eq!(grads["withdrawn"], serde_json::json!({ "1.1": "labels are wrong" }));
    assert_eq!(list["unreleased"], serde_json::json!([{ "name": "later", "registry": "reg" }]));

    let bundled = forger.reader(&["list"]).ok().stdout;
    assert!(bundled.contains("demobirds  1.0  (bundled)"), "{bundled}");
    assert!(bundled.contains("imagebirds  (not released: a recipe only)  (bundled)"), "{bundled}");

    // Versions whose state cannot be read are listed all the same.
    forger.write("reg/log/checkpoint", b"x");
    let ran = forger.reader(&["list", "--registry", "reg"]).ok();
    assert!(
        ran.stdout.contains("grads  1.0 1.1  (") && ran.stderr.contains("are not marked"),
        "{}",
        ran.stderr
    );
}

/// Runs on a terminal made by `script`; does nothing if there is no `script`.
#[cfg(target_os = "linux")]
mod on_a_terminal {
    use super::*;
    use crate::server::Fault;

    fn shown(sandbox: &Sandbox, args: &str, more: &[(&str, &str)]) -> String {
        let isn = env!("CARGO_BIN_EXE_isn");
        let mut command = Command::new("script");
        command.args(["-qec", &format!("'{isn}' {args}"), "/dev/null"]).current_dir(sandbox.path(""));
        command.env("ISN_HOME", sandbox.path("home")).env("NO_PROXY", "127.0.0.1").env("TERM", "xterm");
        command.env_remove("NO_COLOR").env_remove("ISN_REGISTRY").envs(more.iter().copied());
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    }

    #[test]
    fn labels_have_colours_unless_they_are_refused() {
        if !has_tool("script") {
            return;
        }
        let sandbox = Sandbox::new();
        let args = "info demobrids@1.0 --registry bundled";
        let coloured = shown(&sandbox, args, &[]);
        assert!(coloured.contains("\u{1b}[1m\u{1b}[31merror: \u{1b}[0m"), "{coloured:?}");
        assert!(coloured.contains("\u{1b}[32mhelp: \u{1b}[0m"), "{coloured:?}");
        for refused in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let plain = shown(&sandbox, args, &[refused]);
            assert!(plain.contains("error: ") && !plain.contains("\u{1b}["), "{refused:?}: {plain:?}");
        }
        let piped = sandbox.isn(&["info", "demobrids@1.0"]).fails(6, "did you mean 'demobirds@1.0'?");
        assert!(!piped.stderr.contains('\u{1b}'), "{}", piped.stderr);
    }

    #[test]
    fn progress_is_removed_when_it_is_done() {
        if !has_tool("script") {
            return;
        }
        let (sandbox, pin) = Sandbox::published_large();
        let server = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Throttle(8_000_000));
        let shown = shown(&sandbox, &format!("pull '{pin}' --registry {} --to tree", server.url), &[]);
        let (before, after) = shown.rsplit_once("\u{1b}[2K").unwrap_or_else(|| panic!("no bar: {shown:?}"));
        assert!(before.contains(" of 72 images, ") && before.contains(" images/s, "), "{shown:?}");
        assert!(!after.contains("images/s") && after.contains("every one verified"), "{shown:?}");
    }
}

#[cfg(unix)]
mod interrupted {
    use std::process::{Child, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;
    use crate::sandbox::{Ran, contents, eventually};
    use crate::server::Fault;

    fn spawn(command: Command) -> Child {
        watching(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Lets SIGINT through again, which a shell has ignored if the tests are its background job.
    #[cfg(target_os = "linux")]
    fn watching(command: Command) -> Command {
        let mut env = Command::new("env");
        env.arg("--default-signal=INT").arg(command.get_program()).args(command.get_args());
        env.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(here) = command.get_current_dir() {
            env.current_dir(here);
        }
        env.stdin(Stdio::null());
        env
    }

    #[cfg(not(target_os = "linux"))]
    fn watching(command: Command) -> Command {
        command
    }

    fn interrupt(child: Child) -> Ran {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        ended(child)
    }

    #[test]
    fn drawing_says_what_is_left_and_begins_again() {
        let sandbox = Sandbox::new();
        let child = spawn(sandbox.command(&["demo", "source", "raw"]));
        let drawn = sandbox.path(".raw.isn-partial/source/train");
        eventually("drawn images", || drawn.exists());
        let ended = interrupt(child);
        assert_eq!(ended.code, 130, "{}", ended.stderr);
        assert!(!sandbox.leftovers().is_empty() && !sandbox.path("raw").exists());
        let said = "interrupted: what was drawn is in a hidden folder beside the destination; \
                    the same command removes it and begins again";
        assert_eq!(ended.stderr.lines().last(), Some(said));
        sandbox.isn(&["demo", "source", "raw"]).ok();
        assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
    }

    #[test]
    fn a_pull_says_what_is_kept_and_resumes() {
        let (sandbox, pin) = Sandbox::published_large();
        let slow = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Throttle(2_000_000));
        let pull = |url: &str| {
            let args = ["pull", &pin, "--registry", url, "--to", "tree", "--no-cache", "--json"];
            sandbox.command(&args)
        };
        let child = spawn(pull(&slow.url));
        eventually("a part of the images", || slow.sent(".tar.zst") >= 1_500_000);
        let ended = interrupt(child);
        let kept = "the images fetched so far are kept; run the same command again to resume";
        assert_eq!(ended.code, 130, "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().last(), Some(&*format!("interrupted: {kept}")));
        let object = serde_json::json!({ "error": "interrupted", "help": kept, "exit_code": 130 });
        assert_eq!(ended.json(), object);
        assert!(!sandbox.path("tree").exists());
        let server = Server::new(&sandbox.path("reg"));
        let report = ran(pull(&server.url)).ok().json();
        assert!(report["reused_images"].as_u64().unwrap() > 0, "{report}");
        sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
        assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
    }

    #[test]
    fn a_build_leaves_nothing_half_and_resumes() {
        let sandbox = Sandbox::new();
        let classes = ["ant", "bee", "cat"];
        sandbox.noise("raw", &classes, 40);
        sandbox.large_recipe("1.0", &classes);
        let build = |out: &str| {
            sandbox.command(&["build", "grads-1.0.toml", "--source", "raw", "--out", out, "-j", "1"])
        };
        ran(build("whole")).ok();
        let child = spawn(build("out"));
        eventually("a build", || sandbox.leftovers().iter().any(|name| name.starts_with(".out")));
        let ended = interrupt(child);
        assert!(
            ended.code == 130 && ended.stderr.contains("interrupted: the shards finished so far"),
            "{}",
            ended.stderr
        );
        assert!(!sandbox.path("out").exists());
        ran(build("out")).ok();
        assert!(contents(&sandbox.path("out")) == contents(&sandbox.path("whole")));
    }

    /// Reports are written to a pipe that is full, so that the run waits after its work.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_has_its_name_is_complete() {
        use std::io::{BufRead as _, BufReader, Write as _};

        let (sandbox, pin) = Sandbox::published();
        let begin = |args: &[&str]| {
            let (reader, mut writer) = std::io::pipe().unwrap();
            writer.write_all(&[0; 65_536]).unwrap();
            let mut command = watching(sandbox.command(args));
            (reader, command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap())
        };
        let export = ["export", &pin, "--registry", "reg", "--as", "webdataset", "--to", "x"];
        let pull = ["pull", &pin, "--registry", "reg", "--to", "y"];
        let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "again"];
        let complete = "interrupted: the output is complete; only the report is missing";
        for (args, to, said) in [
            (&export[..], "x", complete),
            (&build, "again", complete),
            (&["demo", "source", "drawn"], "drawn", complete),
            (&pull, "y", "interrupted: the tree is complete; only the report is missing"),
            (
                &[&pull[..4], &["--to", "z", "--lock"]].concat(),
                "z",
                "interrupted: the tree is complete; run the",
            ),
        ] {
            let (_reader, child) = begin(args);
            // The staging folder is removed after the rename.
            eventually("an output", || sandbox.path(to).exists() && sandbox.leftovers().is_empty());
            let ended = interrupt(child);
            assert!(ended.code == 130 && ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
        }
        let (_reader, mut child) = begin(&["key", "new", "other", "--no-passphrase"]);
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("key other: "), "{line}");
        let ended = interrupt(child);
        assert!(ended.code == 130 && ended.stderr.contains("the output is complete"), "{}", ended.stderr);
    }

    /// A shell starts background jobs with SIGINT ignored, so that Ctrl-C reaches only the foreground job.
    #[test]
    fn a_background_job_goes_on() {
        let (sandbox, pin) = Sandbox::published_large();
        let slow = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Throttle(4_000_000));
        let args = ["pull", &pin, "--registry", &slow.url, "--to", "tree"];
        let isn = sandbox.command(&args);
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]).arg(isn.get_program()).args(args);
        shell.envs(isn.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let child = spawn({
            shell.current_dir(sandbox.path(""));
            shell
        });
        eventually("a part of the images", || slow.sent(".tar.zst") >= 500_000);
        interrupt(child).ok();
        sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
    }
}
