#!/usr/bin/env bash
# Generates the Swift types of every .proto file. Needs protobuf-compiler (apt) and protoc-gen-swift (from swift-protobuf).
set -euo pipefail
cd "$(dirname "$0")/.."
for directory in Sources/*/Protos; do
  target=$(dirname "$directory")
  shopt -s nullglob
  protos=("$directory"/*.proto)
  [ ${#protos[@]} -eq 0 ] && continue
  mkdir -p "$target/Generated"
  protoc --proto_path="$directory" --swift_opt=Visibility=Public --swift_out="$target/Generated" "${protos[@]}"
  echo "protos: $target"
done
