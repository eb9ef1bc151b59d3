"""The load balancers' data plane: one process that listens for all of them, checks targets and passes requests on.

It knows nothing of AWS's API. On its standard input it is told, one JSON document a line, everything it should be
(listeners with routes, target groups with targets); on its standard output it tells, a line each, what it found out:
health, targets that have drained, ports it could not open, what it has served. It ends when its standard input does.
"""
