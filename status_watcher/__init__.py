"""One live-edited Mattermost post per OpenClaw agent turn."""

__version__ = "0.1.0"
