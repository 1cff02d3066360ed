/// The number of buckets of a histogram.
///
/// Below 8 ns each value has its own bucket; above, each power of two is divided
/// into 8 buckets, so that the width of a bucket is at most an eighth of its
/// lower bound. The last bucket starts at 2^41 - 2^37 ns, half an hour, and has
/// no upper bound.
pub const BUCKETS: usize = 312;

/// The lower bound of the last bucket.
const LONGEST: u64 = (1 << 41) - (1 << 37);

/// The bucket of a duration.
///
/// The eBPF instruction set has no instruction to count leading zeros, and a
/// binary search for the highest bit takes more instructions than this table.
/// Where tasks are switched often, most durations are below 131 us.
#[expect(
    clippy::inline_always,
    reason = "on the switch path a call costs more than the function"
)]
#[inline(always)]
pub const fn bucket_of(ns: u64) -> usize {
    // The low bits are shifted out until four to eleven remain; each bit is
    // eight buckets.
    if ns < 1 << 9 {
        SHORT[ns as usize] as usize
    } else if ns < 1 << 17 {
        SHORT[(ns >> 6) as usize] as usize + 6 * 8
    } else {
        long_bucket_of(ns)
    }
}

/// The bucket of a longer duration. Not inlined, because such durations are rare
/// where switches are frequent.
#[inline(never)]
const fn long_bucket_of(ns: u64) -> usize {
    if ns < 1 << 25 {
        SHORT[(ns >> 14) as usize] as usize + 14 * 8
    } else if ns < 1 << 33 {
        SHORT[(ns >> 22) as usize] as usize + 22 * 8
    } else {
        let ns = if ns < LONGEST { ns } else { LONGEST };
        SHORT[(ns >> 30) as usize] as usize + 30 * 8
    }
}

/// The buckets of numbers of up to eleven bits.
static SHORT: [u8; 1 << 11] = {
    let mut buckets = [0; 1 << 11];
    let mut number = 0;
    while number < buckets.len() {
        buckets[number] = if number < 8 {
            number
        } else {
            let exponent = number.ilog2() as usize;
            (exponent - 2) * 8 + ((number >> (exponent - 3)) & 7)
        } as u8;
        number += 1;
    }
    buckets
};

/// The lower bound of a bucket, inclusive, and the upper bound, exclusive;
/// `u64::MAX` for the last bucket.
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
