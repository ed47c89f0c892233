"""What all studies share: the record of a study, its page of results, comparisons in pairs, where and how it runs."""

from studies.evidence.page import section, write_results
from studies.evidence.setting import Setting
from studies.evidence.study import Study, read_study, spread

__all__ = ["Setting", "Study", "read_study", "section", "spread", "write_results"]
