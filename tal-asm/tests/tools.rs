//! Not trusted. What `readelf`, `objdump`, `nm` and `gdb` read in our files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{sample, tool};
use loader::Image;
use std::fs;
use tal_asm::elf::{Output, write};

const SOURCE: &str = ";; one\n;; two\nentry fn start {\n lea rdi, [greeting]\n call write\n \
                      jmp exit\n}\nfn helper {\n ret\n}\n";

fn files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("hello.tal"), SOURCE).unwrap();
    for (name, output) in [("hello", Output::Executable), ("hello.o", Output::Object)] {
        fs::write(directory.path().join(name), write(&sample(), output).unwrap()).unwrap();
    }
    directory
}

fn has(text: &str, wanted: &str) {
    let squeezed = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed(text).contains(&squeezed(wanted)), "no {wanted:?} in\n{text}");
}

#[test]
fn the_loader_reads_back_what_was_written() {
    let program = sample();
    let bytes = write(&program, Output::Executable).unwrap();
    let image = Image::parse(&bytes).unwrap();
    assert_eq!(image.text(), program.text);
    assert_eq!(image.text_address(), program.text_address);
    assert_eq!(image.entry(), None);
    assert_eq!(image.annotations(), program.annotations);
    let [rodata, data] = image.data() else { panic!("{:?}", image.data()) };
    assert_eq!((rodata.address, rodata.bytes), (0x40_1000, program.rodata.as_slice()));
    assert!(!rodata.writable && data.writable);
    assert_eq!((data.address, data.bytes, data.size), (0x40_2000, &*program.data, 0x3010));
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    for output in [Output::Executable, Output::Object] {
        assert_eq!(write(&sample(), output).unwrap(), write(&sample(), output).unwrap());
    }
}

#[test]
fn readelf_reads_the_executable() {
    let directory = files();
    let text = tool(directory.path(), &["readelf", "-hlSW", "hello"]);
    has(&text, "EXEC (Executable file)");
    has(&text, "Entry point address: 0x3ff200");
    has(&text, "LOAD 0x000200 0x00000000003ff200 0x00000000003ff200");
    has(&text, "LOAD 0x001000 0x0000000000400000 0x0000000000400000 0x000012 0x000012 R E 0x1000");
    has(&text, "LOAD 0x002000 0x0000000000401000 0x0000000000401000 0x000006 0x000006 R 0x1000");
    has(&text, "LOAD 0x003000 0x0000000000402000 0x0000000000402000 0x000008 0x003010 RW 0x1000");
    has(&text, "LOOS+0x54414c");
    has(&text, ".tal PROGBITS 0000000000000000");
}

#[test]
fn nm_reads_the_names() {
    let directory = files();
    let text = tool(directory.path(), &["nm", "hello"]);
    for line in [
        "0000000000400000 T start",
        "0000000000400011 T helper",
        "000000000040000c t start.end",
        "0000000000401000 R greeting",
        "0000000000402000 D counter",
        "0000000000402010 B buffer",
        "0000000000200000 A write",
    ] {
        has(&text, line);
    }
    let text = tool(directory.path(), &["nm", "hello.o"]);
    has(&text, "U write");
    has(&text, "0000000000000000 T start");
    // What is not `pub` is nobody else's.
    has(&text, "0000000000000011 t helper");
    has(&text, "0000000000000000 D counter");
}

#[test]
fn objdump_shows_code_and_source_lines() {
    let directory = files();
    let text = tool(directory.path(), &["objdump", "-dl", "-M", "intel", "hello"]);
    has(&text, "<start>:");
    has(&text, "hello.tal:4");
    has(&text, "lea rdi,[rip+0xff9] # 401000 <greeting>");
    has(&text, "hello.tal:5");
    has(&text, "call 200000 <write>");
    let text = tool(directory.path(), &["objdump", "-drl", "-M", "intel", "hello.o"]);
    has(&text, "R_X86_64_PC32 .rodata-0x4");
    has(&text, "R_X86_64_PLT32 write-0x4");
    has(&text, "hello.tal:9");
}

#[test]
fn gdb_finds_lines_and_functions() {
    let directory = files();
    let gdb = ["gdb", "-nx", "-batch", "-ex", "break hello.tal:5", "-ex", "list start"];
    let more = ["-ex", "info line helper", "-ex", "info symbol 0x401000", "hello"];
    let text = tool(directory.path(), &[&gdb[..], &more[..]].concat());
    has(&text, "Breakpoint 1 at 0x400007: file hello.tal, line 5.");
    has(&text, "call write");
    has(&text, "Line 9 of \"hello.tal\" starts at address 0x400011 <helper>");
    has(&text, "greeting in section .rodata");
}

#[test]
fn ld_links_the_object() {
    let directory = files();
    let script = ["--defsym", "write=0x200000", "--defsym", "exit=0x200010", "-e", "start"];
    let output = ["-o", "linked", "hello.o"];
    tool(directory.path(), &[&["ld"][..], &script[..], &output[..]].concat());
    let text = tool(directory.path(), &["objdump", "-dl", "linked"]);
    has(&text, "hello.tal:4");
}

#[test]
fn the_loader_links_the_object_to_the_same_image() {
    let program = sample();
    let executable = write(&program, Output::Executable).unwrap();
    let linked = loader::link::link(&write(&program, Output::Object).unwrap()).unwrap();
    assert_eq!(Image::parse(&linked).unwrap(), Image::parse(&executable).unwrap());
    assert!(!loader::link::is_object(&executable));
}

#[test]
fn any_selection_of_sections_is_admitted() {
    for kept in 0..8_u8 {
        let mut program = sample();
        program.fixups.retain(|f| f.offset != 3);
        if kept & 1 == 0 {
            program.rodata.clear();
        }
        if kept & 2 == 0 {
            program.data.clear();
        }
        if kept & 4 == 0 {
            program.bss_size = 0;
        }
        // Addresses as the layout gives them: each on the next page, bss behind data.
        let mut page = 0x40_1000;
        if kept & 1 != 0 {
            program.rodata_address = page;
            page += 0x1000;
        }
        program.data_address = page;
        program.bss_address = if kept & 2 == 0 { page } else { page + 16 };
        program.symbols.truncate(3);
        let executable = write(&program, Output::Executable).unwrap();
        let image = Image::parse(&executable).unwrap();
        assert_eq!(image.text(), program.text);
        let linked = loader::link::link(&write(&program, Output::Object).unwrap()).unwrap();
        let linked = Image::parse(&linked).unwrap();
        assert_eq!(linked.data(), image.data(), "{kept}");
        assert_eq!(linked.annotations(), image.annotations());
    }
}
