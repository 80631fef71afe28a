//! Ports for tests that run side by side: a block each, kept by a file lock, below the ports that the system gives to
//! outgoing connections.

use std::fs::File;
use std::net::TcpListener;
use std::ops::RangeInclusive;

const FIRST: u16 = 12_000;
const SIZE: u16 = 40;
const BLOCKS: u16 = 500;

/// Ports that nobody else uses as long as this lives.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    _lock: File,
}

impl Ports {
    /// A block in which every port is free now.
    pub fn take() -> Self {
        let folder = std::env::temp_dir().join("zerogate-test-ports");
        std::fs::create_dir_all(&folder).unwrap();
        let start = fastrand::u16(..BLOCKS);
        for block in (0..BLOCKS).map(|n| (start + n) % BLOCKS) {
            let lock = File::options().create(true).append(true).open(folder.join(block.to_string())).unwrap();
            let first = FIRST + block * SIZE;
            let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
            if lock.try_lock().is_ok() && (first..first + SIZE).all(is_free) {
                return Self { first, _lock: lock };
            }
        }
        panic!("no free ports");
    }

    /// For the edge.
    pub fn http(&self) -> u16 {
        self.first
    }

    /// For the admin server.
    pub fn admin(&self) -> u16 {
        self.first + 1
    }

    /// For KEDA.
    pub fn scaler(&self) -> u16 {
        self.first + 2
    }

    /// For TLS.
    pub fn https(&self) -> u16 {
        self.first + 3
    }

    /// For processes.
    pub fn processes(&self) -> RangeInclusive<u16> {
        self.first + 4..=self.first + SIZE - 1
    }
}
