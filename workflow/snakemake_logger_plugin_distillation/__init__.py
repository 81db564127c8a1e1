"""A logger plugin of Snakemake: what a run says on the terminal, told by `distillation_dynamics.jobs.terminal`.

Snakemake finds it by its name (`--logger distillation`); `profiles/default` puts it in the place of Snakemake's own.
"""

import sys
from collections.abc import Collection
from logging import LogRecord
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase

NAME = __name__.removeprefix("snakemake_logger_plugin_")


def register() -> None:
    """Make the plugin known to Snakemake where it lies beside the workflow and is not installed."""
    from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

    LoggerPluginRegistry().register_plugin(__name__, sys.modules[__name__])


class LogHandler(LogHandlerBase):
    """Hands events to the terminal, and to Snakemake's own words where those are wanted."""

    def __post_init__(self) -> None:
        # Late: Snakemake imports all plugins, whichever is used.
        from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

        from distillation_dynamics.jobs.terminal import Terminal

        said = self.common_settings
        quiet: Collection[Any] = said.quiet or set()
        stream = sys.stdout if said.stdout else sys.stderr
        own = DefaultFilter(quiet, said.debug_dag, said.verbose, said.dryrun, said.printshellcmds)
        self.plain = ColorizingTextHandler(said.nocolor, stream, DefaultFormatter(quiet, said.show_failed_logs), own)
        names = {str(kind).lower() for kind in quiet}
        self.terminal = None
        if not (said.dryrun or said.verbose or said.printshellcmds or said.debug_dag):
            self.terminal = Terminal(stream, self.plain, names, stream.isatty())

    def emit(self, record: LogRecord) -> None:
        """Say what an event means."""
        try:
            (self.plain.handle if self.terminal is None else self.terminal.take)(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Say how the run ended."""
        if self.terminal is not None:
            self.terminal.close()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """It stands in the place of Snakemake's own words."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's own log under `.snakemake/log` goes on beside it."""
        return False

    @property
    def has_filter(self) -> bool:
        """What is quiet it knows itself."""
        return True

    @property
    def has_formatter(self) -> bool:
        """What is said it forms itself."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It draws none."""
        return False
