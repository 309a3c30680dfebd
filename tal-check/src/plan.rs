//! Not trusted: a bug here can reject, never admit. What is planned of labels and ghosts before the
//! judge is asked: on which branches labels hang, what may differ there, and at which sites ghosts
//! stand.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tal_core::hint::{Ghost, Place, Site};
use tal_core::ty::Reg;

/// Places of a state, a bit each: registers by number; that of rsp stands for the capabilities;
/// slots from 16 on, the last bit for all that have none of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Places(pub(crate) u128);

pub(crate) const CAPS: u128 = 1 << Reg::Rsp as u32;
const FIRST_SLOT: u32 = 16;
const LAST_SLOT: u32 = 127;

impl Places {
    pub(crate) fn or(self, other: Places) -> Places {
        Places(self.0 | other.0)
    }

    /// May what is owned differ?
    pub(crate) fn caps(self) -> bool {
        self.0 & CAPS != 0
    }
}

/// The bits of slots, by offset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots(BTreeMap<i64, u32>);

impl Slots {
    pub(crate) fn bit(&mut self, at: i64) -> u128 {
        let next = u32::try_from(self.0.len()).unwrap_or(LAST_SLOT) + FIRST_SLOT;
        1 << *self.0.entry(at).or_insert(next.min(LAST_SLOT))
    }

    /// Those from here to there.
    pub(crate) fn within(&mut self, from: i64, to: i64) -> u128 {
        let first = from & !7;
        if to.saturating_sub(first) > 64 * 8 {
            return !((1 << FIRST_SLOT) - 1);
        }
        let mut places = 0;
        let mut at = first;
        while at < to {
            places |= self.bit(at);
            at += 8;
        }
        places
    }

    /// Is this one of the places?
    pub(crate) fn has(&self, places: Places, place: Place) -> bool {
        let bit = match place {
            Place::Reg(reg) => reg as u32,
            Place::Slot(at) => self.0.get(&at).copied().unwrap_or(LAST_SLOT),
        };
        places.0 >> bit & 1 == 1
    }
}

/// Where labels hang.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// By offset of the label: its parent and what it declares. The others hang on the root and
    /// declare all.
    pub(crate) labels: BTreeMap<u32, Hang>,
    pub(crate) slots: Slots,
    /// Where ghosts are needed, if that is known.
    pub(crate) busy: Option<Busy>,
}

/// Of a label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hang {
    /// Offset of the instruction at which its parent is opened.
    pub(crate) branch: u32,
    /// What may differ.
    pub(crate) changed: Places,
}

/// Sites of ghosts. An earlier search that needed none at a site is believed: if that was wrong,
/// the judge refuses, and the search is done whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Busy {
    sites: BTreeSet<(u32, u32)>,
    /// Those at which what a register or slot holds becomes another word.
    words: BTreeSet<(u32, u32)>,
    /// Is nothing known of edges?
    edges: bool,
    /// Are the ghosts that are written all there are?
    pub(crate) written: bool,
}

impl Busy {
    /// Nothing is planned: there are the ghosts that are written, and sizes where blocks begin.
    pub(crate) fn as_written() -> Busy {
        Busy { written: true, ..Busy::default() }
    }

    /// These ghosts stand here, if any.
    pub(crate) fn add(&mut self, site: Site, ghosts: &[Ghost]) {
        use Ghost::{EqualWord, FrameWord, Renorm};
        if ghosts.is_empty() {
            return;
        }
        self.sites.insert(Busy::key(site));
        let word = |g: &Ghost| matches!(g, EqualWord { .. } | FrameWord { .. } | Renorm { .. });
        if ghosts.iter().any(word) {
            self.words.insert(Busy::key(site));
        }
    }

    /// Those of both.
    pub(crate) fn extend(&mut self, other: Busy) {
        self.sites.extend(other.sites);
        self.words.extend(other.words);
        self.edges |= other.edges;
        self.written |= other.written;
    }

    /// Those in this part of the text.
    pub(crate) fn within(&self, range: Range<u32>) -> Busy {
        let (from, to) = ((range.start, 0), (range.end, 0));
        let part = |sites: &BTreeSet<(u32, u32)>| sites.range(from..to).copied().collect();
        let (sites, words) = (part(&self.sites), part(&self.words));
        Busy { sites, words, edges: self.edges, written: self.written }
    }

    /// Do words of registers or slots change by ghosts?
    pub(crate) fn rewords(&self) -> bool {
        !self.words.is_empty()
    }

    /// Do they?
    pub(crate) fn has(&self, site: Site) -> bool {
        let edge = !matches!(site, Site::At(_));
        (edge && self.edges) || self.sites.contains(&Busy::key(site))
    }

    /// Of edges nothing is known.
    pub(crate) fn with_edges(mut self) -> Busy {
        self.edges = true;
        self
    }

    /// Instructions by their offset, edges by both ends.
    fn key(site: Site) -> (u32, u32) {
        match site {
            Site::At(at) => (at, u32::MAX),
            Site::Edge { from, to } => (from, to),
            Site::Return(at) | Site::CodeSub { from: at } => (at, u32::MAX - 1),
        }
    }
}
