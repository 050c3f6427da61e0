//! Stand-in for the log.

/// A syslog facility; by default that of daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// The facility with this number, 0 to 23.
    pub fn new(number: u8) -> Option<Self> {
        (number <= 23).then_some(Self(number))
    }
}

impl Default for Facility {
    fn default() -> Self {
        Self(3)
    }
}

/// Where the log goes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// To stderr.
    pub console: bool,
    /// To syslog.
    pub syslog: Option<Facility>,
    /// Details too.
    pub detail: bool,
    /// The name before each line.
    pub ident: String,
}

/// Begins logging.
pub fn install(_settings: Settings) {}
