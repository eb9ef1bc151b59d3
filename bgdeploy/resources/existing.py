"""What was there before the stack and outlives it: a VPC, subnets, a load balancer. Found, and left as they are.

All that could not work in them is told before anything is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import Attrs, absent
from bgdeploy.provision.resource import Known, Look, Resource, UnusableError

# Without a way out, tasks reach by these what Fargate needs to start them: the image, whose layers S3 keeps, and the
# log (ECR user guide, "Amazon ECR interface VPC endpoints").
NEEDED_ENDPOINTS = ("ecr.api", "ecr.dkr", "logs", "s3")
_ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, eq=False, kw_only=True)
class ExistingVpc(Resource):
    """A VPC that is somebody else's."""

    kind = "existing-vpc"
    external = True
    wanted: str | Mapping[str, str]  # an id, or tags

    def sources(self, known: Known) -> tuple[str, ...]:
        """Return the CIDRs of whoever is inside."""
        return tuple(known[self]["Cidrs"])

    def find(self, look: Look) -> Attrs | None:
        return None if look.for_removal else look.once(self, lambda: self._survey(look))

    def told(self, actual: Attrs) -> str:
        networks = " and ".join(actual["Cidrs"])
        return networks if isinstance(self.wanted, str) else f"{actual['VpcId']}, {networks}"

    def _survey(self, look: Look) -> Attrs:
        found = look.aws.client("ec2").describe_vpcs(Filters=_filters("vpc-id", self.wanted))["Vpcs"]
        if not found:
            raise UnusableError(
                f"there is no VPC {self.name} in {look.aws.region}", "correct network.use.vpc"
            )
        if len(found) > 1:
            ids = ", ".join(sorted(each["VpcId"] for each in found))
            raise UnusableError(
                f"{len(found)} VPCs are tagged {self.name}: {ids}",
                "write in network.use.vpc the id of one, or tags that one alone has",
            )
        associated = found[0].get("CidrBlockAssociationSet", ())
        cidrs = [each["CidrBlock"] for each in associated if each["CidrBlockState"]["State"] == "associated"]
        return {"VpcId": found[0]["VpcId"], "Cidrs": cidrs or [found[0]["CidrBlock"]]}


@dataclass(frozen=True, eq=False, kw_only=True)
class ExistingLoadBalancer(Resource):
    """An application load balancer that is somebody else's; the stack adds listeners of its own to it."""

    kind = "existing-load-balancer"
    external = True
    arn: str
    vpc: ExistingVpc
    own: str  # the name of the load balancer that the stack would have, and may have had, of its own

    def sources(self, known: Known) -> tuple[str, ...]:
        """Return the security groups that it is in."""
        return tuple(known[self]["SecurityGroups"])

    def described(self, look: Look) -> Attrs | None:
        """Return what AWS says of it, None when it is not there."""

        def ask() -> Attrs | None:
            # What is no ARN of this region and account is told like a value of the wrong form.
            with absent("LoadBalancerNotFound", "ValidationError"):
                found = look.aws.client("elbv2").describe_load_balancers(LoadBalancerArns=[self.arn])
                return dict(found["LoadBalancers"][0])
            return None

        return look.once(self, ask)

    def find(self, look: Look) -> Attrs | None:
        if look.for_removal:
            return None
        found, vpc = self.described(look), self.vpc.find(look)
        key = "correct load_balancer.use"
        if found is None:
            raise UnusableError(f"there is no load balancer {self.name} in {look.aws.region}", key)
        if vpc and found["VpcId"] != vpc["VpcId"]:
            raise UnusableError(
                f"the load balancer {self.name} is in {found['VpcId']}, not in {vpc['VpcId']}",
                f"{key}, or network.use.vpc",
            )
        return {**found, "Zones": {each["ZoneName"] for each in found["AvailabilityZones"]}}


