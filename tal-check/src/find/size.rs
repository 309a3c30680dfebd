//! Not trusted: a bug here can reject, never admit. Sizes and bodies of memory types.

use crate::unify::{Space, Theta};
use tal_core::hint::Inst;
use tal_core::image::{Image, Interface};
use tal_core::term::Term;
use tal_core::ty::{FieldTy, Mem};

/// `size(mem)`.
pub(super) fn size(image: &Image<'_>, interface: &Interface, mem: &Mem) -> Option<Term> {
    Some(match mem {
        Mem::Struct { size, .. } => Term::int(i64::from(*size)),
        Mem::Array(n, m) => {
            let each = size_of(image, interface, m)?;
            n.scale(each).ok()?
        }
        Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => n.clone(),
        Mem::Cat(a, b) => size(image, interface, a)?.add(&size(image, interface, b)?).ok()?,
        Mem::Ex { body, .. } => size(image, interface, body)?,
        Mem::Named(id, _) => Term::int(i64::from(image.named(interface, *id)?.size)),
    })
}

fn size_of(image: &Image<'_>, interface: &Interface, mem: &Mem) -> Option<i128> {
    size(image, interface, mem)?.as_int()
}

impl super::Finder<'_> {
    /// `size(mem)` if it is a constant.
    pub(crate) fn size_of(&self, mem: &Mem) -> Option<i128> {
        size_of(self.image, self.interface, mem)
    }

    /// The body of a named type at these arguments.
    pub(crate) fn body(&self, mem: &Mem) -> Option<Mem> {
        let Mem::Named(id, args) = mem else { return None };
        let named = self.image.named(self.interface, *id)?;
        let mut theta = Theta::ints(Space::Param, named.arity);
        for (place, arg) in theta.values.iter_mut().zip(args) {
            *place = Some(Inst::Int(arg.clone()));
        }
        theta.mem(&named.body)
    }

    /// Only integers and bytes without refinement, no gaps.
    pub(crate) fn plain(&self, mem: &Mem) -> bool {
        match mem {
            Mem::Struct { fields, size } => {
                let covered: u32 = fields.iter().map(|f| width_of(&f.ty)).sum();
                let simple =
                    |t: &FieldTy| matches!(t, FieldTy::Int { facts, .. } if facts.is_empty());
                covered == *size && fields.iter().all(|f| simple(&f.ty))
            }
            Mem::Array(_, m) => self.plain(m),
            Mem::Bytes(_) => true,
            Mem::Cat(a, b) => self.plain(a) && self.plain(b),
            Mem::Junk(_) | Mem::Zero(_) | Mem::Ex { .. } => false,
            Mem::Named(id, _) => self.image.named(self.interface, *id).is_some_and(|t| t.plain),
        }
    }
}

/// Bytes of a field.
pub(crate) fn width_of(ty: &FieldTy) -> u32 {
    match ty {
        FieldTy::Int { bits, .. } => u32::from(*bits) / 8,
        FieldTy::Known(_) | FieldTy::Own { .. } | FieldTy::Ref { .. } => 8,
        FieldTy::Junk(n) => u32::from(*n),
    }
}
