//! Not trusted: tests. How deep the stack gets: it is painted before, and read afterwards.

use core::hint::black_box;

/// Bytes that are painted: more than anything here uses.
const AREA: usize = 256 * 1024;
/// Bytes that these functions use themselves.
const NEAR: usize = 512;
const PAINT: u8 = 0xA5;

/// Bytes of stack that `work` uses, beyond what the same measurement of nothing uses.
pub(crate) fn depth(mut work: impl FnMut()) -> usize {
    let measure = |work: &mut dyn FnMut()| {
        paint();
        work();
        (AREA - NEAR) - painted()
    };
    let nothing = measure(&mut || {});
    measure(&mut work).saturating_sub(nothing)
}

/// The bytes below the frames of these functions. What is nearer is in use. A large local would
/// not do: the compiler writes to each page of it.
#[inline(never)]
fn area() -> core::ops::Range<usize> {
    let local = 0_u8;
    let here = black_box(&raw const local).expose_provenance();
    here - AREA..here - NEAR
}

/// Writes over the stack below the caller.
#[inline(never)]
fn paint() {
    for at in area() {
        // SAFETY: below every frame that is in use, and within the thread's stack.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).write_volatile(PAINT) };
    }
}

/// Bytes at the far end of the stack below the caller that are still painted.
#[inline(never)]
fn painted() -> usize {
    // SAFETY: as in `paint`, which wrote there.
    let read = |at: usize| unsafe { core::ptr::with_exposed_provenance::<u8>(at).read_volatile() };
    area().take_while(|at| read(*at) == PAINT).count()
}
