//! Medians and ratios.

/// The value below which `share` of the samples lie; `None` without samples. Sorts them.
pub(crate) fn quantile(samples: &mut [f64], share: f64) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    let last = u32::try_from(samples.len().checked_sub(1)?).ok()?;
    let at = f64::from(last) * share;
    let below = at.floor();
    // Between two samples: the line from one to the other.
    let (low, high) = (samples[index(below)], samples[index(at.ceil())]);
    Some(low + (high - low) * (at - below))
}

/// The median; `None` without samples.
pub(crate) fn median(samples: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(&mut samples.into_iter().collect::<Vec<_>>(), 0.5)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between 0 and the length of a slice"
)]
fn index(at: f64) -> usize {
    at as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_quantile_is_between_its_neighbours() {
        let mut samples: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut samples, 0.99), Some(99.0));
        assert_eq!(quantile(&mut samples, 0.0), Some(0.0));
        assert_eq!(quantile(&mut samples, 1.0), Some(100.0));
        assert_eq!(quantile(&mut [1.0, 2.0], 0.75), Some(1.75));
    }
}
