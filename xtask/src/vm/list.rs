//! The available kernels: `cargo xtask test-vm --list`.

use std::collections::BTreeSet;

use anyhow::Result;

use super::kernel::{self, Kernel, Offer, Offers};
use super::series::{Series, Wanted, version_key};
use crate::architecture::Architecture;

/// Prints the latest kernel of each series, where it comes from, and which of them
/// are `wanted`.
///
/// # Errors
/// When there is no cache directory.
pub(crate) fn print(architecture: Architecture, wanted: &[Wanted]) -> Result<()> {
    let cached = kernel::cached(architecture)?;
    let offers = Offers::of_all_suites(architecture);
    println!("{}", row("series", "kernel", "tested as", "where"));
    for row in rows(&cached, &offers.found, wanted) {
        println!("{row}");
    }
    offers.print_failures();
    Ok(())
}

fn rows(cached: &[Kernel], offers: &[Offer], wanted: &[Wanted]) -> Vec<String> {
    let all = || {
        let kept = cached.iter().map(|kernel| &kernel.release);
        kept.chain(offers.iter().map(|offer| &offer.release))
    };
    let of = |release: &str| Series::of_release(release);
    let picked = |wanted: &Wanted| of(wanted.pick(all().collect(), |release| release)?);
    let series: BTreeSet<Series> = all().filter_map(|release| of(release)).collect();
    series
        .into_iter()
        .filter_map(|series| {
            let newest = Wanted::Series(series);
            let kept = newest.pick(cached.iter().collect(), |kernel| &kernel.release);
            let offer = newest.pick(offers.iter().collect(), |offer| &offer.release);
            let (release, place) = match (kept, offer) {
                (Some(kept), Some(offer))
                    if version_key(&kept.release) < version_key(&offer.release) =>
                {
                    let place = format!("the cache; {} in {}", offer.release, offer.suite);
                    (&kept.release, place)
                }
                (Some(kept), _) => (&kept.release, "the cache".to_owned()),
                (None, Some(offer)) => (&offer.release, offer.suite.to_owned()),
                (None, None) => return None,
            };
            let names: Vec<String> = wanted
                .iter()
                .filter(|wanted| picked(wanted) == Some(series))
                .map(ToString::to_string)
                .collect();
            Some(row(&series.to_string(), release, &names.join(", "), &place))
        })
        .collect()
}

fn row(series: &str, release: &str, tested: &str, place: &str) -> String {
    format!("{series:8}{release:32}{tested:12}{place}")
}
