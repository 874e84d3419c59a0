"""Alerts on a bot's recorder: records lost, a queue or journal that fills, a ledger that does not add up."""

from __future__ import annotations

from typing import Final

from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.alerts.alert import Alert, Job, Runbook, Severity
from otel_obs.contract.alerts.promql import AGE, AT, SERVICE, WHO, asked, counted, counted_of, number, of, told
from otel_obs.contract.dashboards import Dashboard
from otel_obs.contract.tiers import Loss, Tier

_WINDOW: Final = "<drop_window>"
_DURABLE: Final = f'tier="{Tier.DURABLE}"'
_OTHERS: Final = f'tier!="{Tier.DURABLE}"'
_REFUSED: Final = f'reason=~"{Loss.REFUSED}|{Loss.TOO_LARGE}"'
_NOT_REFUSED: Final = f'reason!~"{Loss.REFUSED}|{Loss.TOO_LARGE}"'
_ILL: Final = 'state=~"disk_full|unwritable"'


def _dropped(*matchers: str) -> str:
    """Records dropped within the window, whatever their tier and reason; from 0.5 on it is one."""
    return f"sum without (tier, reason) ({counted(metrics.RECORDS_DROPPED, _WINDOW, *matchers)})"


def _by(label: str, *matchers: str) -> str:
    return told(metrics.RECORDS_DROPPED, label, _WINDOW, *matchers)


_COUNT: Final = '{{ $value | printf "%.0f" }}'
_PERCENT: Final = "{{ $value | humanizePercentage }}"
_REPORT: Final = f"otel-obs report delivery --from -1h{SERVICE}"
_EXAMPLE: Final = {"service": "my-bot", "instance": "127.0.0.1:9464"}
_WAITING: Final = "(sum without (tier) ({}) + {})"
_WAITS: Final = _WAITING.format(of(metrics.RECORDS_WAITING), of(metrics.ADOPTED_WAITING))
_WAITED: Final = _WAITING.format(
    f"{of(metrics.RECORDS_WAITING)} offset <journal_window>", f"{of(metrics.ADOPTED_WAITING)} offset <journal_window>"
)
_LOOK_AT_RECEIVER: Final = "`otel-obs doctor` in the bot's environment: who takes its records, and what does it answer?"

