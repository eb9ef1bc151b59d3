"""The engine of provisioning: resources, differences, plans and the walk. It knows no AWS service."""
