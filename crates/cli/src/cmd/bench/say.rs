//! How figures are written: three digits and the unit that fits.

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Nanoseconds.
    Ns,
    /// Bytes.
    Bytes,
    /// Messages per second.
    PerSecond,
}

impl Unit {
    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Bytes => "bytes",
            Self::PerSecond => "messages/s",
        }
    }
}

/// A figure as people read it.
pub(super) fn figure(value: f64, unit: Unit) -> String {
    let (steps, names): (f64, &[&str]) = match unit {
        Unit::Ns => (1e3, &["ns", "us", "ms", "s"]),
        Unit::Bytes => (1024.0, &["B", "KiB", "MiB", "GiB"]),
        Unit::PerSecond => (1e3, &["/s", "k/s", "M/s", "G/s"]),
    };
    let mut value = value;
    let mut names = names.iter();
    let mut name = names.next().copied().unwrap_or_default();
    // What would be written as 1000 is written as 1 of the next.
    while value.abs() >= steps * 0.9995 {
        let Some(next) = names.next() else { break };
        (value, name) = (value / steps, next);
    }
    format!("{} {name}", digits(value))
}

/// Three digits that matter.
pub(super) fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

/// A number with a comma at each thousand.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As JSON: four digits after the point are more than any figure here is worth.
pub(super) fn json(value: f64) -> serde_json::Value {
    ((value * 1e4).round() / 1e4).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_three_digits_and_the_unit_that_fits() {
        let table = [
            (0.0, Unit::Ns, "0 ns"),
            (31.25, Unit::Ns, "31.2 ns"),
            (999.4, Unit::Ns, "999 ns"),
            (999.6, Unit::Ns, "1.00 us"),
            (1_234.0, Unit::Ns, "1.23 us"),
            (45_678_901.0, Unit::Ns, "45.7 ms"),
            (5e9, Unit::Ns, "5.00 s"),
            (5e13, Unit::Ns, "50000 s"),
            (346.0, Unit::Bytes, "346 B"),
            (1_536.0, Unit::Bytes, "1.50 KiB"),
            (362.0 * 1_048_576.0, Unit::Bytes, "362 MiB"),
            (12_345_678.0, Unit::PerSecond, "12.3 M/s"),
        ];
        for (value, unit, text) in table {
            assert_eq!(figure(value, unit), text);
        }
    }

    #[test]
    fn numbers_have_commas() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
    }

    #[test]
    fn json_numbers_are_short() {
        assert_eq!(json(1.0 / 3.0).to_string(), "0.3333");
        assert_eq!(json(f64::NAN).to_string(), "null");
    }
}
