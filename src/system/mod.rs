//! The world: files, sockets, netlink, scripts, mail; each small, each speaks
//! one protocol.

pub mod files;
