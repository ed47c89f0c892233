"""What all studies share: the record of a study, its page of results, comparisons in pairs, where and how it runs."""

from studies.evidence.page import cell_text, result_pages, section, summarize_verdicts, table_lines, write_results
from studies.evidence.rows import Rows, SealedRows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, read_study, spread
from studies.evidence.topics import Topic
from studies.evidence.verdicts import Part, verdict

__all__ = [
    "Part",
    "Rows",
    "SealedRows",
    "Setting",
    "Study",
    "Topic",
    "cell_text",
    "of",
    "read_study",
    "result_pages",
    "section",
    "spread",
    "summarize_verdicts",
    "table_lines",
    "verdict",
    "write_results",
]
