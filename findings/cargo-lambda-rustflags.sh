#!/usr/bin/env bash
# Package:  PyPI cargo-lambda 1.9.2 (crate cargo-lambda 1.9.2).
# What:     `cargo lambda build --release` compiles for the least processor that Lambda has (`-C target-cpu=haswell` on x86_64,
#           `neoverse-n1` on aarch64). When the variable RUSTFLAGS is set, to anything, it leaves that out and says nothing.
# Surprise: RUSTFLAGS="-D warnings" is a common line in CI, and only there: the same command makes another package
#           in CI than the one that was measured on the laptop.
# Do:       do not set RUSTFLAGS where packages for Lambda are built: deny warnings by lints in Cargo.toml. Who needs the
#           variable puts `-C target-cpu=...` into it too.
# Needs:    Rust, Python 3.11 with venv.
set -euo pipefail

for tool in cargo rustc python3; do
    command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS

python3 -m venv python && python/bin/pip install --quiet --disable-pip-version-check cargo-lambda==1.9.2 ||
    { echo "pip could not install the package" >&2; exit 2; }
mkdir -p function/src
printf '[package]\nname = "function"\nversion = "0.0.0"\nedition = "2021"\n\n[workspace]\n' >function/Cargo.toml
echo 'fn main() {}' >function/src/main.rs
# The compiler, with a note of what it is called with.
printf '#!/bin/sh\nprintf "%%s\\n" "$*" >>"%s/calls"\nexec "$@"\n' "$work" >rustc-noted
chmod +x rustc-noted
export RUSTC_WRAPPER=$work/rustc-noted PATH=$work/python/bin:$PATH

built_for() { # the processor that the function is compiled for
    rm -rf function/target calls
    (cd function && cargo lambda build --release --compiler cargo) >build.log 2>&1 || { cat build.log >&2; exit 2; }
    grep -- '--crate-name function' calls | grep -o 'target-cpu=[a-z0-9-]*' || echo "any"
}
plain=$(built_for)
flagged=$(RUSTFLAGS="-D warnings" built_for)
echo "without RUSTFLAGS:             $plain"
echo "with RUSTFLAGS='-D warnings':  $flagged"
case $plain,$flagged in
    target-cpu=haswell,any | target-cpu=neoverse-n1,any) echo "as described" ;;
    *) echo "CHANGED: see above" >&2 && exit 1 ;;
esac
