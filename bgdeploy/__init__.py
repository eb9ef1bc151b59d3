"""Safe blue/green releases on AWS Fargate with CodeDeploy, and a local AWS to rehearse them in."""

__version__ = "0.1.0"
