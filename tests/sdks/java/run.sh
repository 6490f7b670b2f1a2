#!/usr/bin/env bash
# The official SDK of WeChat Pay in Java against the sandbox. It is not a part of `.ci/run`: it needs a JDK of 17 or later
# and Maven, which fetches the SDK once, into target/tools/sdks-java. Afterwards: cargo build -p local, and
#   tests/sdks/java/run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

libraries=$PWD/target/tools/sdks-java
if ! cmp --silent tests/sdks/java/pom.xml "$libraries/pom.xml"; then
    rm -rf "$libraries"
    mvn --quiet --batch-mode --file tests/sdks/java/pom.xml \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies "-DoutputDirectory=$libraries"
    cp tests/sdks/java/pom.xml "$libraries"
fi
exec python3 tests/sdks/machine.py target/debug/local \
    java -cp "$libraries/*" tests/sdks/java/Sandbox.java
