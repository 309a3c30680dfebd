//! Not trusted: a bug here can reject, never admit. The linear equalities that both of two states
//! satisfy: the null space of what the terms are on either side (Karr 1976).

use super::*;

impl Common<'_> {
    /// Linear equalities between the label's variables, the function's and 1 that hold on both
    /// sides: the null space of the matrix of what each becomes there.
    pub(super) fn equalities(&self) -> Vec<Fact> {
        let (own, fixed) = self.quantities();
        if own.is_empty() {
            return Vec::new();
        }
        let products = self.products(&own);
        let unit = [Term::int(1)];
        let terms: Vec<&Term> = own.iter().chain(&products).chain(&fixed).chain(&unit).collect();
        let mut columns: Vec<BTreeMap<(bool, Option<Atom>), i128>> = Vec::new();
        for term in &terms {
            let mut column = BTreeMap::new();
            for left in [true, false] {
                let Some(value) = self.at(term, left) else { return Vec::new() };
                spread(&value, left, &mut column);
            }
            columns.push(column);
        }
        for left in [true, false] {
            for fact in self.facts(left).iter().filter(|f| f.rel == Rel::Eq) {
                let mut column = BTreeMap::new();
                spread(&fact.term, left, &mut column);
                columns.push(column);
            }
        }
        let vectors = null_space(&columns).unwrap_or_default();
        vectors.iter().filter_map(|vector| relation(vector, &terms, own.len())).collect()
    }
}

fn spread(term: &Term, left: bool, column: &mut BTreeMap<(bool, Option<Atom>), i128>) {
    if term.constant() != 0 {
        column.insert((left, None), term.constant());
    }
    for Monomial { atom, coefficient } in term.monomials() {
        column.insert((left, Some(atom)), coefficient);
    }
}

/// The equality of a null vector, if one of the first `own` terms takes part.
fn relation(vector: &[i128], terms: &[&Term], own: usize) -> Option<Fact> {
    if vector.iter().take(own).all(|c| *c == 0) {
        return None;
    }
    let mut sum = Term::ZERO;
    for (c, term) in vector.iter().zip(terms) {
        sum = sum.add_scaled(term, *c).ok()?;
    }
    let gcd = num_integer::Integer::gcd(&sum.gcd(), &sum.constant()).max(1);
    // Of the two signs always the same, or the same equality would seem to be a new one.
    let gcd = gcd * sum.monomials().next().map_or(1, |m| m.coefficient.signum());
    let divided = |m: Monomial| Monomial { coefficient: m.coefficient / gcd, ..m };
    let parts = sum.monomials().map(divided).collect::<Vec<_>>();
    let term = Term::from_parts(sum.constant() / gcd, parts).ok()?;
    Some(Fact { rel: Rel::Eq, term })
}

/// A basis of the vectors `v` with `sum v[j] * columns[j] = 0`, integral. Gauss and Jordan without
/// fractions; `None` on overflow.
fn null_space<K: Ord + Clone>(columns: &[BTreeMap<K, i128>]) -> Option<Vec<Vec<i128>>> {
    let mut keys: Vec<&K> = columns.iter().flat_map(BTreeMap::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let n = columns.len();
    let mut rows: Vec<Vec<i128>> = keys
        .iter()
        .map(|key| columns.iter().map(|c| c.get(*key).copied().unwrap_or(0)).collect())
        .collect();
    let mut pivots: Vec<usize> = Vec::new();
    // Pivot on the last columns first, so that the free ones are the label's variables.
    for column in (0..n).rev() {
        let done = pivots.len();
        let Some(at) = (done..rows.len()).find(|&i| rows[i][column] != 0) else { continue };
        rows.swap(done, at);
        let pivot = rows[done].clone();
        for (i, row) in rows.iter_mut().enumerate() {
            if i == done || row[column] == 0 {
                continue;
            }
            let (a, b) = (pivot[column], row[column]);
            for (entry, p) in row.iter_mut().zip(&pivot) {
                *entry = entry.checked_mul(a)?.checked_sub(p.checked_mul(b)?)?;
            }
            shrink(row);
        }
        pivots.push(column);
    }
    let free = (0..n).filter(|j| !pivots.contains(j));
    free.map(|j| null_vector(&rows, &pivots, n, j)).collect()
}

fn null_vector(rows: &[Vec<i128>], pivots: &[usize], n: usize, free: usize) -> Option<Vec<i128>> {
    let used = pivots.iter().zip(rows).filter(|(_, row)| row[free] != 0);
    let scale = used.clone().try_fold(1_i128, |lcm, (pivot, row)| {
        let gcd = num_integer::Integer::gcd(&lcm, &row[*pivot]);
        (lcm / gcd).checked_mul(row[*pivot])
    })?;
    let mut vector = vec![0; n];
    vector[free] = scale;
    for (pivot, row) in used {
        vector[*pivot] = row[free].checked_mul(scale / row[*pivot])?.checked_neg()?;
    }
    shrink(&mut vector);
    Some(vector)
}

fn shrink(row: &mut [i128]) {
    let gcd = row.iter().fold(0, |g, e| num_integer::Integer::gcd(&g, e));
    if gcd > 1 {
        row.iter_mut().for_each(|e| *e /= gcd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_space_of_a_small_matrix() {
        // x -> (0, 1), r -> (1, -1) in n, one: o + r - n = 0 from two sides.
        let c = |parts: &[(u8, i128)]| parts.iter().copied().collect::<BTreeMap<u8, i128>>();
        // o: left 0, right x; r: left n, right n - x; n: n, n.
        let columns = [c(&[(2, 1)]), c(&[(0, 1), (1, 1), (2, -1)]), c(&[(0, 1), (1, 1)])];
        let space = null_space(&columns).unwrap();
        assert_eq!(space.len(), 1);
        let v = &space[0];
        assert_eq!((v[0] * v[1], v[0] * v[2]), (1, -1));
    }
}
