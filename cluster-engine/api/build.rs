//! Makes the built-in schema out of two crates' sources: `k8s-openapi` (JSON schemas, descriptions, group-version-kinds) and `k8s-pb` (protobuf tags
//! and the `+listType`, `+patchMergeKey` … comments). Nothing of theirs is compiled or copied; see `build/` for the steps.

#[path = "build/literal.rs"]
mod literal;
#[path = "build/locate.rs"]
mod locate;
#[path = "build/merge.rs"]
mod merge;
#[path = "build/proto.rs"]
mod proto;
#[path = "build/rules.rs"]
mod rules;

#[path = "src/schema/format.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the library, which uses the rest")]
mod format;

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/schema/format.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let [openapi, protobuf] = &locate::sources(&out, &["k8s-openapi", "k8s-pb"])?[..] else {
        return Err("two source folders were expected".into());
    };
    let definitions = literal::read(&openapi.join("src/v1_36"))?;
    let messages = proto::read(&protobuf.join("src"))?;
    let merged = merge::merge(&definitions, &messages);
    if merged.builder.len() < 700 {
        return Err(format!("only {} types were found in {}", merged.builder.len(), openapi.display()).into());
    }
    std::fs::write(out.join("descriptions.bin"), descriptions(&merged.descriptions)?)?;
    std::fs::write(out.join("schema.bin"), merged.builder.build(|_| None))?;
    Ok(())
}

/// Deflates the descriptions package by package: a document needs few packages. Layout: a count; per package the first type's number, offset, packed
/// length and raw length; then the packed bytes. Raw: per type its description and its fields', joined by 0x1f; types joined by 0x1e.
fn descriptions(types: &[(String, Vec<String>)]) -> Result<Vec<u8>, Box<dyn Error>> {
    let package = |name: &str| name.rsplit_once('.').map_or_else(String::new, |(package, _)| package.to_owned());
    let (mut index, mut data, mut count) = (Vec::new(), Vec::new(), 0u32);
    let mut first = 0;
    while first < types.len() {
        let this = package(&types[first].0);
        let end = types[first..].iter().position(|(name, _)| package(name) != this).map_or(types.len(), |n| first + n);
        let raw = types[first..end].iter().map(|(_, texts)| texts.join("\u{1f}")).collect::<Vec<_>>().join("\u{1e}");
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(raw.as_bytes())?;
        let packed = encoder.finish()?;
        for word in [first, data.len(), packed.len(), raw.len()] {
            index.extend_from_slice(&u32::try_from(word)?.to_le_bytes());
        }
        data.extend_from_slice(&packed);
        count += 1;
        first = end;
    }
    let mut out = count.to_le_bytes().to_vec();
    out.extend_from_slice(&index);
    out.extend_from_slice(&data);
    Ok(out)
}
