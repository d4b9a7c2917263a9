"""Jobs whose usage comes when their result is fetched, and routes that repeat what was charged.

Most jobs need no route: `other` reads them by their shape.  Here are those whose paths look like
other calls, and downloads, which would be unknown media.
"""

from urllib.parse import unquote

from pricing.reason import Reason
from proxy.dialects.contract import Endpoint, EndpointPath
from proxy.dialects.openai.chat import ChatReader
from proxy.dialects.other import OtherReader, free_endpoint
from proxy.exchange import Operation, Reading


class DeferredReader(ChatReader):
    """Reads a deferred completion: polled any number of times, and charged once.

    https://docs.x.ai/docs/guides/deferred-chat-completions.  While it is being made, the answer is
    202 without a body.
    """

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        draft.countable = False
        if not self.states_usage:
            draft.billable = False
            draft.flag(Reason.POLL)
        draft.response_id = draft.response_id or unquote(draft.ask.path.rpartition("/")[2])
        self.item = draft.response_id
        return super().close()


# https://docs.perplexity.ai/api-reference/async-chat-completions-post
ASYNC = Endpoint(name="perplexity.async_chat", operation=Operation.CHAT, reader=OtherReader)
DEFERRED = Endpoint(name="xai.deferred_chat", operation=Operation.CHAT, reader=DeferredReader)
# A stored completion, and OpenRouter's account of a generation
STORED = free_endpoint("openai.chat.stored", Operation.FETCH_RESPONSE, Reason.REPEATS_USAGE)
DOWNLOAD = free_endpoint("openai.download", Operation.FILES, Reason.NO_CHARGE_ENDPOINT)
GET = frozenset({"GET"})

ROUTES = (
    EndpointPath("/async/chat/completions(?:/[^/]+)?", ASYNC, frozenset({"GET", "POST"})),
    EndpointPath("/chat/deferred-completion/[^/]+", DEFERRED, GET),
    EndpointPath("/chat/completions/[^/]+(?:/messages)?|/api/v1/generation", STORED, GET),
    EndpointPath("/videos/[^/]+/content|/containers/[^/]+/files/[^/]+/content", DOWNLOAD, GET),
)
