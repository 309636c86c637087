//! What the log and snapshots hold, as protobuf messages of our own.

use bytes::Bytes;

/// One record of the log or of a snapshot.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Record {
    /// What it says.
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    pub body: Option<Body>,
}

/// The kinds of record. A file begins with `Begin`, the state (`Entry`, `Held`) and `Ready`; every
/// record after that is a change.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Body {
    /// First record of a file.
    #[prost(message, tag = "1")]
    Begin(Begin),
    /// One version of a key.
    #[prost(message, tag = "2")]
    Entry(Entry),
    /// A lease.
    #[prost(message, tag = "3")]
    Held(Grant),
    /// End of the state.
    #[prost(message, tag = "4")]
    Ready(Ready),
    /// A revision.
    #[prost(message, tag = "5")]
    Commit(Commit),
    /// A lease granted.
    #[prost(message, tag = "6")]
    Grant(Grant),
    /// A lease revoked or expired.
    #[prost(message, tag = "7")]
    Revoke(Revoke),
    /// History forgotten.
    #[prost(message, tag = "8")]
    Compact(Compact),
    /// The alarms raised from now on.
    #[prost(message, tag = "9")]
    Alarms(Alarms),
}

/// Head of a file: what the state is of.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Begin {
    /// Version of this format.
    #[prost(uint32, tag = "1")]
    pub format: u32,
    /// Cluster id.
    #[prost(fixed64, tag = "2")]
    pub cluster: u64,
    /// Member id.
    #[prost(fixed64, tag = "3")]
    pub member: u64,
    /// Revision of the state.
    #[prost(int64, tag = "4")]
    pub revision: i64,
    /// Compacted revision of the state.
    #[prost(sint64, tag = "5")]
    pub compacted: i64,
    /// Records applied before it.
    #[prost(uint64, tag = "6")]
    pub index: u64,
}

/// One version of one key.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Entry {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its value; none for a deletion.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub value: Option<Bytes>,
    /// Revision of this version.
    #[prost(int64, tag = "3")]
    pub modified: i64,
    /// Revision of the first version of this life.
    #[prost(int64, tag = "4")]
    pub created: i64,
    /// Number of the version.
    #[prost(int64, tag = "5")]
    pub version: i64,
    /// Lease.
    #[prost(int64, tag = "6")]
    pub lease: i64,
    /// Whether watches can still ask for it.
    #[prost(bool, tag = "7")]
    pub watchable: bool,
}

/// End of the state.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Ready {
    /// Alarms raised.
    #[prost(int32, repeated, tag = "1")]
    pub alarms: Vec<i32>,
    /// Number of entries before it.
    #[prost(uint64, tag = "2")]
    pub entries: u64,
}

/// One revision.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Commit {
    /// Its number.
    #[prost(int64, tag = "1")]
    pub revision: i64,
    /// What changed, in order.
    #[prost(message, repeated, tag = "2")]
    pub changes: Vec<Change>,
}

/// A put or, without a value, a deletion.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Change {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The new value; none for a deletion.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub value: Option<Bytes>,
    /// Its lease.
    #[prost(int64, tag = "3")]
    pub lease: i64,
}

/// A lease.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Grant {
    /// Its id.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// Its time in seconds.
    #[prost(int64, tag = "2")]
    pub ttl: i64,
}

/// The end of a lease.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Revoke {
    /// Its id.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// The deletion of its keys.
    #[prost(message, optional, tag = "2")]
    pub commit: Option<Commit>,
}

/// A compaction.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Compact {
    /// Up to where.
    #[prost(int64, tag = "1")]
    pub revision: i64,
}

/// The alarms raised.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Alarms {
    /// Kinds.
    #[prost(int32, repeated, tag = "1")]
    pub raised: Vec<i32>,
}
