//! Ways of cutting bytes into pieces that depend on nothing but the bytes.

/// Longer inputs are not cut at every byte: that would take all the time.
const LONGEST_BYTEWISE: usize = 2 << 10;
/// Random ways of cutting.
const WAYS: u64 = 3;

/// Several ways to cut `bytes` into pieces, which together are the bytes.
pub(crate) fn ways(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut ways = Vec::new();
    if bytes.len() <= LONGEST_BYTEWISE {
        ways.push(bytes.chunks(1).collect());
    }
    for way in 0..WAYS {
        let mut random = Random::of(bytes, way);
        let longest = [7, 40, 400][usize::try_from(way).unwrap_or(0) % 3];
        let (mut rest, mut pieces) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(random.below(longest)));
            pieces.push(piece);
            rest = behind;
            if pieces.last() == Some(&&b""[..]) && random.below(2) == 0 {
                let (piece, behind) = rest.split_at(1);
                pieces.push(piece);
                rest = behind;
            }
        }
        ways.push(pieces);
    }
    ways
}

/// The SplitMix64 generator: the same numbers on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeded by bytes (FNV-1a).
    pub(crate) fn of(bytes: &[u8], salt: u64) -> Self {
        let seed = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64 ^ salt, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(seed)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound.max(1) as u64).unwrap_or(0)
    }
}
