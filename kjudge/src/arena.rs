//! TCB. Memory of a judging: blocks from the host, cut from below, freed pieces kept in lists by
//! size. Every operation is a few instructions; the piece for n bytes has at most n/4 + 16 more.
//!
//! The stack is watched here too. Every level of a recursion allocates, so the judge never comes
//! near the end of its stack without being stopped before.

use crate::report::{Reason, Report};
use crate::{leave, tal_judge_arena, tal_judge_more, tal_judge_pause};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

/// Pieces are multiples of this, and aligned to it.
const UNIT: usize = 16;
/// Four sizes a doubling, from 16 bytes to 2^46.
const CLASSES: usize = 168;
/// Allocations between two calls of `tal_judge_pause`.
const PAUSE: u32 = 1 << 9;

/// What has to be left of the stack at an allocation: for interrupts, for a host that answers on
/// this stack, and for the judge between two allocations.
const STACK: usize = 32 << 10;

/// Stands at the start of the first block.
#[derive(Debug)]
#[repr(C, align(16))]
pub(crate) struct Arena {
    /// The part of the newest block that was never given out.
    next: usize,
    end: usize,
    /// Bytes of all blocks.
    size: usize,
    report: *mut Report,
    /// The lowest address that the stack may reach.
    floor: usize,
    /// Allocations until the next pause.
    patience: u32,
    /// Freed pieces by class; each holds the address of the next.
    free: [*mut u8; CLASSES],
}

impl Arena {
    /// Makes an arena of the block.
    ///
    /// # Safety
    /// `block` is `size` bytes for this alone, aligned to [`UNIT`].
    pub(crate) unsafe fn place(block: *mut u8, size: usize, floor: usize, report: *mut Report) {
        let (start, header) = (block.expose_provenance(), size_of::<Arena>());
        let (next, end) = (start.saturating_add(header), start.saturating_add(size));
        if size < header {
            // Not even room to say so in: the host breaks its promise. Nothing was written.
            crate::gone()
        }
        let free = [ptr::null_mut(); CLASSES];
        let arena = Arena { next, end, size, report, floor, patience: PAUSE, free };
        // SAFETY: the block is large enough, aligned and ours.
        unsafe { block.cast::<Arena>().write(arena) };
    }

    pub(crate) fn report(&self) -> *mut Report {
        self.report
    }

    /// Most bytes that were ever in use, what was lost at the ends of blocks included.
    pub(crate) fn peak(&self) -> usize {
        self.size.saturating_sub(self.end.saturating_sub(self.next))
    }

    fn allocate(&mut self, size: usize) -> Option<*mut u8> {
        let class = class(size);
        let list = self.free.get_mut(class)?;
        if !list.is_null() {
            let piece = *list;
            // SAFETY: a free piece has at least UNIT bytes, and `give` wrote the next into it.
            *list = unsafe { piece.cast::<*mut u8>().read() };
            return Some(piece);
        }
        if self.end.saturating_sub(self.next) < whole(class) {
            self.grow(whole(class))?;
        }
        let piece = ptr::with_exposed_provenance_mut(self.next);
        self.next = self.next.saturating_add(whole(class));
        Some(piece)
    }

    /// Goes on in a new block of at least `need` bytes.
    fn grow(&mut self, need: usize) -> Option<()> {
        let mut size = 0;
        // SAFETY: the host may be asked at any time.
        let block = unsafe { tal_judge_more(need, &raw mut size) };
        if block.is_null() || size < need {
            return None;
        }
        self.next = block.expose_provenance();
        self.end = self.next.checked_add(size)?;
        self.size = self.size.saturating_add(size);
        Some(())
    }

    fn give(&mut self, piece: *mut u8, size: usize) {
        if let Some(list) = self.free.get_mut(class(size)) {
            // SAFETY: the piece is free from now on, and has at least UNIT bytes.
            unsafe { piece.cast::<*mut u8>().write(*list) };
            *list = piece;
        }
    }

