"""The teacher behind any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aac.io import UserError
from dataset.prepare.teachers.ask import Ask, Turn, answer_format, data_url, messages
from dataset.prepare.teachers.openai_settings import Settings
from dataset.prepare.teachers.remote import Outcome, RemoteTeacher
from dataset.prepare.teachers.reply import read_reply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["Settings", "Teacher"]


class Teacher(RemoteTeacher):
    """Asks by `chat.completions`; the answer's form is given as a JSON schema."""

    variables = "OPENAI"

    def connect(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)  # their debug lines hold whole requests
        settings = self.settings
        try:
            return AsyncOpenAI(
                api_key=settings.key, base_url=settings.base_url, timeout=settings.timeout, max_retries=0
            )
        except ImportError:
            raise UserError("ALL_PROXY: a SOCKS proxy needs a package more: pip install socksio; or unset it") from None
        except OSError as error:  # an SSLError is one
            raise UserError(f"SSL_CERT_FILE: no certificates that can be read ({error}); mend or unset it") from None
        except Exception:  # the libraries' own kinds; their text may hold a proxy's password
            raise UserError(
                "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: no address of a proxy (http://host:port); mend or unset it"
            ) from None

    async def send(self, client: AsyncOpenAI, ask: Ask, turns: Sequence[Turn]) -> Outcome:
        import openai

        settings = self.settings
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": messages(ask, settings.voice, turns, data_url),
            "response_format": answer_format(ask),
        }
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        try:
            reply = await client.chat.completions.with_raw_response.create(**body)
            return Outcome(read_reply(reply.text), "broken body", reply.text)
        except openai.APITimeoutError:
            return Outcome(reason="time-out")
        except openai.APIConnectionError as error:
            return Outcome(reason="no connection", said=str(error.__cause__ or error))
        except openai.APIStatusError as error:
            pause = _seconds(error.response.headers.get("retry-after"))
            return Outcome(reason=str(error.status_code), said=error.response.text, pause=pause)
        except (openai.APIError, ValueError) as error:  # a header that cannot be sent, a body of no encoding
            return Outcome(reason="broken body", said=str(error))


def _seconds(header: str | None) -> float:
    try:
        return max(float(header or 0), 0.0)
    except ValueError:  # a date
        return 0.0
