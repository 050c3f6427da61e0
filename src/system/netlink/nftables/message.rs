//! Messages to nf_tables, in bytes: what `linux/netfilter/nf_tables.h` and
//! `linux/netfilter/nfnetlink.h` describe.
//!
//! Knows lengths, nesting and the order of bytes, and nothing of what the rules are
//! for. Numbers inside are big endian; the headers are in the machine's own order.

/// The subsystem of nf_tables, in the upper byte of each type.
const SUBSYSTEM: u16 = 10;
/// Begins and ends what the kernel carries out as a whole or not at all.
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

const FLAG_REQUEST: u16 = 0x1;
const FLAG_ACKNOWLEDGE: u16 = 0x4;
const FLAG_CREATE: u16 = 0x400;
const FLAG_APPEND: u16 = 0x800;

/// The attribute has others in it.
const NESTED: u16 = 0x8000;

/// An element of a list of attributes (`NFTA_LIST_ELEM`).
const LIST_ELEMENT: u16 = 1;

/// The address family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

impl Family {
    const fn number(self) -> u8 {
        match self {
            Self::Inet => libc::AF_INET as u8,
            Self::Inet6 => libc::AF_INET6 as u8,
        }
    }
}

/// What a message asks for (`enum nf_tables_msg_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    NewTable,
    DeleteTable,
    NewChain,
    NewRule,
    NewSet,
    NewElement,
    DeleteElement,
}

impl Request {
    const fn number(self) -> u16 {
        match self {
            Self::NewTable => 0,
            Self::DeleteTable => 2,
            Self::NewChain => 3,
            Self::NewRule => 6,
            Self::NewSet => 9,
            Self::NewElement => 12,
            Self::DeleteElement => 14,
        }
    }

    const fn flags(self) -> u16 {
        match self {
            Self::DeleteTable | Self::DeleteElement => 0,
            Self::NewRule => FLAG_CREATE | FLAG_APPEND,
            Self::NewTable | Self::NewChain | Self::NewSet | Self::NewElement => FLAG_CREATE,
        }
    }
}

/// Whether a message of the kernel tells that something is gone: a table, a chain, a
/// rule, a set or an element of one.
pub(super) const fn is_removal(kind: u16) -> bool {
    kind >> 8 == SUBSYSTEM && matches!(kind & 0xff, 2 | 5 | 8 | 11 | 14)
}

/// Several messages that the kernel carries out as one.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
}

impl Batch {
    /// An empty one; its messages are numbered from `sequence`.
    pub(super) fn new(sequence: u32) -> Self {
        let mut batch = Self {
            bytes: Vec::new(),
            sequence,
        };
        batch.message(BATCH_BEGIN, 0, 0, SUBSYSTEM, |_| {});
        batch
    }

    /// Adds a message with these attributes, which is acknowledged.
    pub(super) fn ask(
        &mut self,
        request: Request,
        family: Family,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        let kind = SUBSYSTEM << 8 | request.number();
        let flags = FLAG_ACKNOWLEDGE | request.flags();
        self.message(kind, flags, family.number(), 0, attributes);
    }

    /// The bytes to send, and the number of the last message that is acknowledged.
    pub(super) fn finish(mut self) -> (Vec<u8>, u32) {
        let last = self.sequence.wrapping_sub(1);
        self.message(BATCH_END, 0, 0, SUBSYSTEM, |_| {});
        (self.bytes, last)
    }

    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((FLAG_REQUEST | flags).to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        attributes(&mut Attributes {
            bytes: &mut self.bytes,
        });
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// The attributes of a message, or of an attribute with others in it.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Attributes<'_> {
    /// A text, with the zero at its end.
    pub(super) fn text(&mut self, kind: u16, text: &str) {
        self.attribute(kind, |bytes| {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        });
    }

    /// A number.
    pub(super) fn number(&mut self, kind: u16, number: u32) {
        self.attribute(kind, |bytes| bytes.extend(number.to_be_bytes()));
    }

    /// Bytes as they are.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |bytes| bytes.extend(value));
    }

    /// Others in it.
    pub(super) fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Attributes<'_>)) {
        self.attribute(kind | NESTED, |bytes| inside(&mut Attributes { bytes }));
    }

    /// An element of a list.
    pub(super) fn element(&mut self, inside: impl FnOnce(&mut Attributes<'_>)) {
        self.nest(LIST_ELEMENT, inside);
    }

    fn attribute(&mut self, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend(0_u16.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        value(self.bytes);
        // The names come from a configuration that bounds them, so this always fits.
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = self.bytes.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
        // The next one begins at a multiple of four bytes.
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_its_length_and_is_padded() {
        let mut batch = Batch::new(7);
        batch.ask(Request::DeleteTable, Family::Inet6, |attributes| {
            attributes.text(1, "k");
            attributes.nest(2, |inside| inside.number(3, 0x0102));
        });
        let (bytes, last) = batch.finish();
        assert_eq!(last, 8);
        // Twenty bytes for each end.
        assert_eq!(bytes.len(), 20 + 40 + 20);
        let message = &bytes[20..60];
        assert_eq!(message[..4], 40_u32.to_ne_bytes());
        assert_eq!(message[4..6], 0x0a02_u16.to_ne_bytes());
        assert_eq!(message[8..12], 8_u32.to_ne_bytes());
        assert_eq!(message[16..20], [10, 0, 0, 0]);
        assert_eq!(message[20..22], 6_u16.to_ne_bytes());
        assert_eq!(message[24..28], [b'k', 0, 0, 0]);
        assert_eq!(message[28..30], 12_u16.to_ne_bytes());
        assert_eq!(message[30..32], 0x8002_u16.to_ne_bytes());
        assert_eq!(message[36..40], [0, 0, 1, 2]);
    }
}
