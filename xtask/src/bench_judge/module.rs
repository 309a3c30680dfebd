//! Not trusted. A WebAssembly module much like the generated program, to see what its validation
//! costs: functions with a loop over an array, and straight arithmetic.

use wasm_encoder::{
    BlockType, CodeSection, Function, FunctionSection, InstructionSink, MemArg, MemArgTarget,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};

/// Parameters: address and number.
const ARRAY: u32 = 0;
const COUNT: u32 = 1;
/// Locals: the index, the sum, a word.
const INDEX: u32 = 2;
const SUM: u32 = 3;
const WORD: u32 = 4;

/// A module of about so many bytes, and no fewer.
pub(super) fn module(bytes: usize) -> Vec<u8> {
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    types.ty().function([ValType::I32, ValType::I32], [ValType::I64]);
    let mut code = CodeSection::new();
    let mut size = 0;
    while size < bytes {
        let mut function = Function::new([(1, ValType::I32), (1, ValType::I64), (1, ValType::I64)]);
        match code.len() % 2 {
            0 => sum(&mut function.instructions()),
            _ => mix(&mut function.instructions()),
        }
        size += function.byte_len();
        code.function(&function);
        functions.function(0);
    }
    let mut memories = MemorySection::new();
    let memory = MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    memories.memory(memory);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&code);
    module.finish()
}

/// The sum of the words, each mixed; one if it is none.
fn sum(code: &mut InstructionSink<'_>) {
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(INDEX).local_get(COUNT).i32_ge_u().br_if(1);
    code.local_get(ARRAY).local_get(INDEX).i32_const(3).i32_shl().i32_add();
    let word = MemArg { offset: 0, align: 3, target: MemArgTarget::Memory(0), ordering: None };
    code.i64_load(word).local_tee(WORD);
    code.local_get(WORD).i64_const(3).i64_shr_u().i64_xor();
    code.local_get(SUM).i64_add().local_set(SUM);
    code.local_get(INDEX).i32_const(1).i32_add().local_set(INDEX);
    code.br(0).end().end();
    code.local_get(SUM).i64_eqz().if_(BlockType::Empty);
    code.i64_const(1).local_set(SUM).end();
    code.local_get(SUM).end();
}

/// Mixes a number.
fn mix(code: &mut InstructionSink<'_>) {
    code.local_get(COUNT).i64_extend_i32_u().local_set(WORD);
    for (constant, shift) in [(0x9e37_79b9, 30), (0xbf58_476d, 27), (0x94d0_49bb, 31)] {
        code.local_get(WORD).i64_const(constant).i64_mul().local_tee(WORD);
        code.local_get(WORD).i64_const(shift).i64_shr_u().i64_xor().local_set(WORD);
    }
    code.local_get(WORD).i64_const(1).i64_and().i64_eqz().if_(BlockType::Empty);
    code.local_get(WORD).i64_const(-1).i64_xor().local_set(WORD).end();
    code.local_get(WORD).end();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::module;

    #[test]
    fn the_module_is_valid_and_of_its_size() {
        let module = module(50_000);
        wasmparser::validate(&module).unwrap();
        assert!((50_000..52_000).contains(&module.len()), "{}", module.len());
    }
}
