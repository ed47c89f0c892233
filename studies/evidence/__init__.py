"""What all studies share: the record of a study, its page of results, comparisons in pairs, where and how it runs."""

from studies.evidence.page import cell_text, result_pages, section, summarize_verdicts, write_results
from studies.evidence.setting import Setting
from studies.evidence.study import Study, read_study, spread
from studies.evidence.topics import Topic

__all__ = [
    "Setting",
    "Study",
    "Topic",
    "cell_text",
    "read_study",
    "result_pages",
    "section",
    "spread",
    "summarize_verdicts",
    "write_results",
]
