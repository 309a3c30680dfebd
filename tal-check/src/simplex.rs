//! Not trusted: a bug here can reject, never admit. An exact simplex over the integers.
//!
//! Minimises `cost . x` subject to `A x = b`, `x >= 0`, in a tableau that is kept integral by
//! fraction-free pivots (Edmonds 1967; Bareiss 1968): every entry is an integer over one common
//! denominator. It runs in `i128` with checked arithmetic and, if that overflows, once more in
//! `BigInt`.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{CheckedMul, CheckedSub, One, Signed, ToPrimitive, Zero};

/// One unknown: its column of `A` (sparse: row, entry) and its cost.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Entries that are not zero.
    pub(crate) entries: Vec<(usize, i128)>,
    /// Cost of one unit.
    pub(crate) cost: i128,
}

/// What the minimisation found. Values are numerators over `denominator`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// No `x` satisfies the constraints.
    Infeasible,
    /// A least `x`.
    Optimal(Solution),
    /// The cost has no lower bound: from `point` along `ray` it falls for ever.
    Unbounded {
        /// A feasible point.
        point: Solution,
        /// A direction.
        ray: Solution,
    },
}

/// A rational vector, sparse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Solution {
    /// Positive.
    pub(crate) denominator: BigInt,
    /// Unknown and numerator, increasing, positive.
    pub(crate) values: Vec<(usize, BigInt)>,
}

/// Numbers that the tableau can be built from.
trait Number: Clone + Integer + Signed + CheckedMul + CheckedSub + From<i64> {
    fn wide(value: i128) -> Self;
    fn big(&self) -> BigInt;
}

impl Number for i128 {
    fn wide(value: i128) -> Self {
        value
    }
    fn big(&self) -> BigInt {
        BigInt::from(*self)
    }
}

impl Number for BigInt {
    fn wide(value: i128) -> Self {
        BigInt::from(value)
    }
    fn big(&self) -> BigInt {
        self.clone()
    }
}

/// Minimises. `right` is b; one row for each.
pub(crate) fn minimise(columns: &[Column], right: &[i128]) -> Outcome {
    Tableau::<i128>::new(columns, right)
        .solve()
        .or_else(|| Tableau::<BigInt>::new(columns, right).solve())
        .unwrap_or(Outcome::Infeasible)
}

/// Rows of `width + 1` entries, the last is the right side.
struct Tableau<N> {
    rows: Vec<Vec<N>>,
    /// Basic unknown of each row; `None` while it is the artificial one.
    basis: Vec<Option<usize>>,
    /// Reduced costs of the first phase (sum of artificials) and of the second.
    feasibility: Vec<N>,
    cost: Vec<N>,
    denominator: N,
    width: usize,
}

/// Pivots by greatest descent before Bland's rule, which cannot cycle, takes over.
const GREEDY_PIVOTS: usize = 60;
/// Far above what any certificate here needs; then the search gives up.
const MAX_PIVOTS: usize = 2_000;

impl<N: Number> Tableau<N> {
    fn new(columns: &[Column], right: &[i128]) -> Self {
        let width = columns.len();
        let mut rows = vec![vec![N::zero(); width + 1]; right.len()];
        for (j, column) in columns.iter().enumerate() {
            for &(i, entry) in &column.entries {
                rows[i][j] = N::wide(entry);
            }
        }
        for (row, &b) in rows.iter_mut().zip(right) {
            row[width] = N::wide(b);
            if b < 0 {
                row.iter_mut().for_each(|entry| *entry = -entry.clone());
            }
        }
        let feasibility = (0..=width)
            .map(|j| rows.iter().fold(N::zero(), |sum, row| sum - row[j].clone()))
            .collect();
        let cost = columns.iter().map(|c| N::wide(c.cost)).chain([N::zero()]).collect();
        let basis = vec![None; right.len()];
        Tableau { rows, basis, feasibility, cost, denominator: N::one(), width }
    }

    /// `None` when a number overflowed or the pivots ran out.
    fn solve(mut self) -> Option<Outcome> {
        self.descend(true)?;
        if !self.feasibility[self.width].is_zero() {
            return Some(Outcome::Infeasible);
        }
        self.expel_artificials()?;
        match self.descend(false)? {
            None => Some(Outcome::Optimal(self.point())),
            Some(entering) => {
                Some(Outcome::Unbounded { point: self.point(), ray: self.ray(entering) })
            }
        }
    }

    /// Pivots until no cost falls any more; answers the column of an unbounded ray.
    fn descend(&mut self, first_phase: bool) -> Option<Option<usize>> {
        for count in 0..MAX_PIVOTS {
            let Some(entering) = self.entering(first_phase, count < GREEDY_PIVOTS) else {
                return Some(None);
            };
            let Some(leaving) = self.leaving(entering)? else { return Some(Some(entering)) };
            self.pivot(leaving, entering)?;
        }
        None
    }

    fn entering(&self, first_phase: bool, greedy: bool) -> Option<usize> {
        let costs = if first_phase { &self.feasibility } else { &self.cost };
        let mut falling = (0..self.width).filter(|&j| costs[j].is_negative());
        if greedy { falling.min_by(|&a, &b| costs[a].cmp(&costs[b])) } else { falling.next() }
    }

