"""What of a Mattermost server's configuration the sandbox knows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`RateLimitSettings`: `per_s` requests a second in the long run, `burst` more at once.

    Counted by the client's address, or by the token as sent (`vary_by_user`).
    """

    per_s: int = 10
    burst: int = 100
    vary_by_user: bool = False


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Defaults are those of 9.9."""

    max_post_chars: int = 16_383
    max_props_chars: int = 800_000
    max_payload_bytes: int = 300_000
    edit_time_limit_s: int = -1
    """Seconds after which the text of a post is fixed; -1 for never."""
    rate_limit: RateLimit | None = None
    dedup_window_s: float = 30.0
    """How long a `pending_post_id` answers with the post that it made."""
    enable_developer: bool = False
    """Real servers in this mode put the token into the `detailed_error` of a 401; so does the sandbox."""
    websocket_auth_timeout_s: float = 5.0
    websocket_ping_s: float = 60.0
    idle_timeout_s: float = 60.0
    """After which an idle keep-alive connection is closed without notice."""
    gzip_from_bytes: int = 1_200
