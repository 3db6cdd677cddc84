//! How durations and sizes are written: `250ms`, `5s`, `64MiB`.

use std::{num::NonZeroUsize, time::Duration};

use super::Problem;

/// The units of a duration, in milliseconds.
const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// The units of a size, in bytes.
const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

const THREADS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Reads a duration that may be zero.
pub(super) fn duration(text: &str) -> Result<Duration, Problem> {
    measure(text, DURATIONS)
        .map(Duration::from_millis)
        .ok_or_else(|| {
            Problem::new(
                format!("`{text}` is not a duration"),
                "write a whole number and a unit: 250ms, 5s, 1m or 1h",
            )
        })
}

/// Reads a duration of at least a millisecond.
pub(super) fn some_duration(text: &str) -> Result<Duration, Problem> {
    match duration(text)? {
        Duration::ZERO => Err(Problem::new("the duration is zero", "give at least 1ms")),
        some => Ok(some),
    }
}

/// Reads a size of at least one byte.
pub(super) fn size(text: &str) -> Result<usize, Problem> {
    match measure(text, SIZES).and_then(|bytes| usize::try_from(bytes).ok()) {
        Some(0) => Err(Problem::new("the size is zero", "give at least 1 byte")),
        Some(bytes) => Ok(bytes),
        None => Err(Problem::new(
            format!("`{text}` is not a size"),
            "write bytes, or a whole number and a unit: 512KiB, 64MiB or 1GiB",
        )),
    }
}

/// Reads a number of threads.
pub(super) fn threads(text: &str) -> Result<NonZeroUsize, Problem> {
    let number = text.parse().ok().filter(|number| *number <= THREADS_MAX);
    number.ok_or_else(|| {
        Problem::new(
            format!("`{text}` is not a number of threads"),
            "write a whole number from 1 to 1024",
        )
    })
}

/// Multiplies the number that `text` begins with by its unit; none for anything else.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        let good = [
            ("250ms", 250),
            ("0s", 0),
            ("5s", 5000),
            ("1m", 60_000),
            ("2h", 7_200_000),
        ];
        for (text, millis) in good {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5S",
            "5sec",
            "1m30s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            let problem = duration(text).unwrap_err();
            assert_eq!(problem.message, format!("`{text}` is not a duration"));
        }
    }

    #[test]
    fn sizes_have_a_binary_unit_or_none() {
        let good = [
            ("1", 1),
            ("7B", 7),
            ("512KiB", 524_288),
            ("64MiB", 67_108_864),
            ("2GiB", 2_147_483_648),
        ];
        for (text, bytes) in good {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in [
            "",
            "MiB",
            "64MB",
            "64 MiB",
            "-1",
            "1.5MiB",
            "17179869184GiB",
        ] {
            let problem = size(text).unwrap_err();
            assert_eq!(problem.message, format!("`{text}` is not a size"));
        }
    }

    #[test]
    fn zero_is_refused_where_it_makes_no_sense() {
        assert_eq!(
            some_duration("0ms").unwrap_err().message,
            "the duration is zero"
        );
        assert_eq!(some_duration("1ms").unwrap(), Duration::from_millis(1));
        assert_eq!(size("0MiB").unwrap_err().message, "the size is zero");
    }
}
