#!/usr/bin/env bash
# Package:  com.github.binarywang:weixin-java-common 4.7.0 (WxJava), with the commons-codec 1.13 that it brings.
# What:     WxCryptUtil refuses an EncodingAESKey (43 letters and digits, chosen at will) by its last letter: 30 of the 62 end
#           in an IllegalArgumentException, "Last encoded character (before the paddings if any) is a valid base 64 alphabet
#           but not a possible value". 43 letters are 258 bits for a key of 256; commons-codec 1.13 wants one of the two spare
#           bits to be 0. With commons-codec 1.17.1 all 62 pass, and give the same 32 bytes as Java's own decoder.
# Surprise: whether push messages can be opened depends on the last letter of a random key, and on which commons-codec
#           another dependency brings.
# Do:       pin a later commons-codec in a project with WxJava, or take a key whose last letter passes here. Code of one's own
#           decodes the key with a decoder that ignores the spare bits; its test goes through all 62 endings.
# Needs:    a JDK (17) and Maven.
set -euo pipefail

for tool in javac mvn; do
    command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >pom.xml <<'POM'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.github.binarywang</groupId><artifactId>weixin-java-common</artifactId><version>4.7.0</version></dependency>
  </dependencies>
</project>
POM
maven() { mvn -q -B -Dmaven.repo.local="$work/m2" "$@" >mvn.log 2>&1 || { cat mvn.log >&2; echo "Maven could not install the package" >&2; exit 2; }; }
maven dependency:copy-dependencies -DoutputDirectory=lib
maven dependency:copy -Dartifact=commons-codec:commons-codec:1.17.1 -DoutputDirectory=later

cat >Finding.java <<'JAVA'
import java.util.*;
import me.chanjar.weixin.common.util.crypto.WxCryptUtil;
import org.apache.commons.codec.binary.Base64;

public class Finding {
    static class Opened extends WxCryptUtil {
        Opened(String key) { super("token", key, "wx0000000000000000"); }
        byte[] key() { return aesKey; }
    }

    // The endings that are refused, of the letters and digits that a key may have.
    public static void main(String[] arguments) {
        StringBuilder refused = new StringBuilder();
        for (char last : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".toCharArray()) {
            String key = "x".repeat(42) + last;
            try {
                byte[] own = java.util.Base64.getDecoder().decode(key + "=");
                if (!Arrays.equals(own, new Opened(key).key())) throw new IllegalStateException("another key for " + last);
            } catch (IllegalArgumentException error) {
                refused.append(last);
            }
        }
        System.out.println(Base64.class.getPackage().getImplementationVersion() + " refuses " + refused.length() + " of 62 endings: " + refused);
    }
}
JAVA
{
    java -cp 'lib/*' Finding.java
    java -cp 'later/*:lib/*' Finding.java
} | tee output
grep -q '^1\.13 refuses [1-9]' output && grep -q '^1\.17\.1 refuses 0 ' output || { echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
