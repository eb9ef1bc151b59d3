"""CloudWatch: metrics, and alarms that are really evaluated. moto's are not."""

from bgdeploy.sandbox.alarms.part import Alarms

__all__ = ["Alarms"]
