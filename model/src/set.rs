//! Small sets of sessions, packs or chunks, and tables by session; all values are copied.

/// A set of numbers below 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Set(pub u8);

impl Set {
    /// No element.
    pub const EMPTY: Self = Self(0);

    /// One element.
    pub fn one(i: u8) -> Self {
        Self(1 << i)
    }

    /// Whether `i` is in it.
    pub fn has(self, i: u8) -> bool {
        self.0 >> i & 1 == 1
    }

    /// Elements of either.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Elements of both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Elements that `other` lacks.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Adds `i`.
    pub fn add(&mut self, i: u8) {
        self.0 |= 1 << i;
    }

    /// Removes `i`.
    pub fn remove(&mut self, i: u8) {
        self.0 &= !(1 << i);
    }

    /// Whether it has no element.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `other` has all its elements.
    pub fn within(self, other: Self) -> bool {
        self.minus(other).is_empty()
    }

    /// Its elements.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |i| self.has(*i))
    }

    /// All its subsets, the empty one first.
    pub fn subsets(self) -> impl Iterator<Item = Self> {
        (0..=self.0).map(Self).filter(move |s| s.within(self))
    }
}

/// Values by number; what was never set is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Table<T>(Vec<T>);

impl<T: Copy + Default> Table<T> {
    /// A table for `n` numbers.
    pub fn new(n: u8) -> Self {
        Self(vec![T::default(); usize::from(n)])
    }

    /// The value of `i`.
    pub fn get(&self, i: u8) -> T {
        self.0.get(usize::from(i)).copied().unwrap_or_default()
    }

    /// Sets the value of `i`.
    pub fn set(&mut self, i: u8, value: T) {
        if let Some(slot) = self.0.get_mut(usize::from(i)) {
            *slot = value;
        }
    }

    /// Changes the value of `i`.
    pub fn change(&mut self, i: u8, change: impl FnOnce(&mut T)) {
        if let Some(slot) = self.0.get_mut(usize::from(i)) {
            change(slot);
        }
    }

    /// All values.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// All values, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}
