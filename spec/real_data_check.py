#!/usr/bin/env python3
"""real_data_check.py - are the events in a trail those of the files they were imported from?

    real_data_check.py sshd RECORDS YEAR FILE         RECORDS: trail log -o jsonl
    real_data_check.py cloudtrail RECORDS FILE...

Works out from the files, by other means than the maps, which events there must be, with every
field, and compares. Prints totals and ends with 0, or says what differs and ends with 1.
SPDX-License-Identifier: MIT
"""
import collections
import datetime
import ipaddress
import json
import sys

MONTHS = ["", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
EPOCH = datetime.datetime(1970, 1, 1)


def micros(text):
    """RFC 3339 in UTC to microseconds, or a number as it is."""
    if isinstance(text, int):
        return text
    shape = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
    return (datetime.datetime.strptime(text, shape) - EPOCH) // datetime.timedelta(microseconds=1)


def is_address(text):
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return False


def read_records(path):
    """The records of a trail that came from outside, in order."""
    with open(path, encoding="utf-8") as stream:
        records = [json.loads(line) for line in stream]
    return [record for record in records if not record["event_type"].startswith("trail.")]


def compare(name, record, expected):
    for field, value in expected.items():
        got = record.get(field)
        if field == "timestamp":
            got = micros(got)
        assert json.dumps(got, sort_keys=True) == json.dumps(value, sort_keys=True), \
            "%s: %s is %r, must be %r" % (name, field, got, value)


# ---- sshd: cut the line at spaces, from the right ----------------------------------------------


def sshd_event(line, year):
    """(times, expected fields) of a line, or None."""
    words = line.split(" ")
    while "" in words[:3]:
        words.remove("")
    pid = words[4].partition("[")[2].rstrip("]:")
    message, times = line.partition("]: ")[2], 1
    if message.startswith("message repeated "):
        times = int(message.split(" ")[2])
        message = message.partition("[ ")[2][:-1]
    if not message.startswith(("Failed ", "Accepted ")):
        return None
    verb, method, rest = message.split(" ", 2)
    rest, _, port = rest.replace(" ssh2", "").rpartition(" port ")
    rest, _, address = rest.rpartition(" from ")
    name, invalid = rest[len("for "):], rest.startswith("for invalid user ")
    if invalid:
        name = name[len("invalid user "):]
    clock = "%s-%02d-%02dT%s" % (year, MONTHS.index(words[0]), int(words[1]), words[2])
    return times, {
        "event_type": "auth_attempt", "action": "login", "resource_type": "host",
        "resource_id": words[3], "user_id": name, "ip_address": address,
        "result": "failure" if verb == "Failed" else "success", "timestamp": micros(clock + "Z"),
        "result_error": None, "user_agent": None, "request_id": None,
        "details": {"method": method, "port": int(port), "pid": int(pid), "host": words[3],
                    "invalid_user": invalid},
    }


def check_sshd(path, year, log):
    records, at = read_records(path), 0
    with open(log, encoding="utf-8", newline="") as stream:
        for number, line in enumerate(stream, 1):
            found = sshd_event(line.rstrip("\r\n"), year)
            for _ in range(found[0] if found else 0):
                assert at < len(records), "line %d: no record for it" % number
                compare("line %d" % number, records[at], found[1])
                at += 1
    assert at == len(records), "%d records, %d expected" % (len(records), at)
    return records


# ---- CloudTrail --------------------------------------------------------------------------------


def cloudtrail_rest(source):
    """The record without what became a field; and who it was."""
    rest = json.loads(json.dumps(source))
    identity, user = rest["userIdentity"], None
    for name in ("arn", "principalId", "invokedBy"):
        if identity.get(name):
            user = identity.pop(name)
            break
    for name in ("eventID", "eventTime", "eventSource", "eventName", "requestID", "userAgent",
                 "errorCode", "errorMessage"):
        rest.pop(name, None)
    if is_address(rest["sourceIPAddress"]):
        del rest["sourceIPAddress"]
    return rest, user


def cloudtrail_event(source):
    rest, user = cloudtrail_rest(source)
    address = source["sourceIPAddress"]
    failed = "errorCode" in source or "errorMessage" in source
    error = ": ".join(source[name] for name in ("errorCode", "errorMessage") if name in source)
    expected = {
        "event_type": source["eventSource"], "action": source["eventName"], "user_id": user,
        "timestamp": micros(source["eventTime"]), "request_id": source.get("requestID"),
        "user_agent": source["userAgent"], "ip_address": address if is_address(address) else None,
        "result": "failure" if failed else "success", "result_error": error or None,
        "details": rest,
    }
    resources = source.get("resources") or []
    if resources:
        expected["resource_id"] = resources[0]["ARN"]
        expected["resource_type"] = resources[0].get("type", resources[0]["ARN"].split(":")[2])
    return expected


def check_cloudtrail(path, *files):
    records = {record["id"]: record for record in read_records(path)}
    sources = {}
    for name in files:
        with open(name, encoding="utf-8") as stream:
            sources.update((source["eventID"], source) for source in json.load(stream)["Records"])
    assert records.keys() == sources.keys(), "%d records, %d expected" % (
        len(records), len(sources))
    for name, source in sources.items():
        compare(name, records[name], cloudtrail_event(source))
        parameters = json.dumps(source["requestParameters"])
        known = (parameters, json.dumps(source.get("resources")),
                 source["recipientAccountId"], source["eventSource"])
        resource = json.dumps(records[name]["resource_id"])[1:-1]
        assert any(resource in text for text in known), \
            "%s: resource_id %r is not in the record" % (name, resource)
    return list(records.values())


def main(arguments):
    job = {"sshd": check_sshd, "cloudtrail": check_cloudtrail}[arguments[0]]
    records = job(*arguments[1:])
    results = collections.Counter(record["result"] for record in records)
    print("events=%d failure=%d success=%d users=%d" % (
        len(records), results["failure"], results["success"],
        len({record.get("user_id") for record in records})))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except AssertionError as problem:
        print("wrong: %s" % problem)
        sys.exit(1)
