//! One finding as a line of the log, in the form of C keepalived.
//!
//! Decides the place in front of the text. Source: specification A.4.

use super::super::source::Sources;
use super::{Diagnostic, visible};

impl Diagnostic {
    /// The line as C logs it: `(Line 3) text`, `(FILE: Line 3) text` if more
    /// than one file was read, or only the text if it was found after reading, or
    /// at the end of the only file.
    pub fn as_c_line(&self, sources: &Sources) -> String {
        let several = sources.len() > 1;
        let place = self
            .span
            .filter(|_| !self.after_reading && (several || !self.at_end_of_file))
            .and_then(|span| sources.place(span));
        match place {
            None => self.message.clone(),
            Some(place) if several => {
                let path = visible(place.path.to_string_lossy());
                format!("({path}: Line {}) {}", place.line, self.message)
            }
            Some(place) => format!("(Line {}) {}", place.line, self.message),
        }
    }
}
