//! The prompt for a passphrase, on a terminal that Python makes; does nothing if there is no `python3`.

use serde_json::Value;

use crate::sandbox::{Sandbox, has_tool, ran};

/// Runs a command on a terminal of its own. Sends each answer, which is bytes in hex or the name of a signal,
/// once there is one more prompt and the terminal does not show what is typed. Prints the exit code, whether
/// the terminal shows what is typed afterwards, and what was on it.
const ON_A_TERMINAL: &str = r#"
import fcntl, json, os, pty, select, signal, sys, termios, time
answers, command = sys.argv[1].split(), sys.argv[2:]
ours, theirs = pty.openpty()
child = os.fork()
if child == 0:
    os.setsid()
    # The tests may run in the background or under nohup, which ignore signals.
    for ignored in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP:
        signal.signal(ignored, signal.SIG_DFL)
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    for stream in 0, 1, 2:
        os.dup2(theirs, stream)
    os.execv(command[0], command)
shown, begun, ended = b"", time.time(), False
def echoes():
    return bool(termios.tcgetattr(theirs)[3] & termios.ECHO)
def prompts():
    return shown.count(b"assphrase for ") + shown.count(b"Once more: ")
sent = 0
while time.time() < begun + 60:
    if select.select([ours], [], [], 0.05)[0]:
        shown += os.read(ours, 4096)
    elif ended:
        break
    if not ended and sent < len(answers) and prompts() > sent and not echoes():
        answer = answers[sent]
        sent += 1
        if answer.startswith("SIG"):
            os.kill(child, getattr(signal, answer))
        else:
            os.write(ours, bytes.fromhex(answer))
    if not ended:
        pid, status = os.waitpid(child, os.WNOHANG)
        ended = pid != 0
if not ended:
    os.kill(child, signal.SIGKILL)
    sys.exit("the command did not end: %r" % shown)
code = os.waitstatus_to_exitcode(status)
print(json.dumps({"code": code, "echoes": echoes(), "shown": shown.decode(errors="replace")}))
"#;

/// Returns the exit code, whether the terminal shows what is typed afterwards, and what was on it.
fn prompted(sandbox: &Sandbox, args: &[&str], answers: &str) -> Option<(i64, bool, String)> {
    if !cfg!(target_os = "linux") || !has_tool("python3") {
        return None;
    }
    let mut command = sandbox.program("python3");
    command.args(["-c", ON_A_TERMINAL, answers, env!("CARGO_BIN_EXE_isn")]).args(args);
    let report: Value = ran(&mut command).ok().json();
    let text = report["shown"].as_str().unwrap().to_string();
    Some((report["code"].as_i64().unwrap(), report["echoes"].as_bool().unwrap(), text))
}

fn hex(text: &[u8]) -> String {
    text.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_signal_ends_the_prompt_and_the_terminal_is_as_before() {
    let sandbox = Sandbox::new();
    let new = ["key", "new", "me"];
    let said = "interrupted: nothing was changed";
    // A race: once is not enough.
    let keys = std::iter::repeat_n(("03", 130, said), 8);
    for (answers, code, said) in
        keys.chain([("SIGINT", 130, said), ("SIGTERM", 143, ""), ("SIGHUP", 129, ""), ("SIGQUIT", 131, "")])
    {
        let Some((ended, echoes, shown)) = prompted(&sandbox, &new, answers) else { return };
        assert_eq!((ended, echoes), (code, true), "{answers}: {shown:?}");
        assert!(shown.contains(said) && !shown.contains("error"), "{answers}: {shown:?}");
    }
    // At the second prompt, after keys that would leave the shell a terminal without echo.
    let again = [hex(b"\x1a\x1cabc\n"), "03".into()].join(" ");
    let (ended, echoes, shown) = prompted(&sandbox, &new, &again).unwrap();
    assert_eq!((ended, echoes), (130, true), "{shown:?}");
    assert!(!sandbox.path("home/keys/me").exists());
    // Ctrl-D: what is said next begins below the prompt.
    let (ended, echoes, shown) = prompted(&sandbox, &new, "04").unwrap();
    assert_eq!((ended, echoes), (1, true), "{shown:?}");
    assert!(shown.contains("key me: \r\n") && shown.contains("cannot read the terminal"), "{shown:?}");
}

#[test]
fn a_passphrase_is_utf_8_and_not_shown() {
    let sandbox = Sandbox::built();
    let new = ["key", "new", "safe"];
    for wrong in [&b"\xff\xfe"[..], b"gr\xf6\xdfe", b"gr\xe4"] {
        let other: Vec<u8> = wrong.iter().map(|byte| if *byte == 0xff { 0xfd } else { *byte }).collect();
        let answers = [wrong, &other].map(|text| hex(&[text, b"\n"].concat())).join(" ");
        let Some((code, _, shown)) = prompted(&sandbox, &new, &answers) else { return };
        assert!(code == 1 && shown.contains("the passphrase is not UTF-8 text"), "{code} {shown:?}");
        assert!(!sandbox.path("home/keys/safe").exists());
    }
    let right = hex("gr\u{f6}\u{df}e, offen\n".as_bytes());
    let (code, echoes, shown) = prompted(&sandbox, &new, &format!("{right} {right}")).unwrap();
    assert!(code == 0 && echoes && !shown.contains("offen"), "{code} {echoes} {shown:?}");
    let publish = ["publish", "out", "--registry", "reg", "--key", "safe"];
    let (code, _, shown) = prompted(&sandbox, &publish, &hex(b"wrong\n")).unwrap();
    assert!(code == 1 && shown.contains("the passphrase is wrong"), "{shown:?}");
    let (code, _, shown) = prompted(&sandbox, &publish, &right).unwrap();
    assert_eq!(code, 0, "{shown:?}");
}
