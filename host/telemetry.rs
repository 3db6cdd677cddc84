//! The log: lines on stderr, filtered.

use std::{
    env,
    io::{self, IsTerminal},
};

use tracing_subscriber::EnvFilter;

/// A log filter that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("`{filter}` is not a log filter: {reason}")]
pub struct BadFilter {
    filter: String,
    reason: String,
}

/// Starts logging to stderr. Only the first call of a process has an effect.
pub fn init(text: &str) -> Result<(), BadFilter> {
    let subscriber = tracing_subscriber::fmt()
        .compact()
        .with_env_filter(filter(text)?)
        .with_writer(io::stderr)
        .with_ansi(colours());
    // A second initialisation, as in tests that run several flocks, keeps the first log.
    let _ = subscriber.try_init();
    Ok(())
}

/// Understands a filter as `tracing_subscriber::EnvFilter` writes it.
pub fn filter(text: &str) -> Result<EnvFilter, BadFilter> {
    EnvFilter::builder().parse(text).map_err(|e| BadFilter {
        filter: text.to_owned(),
        reason: e.to_string(),
    })
}

fn colours() -> bool {
    io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_understood_or_refused_with_their_text() {
        for text in ["info", "off", "warn,flockerd=trace", "flockerd[call]=debug"] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in ["info,flockerd=loud", "a=b=c"] {
            let message = init(text).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("`{text}` is not a log filter: ")),
                "{message}"
            );
        }
    }
}
