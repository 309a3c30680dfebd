//! Not trusted. A program made by hand, so that writing files is tested without the rest.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use tal_asm::program::{Fixup, FixupKind, Line, Program, Section, Symbol, SymbolKind, Target};

/// `lea rdi, [rip + greeting]; call write; jmp exit` and a helper, with one object of each kind.
pub(crate) fn sample() -> Program {
    let mut text = vec![0x48, 0x8D, 0x3D, 0, 0, 0, 0, 0xE8, 0, 0, 0, 0, 0xE9, 0, 0, 0, 0, 0xC3];
    let put = |text: &mut Vec<u8>, at: usize, target: i64| {
        let value = i32::try_from(target - (0x40_0000 + at as i64 + 4)).unwrap();
        text[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(&mut text, 3, 0x40_1000);
    put(&mut text, 8, 0x20_0000);
    put(&mut text, 13, 0x20_0010);
    let symbol = |name: &str, section, address, size, kind| Symbol {
        name: name.into(),
        section,
        address,
        size,
        kind,
        public: name != "helper" && kind != SymbolKind::Label,
    };
    Program {
        text,
        text_address: 0x40_0000,
        rodata: b"hello\n".to_vec(),
        rodata_address: 0x40_1000,
        data: vec![1, 2, 3, 4, 5, 6, 7, 8],
        data_address: 0x40_2000,
        bss_address: 0x40_2010,
        bss_size: 0x3000,
        start: Some(0x40_0000),
        imports: vec!["write".into(), "exit".into()],
        symbols: vec![
            symbol("helper", Section::Text, 0x40_0011, 1, SymbolKind::Function),
            symbol("start", Section::Text, 0x40_0000, 17, SymbolKind::Function),
            symbol("start.end", Section::Text, 0x40_000C, 0, SymbolKind::Label),
            symbol("greeting", Section::Rodata, 0x40_1000, 6, SymbolKind::Object),
            symbol("counter", Section::Data, 0x40_2000, 8, SymbolKind::Object),
            symbol("buffer", Section::Bss, 0x40_2010, 0x3000, SymbolKind::Object),
        ],
        files: vec![PathBuf::from("hello.tal")],
        lines: vec![line(0, 4), line(7, 5), line(12, 6), line(17, 9)],
        fixups: vec![
            fixup(3, Target::Address(0x40_1000)),
            fixup(8, Target::Import(0)),
            fixup(13, Target::Import(1)),
        ],
        annotations: b"TAL6 not yet".to_vec(),
    }
}

fn line(offset: u32, line: u32) -> Line {
    Line { offset, file: 0, line, column: 9 }
}

fn fixup(offset: u32, target: Target) -> Fixup {
    Fixup { section: Section::Text, offset, kind: FixupKind::Rel32, target, addend: -4 }
}

/// What the tool prints about the file; CI installs every tool named here.
pub(crate) fn tool(directory: &Path, command: &[&str]) -> String {
    let (name, arguments) = command.split_first().unwrap();
    let output = Command::new(name)
        .args(arguments)
        .current_dir(directory)
        .env("LC_ALL", "C")
        .env("HOME", "/nonexistent")
        .output()
        .unwrap_or_else(|e| panic!("{name} must be installed: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    assert!(!errors.to_lowercase().contains("warning"), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
