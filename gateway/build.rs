//! Makes Rust of the protocols in proto/; no protoc is needed. Has a static program keep its relocations in little room.

use std::path::PathBuf;

use protox::prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("ENV") == "gnu" && target("FEATURE").split(',').any(|feature| feature == "crt-static") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
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
