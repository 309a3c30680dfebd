//! Not trusted: a bug here can reject, never admit. Which code a refusal of each rule has, when
//! nothing more exact is known of it.

use tal_core::error::{Error, Kind, Rule};
use tal_syntax::diag::Code;

/// An access may leave its memory at the end.
pub const PAST_END: Code = Code(301);
/// An access may leave its memory at the beginning.
pub const BEFORE_START: Code = Code(302);
/// A register was written in part while the rest of it is unreadable.
pub const PARTIAL: Code = Code(303);
/// A signed compare bounds nothing from below.
pub const SIGNED_COMPARE: Code = Code(304);
/// A 32-bit compare bounds no 64-bit register.
pub const NARROW_COMPARE: Code = Code(306);
/// No field of this width stands there.
pub const NO_FIELD: Code = Code(307);
/// The operand is no address.
pub const NO_ADDRESS: Code = Code(308);
/// The memory is read-only.
pub const READ_ONLY: Code = Code(309);
/// What a label states does not hold on a way into it.
pub const NOT_INVARIANT: Code = Code(310);
/// What is stored does not fit its place.
pub const DOES_NOT_FIT: Code = Code(312);
/// The memory is not initialised.
pub const UNINITIALISED: Code = Code(313);
/// The register is not readable.
pub const UNREADABLE: Code = Code(314);
/// The register did not survive a call.
pub const CLOBBERED: Code = Code(315);
/// A division may fault.
pub const DIVISION: Code = Code(316);
/// An address is used as a number.
pub const NOT_PUBLIC: Code = Code(317);
/// A fact that is needed is not known.
pub const NOT_KNOWN: Code = Code(321);
/// An expression is too large to be reasoned about.
pub const TOO_BIG: Code = Code(322);
/// Something must be owned that is not.
pub const NOT_OWNED: Code = Code(401);
/// A pointer may be null.
pub const MAYBE_NULL: Code = Code(402);
/// The memory was given away or freed.
pub const GONE: Code = Code(405);
/// Something owned is lost.
pub const LEAKED: Code = Code(407);
/// Something must be lent that is not.
pub const NOT_LENT: Code = Code(408);
/// Two ways to a label do not own the same.
pub const OWNED_DIFFER: Code = Code(410);
/// Memory cannot be brought into the form that is needed.
pub const NO_SUCH_FORM: Code = Code(411);
/// A register that belongs to the caller is not restored.
pub const NOT_RESTORED: Code = Code(501);
/// Something is left on the stack.
pub const STACK_LEFT: Code = Code(502);
/// Two ways to a label have different depths.
pub const DEPTHS_DIFFER: Code = Code(503);
/// The stack slot holds nothing of use.
pub const SLOT: Code = Code(504);
/// rsp cannot go there.
pub const STACK_MOVE: Code = Code(505);
/// An argument is not what the function takes.
pub const ARGUMENT: Code = Code(506);
/// A result is not what the function promises.
pub const RESULT: Code = Code(507);
/// This cannot be called or jumped to.
pub const NOT_CODE: Code = Code(508);
/// Memory in the frame.
pub const FRAME: Code = Code(509);
/// A tail call from a frame that is still there.
pub const TAIL_CALL: Code = Code(510);
/// The failure of a call is not tested.
pub const UNTESTED: Code = Code(601);
/// The flags say nothing.
pub const FLAGS: Code = Code(602);
/// A compare would split an alternative.
pub const SPLIT: Code = Code(603);
/// No way leads to a label.
pub const UNREACHED: Code = Code(604);
/// No state of a label lasts.
pub const UNSTABLE: Code = Code(605);
/// Control runs off the end.
pub const RUNS_OFF: Code = Code(606);
/// An index into a jump table may be out of it.
pub const TABLE_INDEX: Code = Code(608);
/// A place does not hold what a label needs.
pub const LABEL_WORD: Code = Code(609);
/// Nothing leads to an instruction.
pub const DEAD: Code = Code(610);
/// A declaration is not well formed.
pub const ILL_FORMED: Code = Code(701);
/// Static data is not what it is declared to be.
pub const DATA: Code = Code(702);
/// Something is larger than the limits.
pub const LIMIT: Code = Code(703);
/// The checker itself erred.
pub const OURS: Code = Code(704);
/// There is no rule for the instruction.
pub const REFUSED: Code = Code(801);

