#!/usr/bin/env python3
"""generate.py - makes the two sample files beside it: sshd.log and cloudtrail.json.

Everything is invented; addresses are from the ranges for documentation (RFC 5737, RFC 3849).
The story: on 14 March 2026 somebody at 203.0.113.66 guesses passwords on the host gate01, gets
in as "deploy" at 03:52, finds cloud keys there, uses them in the account 111122223333, is refused a
lot, stops the cloud's own logging and deletes a bucket. At 08:31 the admin amara notices, takes the
keys away and turns the logging on again.
SPDX-License-Identifier: MIT

    python3 generate.py          writes both files, always the same bytes
"""
import json
import os
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
ATTACKER = "203.0.113.66"
ACCOUNT = "111122223333"
NAMESPACE = uuid.UUID("3f0e6d52-8c1b-4a97-b2d4-7e5f9a1c6b08")
STAFF = {"amara": "198.51.100.7", "bo": "198.51.100.23", "chidi": "2001:db8:40::c4",
         "dana": "198.51.100.41"}
GUESSED = ["root", "admin", "oracle", "test", "postgres", "ubuntu", "git", "backup"]


class Dice:
    """A small generator of our own, so that no Python version changes the files."""

    def __init__(self, seed):
        self.state = seed

    def roll(self, sides):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % sides


class Syslog:
    def __init__(self):
        self.lines, self.pid, self.dice = [], 2100, Dice(14)

    def write(self, second, program, text):
        self.lines.append((second, len(self.lines), "Mar %2d %02d:%02d:%02d gate01 %s: %s" % (
            14 + second // 86400, second // 3600 % 24, second // 60 % 60, second % 60,
            program, text)))

    def sshd(self, second, text):
        self.write(second, "sshd[%d]" % self.pid, text)

    def session(self):
        self.pid += 1 + self.dice.roll(9)

    def guess(self, second, name, known, address, repeats=0):
        self.session()
        port = 32768 + self.dice.roll(28000)
        who = name if known else "invalid user " + name
        if not known:
            self.sshd(second, "Invalid user %s from %s port %d" % (name, address, port))
        line = "Failed password for %s from %s port %d ssh2" % (who, address, port)
        self.sshd(second + 2, line)
        if repeats:
            self.sshd(second + 9, "message repeated %d times: [ %s]" % (repeats, line))
        self.sshd(second + 10, "Connection closed by %s port %d [preauth]" % (address, port))

    def login(self, second, name, address, method):
        self.session()
        port = 49152 + self.dice.roll(9000)
        key = ": ED25519 SHA256:" + name.title() * 4 if method == "publickey" else ""
        self.sshd(second, "Accepted %s for %s from %s port %d ssh2%s" % (
            method, name, address, port, key))
        self.sshd(second, "pam_unix(sshd:session): session opened for user %s(uid=1000)" % name)
        self.sshd(second + 900 + self.dice.roll(5000),
                  "pam_unix(sshd:session): session closed for user %s" % name)


def sshd_log():
    log, dice = Syslog(), Dice(1)
    for i in range(12):  # the nightly noise of the internet
        log.guess(600 + i * 731, GUESSED[dice.roll(8)], False, "192.0.2.%d" % (10 + dice.roll(200)))
    for i in range(44):  # the attack, slowly through the names
        name = GUESSED[i % 8]
        log.guess(10800 + i * 61, name, name in ("root", "backup"), ATTACKER,
                  repeats=2 + dice.roll(4) if name == "root" else 0)
    for i in range(6):
        log.guess(13600 + i * 40, "deploy", True, ATTACKER)
    log.login(13925, "deploy", ATTACKER, "password")  # 03:52:05
    log.guess(14100, "root from 192.0.2.1 port 22 ssh2", False, "2001:db8::bad:5")
    for hour, name in ((7, "bo"), (8, "amara"), (8, "dana"), (9, "chidi"), (11, "bo"),
                       (13, "amara"), (14, "dana"), (16, "chidi"), (17, "bo"), (26, "amara"),
                       (31, "bo"), (32, "dana"), (33, "chidi"), (34, "amara")):
        log.login(hour * 3600 + dice.roll(3000), name, STAFF[name], "publickey")
    log.guess(28900, "dana", True, STAFF["dana"])  # everybody mistypes once
    for hour in range(0, 36):
        log.write(hour * 3600 + 17 * 60 + 1, "CRON[%d]" % (900 + hour),
                  "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")
    return "".join(line + "\n" for _, _, line in sorted(log.lines))


