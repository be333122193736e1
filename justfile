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

# Counts the instructions of each hot path (needs valgrind); with --check says what has changed by more than 2 %.
instructions *args:
    cargo xtask instructions {{args}}

# All that looks for rare bugs, some of it for long.
soak rounds="20": (soak-seeds rounds) soak-ledger soak-kills soak-doc soak-asan soak-memcheck
    ./check loom

# The seeded tests again and again, each round with another seed.
soak-seeds rounds="20":
    for seed in $(seq 1 {{rounds}}); do GGML_AGENT_SEED=$seed cargo test --workspace --profile sim || { echo "seed $seed fails"; exit 1; }; done

# A document with 1,000 agents that edit every 5 s and 100 sockets that watch, for a minute.
soak-doc:
    GGML_AGENT_SOAK=1 cargo test --release -p ggml-agent-live --test it soak -- --nocapture

# Ten million messages on real threads, with random kills; prints the books.
soak-ledger messages="10000000":
    GGML_AGENT_LEDGER_MESSAGES={{messages}} cargo test -p ggml-agent --profile sim --test it a_million -- --nocapture

# A process with durable agents that is killed 10,000 times while another one sends to it.
soak-kills kills="10000":
    GGML_AGENT_KILLS={{kills}} cargo test --release -p ggml-agent-sim --test sigkill -- --nocapture

# The runtime's tests under AddressSanitizer, then the ledger with a look for leaks too.
# Not for leaks in all of them: a test that drops its tokio runtime before its agents have ended leaves their cells
# behind, which name each other through the registry. Documentation tests are not linked with the sanitizer.
soak-asan:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0 cargo test -p ggml-agent --lib --test it --target x86_64-unknown-linux-gnu --target-dir target/asan
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test -p ggml-agent --test it --target x86_64-unknown-linux-gnu --target-dir target/asan a_million

# A short ledger under valgrind, which also sees reads of memory that nobody wrote.
# Data races are loom's business. ThreadSanitizer needs a std that is built with it (`-Zbuild-std`, thus nightly's
# rust-src): with the ready one it does not see the mutexes and reports all that they guard. Valgrind's helgrind and
# drd do not know atomics and report every lock-free queue.
soak-memcheck messages="60000":
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --error-exitcode=9" GGML_AGENT_LEDGER_MESSAGES={{messages}} cargo test -p ggml-agent --profile sim --test it a_million

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
    cargo run --release --manifest-path benches/peers/Cargo.toml -- run {{args}}

# Measures a document behind its agent: locks, edits, deliveries, memory, beside their targets: benches/doc/README.md.
bench-doc *args:
    cargo run --release --manifest-path benches/doc/Cargo.toml -- agent {{args}}

# Replays editing traces in strong mode and in CRDTs, side by side: benches/doc/README.md.
bench-traces *args:
    cargo run --release --manifest-path benches/doc/Cargo.toml -- traces {{args}}
