"""The times that files and databases alike are followed by."""

from typing import Final

GONE_S: Final = 5.0
"""How long something has to be away, in two looks, before it counts as missing."""
ACTIVE_S: Final = 600.0
"""How long after its last change a transcript is worth a look at every sweep."""
INDEX_AGAIN_S: Final = 5.0
"""How often an unchanged index is worth telling: absence of an entry counts by looks."""
EVENT_LAG_S: Final = 0.25
"""A change younger than this may have an event under way."""
