#!/usr/bin/env python3
"""verify_export_check.py - damage exports and trails in many places: is the verifier right?

    verify_export_check.py mutate EXPORT COUNT SEED     change single bytes of a good export
    verify_export_check.py agree TRAIL DIR COUNT SEED   change single stored bytes of a trail,
                                                        compare with the verdict of trail verify

Prints one line of numbers and ends with 0, or says what went wrong and ends with 1.
SPDX-License-Identifier: MIT
"""
import base64
import collections
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "examples"))
import verify_export  # noqa: E402 (the path must be there first)


def verdict_of(data):
    """(word, seq) of an export given as bytes; word is "ok", "unreadable" or the kind."""
    try:
        fault = verify_export.check_export(io.BytesIO(data), None)[1]
    except verify_export.Unreadable:
        return "unreadable", 0
    return (fault.kind, fault.seq) if fault else ("ok", 0)


def says_the_same(before, after):
    """Is it the same JSON, only written in another way (\\u00e9 and \\u00E9)?"""
    try:
        return verify_export.same(verify_export.read_json(before.decode()),
                                  verify_export.read_json(after.decode()))
    except ValueError:
        return False


def check_mutation(data, offset, value, counts):
    """One byte of the export becomes another one: it must be noticed, at the right place."""
    changed = data[:offset] + bytes([value]) + data[offset + 1:]
    line = data.count(b"\n", 0, offset)  # 0: the header; line n is seq n
    word, seq = verdict_of(changed)
    counts[word] += 1
    where = "byte %d (line %d) became %d: %s at %d" % (offset, line, value, word, seq)
    if word == "ok":
        start = data.rfind(b"\n", 0, offset) + 1
        end = data.find(b"\n", offset)
        assert data[offset] != 10 and says_the_same(data[start:end], changed[start:end]), where
    elif word != "unreadable" and line > 0:
        assert seq == line, where


def mutate(path, count, seed):
    with open(path, "rb") as stream:
        data = stream.read()
    assert verdict_of(data) == ("ok", 0), verdict_of(data)
    dice, counts = random.Random(seed), collections.Counter()
    for _ in range(count):
        offset = dice.randrange(len(data))
        value = (data[offset] + dice.randrange(1, 256)) % 256
        check_mutation(data, offset, value, counts)
        check_mutation(data, offset, data[offset] ^ 1 << dice.randrange(8), counts)
    print(" ".join("%s=%d" % pair for pair in sorted(counts.items())))


# ---- side by side with trail verify ------------------------------------------------------------


def run(*command):
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")


def stored_value(line):
    parts = [line["entry"], line["who"], line.get("details_part") or ""]
    return b"\0" + bytes.fromhex(line["event_hash"]) + b"".join(map(base64.b64decode, parts))


def stored_values(export):
    """seq and stored bytes of every record of an export."""
    lines = [json.loads(line) for line in export.splitlines()[1:]]
    return [(line["seq"], stored_value(line)) for line in lines]


def engine_verdict(trail, path):
    """(exit code, word, seq) of `trail verify`."""
    code, out, err = run(trail, "verify", path, "-o", "json")
    if code not in (0, 3):
        return code, err, 0
    report = json.loads(out)
    return code, report["fault"] if code else "ok", report.get("first_bad_seq") or 0


def compare(trail, path, seq, where):
    """Both verifiers on one damaged trail: same exit code, same word, same seq."""
    code, word, bad_seq = engine_verdict(trail, path)
    exported = run(trail, "export", path)
    assert exported[0] in (0, 4), "%s: export ended with %d: %s" % (where, exported[0], exported[2])
    theirs = (code, word, bad_seq)
    ours = verdict_of(exported[1])
    assert code == 3 and bad_seq == seq, "%s: trail verify says %s" % (where, theirs)
    assert ours == (word, bad_seq), "%s: trail verify says %s, verify_export %s" % (
        where, theirs, ours)
    return word


def agree(trail, path, count, seed):
    code, export, err = run(trail, "export", path)
    assert code == 0, err
    assert verdict_of(export) == ("ok", 0) and engine_verdict(trail, path)[0] == 0
    with open(os.path.join(path, "log.mdb"), "rb") as stream:
        file = stream.read()
    values, dice, counts = stored_values(export), random.Random(seed), collections.Counter()
    for _ in range(count):
        seq, value = dice.choice(values)
        at = dice.randrange(len(value))
        damaged = bytearray(value)
        damaged[at] ^= 1 << dice.randrange(8)
        assert value in file, "seq %d is not in the file in one piece" % seq
        with tempfile.TemporaryDirectory() as directory:
            copy = os.path.join(directory, "copy.trail")
            shutil.copytree(path, copy)
            with open(os.path.join(copy, "log.mdb"), "wb") as stream:
                stream.write(file.replace(value, bytes(damaged)))
            counts[compare(trail, copy, seq, "seq %d, byte %d" % (seq, at))] += 1
    print(" ".join("%s=%d" % pair for pair in sorted(counts.items())))


def main(arguments):
    jobs = {"mutate": (mutate, 1), "agree": (agree, 2)}
    job, texts = jobs[arguments[0]]
    job(*arguments[1:1 + texts], *map(int, arguments[1 + texts:]))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except AssertionError as problem:
        print("wrong: %s" % problem)
        sys.exit(1)
