//! TCB. The tables of an image (core.md 4.15): types, signatures, functions, labels, data, imports.

use crate::counted::Rc;
use crate::error::{OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::limits;
use crate::ty::TypeId;
use crate::wf::ill;
use alloc::vec;

impl<H: Hints> Judge<'_, H> {
    /// Every table entry is well formed, and where things lie in memory is possible.
    ///
    /// # Errors
    /// When it is not so.
    #[inline(never)]
    pub fn tables(&mut self) -> Result<()> {
        let image = self.image;
        premise!(self.layout());
        let host = self.interface.types.len();
        let all = host.checked_add(image.types.len()).filter(|n| *n <= limits::TYPES);
        for id in host..all.or_refuse(Rule::Limit)? {
            premise!(self.wf_type(TypeId(u32::try_from(id).ok().or_refuse(Rule::Limit)?)));
        }
        for sig in &image.sigs {
            premise!(self.wf_sig(sig));
        }
        premise!(self.used_sigs());
        premise!(self.data());
        premise!(self.imports());
        premise!(self.start());
        Ok(())
    }

    /// Text and data lie below [`limits::IMAGE_HIGH`], off each other and off the gates.
    fn layout(&mut self) -> Result<()> {
        let image = self.image;
        let text = u64::from(image.text_address);
        let length = u64::try_from(image.text.len()).ok().or_refuse(Rule::Driver)?;
        let text_end = text.checked_add(length).or_refuse(Rule::Driver)?;
        let gates = limits::GATES..limits::GATES.saturating_add(4096);
        let fits = |low: u64, high: u64| {
            holds!(i128::from(low) >= limits::ADDRESS_LOW)
                && holds!(high <= limits::IMAGE_HIGH)
                && holds!(high <= gates.start || low >= gates.end)
        };
        premise!(fits(text, text_end), ill(Rule::Driver));
        self.burn(image.data.len())?;
        for data in &image.data {
            let low = u64::from(data.address);
            let high = low.saturating_add(u64::from(data.size));
            premise!(fits(low, high), ill(Rule::DataObject));
            premise!(low >= text_end || high <= text, ill(Rule::DataObject));
        }
        Ok(())
    }

    /// Every signature is some function's, so nothing stands in the tables without being judged.
    fn used_sigs(&mut self) -> Result<()> {
        let image = self.image;
        let mut used = vec![false; image.sigs.len()];
        self.burn(used.len().saturating_add(image.functions.len()))?;
        for function in &image.functions {
            let index = usize::try_from(function.sig).ok().or_refuse(Rule::Driver)?;
            *used.get_mut(index).or_refuse(Rule::Driver)? = true;
        }
        premise!(used.iter().all(|u| *u), ill(Rule::Driver));
        Ok(())
    }

    /// rule[import]: imports exist, each at most once, increasing; what they give has a size.
    fn imports(&mut self) -> Result<()> {
        let imports = &self.image.imports;
        premise!(imports.is_sorted_by(|a, b| a < b), ill(Rule::Import));
        let exists = |i: &u16| usize::from(*i) < self.interface.imports.len();
        premise!(imports.iter().all(exists), ill(Rule::Import));
        premise!(imports.len() <= limits::IMPORTS, ill(Rule::Import));
        let interface = self.interface;
        for sig in imports.iter().filter_map(|i| interface.imports.get(usize::from(*i))) {
            premise!(self.gives_bytes(sig));
        }
        Ok(())
    }

    /// The program starts in a function of exactly the signature that the host starts.
    fn start(&mut self) -> Result<()> {
        let Some(start) = self.image.start else { return Ok(()) };
        let sig = self.function_sig(start)?;
        let wanted = Rc::clone(&self.interface.start);
        premise!(self.same_sig(&sig, &wanted, Rule::Driver));
        premise!(sig.post.is_none(), ill(Rule::Driver));
        Ok(())
    }
}
