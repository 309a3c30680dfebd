//! Not trusted: a test. Objects without a start, linked into programs of C; docs/linking.md, word
//! for word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::tool;
use std::fs;
use std::path::Path;
use std::process::{self, Command};
use tal_asm::elf::Output;
use tal_check::check::Checked;

/// Runs a line of bash, with tal-asm on the path.
fn shell(directory: &Path, line: &str) -> process::Output {
    let tools = Path::new(env!("CARGO_BIN_EXE_tal-asm")).parent().unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-c", line]).current_dir(directory).env("PATH", path).env("LC_ALL", "C");
    command.output().unwrap()
}

/// What a line says that succeeds: nothing on standard error, so no warning of any tool.
fn quiet(directory: &Path, line: &str) -> String {
    let out = shell(directory, line);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && said.is_empty(), "$ {line}: {:?} {said}", out.status);
    String::from_utf8(out.stdout).unwrap()
}

/// The blocks of the page: the words behind the three marks, and the lines inside.
fn blocks() -> Vec<(String, Vec<String>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/linking.md");
    let page = fs::read_to_string(page).unwrap();
    let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(kind) => {
                open = !open;
                if open {
                    blocks.push((kind.to_owned(), Vec::new()));
                }
            }
            None if open => blocks.last_mut().unwrap().1.push(line.to_owned()),
            None => {}
        }
    }
    blocks
}

/// A command of the page with what it prints; a `...` at the end of a line stands for any rest.
fn take(directory: &Path, line: &str, expected: &[String]) {
    let out = shell(directory, line);
    let said = [out.stdout, out.stderr].concat();
    let mut said: Vec<String> =
        String::from_utf8(said).unwrap().lines().map(str::to_owned).collect();
    if !out.status.success() {
        said.push(format!("[exit status {}]", out.status.code().unwrap()));
    }
    let fits = |(pattern, line): (&String, &String)| match pattern.strip_suffix("...") {
        Some(start) => line.starts_with(start),
        None => pattern == line,
    };
    let all = said.len() == expected.len() && expected.iter().zip(&said).all(fits);
    assert!(all, "$ {line}: {said:#?}, not {expected:#?}");
}

/// Follows the page in a new folder.
fn follow() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let (mut files, mut commands) = (0, 0);
    for (kind, lines) in blocks() {
        if kind != "console" {
            let name = kind.split_once(' ').expect("a block is a file or a console").1;
            fs::write(place.path().join(name), lines.join("\n") + "\n").unwrap();
            files += 1;
            continue;
        }
        let mut rest = lines.as_slice();
        while let [first, behind @ ..] = rest {
            let line = first.strip_prefix("$ ").unwrap_or_else(|| panic!("no command: {first}"));
            let end = behind.iter().position(|l| l.starts_with("$ ")).unwrap_or(behind.len());
            take(place.path(), line, &behind[..end]);
            commands += 1;
            rest = &behind[end..];
        }
    }
    assert!(files >= 5 && commands >= 8, "{files} files, {commands} commands");
    place
}

#[test]
fn the_page_does_what_it_says() {
    let place = follow();
    let text = tool(place.path(), &["readelf", "-hSW", "text.o"]);
    assert!(text.contains("REL (Relocatable file)") && text.contains(".tal"), "{text}");
    assert!(text.contains(".note.GNU-stack"), "{text}");
    // Position-independent is what the compiler's defaults make, and no stack is executable.
    let text = tool(place.path(), &["readelf", "-hlW", "main"]);
    let stack = text.lines().find(|line| line.contains("GNU_STACK")).unwrap();
    assert!(text.contains("DYN (") && stack.contains("RW ") && !stack.contains("RWE"), "{text}");
    let text = tool(place.path(), &["gdb", "-nx", "-batch", "-ex", "info line largest", "main"]);
    assert!(text.contains("of \"text.tal\" starts at address"), "{text}");
}

