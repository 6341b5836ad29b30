//! Lists the files of `registry/` for `cli/bundled.rs`, which compiles them in.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let registry = manifest_dir.join("registry");
    println!("cargo::rerun-if-changed=registry");
    let mut files = Vec::new();
    visit(&registry, "", &mut files)?;
    files.sort();
    let mut source = String::from("static FILES: &[(&str, &[u8])] = &[\n");
    for name in &files {
        // Told when isn is compiled, not now: the folder may be moved, target and all.
        let path = format!("/registry/{name}");
        let _ = writeln!(
            source,
            "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),"
        );
    }
    source.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(out.join("bundled.rs"), source)
}

fn visit(dir: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            visit(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}
