"""A logger plugin of Snakemake: what a run says on the terminal (`distillation_dynamics.jobs.terminal`).

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

    # It stands in the place of Snakemake's own words; its log under `.snakemake/log` goes on. What is quiet, and how
    # things are said, is decided here.
    writes_to_stream, writes_to_file = True, False
    has_filter, has_formatter, needs_rulegraph = True, True, False

    def __post_init__(self) -> None:
        # Late: Snakemake imports all plugins, whichever is used.
        from rich.console import Console
        from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

        from distillation_dynamics.jobs.terminal import Terminal

        settings = self.common_settings
        quiet: Collection[Any] = settings.quiet or set()
        stream = sys.stdout if settings.stdout else sys.stderr
        shown = settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds
        formatter = DefaultFormatter(quiet, settings.show_failed_logs)
        self.snakemake = ColorizingTextHandler(settings.nocolor, stream, formatter, DefaultFilter(quiet, *shown))
        self.terminal = None
        if not any(shown):
            console = Console(file=stream, no_color=settings.nocolor, highlight=False, markup=False, emoji=False)
            self.terminal = Terminal(console, self.snakemake, {str(kind).lower() for kind in quiet})

    def emit(self, record: LogRecord) -> None:
        """Say what an event means."""
        try:
            (self.snakemake.handle if self.terminal is None else self.terminal.take)(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Say how the run ended."""
        if self.terminal is not None:
            self.terminal.close()
        super().close()
