# Each recipe is one plain command, said again in CONTRIBUTING.md; nothing needs just.

# Everything a change must pass; writes nothing but build output.
check *stages:
    ./check {{stages}}

# Formats, and applies what clippy can repair.
fix:
    cargo clippy --workspace --all-targets --all-features --fix --allow-dirty --allow-staged && cargo fmt --all

# Each promise of docs/semantics.md with its tests.
promises:
    cargo xtask promises

# Plants each bug of sabotage.toml (or the named ones) and says which tests catch it.
sabotage *names:
    cargo xtask sabotage {{names}}

# The seeded tests again and again, each round with another seed.
soak rounds="20":
    for seed in $(seq 1 {{rounds}}); do GGML_AGENT_SEED=$seed cargo test --workspace --profile sim || { echo "seed $seed fails"; exit 1; }; done

# Random bytes for a decoder, for so many seconds (needs cargo-fuzz).
fuzz target="envelope_decode" seconds="60":
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} -- -max_total_time={{seconds}}

# The documentation, in target/doc.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features

# The whole pitch in half a minute.
demo *args:
    cargo run --release -p ggml-agent-cli -- demo {{args}}

# Measures this against other actor frameworks, side by side: benches/peers/README.md.
bench-peers *args:
    cargo run --release --manifest-path benches/peers/Cargo.toml -- {{args}}
