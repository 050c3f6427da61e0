//! The raw sockets: adverts in, adverts out, gratuitous ARP out.

pub mod arp;
pub mod receivers;
pub mod rx;
pub mod tx;
