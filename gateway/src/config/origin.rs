/// Where a document is to be used, which decides what may run its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From a file, on one machine: processes.
    Files,
    /// From the API server: what has a `/scale`.
    Cluster,
    /// Not said: either. For `zerogate check`.
    Either,
}
