"""What is called for one kind of resource, and what several kinds call alike. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.permissions import scopes as on
from bgdeploy.permissions.call import Calls, besides, calls


@dataclass(frozen=True)
class Kind:
    """The calls for one kind."""

    look: Calls = ()
    survey: Calls = ()  # to look around, as a teardown does not: at what is somebody else's, at all tags at once
    make: Calls = ()
    drop: Calls = ()
    sweeps: bool = False  # provision removes too: what is forgotten, and what came second in a race


# A key that is not there reads as forbidden to whoever may not list the bucket.
SEEN = besides("s3:ListBucket", on.BUCKET)
# Of several that were made at once, the bucket tells which counts.
ELECTED = calls("s3", "GetObject", on.ELECTIONS, besides=SEEN) + calls("s3", "PutObject", on.ELECTIONS)
# The tags of the whole stack in one call, which a removal does not rely on.
TOLD = calls("resourcegroupstaggingapi", "GetResources", on.ANYTHING)
