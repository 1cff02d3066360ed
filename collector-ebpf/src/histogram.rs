/// How many buckets a histogram has.
///
/// Up to 8 ns each value has its own bucket; above, each power of two is cut
/// into 8, so that a bucket is at most an eighth as wide as its lower bound.
/// The last one begins at 2^41 - 2^37 ns, half an hour, and holds what is longer.
pub const BUCKETS: usize = 312;

/// The shortest duration of the last bucket.
const LONGEST: u64 = (1 << 41) - (1 << 37);

/// The bucket that a duration falls into.
///
/// eBPF before version 4 of its instruction set cannot count leading zeros, and
/// to find the highest bit by halving takes more instructions than this. Most
/// durations are of up to 131 us where tasks are switched often.
#[expect(
    clippy::inline_always,
    reason = "a call costs more than the function on the switch path"
)]
#[inline(always)]
pub const fn bucket_of(ns: u64) -> usize {
    // So many bits are cut off from below that four to eleven are left; each
    // bit less is eight buckets less.
    if ns < 1 << 9 {
        SHORT[ns as usize] as usize
    } else if ns < 1 << 17 {
        SHORT[(ns >> 6) as usize] as usize + 6 * 8
    } else {
        long_bucket_of(ns)
    }
}

/// The bucket of a longer duration: a function of its own, since switches are
/// few where those are.
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

/// The buckets of the numbers of up to eleven bits.
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