@dataclass(frozen=True, eq=False, kw_only=True)
class ExistingSubnets(Resource):
    """Subnets that are somebody else's."""

    kind = "existing-subnets"
    external = True
    vpc: ExistingVpc
    wanted: Sequence[str] | Mapping[str, str]  # ids, or tags
    # Of tasks: the load balancer, or its subnets. None: these are the load balancer's.
    beside: ExistingSubnets | ExistingLoadBalancer | None = None

    def ids(self, known: Known) -> tuple[str, ...]:
        """Return their ids."""
        return tuple(known[self]["SubnetIds"])

    def wants_addresses(self, known: Known) -> bool:
        """Tell whether nothing in one of them reaches the world without a public address of its own."""
        return bool(known[self]["Public"])

    def find(self, look: Look) -> Attrs | None:
        return None if look.for_removal else look.once(self, lambda: self._survey(look))

    def told(self, actual: Attrs) -> str:
        places = actual["Places"]
        if isinstance(self.wanted, Mapping):
            return ", ".join(f"{ident} in {zone}" for ident, zone in sorted(places.items()))
        return "in " + ", ".join(places[ident] for ident in self.wanted)  # their ids are their name

    def _survey(self, look: Look) -> Attrs:
        vpc = self.vpc.find(look)
        assert vpc
        subnets = self._described(look, vpc["VpcId"])
        ways = _ways_out(look, vpc["VpcId"], subnets)
        self._check(look, subnets, ways)
        return {
            "SubnetIds": sorted(subnets),
            "Zones": {each["AvailabilityZone"] for each in subnets.values()},
            "Places": {ident: each["AvailabilityZone"] for ident, each in subnets.items()},
            "Public": any(way and way.startswith("igw-") for way in ways.values()),
        }

    def _described(self, look: Look, vpc: str) -> dict[str, Attrs]:
        """Return the subnets by their ids. Raises UnusableError when they are not all there and in the VPC."""
        filters = _filters("subnet-id", self.wanted)
        if isinstance(self.wanted, Mapping):
            filters += _filters("vpc-id", vpc)
        found = look.aws.client("ec2").describe_subnets(Filters=filters)["Subnets"]
        subnets = {each["SubnetId"]: each for each in found}
        if isinstance(self.wanted, Mapping):
            if not subnets:
                raise self._unusable(f"no subnet of {vpc} is tagged {self.name}")
            return subnets
        missing = [ident for ident in self.wanted if ident not in subnets]
        if missing:
            raise self._unusable(f"there is no {' and no '.join(missing)} in {look.aws.region}")
        strange = [
            f"{ident} is in {each['VpcId']}" for ident, each in subnets.items() if each["VpcId"] != vpc
        ]
        if strange:
            raise self._unusable(f"{', '.join(sorted(strange))}, not in {vpc}")
        return subnets

    def _check(self, look: Look, subnets: Mapping[str, Attrs], ways: Mapping[str, str | None]) -> None:
        """Raise UnusableError when load balancer or tasks could not work in the subnets."""
        zones = {ident: each["AvailabilityZone"] for ident, each in subnets.items()}
        if self.beside is None:
            problems = [*_zone_problems(zones), *_public_problems(ways)]
        else:
            beside = self.beside.find(look)
            problems = [
                *_beside_problems(zones, beside["Zones"] if beside else set()),
                *self._way_problems(look, ways),
            ]
        if problems:
            raise self._unusable("; ".join(problems))

    def _way_problems(self, look: Look, ways: Mapping[str, str | None]) -> Iterator[str]:
        closed = sorted(ident for ident, way in ways.items() if way is None)
        vpc = self.vpc.find(look)
        lacking = _lacking_endpoints(look, vpc["VpcId"]) if closed and vpc else []
        if lacking:
            yield (
                f"{', '.join(closed)}: no route leads out, and the VPC lacks the endpoints {', '.join(lacking)}: tasks "
                "could not fetch their image there; add a NAT gateway and a route to it, or these endpoints"
            )

    def _unusable(self, problem: str) -> UnusableError:
        key = "load_balancer_subnets" if self.beside is None else "task_subnets"
        return UnusableError(problem, f"correct network.use.{key}, or the network")


def _filters(ident: str, wanted: str | Sequence[str] | Mapping[str, str]) -> list[dict[str, Any]]:
    if isinstance(wanted, Mapping):
        return [{"Name": f"tag:{key}", "Values": [value]} for key, value in wanted.items()]
    return [{"Name": ident, "Values": [wanted] if isinstance(wanted, str) else list(wanted)}]


def _ways_out(look: Look, vpc: str, subnets: Iterable[str]) -> dict[str, str | None]:
    """Return for each subnet what its default route leads to, None where there is none that leads anywhere."""

    def ask() -> list[Attrs]:
        found: list[Attrs] = look.aws.client("ec2").describe_route_tables(Filters=_filters("vpc-id", vpc))[
            "RouteTables"
        ]
        return found

    tables = look.once(("route tables", vpc), ask)
    own = {each.get("SubnetId"): table for table in tables for each in table["Associations"]}
    main = next((table for table in tables for each in table["Associations"] if each.get("Main")), {})
    return {subnet: _default_route(own.get(subnet, main)) for subnet in subnets}


def _default_route(table: Attrs) -> str | None:
    for route in table.get("Routes", ()):
        if route.get("DestinationCidrBlock") == _ANYWHERE and route.get("State") != "blackhole":
            targets = (value for key, value in route.items() if key.endswith("Id") and value)
            return next(targets, None)
    return None


def _lacking_endpoints(look: Look, vpc: str) -> list[str]:
    """Return the services that tasks without a way out need, and that the VPC has no endpoint for."""

    def ask() -> list[Attrs]:
        found: list[Attrs] = look.aws.client("ec2").describe_vpc_endpoints(Filters=_filters("vpc-id", vpc))[
            "VpcEndpoints"
        ]
        return found

    there = {each["ServiceName"] for each in look.once(("endpoints", vpc), ask)}
    return [each for each in NEEDED_ENDPOINTS if f"com.amazonaws.{look.aws.region}.{each}" not in there]


def _zone_problems(zones: Mapping[str, str]) -> Iterator[str]:
    """What a load balancer asks of its subnets: at least two zones, and one subnet in each."""
    if len(set(zones.values())) < 2:
        yield f"a load balancer needs subnets in two zones, and there is only {', '.join(sorted(zones)) or 'none'}"
    for zone in sorted(set(zones.values())):
        sharing = sorted(ident for ident, its in zones.items() if its == zone)
        if len(sharing) > 1:
            yield f"{' and '.join(sharing)} are both in {zone}: a load balancer takes one in each zone"


def _public_problems(ways: Mapping[str, str | None]) -> Iterator[str]:
    closed = sorted(ident for ident, way in ways.items() if not way or not way.startswith("igw-"))
    if closed:
        yield (
            f"{', '.join(closed)}: no route leads to an internet gateway, which a load balancer needs that faces "
            "the internet"
        )


def _beside_problems(zones: Mapping[str, str], usable: Iterable[str]) -> Iterator[str]:
    """A load balancer sends nothing to tasks in zones that it does not stand in (Target.NotInUse)."""
    strange = sorted(f"{ident} is in {zone}" for ident, zone in zones.items() if zone not in set(usable))
    if strange:
        yield f"{', '.join(strange)}, where the load balancer has no subnet: it would send nothing there"
