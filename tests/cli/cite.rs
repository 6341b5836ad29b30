use crate::sandbox::{Sandbox, hash_of};

fn cite(sandbox: &Sandbox, format: &str) -> String {
    sandbox.isn(&["cite", "grads@1.0", "--registry", "reg", "--format", format]).ok().stdout
}

#[test]
fn each_form_has_the_pin_the_title_and_the_authors() {
    let (sandbox, pin) = Sandbox::published();
    for format in ["bibtex", "plain", "cff"] {
        let text = cite(&sandbox, format);
        for part in ["Drawn gradients", "A. Tester", "1.0", hash_of(&pin)] {
            assert!(text.contains(part), "{format}: no {part} in {text}");
        }
        let args = ["cite", &pin, "--registry", "reg", "--format", format, "--json"];
        let json = sandbox.isn(&args).ok().json();
        assert_eq!(json["pin"], pin.as_str());
        assert_eq!(json["citation"], text.as_str());
    }
    assert_eq!(cite(&sandbox, "bibtex"), sandbox.isn(&["cite", "grads", "--registry", "reg"]).ok().stdout);
    assert!(cite(&sandbox, "plain").contains(&pin));
    assert!(cite(&sandbox, "cff").contains(&pin));
    // Inside braces BibTeX reads # as text; LaTeX needs the backslash.
    assert!(cite(&sandbox, "bibtex").contains(&pin.replace('#', "\\#")));
}

#[test]
fn a_title_with_special_characters_stays_one_field() {
    let sandbox = Sandbox::built();
    let text = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let title = r#"Birds & "bees": 100% {odd} \\ #1, $x_y^2~"#;
    let toml = format!("title = '''{title}'''\ncitation = \"Tester, 2026.\"");
    sandbox.write("odd.toml", text.replace("title = \"Drawn gradients\"", &toml).as_bytes());
    sandbox.isn(&["build", "odd.toml", "--source", "raw", "--out", "odd"]).ok();
    sandbox.publish("odd");
    let bibtex = cite(&sandbox, "bibtex");
    let entry = bibtex.split("\n%").next().unwrap();
    let mut depth = 0;
    for (at, c) in entry.char_indices() {
        let escaped = entry[..at].ends_with('\\') && !entry[..at].ends_with("\\\\");
        match c {
            '{' if !escaped => depth += 1,
            '}' if !escaped => depth -= 1,
            '&' | '%' | '$' | '#' | '_' => assert!(escaped, "bare {c} in {entry}"),
            _ => {}
        }
        assert!(depth >= 0, "{entry}");
    }
    assert_eq!(depth, 0, "{entry}");
    assert!(bibtex.contains("Tester, 2026."), "{bibtex}");
    let cff = cite(&sandbox, "cff");
    let quoted = cff.lines().find_map(|line| line.strip_prefix("title: ")).unwrap();
    assert_eq!(serde_json::from_str::<String>(quoted).unwrap(), title);
}

#[test]
fn the_hash_is_the_one_that_info_and_the_tree_have() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["pull", "demobirds@1.0"]).ok();
    let hash = format!("b3:{}", isn_format::digest::Digest::of(&sandbox.read("demobirds-1.0/B3SUMS")));
    assert_eq!(sandbox.isn(&["info", "demobirds", "--json"]).ok().json()["dataset"], hash.as_str());
    assert!(sandbox.isn(&["info", "demobirds"]).ok().stdout.contains(&hash));
    assert!(sandbox.isn(&["cite", "demobirds"]).ok().stdout.contains(&hash));
}
