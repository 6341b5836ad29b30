//! Programs that know nothing of isn check what isn writes.

use std::fs;
use std::process::{Command, Stdio};

use isn_format::digest::Digest;
use isn_format::index::Row;
use isn_pixels::pixel_digest;

use crate::sandbox::{Ran, Sandbox, contents, has_tool, ran};

fn run(sandbox: &Sandbox, dir: &str, program: &str, args: &[&str]) -> Ran {
    let mut command = sandbox.program(program);
    ran(command.args(args).current_dir(sandbox.path(dir)).env("LC_ALL", "C"))
}

#[test]
fn b3sum_checks_a_tree() {
    if !has_tool("b3sum") {
        return;
    }
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    run(&sandbox, "tree", "b3sum", &["--quiet", "--check", "B3SUMS"]).ok();
    let hash = run(&sandbox, "tree", "b3sum", &["--no-names", "B3SUMS"]).ok().stdout;
    assert_eq!(format!("grads@1.0#b3:{}", hash.trim()), pin);
    sandbox.pull("grads@1.0", &["--to", "part", "--class", "bee"]).ok();
    run(&sandbox, "part", "b3sum", &["--quiet", "--check", "B3SUMS.selected"]).ok();
    // B3SUMS has exactly the bytes that b3sum would write.
    let files = String::from_utf8(sandbox.read("tree/B3SUMS")).unwrap();
    let paths: Vec<&str> = files.lines().map(|line| &line[66..]).collect();
    assert_eq!(run(&sandbox, "tree", "b3sum", &paths).ok().stdout, files);
    // This listing shows an extra file, which --check does not.
    let listing = "find . -type f ! -name B3SUMS ! -name ISN.json | sed 's|^[.]/||' | sort";
    let found = run(&sandbox, "tree", "sh", &["-c", listing]).ok().stdout;
    assert_eq!(found.lines().collect::<Vec<_>>(), paths);

    let mut bytes = sandbox.read(&format!("tree/{}", paths[1]));
    bytes[30] ^= 1;
    sandbox.write(&format!("tree/{}", paths[1]), &bytes);
    assert_ne!(run(&sandbox, "tree", "b3sum", &["--quiet", "--check", "B3SUMS"]).code, 0);
}

