#!/usr/bin/env bash
# Package:  PyPI aws-sam-cli 1.170.0 (with aws-sam-translator 1.115.0 and cfn-lint 1.58.0).
# What:     a template with Fn::ForEach (AWS::LanguageExtensions) passes `sam validate --lint` and fails `sam validate`: "All
#           'Resources' must be Objects. If you're using YAML, this may be an indentation issue." With --language-extensions
#           (or SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS=1) `sam validate` and `sam build` work. `sam list resources` has no such
#           option and fails with the variable too.
# Surprise: the linting check is the weaker one here, loops are a documented part of CloudFormation, and the error speaks of
#           indentation.
# Do:       a template with loops needs the variable in every place that calls SAM CLI, and both `sam validate` and
#           `sam validate --lint` in CI. Tools that read the template by SAM's parser need it written out.
# Needs:    Python 3.11 with venv.
set -euo pipefail

command -v python3 >/dev/null || { echo "python3 is needed" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1
unset SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS

python3 -m venv python && python/bin/pip install --quiet --disable-pip-version-check \
    aws-sam-cli==1.170.0 aws-sam-translator==1.115.0 cfn-lint==1.58.0 ||
    { echo "pip could not install the packages" >&2; exit 2; }

cat >template.yaml <<'YAML'
AWSTemplateFormatVersion: "2010-09-09"
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Resources:
  Fn::ForEach::Functions:
    - Name
    - [Login, Pay]
    - ${Name}Function:
        Type: AWS::Serverless::Function
        Properties:
          Handler: index.handler
          Runtime: python3.12
          InlineCode: "def handler(event, context): return {'statusCode': 200}"
YAML

failed=0
expect() { # exit code, a part of the output or nothing, command...
    local code=$1 part=$2 real=0
    shift 2
    python/bin/sam "$@" >log 2>&1 || real=$?
    echo "$real: sam $*"
    [ "$real" = "$code" ] && grep -qF -- "$part" log || { cat log; failed=1; }
}
expect 0 "is a valid SAM Template" validate --lint
expect 1 "this may be an indentation issue" validate
expect 1 "this may be an indentation issue" list resources --output json
expect 0 "is a valid SAM Template" validate --language-extensions
expect 0 "Build Succeeded" build --language-extensions
export SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS=1
expect 0 "is a valid SAM Template" validate
expect 1 "this may be an indentation issue" list resources --output json
[ "$failed" = 0 ] || { echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
