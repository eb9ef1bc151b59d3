"""What an operator needs to be allowed: what bgdeploy calls, use by use, and the smallest IAM policy that lets it."""
