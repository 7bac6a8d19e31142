"""What a worker logs: kept for its parent, which shows it, since the terminal is the parent's."""

import logging


def keep_records() -> list[logging.LogRecord]:
    """A list that each record of this process is put into from now on, instead of into a display."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        """Keeps what the parent will show."""

        def emit(self, record: logging.LogRecord) -> None:
            """Keep the record with its text made, since a traceback cannot be pickled."""
            record.msg, record.args, record.exc_info = self.format(record), None, None
            records.append(record)

    logging.getLogger().handlers[:] = [Keep()]
    return records
