#!/usr/bin/env bash
# Regenerates the *_pb.ts files from the .proto files beside them. Needs Debian's protobuf-compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
find src -name '*.proto' -print0 | while IFS= read -r -d '' proto; do
  protoc --plugin=node_modules/.bin/protoc-gen-es --es_out src --es_opt target=ts,import_extension=js -I src "$proto"
done
npx biome check --write $(find src -name '*_pb.ts')
