"""Whoever attends a deployment: claims its checks, runs them, answers the hook, gives up, stops."""
