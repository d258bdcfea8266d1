"""From "this box should say X now" to a post that says it, once, truthfully."""

from status_watcher.publisher.health import PublisherHealth
from status_watcher.publisher.ports import Boxes
from status_watcher.publisher.publisher import Publisher
from status_watcher.publisher.settings import PublisherSettings

__all__ = ["Boxes", "Publisher", "PublisherHealth", "PublisherSettings"]
