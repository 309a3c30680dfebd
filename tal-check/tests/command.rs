//! Not trusted: a test. How `tal-check` is used from a shell.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let program = env!("CARGO_BIN_EXE_tal-check");
    Command::new(program).args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_exit_status_says_what_came() {
    let safe = "../../../examples/bytes.tal";
    assert_eq!(run(&[safe]).status.code(), Some(0));
    assert!(run(&[safe]).stderr.is_empty());
    assert_eq!(run(&["e0501_saved.tal"]).status.code(), Some(1));
    // The worst of several files counts, and each is looked at.
    let both = run(&["e0501_saved.tal", "no such file.tal", safe]);
    assert_eq!(both.status.code(), Some(2));
    assert!(text(&both.stderr).contains("E0501"));
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["--nonsense"]).status.code(), Some(2));
}

#[test]
fn codes_are_explained() {
    let page = run(&["--explain", "E0301"]);
    assert_eq!(page.status.code(), Some(0));
    assert!(text(&page.stdout).starts_with("# E0301: "));
    assert_eq!(run(&["--explain", "E9999"]).status.code(), Some(2));
    for asked in ["e0301", "e301", "301"] {
        assert_eq!(run(&["--explain", asked]).stdout, page.stdout, "{asked}");
    }
    let rule = run(&["--explain", "Entry-Split"]);
    assert!(String::from_utf8_lossy(&rule.stdout).starts_with("# entry-split (docs/spec/"));
    let near = run(&["--explain", "entry-spilt"]);
    assert_eq!(near.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&near.stderr).contains("did you mean `entry-split`?"));
}

/// What is printed on both streams, each line an object.
fn objects(out: &Output) -> Vec<serde_json::Value> {
    let both = text(&out.stdout) + &text(&out.stderr);
    let object = |line: &str| {
        let value: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
        assert!(value.is_object(), "{line}");
        value
    };
    both.lines().map(object).collect()
}

/// Also what is said of files, of other options, and what is no error at all.
#[test]
fn every_line_is_an_object_as_json() {
    let file = "e0301_past_end.tal";
    let cases: [&[&str]; 14] = [
        &[],
        &["--nonsense"],
        &["no such file.tal"],
        &["."],
        &["no such file.tal", "e0501_saved.tal"],
        &["-", "-"],
        &["--show-state=0", file],
        &["--show-state=9999", file],
        &["--show-state=1", file],
        &["--show-state", file],
        &["--explain", "E9999"],
        &["--explain", "E0301"],
        &["--help"],
        &["--version"],
    ];
    for case in cases {
        for flag in [&["--message-format", "json"][..], &["--message-format=json"][..]] {
            let out = run(&[case, flag].concat());
            assert!(!objects(&out).is_empty(), "{case:?}");
            assert_eq!(out.status.code(), run(case).status.code(), "{case:?}");
        }
    }
    let said = objects(&run(&["--message-format", "json", "no such file.tal"]));
    assert_eq!(said[0]["level"], "error");
    assert!(said[0]["message"].as_str().unwrap().starts_with("no such file.tal: "), "{said:?}");
    let said = objects(&run(&["--message-format", "json", "--show-state=1", file]));
    assert!(said.iter().any(|o| o["level"] == "note"), "{said:?}");
}

/// Runs a line of bash in which `$0` is the program; a hang is an error.
fn shell(line: &str) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut command = Command::new("timeout");
    command.args(["120", "bash", "-c", line, env!("CARGO_BIN_EXE_tal-check")]);
    command.current_dir(folder).output().unwrap()
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let refused = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/e0501_saved.tal");
    let refused = refused.display();
    for nowhere in [">/dev/full", ">&-", "1</dev/null"] {
        for what in ["--explain E0301", "--help", "--version", &format!("--show-state {refused}")] {
            let out = shell(&format!("\"$0\" {what} {nowhere}"));
            assert_eq!(out.status.code(), Some(2), "{what} {nowhere}");
            assert!(text(&out.stderr).contains("standard output"), "{what} {nowhere}");
        }
        let out = shell(&format!("\"$0\" {refused} 2{}", nowhere.trim_start_matches('1')));
        assert_eq!(out.status.code(), Some(2), "2{nowhere}");
    }
    // Nothing to say is nothing lost.
    let safe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/bytes.tal");
    assert_eq!(shell(&format!("\"$0\" {} >&- 2>&-", safe.display())).status.code(), Some(0));
    // Whom output does not interest says so by /dev/null, for reading, too.
    for kind in [">/dev/null", "1<>/dev/null"] {
        assert_eq!(shell(&format!("\"$0\" --help {kind}")).status.code(), Some(0), "{kind}");
    }
}

