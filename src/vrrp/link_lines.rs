//! What there is to log of a link of our own, as C keepalived words it (specification
//! E.5).

use std::fmt;

use crate::ids::Errno;

use super::action::OwnLinkKind;

/// A line about a link that was made for an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkLine {
    /// The instance.
    pub instance: String,
    /// The name of the link.
    pub link: String,
    /// What it is.
    pub kind: OwnLinkKind,
    /// What has become of it.
    pub what: LinkNews,
}

/// What has become of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkNews {
    /// It was made.
    Made,
    /// It was there, and is ours from now on.
    Found,
    /// It was to follow the interface below it into a VRF, or out of one.
    Moved,
    /// It could not be made.
    NotMade(Errno),
    /// It was taken away.
    Removed,
    /// It could not be taken away.
    NotRemoved(Errno),
}

impl fmt::Display for LinkLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (instance, link) = (&self.instance, &self.link);
        let kind = match self.kind {
            OwnLinkKind::Macvlan(_) => "VMAC",
            OwnLinkKind::Ipvlan(_) => "ipvlan",
        };
        match self.what {
            LinkNews::Made => write!(f, "({instance}): Success creating {kind} interface {link}"),
            LinkNews::Found => write!(f, "({instance}) Found matching interface {link}"),
            LinkNews::Moved => write!(
                f,
                "({instance}): {kind} interface {link} follows the interface below it into its VRF or out of it"
            ),
            LinkNews::NotMade(errno) => {
                write!(
                    f,
                    "({instance}): Unable to create {kind} interface {link} - {errno}"
                )
            }
            LinkNews::Removed => {
                write!(f, "({instance}) Success removing {kind} interface {link}")
            }
            LinkNews::NotRemoved(errno) => {
                write!(
                    f,
                    "({instance}) Unable to remove {kind} interface {link} - {errno}"
                )
            }
        }
    }
}
