"""Images that an agent in Python shows a model, and what its run says of their files."""

from __future__ import annotations

from penstock.agents.context import RunContext
from penstock.models.calls.digests import digest_of_image
from penstock.models.chat_model import ChatMessage
from penstock.models.prompts.images import ImageFiles, message_with_data

__all__ = ["shown"]


def shown(ctx: RunContext, message: ChatMessage, images: ImageFiles) -> ChatMessage:
    """Put the data of files in place of their paths, and note in the run which files they were.

    So it can be told later that a file holds another image by now.

    Raises:
        ImageError: an image cannot be sent.
    """
    if not message.images:
        return message

    read = message_with_data(message, images)
    files = {
        named.url: digest_of_image(found.url)
        for named, found in zip(message.images, read.images, strict=True)
        if named.url != found.url and images.file(named.url) is not None
    }
    if files and not ctx.calls.evaluator_id:  # what scores an answer has not given it
        ctx.provenance["image_files"] = {**ctx.provenance.get("image_files", {}), **files}

    return read