const LIBRARY: &str = "\
data count: u64 = 0
pub data shown: u64 = 5
rodata one: u64 = 1
data place: ref u64 = one
bss room: [16]u64
fn add(rdi = a: int[0 .. 100], rsi = b: int[0 .. 100]) -> (rax = a + b)
{
        lea     rax, [rdi + rsi]
        ret
}
pub fn sum(rdi = a: int[0 .. 100], rsi = b: int[0 .. 100]) -> (rax = a + b)
{
        push    rbx
        push    rbp
        push    r12
        push    r13
        push    r14
        push    r15
        mov     rbx, rdi
        mov     rbp, rsi
        mov     r12, rdi
        mov     r13, rdi
        mov     r14, rdi
        mov     r15, rdi
        mov     rdi, rbx
        mov     rsi, rbp
        call    add
        inc     qword [count]
        mov     rcx, [count]
        mov     [room], rcx
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbp
        pop     rbx
        ret
}
pub fn calls() -> (rax: u64)
{
        mov     rax, [room]
        ret
}
";

/// Registers that C keeps values in, data of each kind, a local function; twice in one program.
#[test]
fn c_finds_its_registers_and_data_as_they_were() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("l.tal"), LIBRARY).unwrap();
    let main = r#"
#include <stdint.h>
extern uint64_t sum(uint64_t, uint64_t), calls(void), shown;
int main(void)
{
        uint64_t ok = 1;
        for (int i = 0; i < 3; i++) {
                uint64_t r, f = (uint64_t)sum, a = 40, b = 2;
                register uint64_t r12 asm("r12") = 2, r13 asm("r13") = 3;
                register uint64_t r14 asm("r14") = 4, r15 asm("r15") = 5, rbx asm("rbx") = 1;
                asm volatile("push %%rbp; mov $77, %%ebp; call *%6; cmp $77, %%rbp; pop %%rbp;"
                        "je 1f; mov $0, %%eax; 1:"
                        : "=a"(r), "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15), "+r"(rbx),
                          "+d"(f), "+D"(a), "+S"(b)
                        :
                        : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
                ok &= r == 42 && r12 == 2 && r13 == 3 && r14 == 4 && r15 == 5 && rbx == 1;
        }
        return ok && calls() == 3 && shown == 5 ? 0 : 1;
}
"#;
    fs::write(place.path().join("main.c"), main).unwrap();
    let other = LIBRARY.replace("sum", "sum2").replace("calls", "calls2").replace("shown", "s2");
    fs::write(place.path().join("other.tal"), other).unwrap();
    quiet(place.path(), "tal-asm -c l.tal -o l.o && tal-asm -c other.tal -o other.o");
    for how in ["", "-O2", "-static-pie", "-no-pie", "-static"] {
        let line = format!("cc -Wall -Wextra -mno-red-zone {how} main.c l.o other.o -o main");
        quiet(place.path(), &format!("{line} && ./main"));
    }
    let names = quiet(place.path(), "nm l.o");
    let kind = |name: &str| {
        let line = names.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap();
        line.split_whitespace().rev().nth(1).unwrap().to_owned()
    };
    let kinds = ["sum", "calls", "add", "shown", "count", "place", "room"].map(kind);
    assert_eq!(kinds, ["T", "T", "t", "D", "d", "d", "b"]);
}

/// 32 bits of an exchange clear the upper half, also where one byte would do for less.
#[test]
fn an_exchange_of_eax_with_itself_runs_as_written() {
    let place = tempfile::tempdir().unwrap();
    let source = "pub fn f(rdi = x: u64) -> (rax: u64)\n{\nmov rax, rdi\nxchg eax, eax\nret\n}\n";
    fs::write(place.path().join("x.tal"), source).unwrap();
    let main = "unsigned long f(unsigned long);\n\
                int main(void) { return f(0xffffffff00000007) == 7 ? 0 : 1; }\n";
    fs::write(place.path().join("main.c"), main).unwrap();
    quiet(place.path(), "tal-asm -c x.tal -o x.o && cc main.c x.o -o main && ./main");
}

