"""What ELBv2 wants of HTTPS listeners, and what ACM says of certificates that they use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox.elb.topology import Topologies
from bgdeploy.sandbox.inprocess import forwarded
from bgdeploy.sandbox.world import ACCOUNT, PASS, Call, Handler, RefusedError, World, _Pass


class Tls:
    """Certificates and security policies. The sandbox's load balancers have no use for them: they speak no TLS."""

    def __init__(self, world: World, topologies: Topologies) -> None:
        self._world = world
        self._topologies = topologies

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        return {
            ("acm", "DescribeCertificate"): self._describe_certificate,
            ("acm", "DeleteCertificate"): self._delete_certificate,
        }

    def check(self, region: str, listener: Mapping[str, Any]) -> None:
        """Refuse a listener, as it is to be, whose protocol and TLS settings do not fit."""
        certificates = [each["CertificateArn"] for each in listener.get("Certificates", [])]
        if listener["Protocol"] != "HTTPS":
            for name, what in (("Certificates", "A certificate"), ("SslPolicy", "An SSL policy")):
                if listener.get(name):
                    message = f"{what} cannot be specified for {listener['Protocol']} listeners"
                    raise RefusedError("InvalidConfigurationRequest", message)
            return
        if not certificates:
            raise RefusedError("ValidationError", "A certificate must be specified for HTTPS listeners")
        if len(certificates) > 1:
            message = "The number of certificates specified exceeds the limit of 1 for a default certificate"
            raise RefusedError("TooManyCertificatesException", message)
        self._check_certificate(region, certificates[0])
        self._check_policy(region, listener.get("SslPolicy"))

    def _check_certificate(self, region: str, arn: str) -> None:
        if ":acm:" not in arn:  # a server certificate of IAM's: moto looks whether it is there
            return
        acm = self._world.beneath("acm", region=region)
        try:
            acm.describe_certificate(CertificateArn=arn)
        except acm.exceptions.ClientError:
            raise RefusedError("CertificateNotFoundException", f"Certificate '{arn}' not found") from None

    def _check_policy(self, region: str, name: str | None) -> None:
        known = self._world.beneath("elbv2", region=region).describe_ssl_policies()["SslPolicies"]
        if name is not None and name not in [each["Name"] for each in known]:
            raise RefusedError("SSLPolicyNotFoundException", f"SSL policy '{name}' not found")

    def _used_by(self, arn: str, region: str) -> list[str]:
        """Return the load balancers that use a certificate."""
        listeners = self._topologies.of(region).listeners.values()
        return sorted(
            {
                listener["LoadBalancerArn"]
                for listener in listeners
                if arn in [each["CertificateArn"] for each in listener.get("Certificates", [])]
            }
        )

    def _describe_certificate(self, call: Call) -> dict[str, Any]:
        found = forwarded(self._world, call)
        used = self._used_by(call.params["CertificateArn"], call.region)
        return {"Certificate": {**found["Certificate"], "InUseBy": used}}

    def _delete_certificate(self, call: Call) -> _Pass:
        arn = call.params["CertificateArn"]
        if self._used_by(arn, call.region):
            raise RefusedError("ResourceInUseException", f"Certificate {arn} in account {ACCOUNT} is in use.")
        return PASS
