//! Not trusted: a bug here can reject, never admit. Transfers of control to fixed targets, which
//! are written without iced-x86: their length changes while jumps find out how far they go.

use iced_x86::{Code, CodeSize, Instruction, OpKind};

/// A transfer of control to a fixed target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Branch {
    /// `jmp`
    Jump,
    /// `jcc`, by condition code number.
    Cond(u8),
    /// `call`
    Call,
}

/// Names of the sixteen condition codes, by number; aliases after the first.
const CONDITIONS: [&[&str]; 16] = [
    &["o"],
    &["no"],
    &["b", "c", "nae"],
    &["ae", "nb", "nc"],
    &["e", "z"],
    &["ne", "nz"],
    &["be", "na"],
    &["a", "nbe"],
    &["s"],
    &["ns"],
    &["p", "pe"],
    &["np", "po"],
    &["l", "nge"],
    &["ge", "nl"],
    &["le", "ng"],
    &["g", "nle"],
];

fn condition(name: &str) -> Option<u8> {
    let at = CONDITIONS.iter().position(|names| names.contains(&name))?;
    u8::try_from(at).ok()
}

/// The first name of a condition.
pub(super) fn condition_name(name: &str) -> Option<&'static str> {
    CONDITIONS.get(usize::from(condition(name)?))?.first().copied()
}

/// Is this mnemonic a transfer that may go to a fixed target?
#[must_use]
pub fn branch(mnemonic: &str) -> Option<Branch> {
    match mnemonic {
        "jmp" => Some(Branch::Jump),
        "call" => Some(Branch::Call),
        "jcxz" | "jecxz" | "jrcxz" => None,
        _ => mnemonic.strip_prefix('j').and_then(condition).map(Branch::Cond),
    }
}

impl Branch {
    /// What a near branch of iced-x86 is, whatever its length.
    #[must_use]
    pub fn of(instruction: &Instruction) -> Option<Branch> {
        if instruction.is_call_near() {
            return Some(Branch::Call);
        }
        if instruction.is_jmp_short_or_near() {
            return Some(Branch::Jump);
        }
        // The first of its conditions is none.
        let number = (instruction.condition_code() as usize).checked_sub(1)?;
        let number = u8::try_from(number).ok()?;
        instruction.is_jcc_short_or_near().then_some(Branch::Cond(number))
    }

    /// Bytes of its encoding.
    #[must_use]
    pub fn len(self, short: bool) -> u8 {
        match (self, short) {
            (Branch::Call, _) | (Branch::Jump, false) => 5,
            (Branch::Jump | Branch::Cond(_), true) => 2,
            (Branch::Cond(_), false) => 6,
        }
    }

    /// How far it goes, from its end.
    fn distance(self, short: bool, from: u64, to: u64) -> Option<i64> {
        let next = from.checked_add(u64::from(self.len(short)))?;
        i64::try_from(i128::from(to) - i128::from(next)).ok()
    }

    /// Does the short form reach?
    #[must_use]
    pub fn is_near(self, from: u64, to: u64) -> bool {
        self != Branch::Call
            && self.distance(true, from, to).is_some_and(|d| i8::try_from(d).is_ok())
    }

    /// The encoding at address `from`, or nothing if `to` is out of its reach.
    #[must_use]
    pub fn encode(self, short: bool, from: u64, to: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write(short, from, to, &mut bytes).map(|_| bytes)
    }

    /// Appends it, and gives it as a decoder reads it.
    pub fn write(
        self,
        short: bool,
        from: u64,
        to: u64,
        bytes: &mut Vec<u8>,
    ) -> Option<Instruction> {
        let distance = self.distance(short, from, to)?;
        let wide = i32::try_from(distance).ok()?.to_le_bytes();
        let code = match (self, short) {
            (Branch::Call, _) => {
                bytes.push(0xe8);
                Code::Call_rel32_64
            }
            (Branch::Jump, true) => {
                bytes.extend([0xeb, i8::try_from(distance).ok()?.to_le_bytes()[0]]);
                Code::Jmp_rel8_64
            }
            (Branch::Jump, false) => {
                bytes.push(0xe9);
                Code::Jmp_rel32_64
            }
            (Branch::Cond(cc), true) => {
                bytes.extend([0x70 | cc, i8::try_from(distance).ok()?.to_le_bytes()[0]]);
                *NEAR.get(usize::from(cc))?
            }
            (Branch::Cond(cc), false) => {
                bytes.extend([0x0f, 0x80 | cc]);
                *FAR.get(usize::from(cc))?
            }
        };
        if !short || self == Branch::Call {
            bytes.extend(wide);
        }
        let len = self.len(short);
        let mut instruction = Instruction::default();
        instruction.set_code(code);
        instruction.set_code_size(CodeSize::Code64);
        instruction.set_op0_kind(OpKind::NearBranch64);
        instruction.set_near_branch64(to);
        instruction.set_len(usize::from(len));
        instruction.set_next_ip(from.wrapping_add(u64::from(len)));
        Some(instruction)
    }
}

/// The short conditional jumps.
const NEAR: [Code; 16] = [
    Code::Jo_rel8_64,
    Code::Jno_rel8_64,
    Code::Jb_rel8_64,
    Code::Jae_rel8_64,
    Code::Je_rel8_64,
    Code::Jne_rel8_64,
    Code::Jbe_rel8_64,
    Code::Ja_rel8_64,
    Code::Js_rel8_64,
    Code::Jns_rel8_64,
    Code::Jp_rel8_64,
    Code::Jnp_rel8_64,
    Code::Jl_rel8_64,
    Code::Jge_rel8_64,
    Code::Jle_rel8_64,
    Code::Jg_rel8_64,
];

/// The long ones.
const FAR: [Code; 16] = [
    Code::Jo_rel32_64,
    Code::Jno_rel32_64,
    Code::Jb_rel32_64,
    Code::Jae_rel32_64,
    Code::Je_rel32_64,
    Code::Jne_rel32_64,
    Code::Jbe_rel32_64,
    Code::Ja_rel32_64,
    Code::Js_rel32_64,
    Code::Jns_rel32_64,
    Code::Jp_rel32_64,
    Code::Jnp_rel32_64,
    Code::Jl_rel32_64,
    Code::Jge_rel32_64,
    Code::Jle_rel32_64,
    Code::Jg_rel32_64,
];
