//! Makes Rust of the protocols in proto/; no protoc is needed.

use std::path::PathBuf;

use protox::prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["externalscaler.proto"], ["proto"])?;
    // For reflection.
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("externalscaler.bin"), descriptors.encode_to_vec())?;
    for descriptors in [descriptors, protox::compile(["fleet.proto"], ["proto"])?] {
        tonic_prost_build::configure().btree_map(".").build_transport(false).compile_fds(descriptors)?;
    }
    Ok(())
}
