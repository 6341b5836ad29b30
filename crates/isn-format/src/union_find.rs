//! [`UnionFind`]: puts what belongs together into groups.

/// Groups of what belongs together, directly or through others (union-find).
#[derive(Clone, Debug)]
pub struct UnionFind {
    parents: Vec<usize>,
}

impl UnionFind {
    /// Makes `count` groups of one member each.
    pub fn new(count: usize) -> Self {
        UnionFind { parents: (0..count).collect() }
    }

    /// Returns the first member of the group of `at`.
    pub fn first(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    /// Joins the groups of two members. Returns `false` if they were in one group already.
    pub fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.first(a), self.first(b));
        // The lower number is the root, so the result does not depend on the order of joins.
        self.parents[a.max(b)] = a.min(b);
        a != b
    }

    /// Returns the groups of two or more, sorted by their first member, with their members in order.
    pub fn groups(&mut self) -> Vec<Vec<usize>> {
        let mut by_first: std::collections::BTreeMap<usize, Vec<usize>> = Default::default();
        for at in 0..self.parents.len() {
            by_first.entry(self.first(at)).or_default().push(at);
        }
        by_first.into_values().filter(|members| members.len() > 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_do_not_depend_on_the_order_of_joins() {
        let joins = [(7, 2), (2, 5), (9, 8), (5, 7), (0, 9)];
        for turn in 0..joins.len() {
            let mut groups = UnionFind::new(10);
            for k in 0..joins.len() {
                let (a, b) = joins[(k + turn) % joins.len()];
                groups.join(a, b);
            }
            assert_eq!(groups.groups(), [vec![0, 8, 9], vec![2, 5, 7]]);
            assert!(!groups.join(2, 7) && groups.join(2, 3));
        }
    }
}
