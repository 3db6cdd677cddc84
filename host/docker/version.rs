//! API versions such as `1.41`, and the range of them that a flock speaks.

use std::{fmt, str::FromStr};

/// A version of the Docker Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    pub major: u16,
    pub minor: u16,
}

impl ApiVersion {
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl ApiVersion {
    /// A number that is greater for a newer version.
    pub fn number(self) -> u32 {
        u32::from(self.major) << 16 | u32::from(self.minor)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // A sign is none of Docker's.
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        {
            return Err(());
        }
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self {
            major: major.parse().map_err(drop)?,
            minor: minor.parse().map_err(drop)?,
        })
    }
}

/// The versions that one daemon, or all daemons of the flock, understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub min: ApiVersion,
    pub max: ApiVersion,
}

impl Range {
    /// What is advertised while no backend has ever answered: what every supported engine speaks.
    pub const UNKNOWN: Self = Self {
        min: ApiVersion::new(1, 24),
        max: ApiVersion::new(1, 41),
    };

    /// The same up to a version that was offered once: whoever heard of it goes on using it.
    pub fn up_to(self, offered: u32) -> Self {
        let [major, minor] = [offered >> 16, offered & 0xffff].map(|number| number as u16);
        Self {
            max: self.max.max(ApiVersion::new(major, minor)),
            ..self
        }
    }

    /// The versions that both understand.
    pub fn and(self, other: Self) -> Self {
        Self {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
        }
    }

    /// Checks a client's version; the error is the daemon's text for one that is out of range.
    pub fn check(self, version: ApiVersion) -> Result<(), String> {
        if version > self.max {
            let max = self.max;
            return Err(format!(
                "client version {version} is too new. Maximum supported API version is {max}"
            ));
        }
        if version < self.min {
            let min = self.min;
            return Err(format!(
                "client version {version} is too old. Minimum supported API version is {min}, \
                 please upgrade your client to a newer version"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!("1.9".parse::<ApiVersion>() < "1.41".parse());
        assert!("1".parse::<ApiVersion>().is_err());
        assert!("1.x".parse::<ApiVersion>().is_err());
        assert!("+1.41".parse::<ApiVersion>().is_err());
    }

    #[test]
    fn what_was_offered_once_stays_good() {
        let range = Range::UNKNOWN;
        let offered = ApiVersion::new(1, 50).number();
        assert!(range.check(ApiVersion::new(1, 50)).is_err());
        assert!(range.up_to(offered).check(ApiVersion::new(1, 50)).is_ok());
        assert_eq!(range.up_to(0), range);
    }

    #[test]
    fn a_flock_speaks_what_all_its_daemons_speak() {
        let range = |min, max| Range {
            min: ApiVersion::new(1, min),
            max: ApiVersion::new(1, max),
        };
        assert_eq!(range(12, 41).and(range(24, 50)), range(24, 41));
        assert!(range(24, 41).check(ApiVersion::new(1, 41)).is_ok());
        assert_eq!(
            range(24, 41).check(ApiVersion::new(9, 99)).unwrap_err(),
            "client version 9.99 is too new. Maximum supported API version is 1.41"
        );
    }
}
