"""A notifier that a test can read: it adds a line to a file. Airflow imports it by its name."""

from pathlib import Path

from airflow.sdk import BaseNotifier, Context


class FileNotifier(BaseNotifier):
    """Writes its rendered message."""

    template_fields = ("message",)

    def __init__(self, file: str, message: str) -> None:
        super().__init__()
        self.file, self.message = file, message

    def notify(self, context: Context) -> None:
        """Add a line."""
        with Path(self.file).open("a") as lines:
            lines.write(f"{self.message}\n")
