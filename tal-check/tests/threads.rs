//! Not trusted: a test. What the judge and the finder know can be shared between threads: this
//! compiles, or it does not.

use tal_check::check::Checked;
use tal_check::lowered::Lowered;
use tal_core::hint::Ghost;
use tal_core::image::{Image, Interface};
use tal_core::state::State;
use tal_core::ty::{Mem, Record, Sig};

fn shared<T: Send + Sync>() {}

#[test]
fn what_is_known_is_shared_between_threads() {
    shared::<State>();
    shared::<Image<'_>>();
    shared::<Interface>();
    shared::<Record>();
    shared::<Sig>();
    shared::<Mem>();
    shared::<Ghost>();
    shared::<tal_core::Checked<'_>>();
    shared::<Lowered>();
    shared::<Checked>();
}
