//! Seeded mutations: the same for the same seed, everywhere.

/// Numbers at which counts and lengths go wrong.
const EDGES: [u64; 10] =
    [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];

/// Makes hostile inputs of good ones.
#[derive(Debug)]
pub struct Mutator {
    stream: blake3::OutputReader,
}

impl Mutator {
    /// Mutations of the input `name` under `seed`.
    pub fn new(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(name.as_bytes());
        Self { stream: hasher.finalize_xof() }
    }

    /// A number below `end`, which is at least 1.
    fn below(&mut self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.stream.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % end.max(1) as u64) as usize
    }

    /// One more mutation of `bytes`; pieces of `other` may come into it.
    pub fn mutate(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            self.step(&mut out, other);
        }
        out
    }

    fn step(&mut self, out: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(out.len() + 1);
        let length = self.below(16) + 1;
        let end = (at + length).min(out.len());
        match self.below(8) {
            0 | 1 => {
                let bit = self.below(8);
                out.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << bit);
            }
            2 => {
                let value = self.below(256) as u8;
                out.iter_mut().skip(at).take(1).for_each(|b| *b = value);
            }
            3 => {
                let edge = EDGES.get(self.below(EDGES.len())).copied().unwrap_or_default().to_le_bytes();
                let width = 1 << self.below(4);
                out.iter_mut().skip(at).take(width).zip(edge).for_each(|(to, from)| *to = from);
            }
            4 => out.truncate(at),
            5 => {
                out.drain(at..end);
            }
            6 => {
                let copy: Vec<u8> = out.get(at..end).unwrap_or_default().to_vec();
                let to = self.below(out.len() + 1);
                out.splice(to..to, copy);
            }
            _ => {
                let from = self.below(other.len() + 1);
                out.splice(at..end, other.iter().skip(from).take(length).copied());
            }
        }
    }
}
