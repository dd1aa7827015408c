#!/usr/bin/env python3
"""verify_export.py - check an export of a trail, without any of trail's own code.

Needs Python 3 and nothing else. Written after docs/format.md to be read by an auditor: what is
checked, in which order, and what is not checked, all stands in this one file.
SPDX-License-Identifier: MIT

    trail export DIR > audit.jsonl            (where the trail lives)
    python3 verify_export.py audit.jsonl      (where the auditor lives; "-" reads stdin)
    python3 verify_export.py --expect-head 812:9f3c... audit.jsonl

Exit code: 0 all that was checked is right, 3 something is not, 2 wrong usage, 4 the input is
not an export or cannot be read.
"""
import base64
import datetime
import hashlib
import ipaddress
import json
import sys
import uuid
from decimal import Decimal

EXIT_OK, EXIT_USAGE, EXIT_FAILED, EXIT_UNREADABLE = 0, 2, 3, 4

TAG_WHO = b"trail/who/1"
TAG_DETAILS = b"trail/details/1"
TAG_GENESIS = b"trail/genesis/1"
STATE_WHOLE = 0

ENTRY_FIELDS = ("version", "seq", "recorded_at", "timestamp", "id", "event_type", "action",
                "resource_type", "resource_id", "result", "request_id", "who_hash",
                "details_hash", "previous_hash")
# One letter for what stands at each place: n number, t text, T text or null, s 16 bytes,
# h 32 bytes, H 32 bytes or null. Texts stay bytes here: reading them is check_shown's job.
ENTRY_SHAPE = "nnnnstttttThHh"
WHO_SHAPE = "sTTT"
DETAILS_SHAPE = "sTT"
SEQ_MAX = 2**64 - 1
TIME_MAX_US = 253402300799999999  # 9999-12-31T23:59:59.999999Z

# Everything a line may hold. An export line with a field of another name is not one of ours:
# a reader could take it for evidence although no hash covers it.
LINE_FIELDS = frozenset(
    ["seq", "recorded_at", "timestamp", "id", "event_type", "user_id", "action", "resource_type",
     "resource_id", "result", "result_error", "details", "ip_address", "user_agent",
     "request_id", "previous_hash", "event_hash", "entry", "who", "details_part"])
UNREADABLE_FIELDS = frozenset(["seq", "unreadable", "stored"])
HEADER_FIELDS = frozenset(
    ["trail_export", "format", "log_id", "origin", "head", "complete", "filter"])


class Unreadable(Exception):
    """The input is no export: there is nothing to give a verdict on."""


class Fault(Exception):
    """A check failed. 'kind' is one of trail verify's words."""

    def __init__(self, kind, seq, why):
        super().__init__(why)
        self.kind, self.seq, self.why = kind, seq, why


class Malformed(Exception):
    """Bytes that are not the deterministic CBOR of docs/format.md."""


# ---- CBOR: just the kinds that a trail uses, and only in their one deterministic form ----------


