//! The counters of one instance, with the names of C's statistics
//! (specification E.9).

/// Counts since the instance began, or since they were set to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are those of the statistics file")]
pub struct Statistics {
    pub advert_rcvd: u64,
    pub advert_sent: u64,
    pub become_master: u64,
    pub release_master: u64,
    pub packet_len_err: u64,
    pub ip_ttl_err: u64,
    pub vers_err: u64,
    pub invalid_type_rcvd: u64,
    pub advert_interval_err: u64,
    pub addr_list_err: u64,
    pub chk_err: u64,
    pub invalid_authtype: u64,
    pub authtype_mismatch: u64,
    pub auth_failure: u64,
    pub auth_ext_missing: u64,
    pub auth_ext_malformed: u64,
    pub auth_ext_unknown_key: u64,
    pub auth_ext_invalid_hmac: u64,
    pub auth_ext_stale: u64,
    pub auth_ext_replay: u64,
    pub pri_zero_rcvd: u64,
    pub pri_zero_sent: u64,
    /// Adverts from somebody who is not a peer.
    pub not_a_peer: u64,
    /// Accepted adverts of version 3 whose checksum is of the other kind.
    pub other_checksum: u64,
    /// Adverts that an owner ignored.
    pub owner_ignored: u64,
    /// Adverts that a stall made too late to be worth sending.
    pub adverts_skipped: u64,
    /// Adverts that the kernel did not take.
    pub send_failed: u64,
}
