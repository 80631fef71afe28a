//! Makes Rust of the protocols in proto/; no protoc is needed.

use std::path::PathBuf;

use protox::prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["externalscaler.proto"], ["proto"])?;
    // For reflection.
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("externalscaler.bin"), descriptors.encode_to_vec())?;
    // What the gateway itself serves KEDA by; tests ask it as KEDA does, with all that is usual.
    let own = out.join("served");
    std::fs::create_dir_all(&own)?;
    let served = tonic_prost_build::configure().codec_path("crate::external_scaler::codec::Small").out_dir(own);
    served.btree_map(".").build_client(false).build_transport(false).compile_fds(descriptors.clone())?;
    for descriptors in [descriptors, protox::compile(["fleet.proto"], ["proto"])?] {
        tonic_prost_build::configure().btree_map(".").build_transport(false).compile_fds(descriptors)?;
    }
    Ok(())
}
