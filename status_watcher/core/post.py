"""Values about posts: what the server says one is, what we remember of ours, and how texts are compared."""

import hashlib
from dataclasses import dataclass

from status_watcher.model import BoxId, PostId, Target, UserId


@dataclass(frozen=True, slots=True)
class Marks:
    """What a post of ours carries in `props.status_watcher`, so that it can be found again."""

    nonce: str
    """Of one attempt to create one post; also its `pending_post_id`. Unguessable, for the server lets another
    user's create with the same one answer with our post (9.9)."""
    box: str
    """`box_tag` of the box, by which its post is found when our own state was lost."""


@dataclass(frozen=True, slots=True)
class RemotePost:
    """A post as the server shows it; `marks` is None for a post that is not ours."""

    post_id: PostId
    user_id: UserId
    created_at_ms: int
    text: str
    marks: Marks | None


@dataclass(frozen=True, slots=True)
class BoxRecord:
    """What must outlive this process about one box.

    `nonce` with an empty `post_id` is an intent: a create may or may not have reached the server.
    `text_sha256` is None where nobody knows what the post says. `gone`: a person deleted the post. `renewed`:
    the one new post that the site's edit time limit allows has been made.
    """

    box_id: BoxId
    target: Target
    nonce: str
    intent_at_ms: int
    post_id: PostId | None = None
    text_sha256: bytes | None = None
    ended: bool = False
    gone: bool = False
    renewed: bool = False
    kept_at_ms: int = 0
    """When an ended box was kept last, by the wall clock; known only of boxes that were read at the start."""


def sendable(text: str) -> str:
    """The text as the server would store it: no NUL (500 in 6.7 to 9.9), lone surrogates replaced."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


def digest(text: str) -> bytes:
    """Stands for a text where only equality matters."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def box_tag(box_id: BoxId) -> str:
    """Names a box in the props of its post without telling readers the session's id."""
    return hashlib.sha256(box_id.encode("utf-8", "replace")).hexdigest()[:32]
