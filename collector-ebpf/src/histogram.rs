/// How many buckets a histogram has.
///
/// Up to 8 ns each value has its own bucket; above, each power of two is cut
/// into 8, so that a bucket is at most an eighth as wide as its lower bound.
/// The last one begins at 2^41 - 2^37 ns, half an hour, and holds what is longer.
pub const BUCKETS: usize = 312;

/// The bucket that a duration falls into.
#[expect(
    clippy::inline_always,
    reason = "a call costs more than the function on the switch path"
)]
#[inline(always)]
pub const fn bucket_of(ns: u64) -> usize {
    if ns < 8 {
        return ns as usize;
    }
    // The position of the highest bit, by halving: eBPF before version 4 of
    // its instruction set cannot count leading zeros.
    let mut rest = ns;
    let mut exponent = 0;
    if rest >= 1 << 32 {
        rest >>= 32;
        exponent += 32;
    }
    if rest >= 1 << 16 {
        rest >>= 16;
        exponent += 16;
    }
    if rest >= 1 << 8 {
        rest >>= 8;
        exponent += 8;
    }
    if rest >= 1 << 4 {
        rest >>= 4;
        exponent += 4;
    }
    if rest >= 1 << 2 {
        rest >>= 2;
        exponent += 2;
    }
    if rest >= 1 << 1 {
        exponent += 1;
    }
    let bucket = ((exponent - 2) * 8 + ((ns >> (exponent - 3)) & 7)) as usize;
    if bucket < BUCKETS {
        bucket
    } else {
        BUCKETS - 1
    }
}

/// The shortest duration of a bucket, and the shortest that is too long for
/// it; `u64::MAX` for the last bucket.
pub const fn bucket_bounds(bucket: usize) -> (u64, u64) {
    const fn lower(bucket: usize) -> u64 {
        if bucket < 8 {
            return bucket as u64;
        }
        let exponent = bucket / 8 + 2;
        (8 + (bucket % 8) as u64) << (exponent - 3)
    }
    let upper = if bucket + 1 >= BUCKETS {
        u64::MAX
    } else {
        lower(bucket + 1)
    };
    (lower(bucket), upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_within_the_bounds_of_its_bucket() {
        let mut ns: u64 = 0;
        while ns < 1 << 50 {
            for ns in [ns.saturating_sub(1), ns, ns + 1] {
                let bucket = bucket_of(ns);
                let (from, to) = bucket_bounds(bucket);
                assert!(
                    from <= ns && ns < to,
                    "{ns} in bucket {bucket}: {from}..{to}"
                );
            }
            ns = ns * 9 / 8 + 1;
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap_and_are_narrow() {
        for bucket in 0..BUCKETS - 2 {
            let (from, to) = bucket_bounds(bucket);
            assert_eq!(to, bucket_bounds(bucket + 1).0);
            assert!(
                to - from <= (from / 8).max(1),
                "bucket {bucket}: {from}..{to}"
            );
        }
    }

    #[test]
    fn the_longest_duration_is_in_the_last_bucket() {
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }
}
