//! Bytes to values and back: no allocation, no clock, no I/O.
