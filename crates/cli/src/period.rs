//! Durations as people write them: `300ms`, `5s`, `1.5s`, `2m`, `1h`.

use std::time::Duration;

/// Reads a duration: a number and a unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_secs = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("write a number and a unit: 300ms, 5s, 2m or 1h".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
    Duration::try_from_secs_f64(number * unit_secs).map_err(|_| "it is too long".to_owned())
}

/// Reads a duration and checks its range, both ends included.
fn parse_within(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let found = parse(text)?;
    if (min..=max).contains(&found) {
        Ok(found)
    } else {
        Err(format!("{} is not in {} to {}", say(found), say(min), say(max)))
    }
}

/// The time between two kills: 50 ms to 1 h.
pub(crate) fn kill_every(text: &str) -> Result<Duration, String> {
    parse_within(text, Duration::from_millis(50), Duration::from_secs(3600))
}

/// The longest time of a run: 1 s to 24 h.
pub(crate) fn run(text: &str) -> Result<Duration, String> {
    parse_within(text, Duration::from_secs(1), Duration::from_secs(24 * 3600))
}

/// A duration in the largest unit that keeps it a whole number.
pub(crate) fn say(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let table: &[(&str, Option<u64>)] = &[
            ("300ms", Some(300)),
            ("5s", Some(5_000)),
            ("1.5s", Some(1_500)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("5", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("1.2.3s", None),
            ("5 s", None),
            ("99999999999999999999h", None),
            ("5d", None),
        ];
        for (text, ms) in table {
            assert_eq!(parse(text).ok(), ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn a_duration_out_of_range_names_the_range() {
        assert_eq!(kill_every("10ms").unwrap_err(), "10ms is not in 50ms to 1h");
        assert_eq!(run("25h").unwrap_err(), "25h is not in 1s to 24h");
        assert_eq!(run("24h"), Ok(Duration::from_secs(86_400)));
    }
}