/// As SIGPIPE ends other programs: without a word, with the status that the shell gives for it.
#[test]
fn nobody_who_reads_is_the_end() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let program = env!("CARGO_BIN_EXE_tal-check");
    let child = Command::new(program).args(["--explain", "E0301"]).stdout(writer).output().unwrap();
    assert_eq!(child.status.code(), Some(141));
    assert!(child.stderr.is_empty());
}

#[test]
fn a_dash_is_standard_input() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stdin");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("lib.tal"), "pub const SEVEN = 7\n").unwrap();
    let source = |number: u32| {
        format!("use \"lib.tal\"\npub fn f() -> (rax = {number})\n{{\nmov eax, SEVEN\nret\n}}\n")
    };
    let check = |number, arguments: &str| {
        std::fs::write(folder.join("in"), source(number)).unwrap();
        shell(&format!("cd stdin && \"$0\" {arguments} < in"))
    };
    let safe = check(7, "-");
    assert_eq!(safe.status.code(), Some(0), "{}", text(&safe.stderr));
    assert_eq!(check(7, "/dev/stdin lib.tal").status.code(), Some(1), "its folder is /dev");
    let refused = check(8, "-");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("<stdin>:5:"), "{}", text(&refused.stderr));
    let states = check(7, "--show-state=4 -");
    assert!(text(&states.stdout).contains("<stdin>:4"), "{}", text(&states.stdout));
    let twice = check(7, "- -");
    assert_eq!(twice.status.code(), Some(2));
    assert!(text(&twice.stderr).contains("once"), "{}", text(&twice.stderr));
    let pipe = shell("printf 'pub fn f()\\n{\\nret\\n}\\n' | \"$0\" -; echo ${PIPESTATUS[1]}");
    assert!(text(&pipe.stdout).ends_with("0\n"), "{}", text(&pipe.stderr));
    let substituted = shell("\"$0\" <(printf 'pub fn f()\\n{\\nret\\n}\\n')");
    assert_eq!(substituted.status.code(), Some(0), "{}", text(&substituted.stderr));
}

/// A folder with files that are no sources, of every kind.
const FILES: &str = "\
rm -rf hostile && mkdir hostile && cd hostile && mkdir folder.tal && mkfifo pipe.tal pipe
echo 'root:secret:1' > shadow; ln -s shadow link.tal; ln -s /dev/zero zero.tal
printf 'const A = 1 ; secret\\0' > nul.tal; printf '; secret \\xe9\\n' > latin.tal
cp /bin/true program.tal; truncate -s 8G large.tal; echo 'const A = 1' > plain.txt";

