//! Medians and ratios of rounds.

/// The median; the mean of the middle two of an even number, 0 of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mid = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(mid)) {
        (_, None) => 0.0,
        (1, Some(middle)) => *middle,
        (_, Some(upper)) => f64::midpoint(sorted[mid - 1], *upper),
    }
}

/// `one / other`; `None` when there is nothing to divide by.
pub(super) fn ratio(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then_some(one / other)
}

/// The median of the ratios of each round: what disturbs one round disturbs both of its sides.
pub(super) fn median_ratio(ones: &[f64], others: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> =
        ones.iter().zip(others).filter_map(|(one, other)| ratio(*one, *other)).collect();
    (!ratios.is_empty()).then(|| median(&ratios))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        let table: &[(&[f64], f64)] = &[
            (&[], 0.0),
            (&[7.0], 7.0),
            (&[3.0, 1.0], 2.0),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 1000.0, 2.0], 3.0),
            (&[5.0, 5.0, 5.0, 1.0, 9.0], 5.0),
        ];
        for (values, expected) in table {
            assert!((median(values) - expected).abs() < 1e-12, "{values:?}");
        }
    }

    #[test]
    fn the_ratio_is_that_of_the_rounds_not_of_the_medians() {
        assert_eq!(ratio(6.0, 3.0), Some(2.0));
        assert_eq!(ratio(6.0, 0.0), None);
        let table: &[(&[f64], &[f64], Option<f64>)] = &[
            (&[], &[], None),
            (&[1.0], &[0.0], None),
            (&[2.0, 200.0, 3.0], &[1.0, 100.0, 1.0], Some(2.0)),
            (&[1.0, 5.0], &[0.0, 2.0], Some(2.5)),
        ];
        for (ones, others, expected) in table {
            assert_eq!(median_ratio(ones, others), *expected, "{ones:?} {others:?}");
        }
    }
}
