//! Chance by a seed. The numbers are the same in every run; what they decide is so only as far as everything is asked
//! in the same order, which calls at the same time are not.

/// Numbers that follow from a seed. Source: SplitMix64, `java.util.SplittableRandom`.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Whether it is one of so many in a hundred.
    pub fn is_of(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
