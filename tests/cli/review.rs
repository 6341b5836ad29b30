//! `isn review` over plain HTTP; interop/review.py tests it by keyboard in a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::sandbox::Sandbox;

const CLASSES: [&str; 3] = ["ant", "bee", "cat"];

/// A running review.
pub struct Page {
    pub child: Child,
    pub host: String,
    pub token: String,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The response: status, headers, body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Page {
    fn open(sandbox: &Sandbox, more: &[&str]) -> Page {
        let usual = ["raw", "--ledger", "ledger.csv", "--reviewer", "Zoë 安"];
        Page::of(sandbox, &[&usual[..], more].concat())
    }

    pub fn of(sandbox: &Sandbox, args: &[&str]) -> Page {
        let args = [&["review", "--json"], args].concat();
        let mut child = sandbox.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = serde_json::from_str::<Value>(&line).unwrap()["url"].as_str().unwrap().to_owned();
        let (host, token) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        Page { child, host: host.into(), token: token.trim_end_matches('/').into() }
    }

    pub fn ask(&self, request: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer { status: head[9..12].parse().unwrap(), head: head.to_lowercase(), body: body.into() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET /{}/{path}", self.token), &format!("Host: {}\r\n", self.host), "")
    }

    pub fn post(&self, number: usize, form: &str) -> Answer {
        let headers = format!(
            "Host: {0}\r\nOrigin: http://{0}\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            self.host
        );
        self.ask(&format!("POST /{}/{number}", self.token), &headers, form)
    }
}

/// Twelve images, five of them suspects.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 4);
    let claim = |id: &str, what: &[&str]| {
        let add = ["ledger", "add", "ledger.csv", id];
        sandbox
            .isn(
                &[&add[..], what, &["--claim", "--source", "real", "--evidence", "<b>&\"evidence\""]]
                    .concat(),
            )
            .ok();
    };
    claim("ant/ant_0", &["label", "bee"]);
    claim("ant/ant_1", &["label", "ant"]);
    claim("bee/bee_0", &["none"]);
    claim("bee/bee_1", &["several", "bee", "cat"]);
    claim("cat/cat_0", &["label", "kite"]);
    claim("cat/cat_1", &["unclear"]);
    claim("elsewhere", &["none"]);
    sandbox
}

fn decisions(sandbox: &Sandbox) -> Vec<String> {
    let ledger = String::from_utf8(sandbox.read("ledger.csv")).unwrap();
    let rows = ledger.lines().filter(|line| line.starts_with("decision,"));
    let short = |line: &str| line.split(',').skip(1).take(4).collect::<Vec<_>>().join(",");
    rows.map(short).collect()
}

#[test]
fn suspects_are_walked_and_each_decision_is_in_the_ledger_at_once() {
    let sandbox = sandbox();
    let page = Page::open(&sandbox, &[]);
    let first = page.get("");
    assert_eq!(first.status, 303);
    assert!(first.head.contains(&format!("location: /{}/1", page.token)), "{}", first.head);
    let shown = page.get("1");
    for text in [
        "1 of 5",
        "labelled <b>ant</b>",
        "says <b>bee</b>",
        "&lt;b&gt;&amp;&quot;evidence&quot;",
        "ant/ant_0.png",
    ] {
        assert!(shown.body.contains(text), "{text}\n{}", shown.body);
    }
    assert!(!shown.body.contains("<b>&\"evidence\""));
    // The image itself, byte for byte, with its length in bytes.
    let image = page.get("image/0");
    let length = sandbox.read("raw/ant/ant_0.png").len();
    assert!(
        image.head.contains("content-type: image/png")
            && image.head.contains(&format!("content-length: {length}"))
    );

    for (number, form, row) in [
        (1, "what=relabel&class=bee", "ant/ant_0,relabel,bee,wrong-label"),
        (2, "what=remove", "bee/bee_0,remove,,none-of-these"),
        (3, "what=keep", "bee/bee_1,keep,,correct"),
        (4, "what=remove&reason=blank&note=all+grey", "cat/cat_0,remove,,blank"),
        (5, "what=unsure", "cat/cat_1,unsure,,ambiguous"),
    ] {
        let answer = page.post(number, form);
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert!(
            answer.head.contains(&format!("location: /{}/{}", page.token, number + 1)),
            "{}",
            answer.head
        );
        assert_eq!(decisions(&sandbox).last().unwrap(), row);
    }
    assert!(page.get("6").body.contains("5 of 5 decided"));
    assert!(
        String::from_utf8(sandbox.read("ledger.csv")).unwrap().contains(",Zoë 安,20")
            && page.get("7").status == 404
    );

    // A picture of two classes stays, and both are right.
    assert_eq!(page.post(3, "what=also&class=ant").status, 303);
    assert_eq!(decisions(&sandbox).pop().unwrap(), "bee/bee_1,keep,ant,several");
    assert!(page.get("3").body.contains("<b>keep</b>, also right: <b>ant</b>"), "{}", page.get("3").body);
    assert_eq!(page.post(3, "what=keep").status, 303);

    // An undo is a row, too, and the image is open again.
    assert_eq!(page.post(2, "what=undo").status, 303);
    assert_eq!(decisions(&sandbox).last().unwrap(), "bee/bee_0,withdraw,,other");
    assert_eq!(page.post(2, "what=undo").status, 303, "nothing is left to take back");
    assert_eq!(decisions(&sandbox).len(), 8);
    assert!(page.get("").head.contains(&format!("/{}/2", page.token)));
    drop(page);

    // A new run resumes where the reviewer stopped; another reviewer starts from the beginning.
    let again = Page::open(&sandbox, &[]);
    assert!(again.get("").head.contains(&format!("/{}/2", again.token)));
    assert!(again.get("1").body.contains("you decided: relabel to <b>bee</b>"));
    assert_ne!(again.token.len(), 0);
    sandbox.isn(&["ledger", "show", "ledger.csv"]).ok();
}

#[test]
fn nothing_is_decided_by_another_page_or_a_wrong_form() {
    let sandbox = sandbox();
    let page = Page::open(&sandbox, &[]);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let here = format!("Host: {0}\r\n", page.host);
    let own = format!("/{}/1", page.token);
    for (request, headers) in [
        ("GET /1".to_owned(), here.clone()),
        ("GET /00000000000000000000000000000000/1".into(), here.clone()),
        (format!("GET {own}"), "Host: evil.example\r\n".into()),
        (format!("GET {own}"), format!("{here}Origin: https://evil.example\r\n")),
        (format!("POST {own}"), format!("{here}{form}")),
        (format!("POST {own}"), format!("{here}{form}Origin: null\r\n")),
        (format!("POST {own}"), format!("{here}{form}Origin: http://evil.example\r\n")),
        (format!("POST {own}"), format!("{here}{here}{form}Origin: http://{}\r\n", page.host)),
    ] {
        let status = page.ask(&request, &headers, "what=remove").status;
        assert!(matches!(status, 400 | 403), "{request} {headers}: {status}");
    }
    for form in [
        "",
        "what=burn",
        "what=relabel",
        "what=relabel&class=dog",
        "what=relabel&class=../x",
        "what=also",
        "what=also&class=dog",
        "what=remove&reason=x",
    ] {
        assert_eq!(page.post(1, form).status, 400, "{form}");
    }
    assert_eq!(page.post(99, "what=keep").status, 404);
    let plain = format!("{here}Origin: http://{}\r\nContent-Type: text/plain\r\n", page.host);
    assert_eq!(page.ask(&format!("POST {own}"), &plain, "what=remove").status, 400);
    assert!(decisions(&sandbox).is_empty());
    let head = page.get("1").head;
    for header in [
        "content-security-policy: default-src 'none'",
        "referrer-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(head.contains(header), "{head}");
    }
    assert_eq!(page.get("image/12").status, 404);
}

/// Hostile text from outside; `whose` marks which field it came from.
pub fn hostile(whose: &str) -> String {
    format!("<script>{whose}\"&'")
}

#[track_caller]
pub fn is_text(answer: &Answer, whose: &[&str]) {
    for field in whose {
        let text = format!("&lt;script&gt;{field}&quot;&amp;'");
        assert!(answer.body.contains(&text), "{field} is not in {}", answer.body);
        assert!(!answer.body.contains(&format!("{field}\"&")), "{field} in {}", answer.body);
    }
    // Everything but the page's own style and script.
    let body = answer.body.split("</style>").last().and_then(|body| body.split("<script nonce=").next());
    for raw in ["<script", "&'"] {
        assert!(!body.unwrap().contains(raw), "{raw} is in {}", answer.body);
    }
}

#[test]
#[cfg(unix)]
fn nothing_of_others_becomes_markup_on_any_page() {
    let sandbox = Sandbox::new();
    let (raw, ledger, reviewer) = (hostile("raw"), format!("{}.csv", hostile("ledger")), hostile("reviewer"));
    sandbox.image_folder(&raw, &CLASSES, 2);
    let id = format!("ant/{}", hostile("image"));
    let image = sandbox.path(&format!("{raw}/ant/ant_0.png"));
    std::fs::rename(image, sandbox.path(&format!("{raw}/{id}.png"))).unwrap();
    let (source, evidence) = (hostile("source"), hostile("evidence"));
    let claim = ["ledger", "add", &ledger, &id, "label", "bee", "--claim", "--source", &source];
    sandbox.isn(&[&claim[..], &["--evidence", &evidence]].concat()).ok();
    sandbox.recipe("grads", "1.0", &CLASSES, "");
    let recipe = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let named = |recipe: String, class: &&str| {
        recipe.replace(&format!("\"the {class}\""), &format!("{:?}", hostile(class)))
    };
    sandbox.write("grads-1.0.toml", CLASSES.iter().fold(recipe, named).as_bytes());
    let args = [&raw, "--ledger", &ledger, "--reviewer", &reviewer, "--recipe", "grads-1.0.toml"];
    let page = Page::of(&sandbox, &args);
    let shown = ["image", "ant", "bee", "cat", "source", "evidence", "reviewer", "raw"];
    is_text(&page.get("1"), &shown);
    assert_eq!(page.post(1, "what=remove&reason=blank&note=%3Cscript%3Enote%22%26%27").status, 303);
    is_text(&page.get("1"), &[&shown[..], &["note"]].concat());
    is_text(&page.get("2"), &["ledger"]);
    sandbox.write(&ledger, b"spoilt\n");
    is_text(&page.post(1, "what=keep"), &["ledger"]);
}

#[test]
fn a_ledger_that_cannot_be_written_is_said_and_nothing_is_lost() {
    let sandbox = sandbox();
    let page = Page::open(&sandbox, &[]);
    let before = sandbox.read("ledger.csv");
    std::fs::write(sandbox.path("ledger.csv"), "spoilt\n").unwrap();
    let answer = page.post(1, "what=keep");
    assert!(answer.status == 500 && answer.body.contains("was not written"), "{}", answer.body);
    std::fs::write(sandbox.path("ledger.csv"), before).unwrap();
    assert_eq!(page.post(1, "what=keep").status, 303);
    assert_eq!(decisions(&sandbox), ["ant/ant_0,keep,,correct"]);
}

#[test]
fn a_kill_loses_no_decision() {
    let sandbox = sandbox();
    for turn in 0..4 {
        let mut page = Page::open(&sandbox, &[]);
        assert_eq!(page.post(turn + 1, "what=keep").status, 303);
        page.child.kill().unwrap();
        page.child.wait().unwrap();
        assert_eq!(decisions(&sandbox).len(), turn + 1);
    }
    sandbox.isn(&["ledger", "show", "ledger.csv"]).ok();
}

#[test]
fn mistakes_are_told_before_the_page_opens() {
    let sandbox = sandbox();
    let review =
        |args: &[&str]| sandbox.isn(&[&["review", "raw", "--reviewer", "Zoë 安", "--ledger"], args].concat());
    review(&["new.csv"]).fails(1, "puts no image of raw in question");
    review(&["ledger.csv", "--listen", "0.0.0.0:0"]).fails(1, "is not a loopback address");
    review(&["ledger.csv", "--suspects", "none.csv"]).fails(6, "cannot read none.csv");
    sandbox.write("bad.csv", b"nonsense\n");
    review(&["bad.csv"]).fails(1, "line 1: the header must be");
    sandbox.isn(&["review", "raw", "--ledger", "ledger.csv"]).fails(2, "--reviewer <NAME>");
    // A recipe names the classes; images of other classes are not shown.
    sandbox.recipe("grads", "1.0", &CLASSES[..2], "");
    let page = Page::open(&sandbox, &["--recipe", "grads-1.0.toml"]);
    let first = page.get("1").body;
    assert!(
        first.contains("1 of 3") && first.contains("<b>the ant</b>") && !first.contains("value=\"cat\""),
        "{first}"
    );
    drop(page);
    // An audit's claims or a list of images can be the suspects, too.
    sandbox.write("list.csv", b"source_id\ncat/cat_3\nant/ant_2\n");
    let page = Page::open(&sandbox, &["--suspects", "list.csv"]);
    assert!(page.get("1").body.contains("1 of 2") && page.get("1").body.contains("cat/cat_3"));
}