    /// Is the end of the stack near?
    fn deep(&self) -> bool {
        let here = 0_u8;
        (&raw const here).addr() < self.floor.saturating_add(STACK)
    }

    /// Lets others run now and then.
    fn tick(&mut self) -> bool {
        self.patience = self.patience.saturating_sub(1);
        let due = self.patience == 0;
        if due {
            self.patience = PAUSE;
        }
        due
    }
}

/// The class of the smallest piece that has `size` bytes: with u units, 2^k <= u - 1 < 2^(k+1), the
/// two bits below the highest of u - 1 say which quarter.
fn class(size: usize) -> usize {
    let units = size.div_ceil(UNIT).saturating_sub(1);
    match units {
        0..4 => units,
        _ => {
            let log = usize::try_from(units.ilog2()).unwrap_or(0);
            let quarter = (units >> log.saturating_sub(2)) & 3;
            log.saturating_sub(1).saturating_mul(4).saturating_add(quarter)
        }
    }
}

/// Bytes of a piece of the class.
fn whole(class: usize) -> usize {
    let units = match class {
        0..4 => class,
        _ => {
            let (log, quarter) = (class / 4 + 1, class % 4);
            let low = (4 | quarter) << log.saturating_sub(2);
            low | ((1 << log.saturating_sub(2)) - 1)
        }
    };
    units.saturating_add(1).saturating_mul(UNIT)
}

/// Allocates in the arena of the judging that goes on.
#[derive(Debug)]
pub(crate) struct FromArena;

// SAFETY: a piece is handed out once until it is given back; it lies in the arena, is large enough
// and aligned to UNIT, and larger alignments are refused.
unsafe impl GlobalAlloc for FromArena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the host's arena is an `Arena` that nobody else uses now; the reference does not
        // outlive this call.
        let arena = unsafe { &mut *tal_judge_arena() };
        if arena.tick() {
            pause();
        }
        if arena.deep() {
            leave(Reason::Memory, format_args!("the judge has not enough stack"));
        }
        if layout.align() > UNIT {
            return ptr::null_mut();
        }
        match arena.allocate(layout.size()) {
            Some(piece) => piece,
            None => leave(Reason::Memory, format_args!("the judge has not enough memory")),
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: as above.
        let arena = unsafe { &mut *tal_judge_arena() };
        arena.give(piece, layout.size());
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if class(size) == class(layout.size()) {
            return piece;
        }
        // SAFETY: what `realloc` promises its caller.
        unsafe {
            let Ok(new) = Layout::from_size_align(size, layout.align()) else {
                return ptr::null_mut();
            };
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(piece, moved, layout.size().min(size));
                self.dealloc(piece, layout);
            }
            moved
        }
    }
}

#[cfg(target_os = "none")]
#[global_allocator]
static ALLOCATOR: FromArena = FromArena;

/// Asks the host to let others run, and ends the judging when it says so.
pub(crate) fn pause() {
    // SAFETY: the host may be asked at any time.
    if unsafe { tal_judge_pause() } != 0 {
        leave(Reason::Interrupted, format_args!("interrupted"));
    }
}

#[cfg(test)]
mod tests {
    use super::{CLASSES, UNIT, class, whole};

    #[test]
    fn pieces_are_large_enough_and_not_much_larger() {
        for size in (0..100_000).chain((1..46).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1])) {
            let piece = whole(class(size));
            assert!(class(size) < CLASSES, "{size}");
            assert!(piece >= size && piece >= UNIT, "{size}: {piece}");
            assert!(piece <= size + size / 4 + UNIT, "{size}: {piece}");
            assert_eq!(piece % UNIT, 0);
        }
    }

    #[test]
    fn classes_are_in_order() {
        for c in 1..CLASSES {
            assert!(whole(c - 1) < whole(c));
            assert_eq!(class(whole(c)), c);
        }
    }
}