def read_head(data, at):
    """The initial byte and its argument: (major type, argument, next offset)."""
    if at >= len(data):
        raise Malformed("the bytes end too early")
    major, info = data[at] >> 5, data[at] & 0x1F
    at += 1
    if info < 24:
        return major, info, at
    if info > 27:
        raise Malformed("an indefinite or reserved length")
    size = 1 << (info - 24)
    if at + size > len(data):
        raise Malformed("the bytes end too early")
    value = int.from_bytes(data[at:at + size], "big")
    smallest = 24 if size == 1 else 1 << (8 * size // 2)
    if value < smallest:
        raise Malformed("a number that is not in its shortest form")
    return major, value, at + size


def read_item(data, at, kind):
    """One item of a kind from the shape strings above: (value, next offset)."""
    if kind in "TH" and data[at:at + 1] == b"\xf6":
        return None, at + 1
    major, value, at = read_head(data, at)
    if kind == "n":
        if major != 0:
            raise Malformed("not an unsigned number where one must be")
        return value, at
    if major != (3 if kind in "tT" else 2):
        raise Malformed("an item of the wrong type")
    if at + value > len(data):
        raise Malformed("the bytes end too early")
    body = data[at:at + value]
    if kind in "shH" and value != (16 if kind == "s" else 32):
        raise Malformed("a salt, id or hash of the wrong length")
    return body, at + value


def read_array(data, at, shape):
    """An array whose items have the kinds in 'shape': (list, next offset)."""
    major, count, at = read_head(data, at)
    if major != 4 or count != len(shape):
        raise Malformed("not an array of %d items" % len(shape))
    items = []
    for kind in shape:
        item, at = read_item(data, at, kind)
        items.append(item)
    return items, at


def read_whole(data, shape):
    """An array that fills 'data' to its last byte."""
    items, end = read_array(data, 0, shape)
    if end != len(data):
        raise Malformed("%d bytes too many" % (len(data) - end))
    return items


# ---- hashes ------------------------------------------------------------------------------------


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def genesis_hash(log_id, origin):
    return sha256(TAG_GENESIS, log_id, origin.encode("utf-8"))


# ---- one record: what stands in the trail at one place -----------------------------------------


class Record:
    """The bytes of one stored value and what they say."""

    def __init__(self, event_hash, entry, who, details):
        self.event_hash = event_hash
        self.entry_bytes, self.who_bytes, self.details_bytes = entry, who, details
        self.entry = dict(zip(ENTRY_FIELDS, read_whole(entry, ENTRY_SHAPE)))
        if self.entry["version"] != 1:
            raise Malformed("entry version %d" % self.entry["version"])
        for name in ("recorded_at", "timestamp"):
            if self.entry[name] > TIME_MAX_US:
                raise Malformed("%s is after the year 9999" % name)
        if (details is None) != (self.entry["details_hash"] is None):
            raise Malformed("details without a commitment, or a commitment without details")
        self.who = read_whole(who, WHO_SHAPE)
        self.details = [None] * 3 if details is None else read_whole(details, DETAILS_SHAPE)

    def check_hashes(self, place):
        """The entry against its hash, then the parts against the commitments in the entry."""
        computed = sha256(b"\x00", self.entry_bytes)
        if computed != self.event_hash:
            raise Fault("altered entry", place, "event_hash is %s, computed %s"
                        % (self.event_hash.hex()[:16], computed.hex()[:16]))
        if sha256(TAG_WHO, self.who_bytes) != self.entry["who_hash"]:
            raise Fault("altered part", place, "the who part does not give the hash in the entry")
        if self.details_bytes is not None and \
                sha256(TAG_DETAILS, self.details_bytes) != self.entry["details_hash"]:
            raise Fault("altered part", place,
                        "the details part does not give the hash in the entry")


def record_from_stored(stored):
    """Take a stored value apart: state, event_hash, entry, who, details; nothing behind them."""
    if len(stored) < 34 or stored[0] != STATE_WHOLE:
        raise Malformed("unknown state byte")
    body = stored[33:]
    entry, entry_end = read_array(body, 0, ENTRY_SHAPE)
    who_end = read_array(body, entry_end, WHO_SHAPE)[1]
    details = None
    if entry[ENTRY_FIELDS.index("details_hash")] is not None or who_end != len(body):
        details = body[who_end:]
    return Record(stored[1:33], body[:entry_end], body[entry_end:who_end], details)


# ---- one line of the export --------------------------------------------------------------------


def unique_keys(pairs):
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a JSON object has the same key twice")
    return table


def refuse_constant(word):
    raise ValueError("%s is not JSON" % word)


def read_json(text):
    """JSON with exact numbers: 1, 1.0 and 1.00 stay three different things."""
    return json.loads(text, object_pairs_hook=unique_keys, parse_float=Decimal,
                      parse_constant=refuse_constant)


def same(left, right):
    """Equal in value and in type; True is not 1, 1.0 is not 1."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()
    return left == right


def from_base64(value, what):
    try:
        data = base64.b64decode(value, validate=True)
    except (TypeError, ValueError) as error:
        raise Malformed("%s is not base64" % what) from error
    if base64.b64encode(data).decode() != value:
        raise Malformed("%s is not base64 in its usual form" % what)
    return data


def from_hex(value, length, what):
    if not isinstance(value, str) or len(value) != 2 * length or \
            value.strip("0123456789abcdef"):
        raise Malformed("%s is not %d hexadecimal digits" % (what, 2 * length))
    return bytes.fromhex(value)


def record_from_line(line):
    """The Record of a line, whether the exporter could read the stored value or not."""
    if "unreadable" in line:
        unknown = set(line) - UNREADABLE_FIELDS
        if unknown or line["unreadable"] is not True:
            raise Malformed("a line that is no record: %s" % sorted(line))
        return record_from_stored(from_base64(line.get("stored"), "stored"))
    unknown = set(line) - LINE_FIELDS
    if unknown:
        raise Malformed("field %r is not part of an export" % sorted(unknown)[0])
    details = line.get("details_part")
    return Record(from_hex(line.get("event_hash"), 32, "event_hash"),
                  from_base64(line.get("entry"), "entry"),
                  from_base64(line.get("who"), "who"),
                  None if details is None else from_base64(details, "details_part"))


def text_of(data):
    """The text in an item; None stays None. Raises UnicodeDecodeError (a ValueError)."""
    return None if data is None else data.decode("utf-8", "strict")


def time_text(time_us):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=time_us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_differs(shown, time_us):
    """A time is shown as microseconds or as RFC 3339 text in UTC."""
    if isinstance(shown, str):
        return shown != time_text(time_us)
    return not same(shown, time_us)


def check_shown(record, line, place):
    """What a reader sees in the line must be what the hashed bytes say, field by field."""
    entry = record.entry
    for name in ("event_type", "action", "resource_type", "resource_id", "result", "request_id"):
        if not same(line.get(name), text_of(entry[name])):
            raise Fault("altered entry", place, "field %s differs from the entry" % name)
    if line.get("id") != str(uuid.UUID(bytes=entry["id"])):
        raise Fault("altered entry", place, "field id differs from the entry")
    for name in ("recorded_at", "timestamp"):
        if time_differs(line.get(name), entry[name]):
            raise Fault("altered entry", place, "field %s differs from the entry" % name)
    if line.get("previous_hash") != entry["previous_hash"].hex():
        raise Fault("altered entry", place, "field previous_hash differs from the entry")
    shown = [line.get(name) for name in ("user_id", "ip_address", "user_agent")]
    if not same(shown, [text_of(item) for item in record.who[1:]]):
        raise Fault("altered part", place, "user_id, ip_address or user_agent is not what the "
                    "who part says")
    details_text = text_of(record.details[1])
    details = None if details_text is None else read_json(details_text)
    if not same(line.get("details"), details):
        raise Fault("altered part", place, "details is not what the details part says")
    if not same(line.get("result_error"), text_of(record.details[2])):
        raise Fault("altered part", place, "result_error is not what the details part says")


# ---- the whole export --------------------------------------------------------------------------


class Lines:
    """The records of an export, one after the other, each with its line number."""

    def __init__(self, stream):
        self.stream, self.number = stream, 0

    def next(self):
        """The next line as a JSON object, or None at the end."""
        raw = self.stream.readline()
        if not raw:
            return None
        self.number += 1
        if not raw.endswith(b"\n"):
            raise Unreadable("line %d: the file ends in the middle of a line" % self.number)
        try:
            line = read_json(raw.decode("utf-8", "strict"))
        except (ValueError, RecursionError) as error:
            raise Unreadable("line %d: %s" % (self.number, error)) from error
        if not isinstance(line, dict):
            raise Unreadable("line %d is not a JSON object" % self.number)
        return line

    def seq_of(self, line):
        seq = line.get("seq")
        if type(seq) is not int or not 1 <= seq <= SEQ_MAX:
            raise Unreadable("line %d has no seq" % self.number)
        return seq

    def has_later(self, seq):
        """Is there a record with this seq further down? Reads on to find out."""
        line = self.next()
        while line is not None and line.get("seq") != seq:
            line = self.next()
        return line is not None


class Header:
    """The first line: which log this is, where its head stood, what the lines are."""

    def __init__(self, line):
        if line is None or line.get("trail_export") != 1 or type(line["trail_export"]) is bool:
            raise Unreadable("this is not an export of a trail (no header line of version 1)")
        if set(line) - HEADER_FIELDS:
            raise Unreadable("the header has a field that is not known: %s"
                             % sorted(set(line) - HEADER_FIELDS)[0])
        if not same(line.get("format"), 1):
            raise Unreadable("format %r is not known, only 1" % line.get("format"))
        self.complete = line.get("complete")
        self.origin = line.get("origin")
        head = line.get("head")
        if type(self.complete) is not bool or not isinstance(self.origin, str) or \
                not isinstance(head, dict) or set(head) - {"seq", "recorded_at", "event_hash"}:
            raise Unreadable("the header is not complete")
        if self.complete and line.get("filter") is not None:
            raise Unreadable("the header says both 'complete' and 'filter'")
        try:
            self.log_id = uuid.UUID(line.get("log_id", ""))
            self.head_hash = from_hex(head.get("event_hash"), 32, "the head's event_hash")
        except (AttributeError, TypeError, ValueError, Malformed) as error:
            raise Unreadable("the header has no proper log_id or head") from error
        self.head_seq = head.get("seq")
        self.head_time = head.get("recorded_at")
        if str(self.log_id) != line["log_id"] or type(self.head_seq) is not int or \
                not 1 <= self.head_seq <= SEQ_MAX:
            raise Unreadable("the header has no proper log_id or head")


class Walk:
    """Where a check of the chain stands: the last good record and what must follow it."""

    def __init__(self, header, expected):
        self.header, self.expected = header, expected
        self.seq, self.entries, self.recorded_at = 0, 0, 0
        self.link = genesis_hash(header.log_id.bytes, header.origin)

    def check(self, record, place):
        """The checks that need the record before this one."""
        entry = record.entry
        if entry["seq"] != place:
            raise Fault("reordered", place, "the entry at seq %d says it is seq %d"
                        % (place, entry["seq"]))
        if not self.header.complete:
            return
        if entry["previous_hash"] != self.link:
            raise Fault("broken link", place, "previous_hash is %s, the entry before has %s"
                        % (entry["previous_hash"].hex()[:16], self.link.hex()[:16]))
        if entry["recorded_at"] < self.recorded_at:
            raise Fault("altered entry", place, "recorded_at is earlier than in the entry before")
        if place == 1:
            self.check_first(entry)

    def check_first(self, entry):
        if entry["event_type"] != b"trail.created" or \
                entry["resource_id"] != str(self.header.log_id).encode():
            raise Fault("altered entry", 1, "seq 1 is not the creation of this log")

    def step(self, record, place):
        self.seq, self.link = place, record.event_hash
        self.recorded_at = record.entry["recorded_at"]
        self.entries += 1
        if self.expected and self.expected[0] == place and self.expected[1] != self.link:
            raise Fault("head", place, "the head noted earlier was %d:%s, here it is %s"
                        % (place, self.expected[1].hex()[:16], self.link.hex()[:16]))

    def finish(self):
        """All lines are read: does the header's head, and the one noted earlier, fit?"""
        header = self.header
        if self.seq < header.head_seq:
            raise Fault("missing", self.seq + 1, "the export ends, its head is seq %d"
                        % header.head_seq)
        if self.link != header.head_hash:
            raise Fault("head", self.seq, "the header's head is not the hash of the last record")
        if header.head_time is not None and time_differs(header.head_time, self.recorded_at):
            raise Fault("head", self.seq, "the header's head has another recorded_at")
        if self.expected and self.expected[0] > self.seq:
            raise Fault("missing", self.seq + 1, "the head noted earlier is seq %d, the log ends "
                        "at %d: its end was cut off" % (self.expected[0], self.seq))


def check_place(walk, lines, seq, place):
    """Does a record, right in itself, stand in its place? An export is without gaps if complete."""
    if place > walk.header.head_seq:
        raise Fault("head", place, "a record behind the head")
    if seq < place:
        raise Fault("reordered", place, "seq %d stands where %d must be" % (seq, place))
    if seq > place:
        if lines.has_later(place):
            raise Fault("reordered", place, "it stands further down in the export")
        raise Fault("missing", place, "the next record is seq %d" % seq)


def check_line(walk, lines, line):
    """All checks of one line, in the order that trail verify uses. First the record in itself: what
    it says about its place is only worth something if it is right."""
    seq = lines.seq_of(line)
    place = walk.seq + 1 if walk.header.complete else seq
    try:
        record = record_from_line(line)
        record.check_hashes(place)
        if seq != place and record.entry["seq"] == place:
            raise Fault("altered entry", place, "field seq differs from the entry")
        check_place(walk, lines, seq, place)
        walk.check(record, place)
        if "unreadable" in line:
            raise Fault("altered entry", place, "marked as unreadable, but it can be read")
        check_shown(record, line, place)
    except (Malformed, ValueError, RecursionError) as error:
        raise Fault("altered entry", place, str(error)) from error
    walk.step(record, place)


def check_export(stream, expected):
    """Read and check a whole export: (Walk, Fault or None). Unreadable: there is no verdict."""
    lines = Lines(stream)
    walk = Walk(Header(lines.next()), expected)
    if expected and not walk.header.complete:
        raise Unreadable("a filtered export cannot be held against a head")
    try:
        line = lines.next()
        while line is not None:
            check_line(walk, lines, line)
            line = lines.next()
        if walk.header.complete:
            walk.finish()
    except Fault as fault:
        return walk, fault
    return walk, None


# ---- the command -------------------------------------------------------------------------------


def parse_expected(text):
    seq, colon, digest = text.partition(":")
    try:
        number = int(seq) if seq.isascii() and seq.isdigit() and colon else 0
        if not 1 <= number <= SEQ_MAX:
            raise ValueError
        return number, from_hex(digest.lower(), 32, "the hash")
    except (ValueError, Malformed):
        raise SystemExit(usage("--expect-head needs SEQ:HASH, with 64 hexadecimal digits"))


def usage(message):
    sys.stderr.write("verify_export.py: %s\n" % message)
    sys.stderr.write("usage: verify_export.py [--expect-head SEQ:HASH] [FILE]\n")
    return EXIT_USAGE


def parse_arguments(arguments):
    """(file name, expected head or None)"""
    names, expected, rest = [], None, list(arguments)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            print(__doc__.strip())
            raise SystemExit(EXIT_OK)
        if word == "--expect-head" and rest:
            expected = parse_expected(rest.pop(0))
        elif word.startswith("--expect-head="):
            expected = parse_expected(word.partition("=")[2])
        elif word.startswith("-") and word != "-":
            raise SystemExit(usage("unknown option, or one without its value: %s" % word))
        else:
            names.append(word)
    if len(names) > 1:
        raise SystemExit(usage("one file at a time"))
    return (names or ["-"])[0], expected


def report_good(walk):
    header = walk.header
    if not header.complete:
        print("ok: the parts and entries of %d records agree with their hashes" % walk.entries)
        print("not checked: the chain, gaps and the order, because this export is filtered")
        return
    print("ok: %d entries, head %d:%s" % (walk.entries, walk.seq, walk.link.hex()))
    print("checked: parts, entries, chain, seq without gaps, order in time, shown fields%s"
          % (", the head noted earlier" if walk.expected else ""))
    if not walk.expected:
        print("not checked: whether the end was cut off or the whole chain rewritten "
              "(note a head and use --expect-head)")


def main(arguments):
    name, expected = parse_arguments(arguments)
    try:
        if name == "-":
            walk, fault = check_export(sys.stdin.buffer, expected)
        else:
            with open(name, "rb") as stream:
                walk, fault = check_export(stream, expected)
    except (OSError, Unreadable) as error:
        sys.stderr.write("unreadable: %s\n" % error)
        return EXIT_UNREADABLE
    if fault is None:
        report_good(walk)
        return EXIT_OK
    print("failed: %s at seq %d: %s" % (fault.kind, fault.seq, fault.why))
    if walk.header.complete:
        print("last good seq: %d" % walk.seq)
    return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