/// It is asked what a file is and how large before it is read, and memory is not needed for it.
#[test]
fn what_is_no_source_is_not_read() {
    assert!(shell(FILES).status.success());
    let limits = "cd hostile; ulimit -v 1000000;";
    for (file, words) in [
        ("/dev/zero", "a device"),
        ("zero.tal", "a device"),
        ("pipe.tal", "a named pipe"),
        ("folder.tal", "a directory"),
        ("large.tal", "at most 64 MiB"),
        ("nul.tal", "byte 20 is 0"),
        ("latin.tal", "byte 9 (0xe9) is not UTF-8"),
        ("program.tal", "an ELF file"),
        ("- < large.tal", "at most 64 MiB"),
        ("- < /dev/zero", "at most 64 MiB"),
        ("<(cat /dev/zero)", "at most 64 MiB"),
    ] {
        let out = shell(&format!("{limits} exec \"$0\" {file}"));
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{file}: {said}");
        assert!(said.contains(words) && said.lines().count() == 1, "{file}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
    // Of its own accord the user may name any text.
    assert_eq!(shell(&format!("{limits} exec \"$0\" plain.txt")).status.code(), Some(0));
}

/// A source comes from anybody; what it uses is no way to see another file.
#[test]
fn use_reads_sources_only() {
    assert!(shell(FILES.replace("hostile", "hostile-use").as_str()).status.success());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-use");
    let absolute = folder.join("shadow");
    for (used, words) in [
        (absolute.to_str().unwrap(), "end in .tal or .tali"),
        ("/dev/zero", "end in .tal or .tali"),
        ("pipe", "end in .tal or .tali"),
        ("plain.txt", "end in .tal or .tali"),
        ("", "end in .tal or .tali"),
        ("-", "end in .tal or .tali"),
        ("link.tal", "which is not called .tal or .tali"),
        ("zero.tal", "which is not called .tal or .tali"),
        ("pipe.tal", "a named pipe"),
        ("folder.tal", "a directory"),
        ("large.tal", "at most 64 MiB"),
        ("nul.tal", "byte 20 is 0"),
        ("latin.tal", "byte 9 (0xe9) is not UTF-8"),
        ("program.tal", "an ELF file"),
    ] {
        std::fs::write(folder.join("root.tal"), format!("use \"{used}\"\n")).unwrap();
        let out = shell("cd hostile-use; ulimit -v 1000000; exec \"$0\" root.tal < shadow");
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{used}: {said}");
        assert!(said.contains("E0101") && said.contains(words), "{used}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

/// A copy of the interface that cannot be read is not taken for one that is not there.
#[test]
fn an_unreadable_interface_is_an_error() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unreadable");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("kernel.tali")).unwrap();
    std::fs::write(folder.join("a.tal"), "use \"kernel.tali\"\n").unwrap();
    let out = shell("cd unreadable; \"$0\" a.tal");
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("a directory"), "{}", text(&out.stderr));
}

#[test]
fn diagnostics_are_one_object_a_line_as_json() {
    let out = run(&["--message-format", "json", "e0501_saved.tal"]);
    let lines = text(&out.stderr);
    assert_eq!(lines.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(value["code"], "E0501");
}

#[test]
fn states_are_shown() {
    let out = run(&["--show-state=8", "e0301_past_end.tal"]);
    let shown = text(&out.stdout);
    for part in ["count, in .test", "rsi = n", "rcx = 0", "lent   s: &bytes[n]", "refused here"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let json = run(&["--show-state=8", "--message-format", "json", "e0301_past_end.tal"]);
    let value: serde_json::Value = serde_json::from_str(text(&json.stdout).trim()).unwrap();
    assert_eq!(value["function"], "count");
}

#[test]
fn a_line_that_is_not_there_is_a_wrong_question() {
    let file = "e0301_past_end.tal";
    let lines = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics").join(file),
    );
    let lines = lines.unwrap().lines().count();
    let past = run(&[&format!("--show-state={}", lines + 1), file]);
    assert_eq!(past.status.code(), Some(2));
    assert!(past.stdout.is_empty());
    assert!(text(&past.stderr).contains(&format!("has {lines} lines")), "{}", text(&past.stderr));
    assert_eq!(run(&["--show-state=0", file]).status.code(), Some(2));
    // A line without an instruction is answered for the next one that has one.
    let none = run(&["--show-state=1", file]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("line 1 has no instruction; the next one is in line"));
    assert_eq!(text(&none.stdout).matches(", before `").count(), 1);
    let last = run(&[&format!("--show-state={lines}"), file]);
    assert!(text(&last.stderr).contains("or behind it"), "{}", text(&last.stderr));
}

#[test]
fn what_is_no_text_is_named_for_what_it_is() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, bytes, words) in [
        ("object.tal", &b"\x7fELF\x02\x01"[..], "`tal-load verify`"),
        ("latin1.tal", &b"; caf\xe9\n"[..], "byte 5 (0xe9) is not UTF-8"),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let out = run(&[path.to_str().unwrap()]);
        assert_eq!(out.status.code(), Some(2), "{name}");
        let said = text(&out.stderr);
        assert!(said.contains(name) && said.contains(words), "{said}");
    }
}
