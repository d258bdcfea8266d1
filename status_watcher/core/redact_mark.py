"""What stands where a secret stood."""

from typing import Final

REDACTED: Final = "(redacted)"
"""In brackets that Markdown leaves alone, so that it survives neutralising; no rule takes it for a value."""
