"""The local AWS: a gateway in front of moto, and an engine behind it that brings it alive.

It shares no code and no constants with the orchestrator, or the two would agree on each other's mistakes.
"""
