#!/bin/sh
# demo.sh - the story of a break-in, told by an audit trail; run by `make demo`.
# Imports the samples in examples/data, asks questions, then damages copies and shows that it is
# noticed. Works in a temporary directory and leaves nothing behind. Ends with 0 only if every step
# did what is promised here.
# SPDX-License-Identifier: MIT
#
#     examples/demo.sh [BUILD]        BUILD is where `trail` was built: $TRAIL_BUILD or build, if not given

set -eu

ROOT=$(cd "$(dirname "$0")/.." && pwd)
BUILD=$(cd "$ROOT" && cd "${1:-${TRAIL_BUILD:-build}}" && pwd)
PATH=$BUILD:$PATH
LUA_PATH="$ROOT/lua/?.lua;$ROOT/lua/?/init.lua;;"
LUA_CPATH="$BUILD/lua/?.so;;"
TZ=UTC
export PATH LUA_PATH LUA_CPATH TZ

WORK=$(mktemp -d "${TMPDIR:-/tmp}/trail-demo.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM
cd "$WORK"
ln -s "$ROOT/examples" examples

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    BOLD=$(printf '\033[1m') DIM=$(printf '\033[2m') PLAIN=$(printf '\033[0m')
else
    BOLD='' DIM='' PLAIN=''
fi

step() {
    printf '\n%s%s%s\n' "$BOLD" "$1" "$PLAIN"
}

say() {
    printf '%s\n' "$1"
}

wrong() {
    printf '\nThis is not what the demo promises: %s\n' "$1" >&2
    exit 1
}

# Hashes are 64 digits; twelve are enough to be recognised.
short() {
    printf '%s\n' "$1" | sed -E 's/([0-9a-f]{12})[0-9a-f]{52}/\1.../g'
}

# try CODE COMMAND: show the command, run it, show what it says; it must end with CODE. What it
# said is kept in the file "said".
try() {
    printf '%s  $ %s%s\n' "$DIM" "$(short "$2")" "$PLAIN"
    code=0
    sh -c "$2" > said 2>&1 || code=$?
    if [ -s said ]; then short "$(cat said)" | sed 's/^/    /'; fi
    [ "$code" = "$1" ] || wrong "exit code $code, not $1"
    if [ "$1" != 0 ]; then say "    (exit code $1)"; fi
}

# said TEXT: what the last command said must hold this text.
said() {
    grep -qF -- "$1" said || wrong "'$1' was not said"
}

step "1. A trail, and two kinds of logs in it"
say "A night and a morning at a small company: what sshd wrote, and what the cloud recorded."
say "(Hashes are shortened here.)"
try 0 "trail init audit.trail --origin larkspur -o line"
try 0 "trail import audit.trail --map examples/import_sshd.lua --set year=2026 examples/data/sshd.log"
said "93 stored"
say "Most lines are no login attempts and are skipped; \"message repeated 3 times\" is one line and three events."
OLD_HEAD=$(trail count audit.trail)
cp -r audit.trail yesterday.trail
try 0 "trail import audit.trail --map examples/import_cloudtrail.lua examples/data/cloudtrail.json"
said "57 stored"
say "(One file was read, with 57 records in it.)"
say "Importing again stores nothing twice: the ids are derived from the source."
try 0 "trail import audit.trail --map examples/import_sshd.lua --set year=2026 examples/data/sshd.log"
said "0 stored, 93 already there"

step "2. What happened?"
say "Who failed to log in, how often?"
try 0 "lua5.4 examples/count_failures.lua audit.trail"
said "root from 192.0.2.1 port 22 ssh2"
say "The last one tried to forge a line of the log by his user name, \"root from 192.0.2.1 port 22 ssh2\". It stayed a name."
say "Most of the others came from one address, 203.0.113.66. Did it get in?"
try 0 "trail log audit.trail --ip 203.0.113.66 --type auth_attempt --result success -o table --fields seq,timestamp,user_id,ip_address"
said "deploy"
say "Yes, as deploy. What did it do in the cloud, besides being refused $(trail count audit.trail --ip 203.0.113.66 --result failure --not-type auth_attempt) times?"
try 0 "trail log audit.trail --ip 203.0.113.66 --not-type auth_attempt --result success -o table --fields seq,timestamp,action,resource_id"
said "StopLogging"

step "3. Is all of it still as it was written?"
say "Every hash is computed anew from the stored bytes."
try 0 "trail verify audit.trail"
HEAD=$(sed -n 's/^head //p' said)
[ -n "$HEAD" ] || wrong "no head was named"
say "The head is the number and the hash of the last event. Noted down elsewhere and expected next time, it vouches for all before it."

step "4. The intruder changes one word"
say "In a copy of the trail StopLogging becomes ListLogging: a word of the same length that looks harmless."
cp -r audit.trail altered.trail
try 0 "LC_ALL=C sed -i s/StopLogging/ListLogging/ altered.trail/log.mdb"
BAD=$(trail log audit.trail --action StopLogging --fields seq -o jsonl | tr -dc 0-9)
try 3 "trail verify altered.trail"
said "$BAD"
say "Caught, with the number of the event: $BAD. Those before it are still good."

step "5. The intruder puts an old copy back"
say "A copy from step 1, before the cloud's records came. Nothing in it was changed, so it agrees with itself:"
try 0 "trail verify yesterday.trail"
say "But not with the head that was noted down:"
try 3 "trail verify yesterday.trail --expect-head $HEAD"
said "entry $OLD_HEAD"

step "6. An auditor who trusts neither us nor our code"
say "One file of Python recomputes every hash from an export, and comes to the same verdicts."
try 0 "trail export audit.trail audit.jsonl"
try 0 "python3 examples/verify_export.py --expect-head $HEAD audit.jsonl"
said "ok: $(trail count audit.trail) entries"
say "An export of the altered copy holds what is stored there, right or wrong; the damage shows in it too:"
try 0 "trail export altered.trail altered.jsonl"
try 3 "python3 examples/verify_export.py altered.jsonl"
said "altered entry at seq $BAD"

printf '\n%sEverything above happened as promised.%s Have a look at examples/ and docs/.\n' "$BOLD" "$PLAIN"