    /// The row with the least ratio; ties to the least basic unknown, artificials first.
    fn leaving(&self, entering: usize) -> Option<Option<usize>> {
        let mut best: Option<usize> = None;
        for (i, row) in self.rows.iter().enumerate() {
            if !row[entering].is_positive() {
                continue;
            }
            best = Some(match best {
                None => i,
                Some(b) => {
                    let old = &self.rows[b];
                    // right/entry < right_b/entry_b, multiplied out.
                    let left = row[self.width].checked_mul(&old[entering])?;
                    let right = old[self.width].checked_mul(&row[entering])?;
                    match left.cmp(&right) {
                        std::cmp::Ordering::Less => i,
                        std::cmp::Ordering::Equal if self.basis[i] < self.basis[b] => i,
                        _ => b,
                    }
                }
            });
        }
        Some(best)
    }

    /// Fraction-free pivot: row operations keep every entry an integer over the new denominator.
    fn pivot(&mut self, leaving: usize, entering: usize) -> Option<()> {
        let pivot_row = self.rows[leaving].clone();
        let pivot = pivot_row[entering].clone();
        let denominator = self.denominator.clone();
        let others = self.rows.iter_mut().enumerate().filter(|(i, _)| *i != leaving);
        for (_, row) in others {
            reduce(row, &pivot_row, entering, &pivot, &denominator)?;
        }
        reduce(&mut self.feasibility, &pivot_row, entering, &pivot, &denominator)?;
        reduce(&mut self.cost, &pivot_row, entering, &pivot, &denominator)?;
        self.basis[leaving] = Some(entering);
        self.denominator = pivot;
        Some(())
    }

    /// After the first phase artificials stand at zero; pivot them out or drop redundant rows.
    fn expel_artificials(&mut self) -> Option<()> {
        let mut i = 0;
        while i < self.rows.len() {
            if self.basis[i].is_none() {
                let Some(j) = (0..self.width).find(|&j| !self.rows[i][j].is_zero()) else {
                    self.rows.remove(i);
                    self.basis.remove(i);
                    continue;
                };
                if self.rows[i][j].is_negative() {
                    self.rows[i].iter_mut().for_each(|entry| *entry = -entry.clone());
                }
                self.pivot(i, j)?;
            }
            i += 1;
        }
        Some(())
    }

    fn point(&self) -> Solution {
        self.solution(|row| row[self.width].clone())
    }

    fn ray(&self, entering: usize) -> Solution {
        let mut ray = self.solution(|row| -row[entering].clone());
        ray.values.push((entering, self.denominator.big()));
        ray.values.sort();
        ray
    }

    fn solution(&self, value: impl Fn(&Vec<N>) -> N) -> Solution {
        let mut values: Vec<(usize, BigInt)> = self
            .rows
            .iter()
            .zip(&self.basis)
            .filter_map(|(row, basic)| Some(((*basic)?, value(row).big())))
            .filter(|(_, v)| !v.is_zero())
            .collect();
        values.sort();
        Solution { denominator: self.denominator.big(), values }
    }
}

/// `row := (row * pivot - row[entering] * pivot_row) / denominator`, exact.
fn reduce<N: Number>(
    row: &mut [N],
    pivot_row: &[N],
    entering: usize,
    pivot: &N,
    denominator: &N,
) -> Option<()> {
    let factor = row[entering].clone();
    if factor.is_zero() && pivot == denominator {
        return Some(());
    }
    for (entry, p) in row.iter_mut().zip(pivot_row) {
        if entry.is_zero() && (p.is_zero() || factor.is_zero()) {
            continue;
        }
        let product = entry.checked_mul(pivot)?;
        let removed = factor.checked_mul(p)?;
        *entry = product.checked_sub(&removed)? / denominator.clone();
    }
    Some(())
}

impl Solution {
    /// The values times the least common denominator, and that; `None` if they are too wide.
    pub(crate) fn integral(&self) -> Option<(u64, Vec<(usize, i128)>)> {
        let common = self.values.iter().fold(self.denominator.clone(), |g, (_, v)| g.gcd(v));
        let common = if common.is_zero() { BigInt::one() } else { common };
        let scale = (&self.denominator / &common).to_u64()?;
        let values = self
            .values
            .iter()
            .map(|(j, v)| Some((*j, (v / &common).to_i128()?)))
            .collect::<Option<Vec<_>>>()?;
        Some((scale, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(entries: &[i128], cost: i128) -> Column {
        let entries = entries.iter().copied().enumerate().filter(|(_, e)| *e != 0).collect();
        Column { entries, cost }
    }

    #[test]
    fn finds_a_fractional_minimum() {
        // 2x + y = 3, x - y = 0: x = y = 1.
        let columns = [column(&[2, 1], 1), column(&[1, -1], 1)];
        let Outcome::Optimal(best) = minimise(&columns, &[3, 0]) else { panic!("optimal") };
        assert_eq!(best.integral(), Some((1, vec![(0, 1), (1, 1)])));
    }

    #[test]
    fn says_when_nothing_fits() {
        assert_eq!(minimise(&[column(&[1], 0)], &[-1]), Outcome::Infeasible);
    }

    #[test]
    fn finds_a_falling_ray() {
        let columns = [column(&[1], -1), column(&[-1], 0)];
        assert!(matches!(minimise(&columns, &[0]), Outcome::Unbounded { .. }));
    }
}
