"""What the command line settles: every step reads its settings and finds its files through this one object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataset.prepare.teachers.openai_settings import Settings

CLIP_IMAGE = "sentence-transformers/clip-ViT-B-32"
CLIP_TEXT = "sentence-transformers/clip-ViT-B-32-multilingual-v1"


@dataclass(frozen=True)
class Options:
    """What the command line settles; paths are absolute."""

    home: Path  # the workspace's dataset/
    images: Path
    output: Path
    personas: Path
    samples_per_persona: int = 200
    seed: int = 42
    encoder: str = "offline"
    clip_image: str = CLIP_IMAGE
    clip_text: str = CLIP_TEXT
    full_embeddings: bool = False
    clusters: int = 64
    teacher: str = "grammar"
    labels: Path | None = None
    start: int = 0
    limit: int | None = None
    remote: Settings | None = None
    send_personas: tuple[str, ...] | None = None
    append: bool = False

    def file(self, name: str) -> Path:
        return self.output / name

    @property
    def corrections(self) -> Path:
        """What people put right by hand."""
        return self.home / "corrections.jsonl"

    @property
    def journal(self) -> Path:
        """What a paid teacher answered."""
        return self.home / "teacher_journal.jsonl"

    @property
    def feedback(self) -> Path:
        """What people did with the sentences they were offered, a file a person."""
        return self.home / "feedback"

    @property
    def asked(self) -> tuple[str, str]:
        """Whom a remote teacher asks, and in which voice."""
        return (self.remote.model, self.remote.voice) if self.remote else ("", "first")
