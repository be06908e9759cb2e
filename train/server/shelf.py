"""Which board the page shows: a team's own, once imported, or the cards that the model knows."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from threading import Lock

from aac import obf
from aac.feedback import Feedback
from aac.io import UserError, read_json, write_atomic
from train.pages.board_pages import Known, first_board, known_cards, shown

log = logging.getLogger("aac")


class Shelf:
    """Args:
    home: the workspace's `dataset/`: an imported board is kept there as `board.obz`.
    cards: `cards.json` of step 1; where it is missing the first board is empty.
    images: the folder of its pictures.
    """

    def __init__(self, home: Path, cards: Path, images: Path) -> None:
        self.home, self._cards_file, self._images = home, cards, images
        self._lock, self._drawn = Lock(), b""

    @property
    def file(self) -> Path:
        return self.home / "board.obz"

    def drawn(self) -> bytes:
        """The board as JSON for the page; drawn once."""
        with self._lock:
            if not self._drawn:
                cards = self._known()
                self._drawn = json.dumps(shown(self._pages(cards), cards), ensure_ascii=False).encode(
                    "utf-8", "replace"
                )
            return self._drawn

    def take(self, data: bytes) -> None:
        """An imported board takes the place of the one there is.

        Raises:
            UserError: it is none.
            OSError: it cannot be kept.
        """
        pages = obf.read_bytes(data, "the file")
        with self._lock:
            write_atomic(self.file, obf.write_bytes(pages))
            self._drawn = b""

    def drop(self) -> None:
        """Back to the known cards."""
        with self._lock:
            self.file.unlink(missing_ok=True)
            self._drawn = b""

    def exported(self) -> bytes:
        """The board as an `.obz`."""
        return obf.write_bytes(self._pages(self._known()))

    def new_person(self, feedback: Feedback) -> int:
        """A number that nobody has, in the journals or among the workspace's personas."""
        path = self.home / "persona.json"
        told = [entry.get("id") for entry in (read_json(path) if path.exists() else ()) if isinstance(entry, dict)]
        return max((number for number in (*told, *feedback.people()) if isinstance(number, int)), default=0) + 1

    def _known(self) -> list[Known]:
        entries = read_json(self._cards_file)["cards"] if self._cards_file.exists() else ()
        return known_cards(entries, self._images)

    def _pages(self, cards: list[Known]) -> obf.PageSet:
        if self.file.exists():
            try:
                return obf.read_file(self.file)
            except UserError as error:
                log.warning("%s; the first board is shown", error)
        return first_board(cards)
