//! `isn build --part` and `--join`: what several machines make is what one makes.

use std::fs;

use crate::sandbox::{Ran, Sandbox, contents};

const CLASSES: [&str; 3] = ["ant", "bee", "cat"];

/// A source of three classes of `count` images of 77 kB, some of which repeat others: at the ends, and from
/// part to part.
fn with_source(count: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.noise("raw", &CLASSES, count);
    let copies = [("ant/ant_0", "cat/zz"), ("ant/ant_1", "bee/bee_zz"), ("bee/bee_5", "ant/ant_00")];
    let source = |name: &str| sandbox.path(&format!("raw/{name}.png"));
    for (from, to) in copies {
        fs::copy(source(from), source(to)).unwrap();
    }
    sandbox.large_recipe("1.0", &CLASSES);
    sandbox
}

fn build(sandbox: &Sandbox, source: &str, more: &[&str]) -> Ran {
    sandbox.isn(&[&["build", "grads-1.0.toml", "--source", source][..], more].concat())
}

#[test]
fn any_number_of_parts_gives_the_bytes_of_one_machine() {
    let sandbox = with_source(300);
    let report = build(&sandbox, "raw", &["--out", "whole", "--json"]).ok().json();
    assert!(report["shards"].as_u64().unwrap() >= 2, "{report}");
    let whole = contents(&sandbox.path("whole"));
    for of in [1, 2, 3, 7] {
        let parts: Vec<String> = (1..=of).map(|part| format!("p{of}/{part}")).collect();
        for (number, part) in (1..=of).zip(&parts) {
            let share = format!("{number}/{of}");
            let jobs = format!("{}", 1 + number % 3);
            let told = build(&sandbox, "raw", &["--part", &share, "--out", part, "-j", &jobs, "--json"]);
            let told = told.ok().json();
            assert_eq!((&told["part"], &told["of"]), (&number.into(), &of.into()));
        }
        let out = format!("joined-{of}");
        // In any order.
        let mut args = vec!["--out", &out, "--join"];
        args.extend(parts.iter().rev().map(String::as_str));
        build(&sandbox, "raw", &args).ok();
        assert!(contents(&sandbox.path(&out)) == whole, "{of} parts");
        build(&sandbox, "raw", &args).ok();
        assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
    }
}

#[test]
fn a_part_is_resumed_and_a_copy_of_the_source_will_do() {
    let sandbox = with_source(10);
    build(&sandbox, "raw", &["--out", "whole"]).ok();
    // Copied files have other times.
    sandbox.copy("raw", "raw2");
    build(&sandbox, "raw", &["--part", "1/2", "--out", "a"]).ok();
    let before = contents(&sandbox.path("a"));
    let again = build(&sandbox, "raw", &["--part", "1/2", "--out", "a"]).ok();
    assert!(again.stdout.contains("already built"), "{}", again.stdout);
    assert!(contents(&sandbox.path("a")) == before);
    build(&sandbox, "raw2", &["--part", "2/2", "--out", "b"]).ok();
    build(&sandbox, "raw2", &["--out", "joined", "--join", "a", "b"]).ok();
    build(&sandbox, "raw2", &["--out", "joined", "--join", "a", "b"]).ok();
    // Whether the two had the same files, nobody can know: one machine does not take that for its own.
    build(&sandbox, "raw2", &["--out", "joined"])
        .fails(1, "is not the output of this recipe over this source");
    let objects = |out: &str| contents(&sandbox.path(&format!("{out}/objects")));
    assert!(objects("joined") == objects("whole"));
    // A file that was written to has another time, and the part is not taken for one of it.
    let ant = sandbox.read("raw2/ant/ant_2.png");
    sandbox.write("raw2/ant/ant_2.png", &ant);
    build(&sandbox, "raw2", &["--part", "2/2", "--out", "b"]).fails(1, "is not part 2/2 of this build");
    // By default, each part has a folder of its own.
    build(&sandbox, "raw", &["--part", "2/3"]).ok();
    assert!(sandbox.path("grads-1.0-build-2-of-3/slice.json").is_file());
}

#[test]
fn parts_that_do_not_make_the_build_are_refused_and_nothing_is_left() {
    let sandbox = with_source(10);
    for (share, out) in [("1/2", "a"), ("2/2", "b"), ("2/3", "third")] {
        build(&sandbox, "raw", &["--part", share, "--out", out]).ok();
    }
    sandbox.copy("b", "twin");
    fs::create_dir(sandbox.path("empty")).unwrap();
    let join = |more: &[&str]| build(&sandbox, "raw", &[&["--out", "out", "--join"], more].concat());
    for (parts, code, why) in [
        (&["a"][..], 1, "the parts: lack 2/2"),
        (&["a", "b", "twin"], 1, "twin is part 2 of 2, and so is b"),
        (&["a", "third"], 1, "is one of 3 parts, and others are of 2"),
        (&["a", "empty"], 1, "empty is no part of a build"),
        (&["a", "raw"], 1, "raw is no part of a build"),
        (&["a", "absent"], 6, "absent"),
    ] {
        join(parts).fails(code, why);
        assert!(!sandbox.path("out").exists() && sandbox.leftovers().is_empty(), "{parts:?}");
    }
    build(&sandbox, "raw", &["--part", "1/2", "--out", "b"]).fails(1, "is not part 1/2 of this build");
    build(&sandbox, "raw", &["--part", "3/2"]).fails(2, "expected I/N, such as 2/8");
    build(&sandbox, "raw", &["--part", "1/2", "--join", "a"]).fails(2, "cannot be used with");
    // Every file of a part, damaged and cut.
    for (name, bytes) in contents(&sandbox.path("b")) {
        for (what, damaged) in [
            (
                "flipped",
                bytes.iter().enumerate().map(|(at, b)| b ^ u8::from(at == bytes.len() / 2)).collect(),
            ),
            ("cut", bytes[..bytes.len() / 2].to_vec()),
            ("empty", Vec::new()),
        ] {
            sandbox.write(&format!("b/{name}"), &damaged);
            let ran = join(&["a", "b"]);
            assert!([1, 3].contains(&ran.code), "{name} {what}: {} {}", ran.code, ran.stderr);
            assert!(!sandbox.path("out").exists(), "{name} {what}");
        }
        fs::remove_file(sandbox.path(&format!("b/{name}"))).unwrap();
        assert_ne!(join(&["a", "b"]).code, 0, "{name} is gone");
        sandbox.write(&format!("b/{name}"), &bytes);
    }
    join(&["a", "b"]).ok();
    // Another recipe has other parts.
    fs::remove_dir_all(sandbox.path("out")).unwrap();
    sandbox.large_recipe("1.1", &CLASSES);
    sandbox
        .isn(&["build", "grads-1.1.toml", "--source", "raw", "--out", "out", "--join", "a", "b"])
        .fails(1, "a is a part of another build");
}