/// What cannot be linked is said, with what to do, and nothing is written.
#[test]
fn what_c_cannot_link_is_refused() {
    let table = "pub fn f(rdi = n: int[0 .. 1]) -> (rax: u64)\n{\ntable .t = .a, .b\n\
                 jmp [.t + rdi*8]\n.a:\nmov eax, 1\nret\n.b:\nmov eax, 2\nret\n}\n";
    let constant = "rodata x: u64 = 1\nrodata p: ref u64 = x\npub fn f() -> (rax: u64)\n{\n\
                    mov rcx, [p]\nmov rax, [rcx]\nret\n}\n";
    let indexed = "rodata x: bytes = 1, 2\npub fn f(rdi = n: int[0 .. 1]) -> (rax: u64)\n{\n\
                   movzx eax, byte [x + rdi]\nret\n}\n";
    let import = "use \"kernel.tali\"\npub fn f() -> (rax: int[1 .. 0x7fff_ffff])\n{\n\
                  jmp getpid\n}\n";
    let private = "fn f()\n{\nret\n}\n";
    let place = tempfile::tempdir().unwrap();
    for (source, option, words) in [
        (table, "", "x.tal:4: this needs an absolute address"),
        (constant, "", "the data `p`: this needs an absolute address"),
        (indexed, "", "x.tal:4: this needs an absolute address"),
        (import, "", "x.tal:4: `getpid` is a function of the host"),
        (import, "--no-pie", "x.tal:4: `getpid` is a function of the host"),
        (private, "", "needs a `pub fn`"),
    ] {
        fs::write(place.path().join("x.tal"), source).unwrap();
        let out = shell(place.path(), &format!("tal-asm -c {option} x.tal -o x.o"));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{source}: {said}");
        assert!(said.contains(words), "{words}: {said}");
        assert!(!place.path().join("x.o").exists());
    }
    let main = "int f(long); int main(void) { return f(1) > 0 ? 0 : 1; }\n";
    fs::write(place.path().join("main.c"), main).unwrap();
    for source in [table, constant, indexed] {
        fs::write(place.path().join("x.tal"), source).unwrap();
        quiet(place.path(), "tal-asm -c --no-pie x.tal -o x.o && cc -no-pie main.c x.o -o main");
        quiet(place.path(), "./main");
    }
    // Without -c a library is refused with the option that it needs.
    let out = shell(place.path(), "tal-asm x.tal -o x");
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("-c makes an object"));
}

fn checked(place: &Path, source: &str) -> Checked {
    let path = place.join("l.tal");
    fs::write(&path, source).unwrap();
    let outcome = tal_check::elaborate::lower(&path, &tal_check::files::Disk).unwrap();
    tal_check::check::check(outcome.lowered.unwrap()).unwrap()
}

/// What was judged as a program is no library by having lost the name of its start.
#[test]
fn a_library_has_no_start() {
    let place = tempfile::tempdir().unwrap();
    let source = "use \"kernel.tali\"\nentry fn start {\nxor edi, edi\njmp exit\n}\n";
    let checked = checked(place.path(), source);
    let interface = &checked.lowered.host.interface;
    let mut program = tal_asm::convert::any(&checked.lowered, &checked.section);
    tal_asm::assemble(&program, Output::Object, interface).unwrap();
    program.start = None;
    let failure = tal_asm::assemble(&program, Output::Object, interface).unwrap_err();
    assert_eq!(failure, tal_asm::Failure::Refused(loader::Refusal::Start));
}

/// The judge has the last word on the bytes of a library, too.
#[test]
fn a_library_is_judged_as_machine_code() {
    let place = tempfile::tempdir().unwrap();
    let checked = checked(place.path(), LIBRARY);
    let program = tal_asm::convert::any(&checked.lowered, &checked.section);
    let interface = &checked.lowered.host.interface;
    let object = Output::Object;
    let bytes = tal_asm::assemble(&program, object, interface).unwrap();
    let error = loader::link::link(&bytes).unwrap_err().to_string();
    assert!(error.contains("no `start`"), "{error}");
    assert!(program.lines.len() > 20);
    for line in &program.lines {
        let mut bad = program.clone();
        // hlt
        bad.text[line.offset as usize] = 0xF4;
        tal_asm::assemble(&bad, object, interface).unwrap_err();
    }
    let mut bad = program.clone();
    bad.annotations.pop();
    tal_asm::assemble(&bad, object, interface).unwrap_err();
}
