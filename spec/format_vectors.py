#!/usr/bin/env python3
"""format_vectors.py - the worked vectors of docs/format.md, made without trail's own code.

An encoder of the format in Python, standard library only. It writes the vectors (no argument),
checks that those on the page are these (--check docs/format.md), or writes an export of a log
that it made itself, of so many entries (--export 20).
SPDX-License-Identifier: MIT
"""
import base64
import hashlib
import json
import re
import sys
import uuid

LOG_ID = bytes.fromhex("6b1d3a52c0de4f7e8a90b1c2d3e4f506")
ORIGIN = "audit.example.com/böse"
START_US = 1795000000123456
SHOW_HEX_MAX = 700  # a longer part is shown as its hash only
BORDERS = (23, 24, 255, 256, 65535, 65536)


def head(major, number):
    """RFC 8949 section 4.2.1: the shortest form."""
    if number < 24:
        return bytes([major << 5 | number])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            return bytes([major << 5 | info]) + number.to_bytes(size, "big")
    raise ValueError("more than 64 bits")


def encode(item):
    if item is None:
        return b"\xf6"
    if isinstance(item, int):
        return head(0, item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        return head(3, len(item.encode())) + item.encode()
    return head(4, len(item)) + b"".join(map(encode, item))


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def genesis_hash():
    return sha256(b"trail/genesis/1", LOG_ID, ORIGIN.encode())


def engine_id(seq, recorded_at, random):
    """UUID v7 as the engine makes it; 'random' is 62 bits."""
    number = recorded_at // 1000 << 80 | 7 << 76 | seq % 4096 << 64 | 2 << 62 | random
    return number.to_bytes(16, "big")


def salt(name):
    """Salts are random; in vectors they come from a name, so that they can be made again."""
    return sha256(b"vector salt ", name.encode())[:16]


def text_in(vector, name):
    """A text of a vector: itself, or [before, repeated, count, after] for the long ones."""
    value = vector[name]
    if isinstance(value, list):
        return value[0] + value[1] * value[2] + value[3]
    return value


def shown(data):
    return data.hex() if data is not None and len(data) * 2 <= SHOW_HEX_MAX else None


def complete(vector):
    """Fill in what follows from the input fields."""
    def text(name):
        return text_in(vector, name)
    who = encode([bytes.fromhex(vector["who_salt"]), text("user_id"), text("ip_address"),
                  text("user_agent")])
    details = None
    if text("details") is not None or text("result_error") is not None:
        details = encode([bytes.fromhex(vector["details_salt"]), text("details"),
                          text("result_error")])
    who_hash = sha256(b"trail/who/1", who)
    details_hash = None if details is None else sha256(b"trail/details/1", details)
    entry = encode([1, vector["seq"], vector["recorded_at"], vector["timestamp"],
                    uuid.UUID(vector["id"]).bytes, text("event_type"), text("action"),
                    text("resource_type"), text("resource_id"), text("result"),
                    text("request_id"), who_hash, details_hash,
                    bytes.fromhex(vector["previous_hash"])])
    event_hash = sha256(b"\x00", entry)
    stored = b"\x00" + event_hash + entry + who + (details or b"")
    vector.update(who_hex=shown(who), who_hash=who_hash.hex(),
                  details_hex=shown(details) if details else None,
                  details_hash=details_hash.hex() if details_hash else None,
                  entry_hex=shown(entry), event_hash=event_hash.hex(),
                  stored_len=len(stored), stored_sha256=sha256(stored).hex())
    return vector


def make(name, seq, previous_hash, **fields):
    vector = {
        "name": name, "seq": seq, "recorded_at": START_US + seq * 1000003,
        "timestamp": START_US + seq * 1000000, "id": None, "event_type": "auth_attempt",
        "user_id": None, "action": "login", "resource_type": "user", "resource_id": "alice",
        "result": "success", "result_error": None, "details": None, "ip_address": None,
        "user_agent": None, "request_id": None, "who_salt": salt(name + " who").hex(),
        "details_salt": None, "previous_hash": previous_hash,
    }
    vector.update(fields)
    if vector["id"] is None:
        vector["id"] = str(uuid.UUID(bytes=engine_id(seq, vector["recorded_at"],
                                                     seq * 0x123456789)))
    if vector["details"] is not None or vector["result_error"] is not None:
        vector["details_salt"] = salt(name + " details").hex()
    return complete(vector)


def chain():
    """Four entries that follow each other from seq 1."""
    log_id = str(uuid.UUID(bytes=LOG_ID))
    details = json.dumps({"format": 1, "log_id": log_id, "options": {}, "origin": ORIGIN},
                         ensure_ascii=False, separators=(",", ":"))
    first = make("genesis", 1, genesis_hash().hex(), timestamp=START_US + 1000003,
                 event_type="trail.created", action="create", resource_type="trail",
                 resource_id=log_id, details=details)
    second = make("minimal", 2, first["event_hash"])
    third = make("all fields", 3, second["event_hash"],
                 id="b7e1f3c2-5d4a-5c3b-9a81-0f1e2d3c4b5a", user_id="alice@example.com",
                 result="failure", result_error="wrong password",
                 details='{"attempt":3,"method":"password"}', ip_address="2001:db8::17",
                 user_agent="curl/8.5.0", request_id="req-0001")
    fourth = make("unicode", 4, third["event_hash"], user_id="Zoë 🦊 \u202e\u0007",
                  action="lire", resource_type="文書", resource_id="e\u0301tude",
                  result="partial_success", result_error="nicht alles — 3 von 4",
                  details='{"π":3.14159,"naïve":"\\u00e9 is é"}', user_agent="",
                  request_id="Ω")
    return [first, second, third, fourth]


def borders():
    """Single entries at the borders of the lengths of numbers and texts."""
    none = "00" * 32
    result = [make("number %d" % number, number, none, recorded_at=number, timestamp=number - 1)
              for number in BORDERS]
    result.append(make("largest numbers", 2**64 - 1, none, recorded_at=253402300799999999,
                       timestamp=2**32))
    result.append(make("smallest numbers", 1, none, recorded_at=0, timestamp=0))
    for count in BORDERS:
        result.append(make("text of %d bytes" % count, 7, none,
                           details=['"', "a", count - 2, '"'],
                           user_agent=["", "b", min(count, 4096), ""]))
    return result


def heads():
    """How a number, a byte string, a text and an array begin."""
    return [{"number": n, "uint": head(0, n).hex(), "bytes": head(2, n).hex(),
             "text": head(3, n).hex(), "array": head(4, n).hex()}
            for n in (0, 1) + BORDERS + (2**32 - 1, 2**32, 2**64 - 1)]


def parts_bytes(vector):
    """who and details of a vector; details may be None."""
    who = encode([bytes.fromhex(vector["who_salt"])] +
                 [vector[name] for name in ("user_id", "ip_address", "user_agent")])
    if vector["details_salt"] is None:
        return who, None
    return who, encode([bytes.fromhex(vector["details_salt"]), vector["details"],
                        vector["result_error"]])


def export_line(vector):
    """A vector as a line of an export."""
    def base64_of(data):
        return base64.b64encode(data).decode()
    who, details = parts_bytes(vector)
    names = ("seq", "recorded_at", "timestamp", "id", "event_type", "user_id", "action",
             "resource_type", "resource_id", "result", "result_error", "ip_address", "user_agent",
             "request_id", "previous_hash", "event_hash")
    line = {name: vector[name] for name in names if vector[name] is not None}
    if vector["details"] is not None:
        line["details"] = json.loads(vector["details"])
    line["entry"] = base64_of(bytes.fromhex(vector["entry_hex"]))
    line["who"] = base64_of(who)
    if details is not None:
        line["details_part"] = base64_of(details)
    return line


def export(count):
    """The lines of a complete export: the chain of the page, then more of the same kind."""
    vectors = chain()[:count]
    while len(vectors) < count:
        seq = len(vectors) + 1
        vectors.append(make("entry %d" % seq, seq, vectors[-1]["event_hash"],
                            user_id="user-%d" % (seq % 7) if seq % 3 else None,
                            details='{"n":%d,"list":[1,2.5,true,null]}' % seq
                            if seq % 2 else None,
                            ip_address="192.0.2.%d" % seq if seq % 4 == 1 else None,
                            result_error="no" if seq % 5 == 0 else None))
    header = {"trail_export": 1, "format": 1, "log_id": str(uuid.UUID(bytes=LOG_ID)),
              "origin": ORIGIN, "head": {"seq": count, "event_hash": vectors[-1]["event_hash"]},
              "complete": True, "filter": None}
    return [json.dumps(line, ensure_ascii=False, separators=(",", ":"))
            for line in [header] + [export_line(vector) for vector in vectors]]


def one_line_each(items):
    return "[\n" + ",\n".join("  " + json.dumps(item) for item in items) + "\n]\n"


BORDER_FIELDS = ("name", "seq", "recorded_at", "timestamp", "id", "details", "user_agent",
                 "who_salt", "details_salt", "who_hash", "details_hash", "event_hash",
                 "stored_len", "stored_sha256")


def short(vector):
    """A border vector without the fields that are the same in all of them."""
    return {name: vector[name] for name in BORDER_FIELDS}


def pretty(vector):
    return json.dumps(vector, indent=1, ensure_ascii=True) + "\n"


def page_blocks():
    """(kind, text) of every block, in the order of the page."""
    log = {"log_id": LOG_ID.hex(), "origin": ORIGIN,
           "genesis_hash": genesis_hash().hex()}
    blocks = [("heads", one_line_each(heads())), ("log", pretty(log))]
    blocks += [("chain", pretty(vector)) for vector in chain()]
    blocks.append(("border", one_line_each(map(short, borders()))))
    return blocks


def fenced(blocks):
    return ["```json %s\n%s```\n" % block for block in blocks]


def check(path):
    """Exit code 0 if the page holds exactly these blocks, in this order."""
    with open(path, encoding="utf-8") as page:
        found = re.findall(r"^```json (?:heads|log|chain|border)\n.*?^```\n", page.read(),
                           re.M | re.S)
    wanted = fenced(page_blocks())
    for number, (left, right) in enumerate(zip(found, wanted), 1):
        if left != right:
            print("block %d differs:\n%s\nmust be\n%s" % (number, left, right))
            return 1
    if len(found) != len(wanted):
        print("the page has %d blocks, not %d" % (len(found), len(wanted)))
        return 1
    print("%d blocks are right" % len(found))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        sys.exit(check(sys.argv[2]))
    if sys.argv[1:2] == ["--export"]:
        sys.stdout.buffer.write("".join(x + "\n" for x in export(int(sys.argv[2]))).encode())
        sys.exit(0)
    sys.stdout.write("\n".join(fenced(page_blocks())))
