#!/usr/bin/env bash
# Run every notebook of a folder, each from an empty folder of its own; fail at the end if one failed.
set -uo pipefail

failed=()
for notebook in "$1"/*.ipynb; do
  empty=$(mktemp -d)
  echo "::group::$notebook"
  cp "$notebook" "$empty" # nbconvert runs a notebook in the folder where it lies
  (cd "$empty" && jupyter nbconvert --to notebook --execute --inplace \
    --ExecutePreprocessor.timeout=600 "$(basename "$notebook")") || failed+=("$(basename "$notebook")")
  echo "::endgroup::"
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}"
  exit 1
fi
