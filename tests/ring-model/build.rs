//! Switches `src/ring/mod.rs` to the model, so that plain `cargo test` needs no RUSTFLAGS.

fn main() {
    println!("cargo::rustc-cfg=fastload_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