class Cloud:
    def __init__(self):
        self.records, self.dice = [], Dice(2)

    def record(self, second, user, service, name, parameters=None, error=None, **more):
        number = len(self.records)
        address = more.pop("address", STAFF.get(user, ATTACKER))
        identity = {"type": "IAMUser", "principalId": "AIDAEXAMPLE" + user.upper(),
                    "arn": "arn:aws:iam::%s:user/%s" % (ACCOUNT, user), "accountId": ACCOUNT,
                    "userName": user}
        record = {
            "eventVersion": "1.09", "userIdentity": more.pop("identity", identity),
            "eventTime": "2026-03-14T%02d:%02d:%02dZ" % (
                second // 3600, second // 60 % 60, second % 60),
            "eventSource": service + ".amazonaws.com", "eventName": name,
            "awsRegion": "eu-central-1", "sourceIPAddress": address,
            "userAgent": more.pop("agent", "aws-cli/2.15.30 Python/3.11.8"),
            "requestParameters": parameters, "responseElements": more.pop("response", None),
            "requestID": str(uuid.uuid5(NAMESPACE, "request %d" % number)),
            "eventID": str(uuid.uuid5(NAMESPACE, "event %d" % number)),
            "readOnly": name.startswith(("Get", "List", "Describe")), "eventType": "AwsApiCall",
            "managementEvent": True, "recipientAccountId": ACCOUNT, "eventCategory": "Management",
        }
        if error:
            record["errorCode"], record["errorMessage"] = error
        record.update(more)
        self.records.append(record)


def denied(user, action):
    return ("AccessDenied", "User: arn:aws:iam::%s:user/%s is not authorized to perform: %s"
            % (ACCOUNT, user, action))


def bucket(name):
    return [{"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::" + name}]


def attack(cloud):
    cloud.record(14420, "deploy", "sts", "GetCallerIdentity")
    cloud.record(14433, "deploy", "s3", "ListBuckets")
    for i, action in enumerate(("iam:ListUsers", "iam:CreateUser", "iam:CreateAccessKey",
                                "ec2:DescribeInstances", "secretsmanager:ListSecrets",
                                "secretsmanager:GetSecretValue", "rds:DescribeDBInstances",
                                "lambda:ListFunctions", "kms:ListKeys", "iam:AttachUserPolicy",
                                "organizations:LeaveOrganization")):
        service, _, name = action.partition(":")
        cloud.record(14450 + i * 13, "deploy", service, name, error=denied("deploy", action))
    cloud.record(14630, "deploy", "cloudtrail", "StopLogging", {"name": "larkspur-trail"})
    for key in ("customers/2026-02.csv", "customers/2026-03.csv", "invoices/0311.pdf"):
        cloud.record(14680 + len(key), "deploy", "s3", "GetObject",
                     {"bucketName": "larkspur-exports", "key": key},
                     resources=bucket("larkspur-exports"))
    cloud.record(14790, "deploy", "s3", "DeleteBucket", {"bucketName": "larkspur-exports"},
                 error=("BucketNotEmpty", "The bucket you tried to delete is not empty"),
                 resources=bucket("larkspur-exports"))
    cloud.record(14844, "deploy", "s3", "DeleteObjects", {"bucketName": "larkspur-exports"},
                 resources=bucket("larkspur-exports"))
    cloud.record(14851, "deploy", "s3", "DeleteBucket", {"bucketName": "larkspur-exports"},
                 resources=bucket("larkspur-exports"))


def response(cloud):
    console = {"eventType": "AwsConsoleSignIn", "agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    cloud.record(30600, "amara", "signin", "ConsoleLogin", None, **console,
                 response={"ConsoleLogin": "Failure"}, errorMessage="Failed authentication")
    cloud.record(30655, "amara", "signin", "ConsoleLogin", None, **console,
                 response={"ConsoleLogin": "Success"})
    cloud.record(30691, "amara", "cloudtrail", "GetTrailStatus", {"name": "larkspur-trail"})
    cloud.record(30702, "amara", "cloudtrail", "StartLogging", {"name": "larkspur-trail"})
    cloud.record(30764, "amara", "iam", "UpdateAccessKey",
                 {"accessKeyId": "AKIAEXAMPLEDEPLOY", "userName": "deploy", "status": "Inactive"})
    cloud.record(30790, "amara", "iam", "DeleteAccessKey",
                 {"accessKeyId": "AKIAEXAMPLEDEPLOY", "userName": "deploy"})
    cloud.record(30905, "amara", "ec2", "TerminateInstances",
                 {"instancesSet": {"items": [{"instanceId": "i-0a1b2c3d4e5f60718"}]}})


def everyday(cloud):
    service = {"type": "AWSService", "invokedBy": "backup.amazonaws.com"}
    for i in range(10):
        cloud.record(3600 + i * 7200, "backup", "kms", "GenerateDataKey",
                     {"keyId": "alias/larkspur", "numberOfBytes": 32}, identity=service,
                     address="backup.amazonaws.com", agent="backup.amazonaws.com",
                     resources=[{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN":
                                 "arn:aws:kms:eu-central-1:%s:key/larkspur" % ACCOUNT}])
    names = ("bo", "chidi", "dana")
    for i in range(20):
        user, second = names[i % 3], 27000 + i * 1531
        if i % 4 == 0:
            cloud.record(second, user, "ec2", "DescribeInstances",
                         {"instancesSet": {}, "filterSet": {}})
        elif i % 4 == 1:
            cloud.record(second, user, "secretsmanager", "GetSecretValue",
                         {"secretId": "larkspur/mail"})
        elif i % 4 == 2:
            cloud.record(second, user, "lambda", "UpdateFunctionCode20150331v2",
                         {"functionName": "thumbnails", "dryRun": False})
        else:
            cloud.record(second, user, "ec2", "DescribeNatGateways", {
                "DescribeNatGatewaysRequest": {"NatGatewayId": {"tag": 1, "content": "nat-0aa1"}}})


def cloudtrail_json():
    cloud = Cloud()
    attack(cloud)
    response(cloud)
    everyday(cloud)
    cloud.records.sort(key=lambda record: record["eventTime"])
    lines = [json.dumps(record, separators=(",", ":")) for record in cloud.records]
    return '{"Records":[\n' + ",\n".join(lines) + "\n]}\n"


def main():
    for name, text in (("sshd.log", sshd_log()), ("cloudtrail.json", cloudtrail_json())):
        with open(os.path.join(HERE, name), "w", encoding="utf-8", newline="\n") as target:
            target.write(text)


if __name__ == "__main__":
    main()
