//! TCB. The tables of an image (core.md 4.15): types, signatures, functions, labels, data, imports.

use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::limits;
use crate::ty::TypeId;
use alloc::{rc::Rc, vec};

fn refused<T>(rule: Rule) -> Result<T> {
    Err(Error::new(rule, Evidence::IllFormed))
}

impl<H: Hints> Judge<'_, H> {
    /// Every table entry is well formed, and where things lie in memory is possible.
    ///
    /// # Errors
    /// When it is not so.
    #[inline(never)]
    pub(crate) fn tables(&mut self) -> Result<()> {
        let image = self.image;
        self.layout()?;
        let host = self.interface.types.len();
        let all = host.checked_add(image.types.len()).filter(|n| *n <= limits::TYPES);
        for id in host..all.or_refuse(Rule::Limit)? {
            self.wf_type(TypeId(u32::try_from(id).ok().or_refuse(Rule::Limit)?))?;
        }
        for sig in &image.sigs {
            self.wf_sig(sig)?;
        }
        self.used_sigs()?;
        for (label, declared) in (0_u32..).zip(&image.labels) {
            let place = |e: Error| Error { site: e.site.or(Some(declared.offset)), ..e };
            let function = self.label_owner(label).map_err(place)?;
            let sig = self.function_sig(function)?;
            self.wf_label(&sig, &declared.state).map_err(place)?;
        }
        self.data()?;
        self.imports()?;
        self.start()
    }

    /// Text and data lie below [`limits::IMAGE_HIGH`], off each other and off the gates.
    fn layout(&mut self) -> Result<()> {
        let image = self.image;
        let text = u64::from(image.text_address);
        let length = u64::try_from(image.text.len()).ok().or_refuse(Rule::Driver)?;
        let text_end = text.checked_add(length).or_refuse(Rule::Driver)?;
        let gates = limits::GATES..limits::GATES.saturating_add(4096);
        let fits = |low: u64, high: u64| {
            i128::from(low) >= limits::ADDRESS_LOW
                && high <= limits::IMAGE_HIGH
                && (high <= gates.start || low >= gates.end)
        };
        if !fits(text, text_end) {
            return refused(Rule::Driver);
        }
        self.burn(image.data.len())?;
        for data in &image.data {
            let low = u64::from(data.address);
            let high = low.saturating_add(u64::from(data.size));
            if !fits(low, high) || (low < text_end && high > text) {
                return refused(Rule::DataObject);
            }
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
        if used.iter().all(|u| *u) { Ok(()) } else { refused(Rule::Driver) }
    }

    /// rule[import]: imports exist, each at most once, increasing.
    fn imports(&mut self) -> Result<()> {
        let imports = &self.image.imports;
        let increasing = imports.is_sorted_by(|a, b| a < b);
        let exists = imports.iter().all(|i| usize::from(*i) < self.interface.imports.len());
        if increasing && exists && imports.len() <= limits::IMPORTS {
            return Ok(());
        }
        refused(Rule::Import)
    }

    /// The program starts in a function of exactly the signature that the host starts.
    fn start(&mut self) -> Result<()> {
        let Some(start) = self.image.start else { return Ok(()) };
        let sig = self.function_sig(start)?;
        let wanted = Rc::clone(&self.interface.start);
        self.same_sig(&sig, &wanted, Rule::Driver)?;
        if sig.post.is_some() { refused(Rule::Driver) } else { Ok(()) }
    }
}
