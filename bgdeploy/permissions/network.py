"""What is called for the network, the stack's own or another's, and for the load balancer in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bgdeploy.permissions import scopes as on
from bgdeploy.permissions.call import besides, calls
from bgdeploy.permissions.kind import ELECTED, TOLD, Kind
from bgdeploy.provision.resource import Resource
from bgdeploy.resources import (
    endpoints,
    existing,
    listeners,
    load_balancer,
    network,
    routing,
    security,
)

_RETAG = calls("ec2", "CreateTags", on.NETWORK)
_TAGGED = besides("ec2:CreateTags", on.NEW_TAGS)
_TAGS_OF = calls("elbv2", "DescribeTags", on.ANYTHING)

NETWORK: Mapping[type[Resource], Kind] = {
    network.Vpc: Kind(
        look=calls("ec2", "DescribeVpcs", on.ANYTHING),
        make=calls("ec2", "CreateVpc", on.new("vpc"), besides=_TAGGED) + _RETAG + ELECTED,
        drop=calls("ec2", "DeleteVpc", on.NETWORK),
        sweeps=True,
    ),
    network.Subnet: Kind(
        look=calls("ec2", "DescribeSubnets", on.ANYTHING),
        survey=calls("ec2", "DescribeNetworkInterfaces", on.ANYTHING),
        make=calls("ec2", "DescribeAvailabilityZones", on.ANYTHING)
        + calls("ec2", "CreateSubnet", on.new("subnet"), on.NETWORK, besides=_TAGGED)
        + _RETAG,
        drop=calls("ec2", "DeleteSubnet", on.NETWORK),
        sweeps=True,
    ),
    routing.InternetGateway: Kind(
        look=calls("ec2", "DescribeInternetGateways", on.ANYTHING),
        make=calls("ec2", "CreateInternetGateway", on.new("internet-gateway"), besides=_TAGGED)
        + calls("ec2", "AttachInternetGateway DetachInternetGateway", on.NETWORK)
        + _RETAG
        + ELECTED,
        drop=calls("ec2", "DetachInternetGateway DeleteInternetGateway", on.NETWORK),
        sweeps=True,
    ),
    routing.RouteTable: Kind(
        look=calls("ec2", "DescribeRouteTables", on.ANYTHING),
        make=calls("ec2", "CreateRouteTable", on.new("route-table"), on.NETWORK, besides=_TAGGED)
        + calls("ec2", "CreateRoute ReplaceRoute AssociateRouteTable DisassociateRouteTable", on.NETWORK)
        + calls("ec2", "ReplaceRouteTableAssociation", on.NETWORK)
        + _RETAG
        + ELECTED,
        drop=calls("ec2", "DisassociateRouteTable DeleteRouteTable", on.NETWORK),
        sweeps=True,
    ),
    routing.Address: Kind(
        look=calls("ec2", "DescribeAddresses", on.ANYTHING),
        make=calls("ec2", "AllocateAddress", on.new("elastic-ip"), besides=_TAGGED) + _RETAG + ELECTED,
        drop=calls("ec2", "ReleaseAddress", on.NETWORK),
        sweeps=True,
    ),
    routing.NatGateway: Kind(
        look=calls("ec2", "DescribeNatGateways", on.ANYTHING),
        make=calls("ec2", "CreateNatGateway", on.new("natgateway"), on.NETWORK, besides=_TAGGED) + _RETAG,
        drop=calls("ec2", "DeleteNatGateway", on.NETWORK),
        sweeps=True,
    ),
    endpoints.Endpoint: Kind(
        look=calls("ec2", "DescribeVpcEndpoints", on.ANYTHING)
        + calls("ec2", "DescribeVpcAttribute", on.NETWORK),
        make=calls("ec2", "CreateVpcEndpoint", on.new("vpc-endpoint"), on.NETWORK, besides=_TAGGED)
        # Endpoints need the names of the VPC on, and no route to lead anywhere else.
        + calls("ec2", "ModifyVpcEndpoint ModifyVpcAttribute DeleteRoute", on.NETWORK)
        + _RETAG,
        drop=calls("ec2", "DeleteVpcEndpoints", on.NETWORK),
        sweeps=True,
    ),
    security.SecurityGroup: Kind(
        look=calls("ec2", "DescribeSecurityGroups DescribeTags", on.ANYTHING),
        make=calls("ec2", "CreateSecurityGroup", on.new("security-group"), on.NETWORK, besides=_TAGGED)
        + calls("ec2", "AuthorizeSecurityGroupIngress RevokeSecurityGroupIngress", on.NETWORK)
        + calls("ec2", "AuthorizeSecurityGroupEgress RevokeSecurityGroupEgress", on.NETWORK)
        + _RETAG,
        drop=calls("ec2", "DeleteSecurityGroup", on.NETWORK),
        sweeps=True,
    ),
    existing.ExistingVpc: Kind(
        survey=calls("ec2", "DescribeVpcs", on.ANYTHING),
        make=calls("ec2", "CreateSecurityGroup", on.EXISTING_VPC),
    ),
    existing.ExistingSubnets: Kind(
        survey=calls("ec2", "DescribeSubnets DescribeRouteTables DescribeVpcEndpoints", on.ANYTHING)
    ),
    existing.ExistingLoadBalancer: Kind(survey=calls("elbv2", "DescribeLoadBalancers", on.ANYTHING)),
}

BALANCING: Mapping[type[Resource], Kind] = {
    load_balancer.LoadBalancer: Kind(
        survey=TOLD,
        look=calls("elbv2", "DescribeLoadBalancers DescribeLoadBalancerAttributes", on.ANYTHING) + _TAGS_OF,
        make=calls(
            "elbv2",
            "CreateLoadBalancer",
            on.BALANCER,
            besides=(
                *besides("elasticloadbalancing:AddTags", on.BALANCER),
                *besides("iam:CreateServiceLinkedRole", on.linked("elasticloadbalancing.amazonaws.com")),
            ),
        )
        + calls("elbv2", "SetSubnets SetSecurityGroups ModifyLoadBalancerAttributes AddTags", on.BALANCER),
        drop=calls("elbv2", "DeleteLoadBalancer", on.BALANCER),
    ),
    load_balancer.TargetGroup: Kind(
        survey=TOLD,
        look=calls("elbv2", "DescribeTargetGroups DescribeTargetGroupAttributes", on.ANYTHING) + _TAGS_OF,
        make=calls(
            "elbv2",
            "CreateTargetGroup",
            on.TARGET_GROUPS,
            besides=besides("elasticloadbalancing:AddTags", on.TARGET_GROUPS),
        )
        + calls("elbv2", "ModifyTargetGroup ModifyTargetGroupAttributes AddTags", on.TARGET_GROUPS),
        drop=calls("elbv2", "DeleteTargetGroup", on.TARGET_GROUPS),
    ),
    listeners.Listener: Kind(
        survey=TOLD,
        look=calls("elbv2", "DescribeLoadBalancers DescribeListeners", on.ANYTHING) + _TAGS_OF,
        make=calls(
            "elbv2",
            "CreateListener",
            on.BALANCER,
            besides=besides("elasticloadbalancing:AddTags", on.LISTENERS),
        )
        + calls("elbv2", "ModifyListener AddTags RemoveTags", on.LISTENERS),
        drop=calls("elbv2", "DeleteListener", on.LISTENERS),
        sweeps=True,
    ),
}
