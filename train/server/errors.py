"""What a request is refused with: OpenAI's error shape, the right status, and nothing of what was sent."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.responses import Response

log = logging.getLogger("aac")
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A refusal. Its message is for whoever builds the app: it names places and remedies, and repeats no value.

    Args:
        status: of HTTP.
        code: a short name for programs.
        param: the part of the body that is wrong.
        retry_after: whole seconds after which the same request may do.
    """

    def __init__(
        self, status: int, message: str, code: str = "", param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.retry_after = status, message, code, param, retry_after

    def body(self) -> dict[str, Any]:
        """OpenAI's shape."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code or None}}

    def response(self) -> Response:
        from starlette.responses import JSONResponse

        headers = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        if self.status == 401:  # what a browser asks its user for: any name, and the key
            headers["www-authenticate"] = 'Basic realm="aac", charset="UTF-8"'
        return JSONResponse(self.body(), self.status, headers)


def bad(param: str, message: str) -> ApiError:
    """400: a part of the body is not what it must be."""
    return ApiError(400, f"{param}: {message}", "invalid_value", param)


def failed() -> ApiError:
    """500: it is our fault, and the log says where."""
    return ApiError(500, "The server failed to answer this request; its log says where.", "failed")


def report(error: Exception) -> None:
    """Log where a fault happened, without its text: that may hold what was asked."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.error("a request failed: %s in %s, line %d", type(error).__name__, Path(frame.filename).name, frame.lineno)