/// The code of a refusal by its rule and evidence.
#[must_use]
pub fn code(error: &Error) -> Code {
    match &error.kind {
        Kind::TooBig => TOO_BIG,
        Kind::Limit => LIMIT,
        Kind::Refused(_) => REFUSED,
        Kind::Undecided(_) => MAYBE_NULL,
        Kind::Malformed(_) | Kind::Version(_) | Kind::Undecodable => OURS,
        _ => of_rule(error.rule),
    }
}

/// The code that a refusal by this rule has in general.
#[must_use]
pub fn of_rule(rule: Rule) -> Code {
    use Rule as R;
    match rule {
        R::TermForm | R::TermSubst | R::Write64 | R::Write32 => TOO_BIG,
        R::FactSource
        | R::SizeFacts
        | R::RangeFacts
        | R::ProveConstant
        | R::ProveLookup
        | R::ProveComb
        | R::ProveNe
        | R::StepComb
        | R::StepCut
        | R::StepNeq
        | R::StepProd
        | R::Renorm => NOT_KNOWN,
        R::WfSize
        | R::WfStruct
        | R::WfNamed
        | R::WfEx
        | R::WfWordType
        | R::WfGuard
        | R::WfSig
        | R::WfLabel
        | R::EntryState
        | R::Import => ILL_FORMED,
        R::NameNarrow | R::GuardTrue | R::GuardFalse | R::GuardAdd | R::GuardVoid | R::HasNull => {
            MAYBE_NULL
        }
        R::EntrySplit
        | R::EntryJoin
        | R::EntryOne
        | R::EntryEqual
        | R::RetypeJunk
        | R::RetypeShape
        | R::RetypeZero
        | R::RetypePlain
        | R::EntryUnfold
        | R::EntryFold
        | R::EntryOpen
        | R::EntryPack
        | R::FieldClose
        | R::EntryLeak => NO_SUCH_FORM,
        R::HasInt | R::HasKnown | R::StoreStrong => DOES_NOT_FIT,
        R::HasOwn => NOT_OWNED,
        R::HasRef
        | R::Borrow
        | R::Share
        | R::RegionEnd
        | R::ViewWeaken
        | R::ViewPart
        | R::ViewUnfold
        | R::ViewOpen => NOT_LENT,
        _ => of_instruction(rule),
    }
}

/// The rules of instructions, labels and the rest.
fn of_instruction(rule: Rule) -> Code {
    use Rule as R;
    match rule {
        R::EaForm => NO_ADDRESS,
        R::AccessEntry | R::AccessView => GONE,
        R::RowRepMovs | R::RowRepStos | R::RowString => PAST_END,
        R::Shape | R::LoadEntry | R::LoadView => NO_FIELD,
        R::StoreWeak => READ_ONLY,
        R::WritePart => PARTIAL,
        R::RowDiv | R::RowIdiv => DIVISION,
        R::RowRefused => REFUSED,
        R::FlagsWrite | R::FlagsRead | R::CmpPublic | R::CmpSame | R::CmpOther | R::Cond => FLAGS,
        R::Pick => SPLIT,
        R::StackMove | R::Push => STACK_MOVE,
        R::Pop | R::LoadSlot | R::StoreSlot => SLOT,
        R::Carve | R::FrameWord | R::Uncarve => FRAME,
        R::Apply | R::Call | R::CallNever | R::JumpNever | R::MatchWord => ARGUMENT,
        R::Return => RESULT,
        R::TailCall => TAIL_CALL,
        R::CodeAddress | R::CodeSub | R::Jump => NOT_CODE,
        R::Fall => RUNS_OFF,
        R::JumpTable => TABLE_INDEX,
        R::Entail => LABEL_WORD,
        R::DataObject | R::DataInit | R::TableObject => DATA,
        R::Driver
        | R::Walk
        | R::Scope
        | R::EdgeBlock
        | R::EdgeLabel
        | R::LabelState
        | R::Frozen
        | R::Claim
        | R::Decode
        | R::Wire
        | R::GhostPlace => OURS,
        R::Limit => LIMIT,
        // Every row that reads its operands.
        _ => UNREADABLE,
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_code_with_a_page() {
        for rule in Rule::ALL {
            let code = of_rule(*rule);
            assert!(crate::codes::find(code).is_some(), "{} gives {code}", rule.name());
        }
    }
}
