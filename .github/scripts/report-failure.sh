#!/usr/bin/env bash
# Open an issue with this title, or comment on the open one. Arguments: title, address of the run.
set -euo pipefail

title=$1 body="The weekly run failed: $2"
number=$(gh issue list --state open --search "in:title \"$title\"" --json number --jq '.[0].number // empty')
if [ -n "$number" ]; then
  gh issue comment "$number" --body "$body"
else
  gh issue create --title "$title" --body "$body"
fi