ALERTS: Final = (
    Alert(
        name="DurableRecordsDropped",
        severity=Severity.CRITICAL,
        component=Job.BOTS,
        expression=f"{_dropped(_DURABLE)} > 0.5",
        summary=f"{WHO} lost {_COUNT} durable records in {_WINDOW}",
        description=f"By reason: {_by('reason', _DURABLE)}. Durable are orders, fills, vetoes and decisions that "
        "acted: what happened there stands in no report. The bot trades on.",
        look=_REPORT,
        example="By reason: journal_full 12, disk_full 3. Durable are orders, fills, vetoes and decisions that acted: "
        "what happened there stands in no report. The bot trades on.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="Records that are dropped last were dropped. The ledger says how many and why; what they said is "
            "gone, and has to be taken from the venue's own books.",
            first=(
                (
                    "`journal_full`, `disk_full`, `unwritable`: the journal; look for JournalNearFull and "
                    "JournalUnwritable of the same bot, and at `df -h` on its disk."
                ),
                "`refused`, `too_large`: the receiver; look for ReceiverRefusing.",
                (
                    "`otel-obs report delivery --from -1h --service BOT`: which instance, how many, and what is still "
                    "to come."
                ),
            ),
            causes=(
                "The receiver is away for longer than the journal holds.",
                "The disk is full, or the directory may not be written.",
                "`ended`: the bot went on to speak after `shutdown()`.",
            ),
            mend=(
                "Bring the receiver back: what waits is sent by itself, and room is made.",
                "Give the journal more room: OTEL_OBS_JOURNAL_MAX_BYTES, on a disk that has it.",
                "Compare orders and fills of these minutes with the venue's.",
            ),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="RecordsDropped",
        severity=Severity.WARNING,
        component=Job.BOTS,
        expression=f"{_dropped(_OTHERS, _NOT_REFUSED)} > <drop_max> + 0.5",
        summary=f"{WHO} dropped {_COUNT} records in {_WINDOW}",
        description=f"By tier: {_by('tier', _OTHERS, _NOT_REFUSED)}; by reason: "
        f"{_by('reason', _OTHERS, _NOT_REFUSED)}. Reports on these minutes lack them; orders and fills are told apart.",
        look=_REPORT,
        example="By tier: best_effort 200, standard 40; by reason: queue_full 200, kill_switch 40. Reports on these "
        "minutes lack them; orders and fills are told apart.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="The bot said more than could be kept, and what is cheapest was dropped first, counted. Decisions "
            "to hold and stages are missing from reports; nothing durable is.",
            first=(
                (
                    "`queue_full`, `kill_switch`: more was said than written; what did the bot say so much of? "
                    "`otel-obs report stages --from -1h --service BOT`."
                ),
                "`journal_full`: the receiver was away; look for JournalGrowing, CollectorDown, StoreDown.",
                "Does the machine have CPU to spare? The writer's thread shares it with the bot.",
            ),
            causes=(
                "A burst, or a loop that records each tick.",
                "A bot that holds the interpreter for seconds, so that the writer cannot run.",
                "A receiver that is away.",
            ),
            mend=(
                "Record less, or sample: a stage per tick is seldom worth it.",
                "A larger queue for bursts: OTEL_OBS_MAX_QUEUE and OTEL_OBS_MAX_QUEUE_BYTES.",
                "A backtest that must lose nothing: let it wait, OTEL_OBS_BLOCK.",
            ),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="QueueNearFull",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{of(metrics.QUEUE_FILL)} > <bot_queue_ratio>",
        lasting="<bot_queue_for>",
        summary=f"{WHO}: its queue of records is {_PERCENT} full",
        description="It is emptied twenty times a second, and was that full for <bot_queue_for>. Above 80% it drops "
        "the cheapest records, above 95% all but durable ones.",
        look=_REPORT,
        example="It is emptied twenty times a second, and was that full for 1m. Above 80% it drops the cheapest "
        "records, above 95% all but durable ones.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="The bot says more than its recorder's writer can write, and has for a while. Nothing is lost yet.",
            first=(
                "What does it say so much of? `otel-obs report stages --from -15m --service BOT`.",
                "`top -H -p PID`: does the thread `otel_obs writer` get the CPU?",
            ),
            causes=(
                "A loop that records each tick.",
                "A machine without CPU to spare.",
                "A slow disk under the journal.",
            ),
            mend=(
                "Record less, or sample.",
                "OTEL_OBS_MAX_QUEUE and OTEL_OBS_MAX_QUEUE_BYTES, if it is a burst and there is memory.",
            ),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="KillSwitchOn",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{of(metrics.KILL_SWITCH)} == 1\nor ({counted(metrics.KILL_SWITCHES, _WINDOW)}) > 0.5",
        summary=f"{WHO} recorded durable records only",
        description=f"{AT}Its queue was full to 95%. The kill switch is "
        f"{{{{ if {asked(metrics.KILL_SWITCH.name + '{%s} == 1')} }}}}on{{{{ else }}}}off again{{{{ end }}}}; it went "
        f"on {number(f'sum({counted_of(metrics.KILL_SWITCHES, _WINDOW)})')} times in {_WINDOW}. The bot trades on, and "
        "orders and fills are kept.",
        look=_REPORT,
        example="Its queue was full to 95%. The kill switch is on; it went on 2 times in 15m. The bot trades on, and "
        "orders and fills are kept.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="To protect the bot and its durable records, everything else was left out for a while: reports "
            "on that time are not complete. It switches back by itself once the queue has emptied.",
            first=(
                "Is it still on? `curl -s http://INSTANCE/metrics | grep otel_obs_kill_switch`.",
                "`otel-obs report delivery --from -1h --service BOT`: how many records it cost.",
                "What did the bot say so much of? `otel-obs report stages --from -15m --service BOT`.",
            ),
            causes=("A loop that records each tick.", "A writer that does not run: look for WriterStuck."),
            mend=("Record less, or sample.", "Enlarge the queue for bursts: OTEL_OBS_MAX_QUEUE."),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="WriterStuck",
        severity=Severity.CRITICAL,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{of(metrics.TIME)} - {of(metrics.QUEUE_SINCE)} > <writer_late:s>",
        summary=f"{WHO}: what it says has not been written for {AGE}",
        description="Records lie in the bot's memory, where a crash loses them; within <writer_late> they should be in "
        "its journal. When the queue is full, they are dropped.",
        look=_REPORT,
        example="Records lie in the bot's memory, where a crash loses them; within 30s they should be in its journal. "
        "When the queue is full, they are dropped.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="The recorder's writer takes nothing from the queue. As a rule that takes 50 ms.",
            first=(
                "`py-spy dump --pid PID`: is the thread `otel_obs writer` there, and where does it stand?",
                "Does the disk of the journal answer? `ls` in OTEL_OBS_JOURNAL; a network disk may hang.",
                "The bot's log: messages of otel_obs.",
            ),
            causes=(
                "A disk that hangs.",
                "A bot that holds the interpreter: a long computation in C that does not give it back.",
                "A process that was suspended.",
            ),
            mend=("Put the journal on a local disk.", "Restart the bot when its market is closed."),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="JournalGrowing",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.COLLECTOR,
        expression=f"{of(metrics.TIME)} - {of(metrics.WAITING_SINCE)} > <journal_oldest:s>\n"
        f"unless {_WAITS} < {_WAITED}",
        lasting="<journal_window>",
        summary=f"{WHO}: its records have not been delivered for {AGE}",
        description=f"{AT}{number(f'sum({metrics.RECORDS_WAITING.name}{{%s}})')} wait in its journal, and do not "
        f"become less. {number(f'sum({metrics.EXPORTER_FAILED_SINCE.name}{{%s}})')} attempts failed one after the "
        "other. Nothing is lost until the journal is full.",
        look="otel-obs doctor",
        example="4000 wait in its journal, and do not become less. 12 attempts failed one after the other. Nothing is "
        "lost until the journal is full.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="The bot keeps on disk what nobody takes. It trades on, and sends all of it, oldest first, when "
            "the receiver is back.",
            first=(
                _LOOK_AT_RECEIVER,
                "`otel-obs journal ls`: how much waits, since when.",
                "The bot's log: the last error of its exporter.",
            ),
            causes=(
                "The collector or the store is away, or refuses for want of room.",
                "OTEL_EXPORTER_OTLP_ENDPOINT points elsewhere, or its password is wrong.",
                "More is said than the receiver takes.",
            ),
            mend=("Bring the receiver back: the rest happens by itself.",),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="JournalNearFull",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{of(metrics.JOURNAL_BYTES)} / ({of(metrics.JOURNAL_LIMIT)} > 0) > <journal_ratio>",
        summary=f"{WHO}: its journal is {_PERCENT} full",
        description=f"{AT}It may hold {{{{ with {asked(metrics.JOURNAL_LIMIT.name + '{%s}')} }}}}"
        "{{ . | first | value | humanize1024 }}B{{ end }}. When it is full, records are dropped: the cheapest first, "
        "durable ones last.",
        look="otel-obs doctor",
        example="It may hold 512MiB. When it is full, records are dropped: the cheapest first, durable ones last.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="What nobody takes has nearly used up the room that it may use. Nothing is lost yet; soon it is.",
            first=(
                _LOOK_AT_RECEIVER,
                "`otel-obs journal ls`: is it this process's, or what dead ones left?",
                "`df -h` on its disk: is there room for a larger bound?",
            ),
            causes=("A receiver that was away for long.", "Journals of processes that nobody adopted."),
            mend=(
                "Bring the receiver back.",
                "Until then: a larger OTEL_OBS_JOURNAL_MAX_BYTES at the bot's next start.",
                "`otel-obs journal replay` sends what dead processes left, to another receiver, too.",
            ),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="JournalUnwritable",
        severity=Severity.CRITICAL,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{of(metrics.JOURNAL_STATE, _ILL)} == 1",
        lasting="<down_for>",
        summary=f"{WHO}: its journal cannot be written ({{{{ $labels.state }}}})",
        description="What is not delivered yet is in memory only: a crash loses it, and when memory is full, durable "
        "records are dropped as well. The bot trades on.",
        look="otel-obs doctor",
        example="What is not delivered yet is in memory only: a crash loses it, and when memory is full, durable "
        "records are dropped as well. The bot trades on.",
        example_labels={**_EXAMPLE, "state": "disk_full"},
        runbook=Runbook(
            meaning="The promise about durable records rests on the journal, and there is none at the moment.",
            first=(
                "`disk_full`: `df -h` and `df -i` on the disk of OTEL_OBS_JOURNAL, and quotas.",
                "`unwritable`: whose is the directory, and is the disk read-only? `touch` a file there as its user.",
            ),
            causes=("A full disk, of logs as a rule.", "A directory of another user.", "A read-only file system."),
            mend=("Make room, or correct the rights: the recorder tries again by itself.",),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="RecordsUnconfirmed",
        severity=Severity.WARNING,
        component=Job.BOTS,
        expression=f"({counted(metrics.ADOPTED_UNCONFIRMED, _WINDOW)}) > 0.5",
        summary=f"{WHO}: {_COUNT} records died with an earlier process",
        description="It was killed between saying them and writing them to its journal. That they are missing is all "
        "that is known of them.",
        look=_REPORT,
        example="It was killed between saying them and writing them to its journal. That they are missing is all that "
        "is known of them.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="An earlier process of this bot ended without warning, and what it said in its last moments is "
            "gone: at most 256 records or 50 milliseconds. All before is delivered.",
            first=(
                "`otel-obs report delivery --from -1d --service BOT`: which instance, which tier, which numbers.",
                "Why did it die? The kernel's log for out of memory, the service manager's for kill -9.",
                "Durable ones: compare orders and fills of its last second with the venue's.",
            ),
            causes=("Killed for memory, or with -9.", "A crash in a library written in C.", "Power."),
            mend=(
                "Mend what killed it.",
                "Where not even one record may be lost: OTEL_OBS_JOURNAL_SYNC, at the price its documentation names.",
            ),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="LedgerDoesNotAddUp",
        severity=Severity.CRITICAL,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{of(metrics.LEDGER_DIFFERENCE)} > 0",
        lasting="<ledger_for>",
        summary=f"{WHO}: {_COUNT} records are in no place that its ledger knows",
        description="Of what was journaled, what was delivered, lost and still waits do not make up the whole, for "
        "<ledger_for>. Records are missing or counted twice: trust no report's completeness until this is explained.",
        look=_REPORT,
        example="Of what was journaled, what was delivered, lost and still waits do not make up the whole, for 2m. "
        "Records are missing or counted twice: trust no report's completeness until this is explained.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="This is a fault of the recorder, or of the files under it, and never of the bot.",
            first=(
                "`otel-obs report delivery --from -1h --service BOT`: does the store miss numbers? It names them.",
                "`otel-obs journal verify`: are its files damaged?",
                "Keep the journal's directory: copy it before anything else.",
            ),
            causes=(
                "Somebody deleted or restored files of the journal under a running bot.",
                "A disk that lost what it had acknowledged.",
                "A defect of ours: report it with the copy and `print(otel_obs.delivery())`.",
            ),
            mend=("Restart the bot when its market is closed: it begins a ledger of its own.",),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="ReceiverRefusing",
        severity=Severity.WARNING,
        component=Job.BOTS,
        expression=f"{_dropped(_REFUSED)} > 0.5",
        summary=f"{WHO}: {_COUNT} of its records were refused for good",
        description=f"By reason: {_by('reason', _REFUSED)}; by tier: {_by('tier', _REFUSED)}. They are set aside in "
        "its journal and not sent again; all others go on.",
        look="otel-obs doctor",
        example="By reason: refused 5, too_large 1; by tier: durable 4, standard 2. They are set aside in its journal "
        "and not sent again; all others go on.",
        example_labels=_EXAMPLE,
        runbook=Runbook(
            meaning="The receiver called some records wrong or too large. They were found by halving and set aside, so "
            "that they hold nothing else up.",
            first=(
                "`otel-obs journal show`: what was refused, and the receiver's answer.",
                _LOOK_AT_RECEIVER,
            ),
            causes=(
                "A record beyond what the receiver takes in one request (413).",
                "A receiver of another kind than OTLP behind that address (400).",
                "A processor of the collector that refuses.",
            ),
            mend=(
                "Say less in one record: a whole order book is no evidence.",
                "Mend the receiver. What was set aside is counted as lost: `otel-obs journal show --refused`.",
            ),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
)
