"""Access logs of load balancers, as far as the sandbox has them: the bucket must take them. None is written."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox import policy
from bgdeploy.sandbox.world import ACCOUNT, RefusedError, World

_DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"
# Whom buckets had to let in before there was a service to name, and still may: an account of AWS's for each region.
_ACCOUNTS = {
    "us-east-1": "127311923021",
    "us-east-2": "033677994240",
    "us-west-1": "027434742980",
    "us-west-2": "797873946194",
    "af-south-1": "098369216593",
    "ap-east-1": "754344448648",
    "ap-northeast-1": "582318560864",
    "ap-northeast-2": "600734575887",
    "ap-northeast-3": "383597477331",
    "ap-south-1": "718504428378",
    "ap-southeast-1": "114774131450",
    "ap-southeast-2": "783225319266",
    "ap-southeast-3": "589379963580",
    "ca-central-1": "985666609251",
    "eu-central-1": "054676820928",
    "eu-north-1": "897822967062",
    "eu-south-1": "635631232127",
    "eu-west-1": "156460612806",
    "eu-west-2": "652711504416",
    "eu-west-3": "009996457667",
    "me-south-1": "076674570225",
    "sa-east-1": "507241528517",
}


def check(world: World, balancer: str, region: str, attributes: Mapping[str, str]) -> None:
    """Refuse access logs that the bucket would not take; else leave the file that AWS tries it with."""
    from botocore.exceptions import ClientError

    if attributes["access_logs.s3.enabled"] != "true":
        return
    bucket, prefix = attributes["access_logs.s3.bucket"], attributes["access_logs.s3.prefix"]
    if not bucket:
        raise RefusedError("ValidationError", "The value of 'access_logs.s3.bucket' cannot be empty")
    folder = f"{prefix}/AWSLogs/{ACCOUNT}" if prefix else f"AWSLogs/{ACCOUNT}"
    key = f"{folder}/ELBAccessLogTestFile"
    s3 = world.beneath("s3", region=region)
    context = {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": balancer,
        "s3:x-amz-acl": "bucket-owner-full-control",
    }
    asked = policy.Request("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}", context)
    if not _takes(s3, region, bucket, asked):
        message = f"Access Denied for bucket: {bucket}. Please check S3bucket permission"
        raise RefusedError("InvalidConfigurationRequest", message)
    with contextlib.suppress(ClientError):  # moto holds a policy that wants TLS against the sandbox itself
        s3.put_object(Bucket=bucket, Key=key, Body=b"Enable AccessLog for ELB")


def _takes(s3: Any, region: str, bucket: str, asked: policy.Request) -> bool:
    """Tell whether a bucket stands in the region, is encrypted in the one way that will do, and lets logs in."""
    from botocore.exceptions import ClientError

    try:
        home = s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
        document = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    except ClientError:  # no bucket, or no policy
        return False
    algorithms = [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules]
    statements = [each for each in document["Statement"] if _names_elb(each.get("Principal"), region)]
    allowed = policy.allows([{"Statement": statements}], asked)
    return bool(home == region and algorithms == ["AES256"] and allowed)


def _names_elb(principal: Any, region: str) -> bool:
    if not isinstance(principal, Mapping):
        return bool(principal == "*")
    account = _ACCOUNTS.get(region, "")
    named = {"Service": {_DELIVERY}, "AWS": {"*", account, f"arn:aws:iam::{account}:root"} - {""}}
    found = {kind: set(value if isinstance(value, list) else [value]) for kind, value in principal.items()}
    return any(found.get(kind, set()) & names for kind, names in named.items())