#[test]
fn ssh_keygen_checks_a_release() {
    if !has_tool("ssh-keygen") {
        return;
    }
    let (sandbox, _) = Sandbox::published();
    let release = String::from_utf8(sandbox.read("reg/releases/grads/1.0")).unwrap();
    let (statement, signature) = release.split_once("\n\n").unwrap();
    let statement = format!("{statement}\n");
    sandbox.write("signature", signature.as_bytes());
    let public = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let signers = format!("publisher {}", public.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    sandbox.write("signers", signers.as_bytes());
    let check = |statement: &str, namespace: &str| {
        sandbox.write("statement", statement.as_bytes());
        let args = ["-Y", "verify", "-f", "signers", "-I", "publisher", "-n", namespace, "-s", "signature"];
        let mut command = Command::new("ssh-keygen");
        command.args(args).current_dir(sandbox.path(""));
        let status = command.stdin(fs::File::open(sandbox.path("statement")).unwrap());
        status.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(check(&statement, "statement@isn.v1"));
    assert!(!check(&statement, "file"));
    assert!(!check(&statement.replace("version 1.0", "version 1.1"), "statement@isn.v1"));
    assert!(!check(statement.trim_end(), "statement@isn.v1"));
}

/// A release signed by `ssh-keygen -Y sign` is as good as one that isn signed.
#[test]
fn a_release_signed_by_ssh_keygen_is_believed() {
    if !has_tool("ssh-keygen") {
        return;
    }
    let (sandbox, _) = Sandbox::published();
    let ours = String::from_utf8(sandbox.read("reg/releases/grads/1.0")).unwrap();
    let statement = format!("{}\n", ours.split_once("\n\n").unwrap().0);
    sandbox.write("statement", statement.as_bytes());
    let args = ["-q", "-Y", "sign", "-f", "home/keys/me", "-n", "statement@isn.v1", "statement"];
    run(&sandbox, "", "ssh-keygen", &args).ok();
    let armour = String::from_utf8(sandbox.read("statement.sig")).unwrap();
    sandbox.write("reg/releases/grads/1.0", format!("{statement}\n{armour}").as_bytes());
    // Ed25519 is deterministic, so even the bytes are the same.
    assert_eq!(String::from_utf8(sandbox.read("reg/releases/grads/1.0")).unwrap(), ours);
    sandbox.pull("grads@1.0", &[]).ok();
}

/// Every row of a registry's index, parsed without isn's own reader.
fn rows(sandbox: &Sandbox) -> Vec<Row> {
    let mut rows = Vec::new();
    for object in sandbox.objects("reg", ".jsonl.zst") {
        let text = zstd::decode_all(&sandbox.read(&object)[..]).unwrap();
        let text = String::from_utf8(text).unwrap();
        rows.extend(text.lines().filter_map(|line| serde_json::from_str::<Row>(line).ok()));
    }
    rows
}

#[test]
fn tar_and_zstd_read_every_shard_and_the_pixels_are_those_of_the_index() {
    if !has_tool("tar") || !has_tool("zstd") {
        return;
    }
    for (encode, extension) in [("png", "png"), ("{ jpeg = 90 }", "jpg")] {
        let sandbox = Sandbox::built();
        sandbox.recipe_with("grads", "2.0", &["ant", "bee", "cat"], encode, "");
        sandbox.isn(&["build", "grads-2.0.toml", "--source", "raw", "--out", "enc"]).ok();
        sandbox.publish("enc");
        fs::create_dir(sandbox.path("unpacked")).unwrap();
        for shard in sandbox.objects("reg", ".tar.zst") {
            let path = sandbox.path(&shard).display().to_string();
            run(&sandbox, "", "zstd", &["-q", "-t", &path]).ok();
            let listed = run(&sandbox, "", "tar", &["--zstd", "-tvf", &path]).ok().stdout;
            assert!(listed.lines().all(|line| line.starts_with("-rw-r--r-- 0/0")), "{listed}");
            run(&sandbox, "unpacked", "tar", &["--zstd", "-xf", &path]).ok();
        }
        let files = contents(&sandbox.path("unpacked"));
        let rows = rows(&sandbox);
        assert_eq!((files.len(), rows.len()), (24, 24));
        for row in rows {
            let name = format!("{}.{extension}", row.blake3);
            let bytes = &files.iter().find(|(file, _)| *file == name).unwrap().1;
            assert_eq!(Digest::of(bytes), row.blake3);
            assert_eq!(bytes.len() as u64, row.length);
            let image = image::load_from_memory(bytes).unwrap().to_rgb8();
            assert_eq!(image.dimensions(), (row.width, row.height));
            // The digest is of the pixels before encoding; a JPEG's pixels are near them, not equal.
            if extension == "png" {
                assert_eq!(pixel_digest(row.width, row.height, image.as_raw()), row.pixels);
            }
        }
    }
}

#[test]
fn pillow_sees_the_pixels_of_the_index() {
    let has_pillow = Command::new("python3").args(["-c", "import PIL"]).stderr(Stdio::null()).status();
    if !has_pillow.is_ok_and(|status| status.success()) {
        return;
    }
    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let script = "import pathlib, sys\nfrom PIL import Image\nfor p in sys.argv[2:]:\n    \
                  im = Image.open(p)\n    assert im.mode == 'RGB', im.mode\n    \
                  pathlib.Path(sys.argv[1], pathlib.Path(p).name + '.raw').write_bytes(im.tobytes())\n";
    let rows = rows(&sandbox);
    let mut args = vec!["-c", script, "raws"];
    let paths: Vec<String> = rows.iter().map(|row| format!("tree/{}", row.path)).collect();
    args.extend(paths.iter().map(String::as_str));
    fs::create_dir(sandbox.path("raws")).unwrap();
    run(&sandbox, "", "python3", &args).ok();
    for row in rows {
        let name = row.path.as_str().rsplit('/').next().unwrap();
        let raw = sandbox.read(&format!("raws/{name}.raw"));
        assert_eq!(pixel_digest(row.width, row.height, &raw), row.pixels, "{name}");
    }
}
