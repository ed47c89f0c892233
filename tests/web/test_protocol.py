"""Messages of clients: what is read, and what is refused in one sentence."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import ServerError
from fewbit.web import Limits
from fewbit.web.protocol import CLOSE_CODES, Ask, Fault, Keywords, Refused, Start, read_message

RATE = "start: sample_rate must be a whole number in 8000..96000, not"
LIMITS = Limits(message_bytes=2_000, keywords=3, keyword_length=10)


def test_messages_are_read() -> None:
    assert read_message('{"type": "start", "sample_rate": 16000}', LIMITS) == Start(16_000)
    assert read_message('{"type": "start", "sample_rate": 8000, "keywords": ["a"]}', LIMITS) == Start(8_000, ("a",))
    assert read_message('{"type": "keywords", "keywords": [" b", "a", "b"]}', LIMITS) == Keywords(("b", "a"))
    assert read_message('{"type": "stats"}', LIMITS) is Ask.STATS
    assert read_message('{"type": "end"}', LIMITS) is Ask.END
    assert read_message(b"\0\1", LIMITS) == b"\0\1"
    assert read_message(b"", LIMITS) == b""


@pytest.mark.parametrize(
    ("data", "why", "message"),
    [
        ("hello", Refused.MESSAGE, "a text message is not JSON; sound goes into binary messages"),
        ("[" * 1_999, Refused.MESSAGE, "a text message is not JSON; sound goes into binary messages"),
        ("[]", Refused.MESSAGE, "wanted a JSON object whose type is start, keywords, stats or end"),
        ('{"type": ["end"]}', Refused.MESSAGE, "wanted a JSON object whose type is start, keywords, stats or end"),
        ('{"type": "start"}', Refused.MESSAGE, f"{RATE} None"),
        ('{"type": "start", "sample_rate": 7999}', Refused.MESSAGE, f"{RATE} 7999"),
        ('{"type": "start", "sample_rate": true}', Refused.MESSAGE, f"{RATE} True"),
        ('{"type": "start", "sample_rate": 1e4}', Refused.MESSAGE, f"{RATE} 10000.0"),
        ('{"type": "keywords"}', Refused.MESSAGE, "keywords: wanted a list of words, not None"),
        ('{"type": "keywords", "keywords": "ab"}', Refused.MESSAGE, "keywords: wanted a list of words, not 'ab'"),
        ('{"type": "keywords", "keywords": [" "]}', Refused.MESSAGE, "keywords: wanted a list of words, not [' ']"),
        ('{"type": "keywords", "keywords": ["a", "b", "c", "d"]}', Refused.MESSAGE, "keywords: at most 3 words, not 4"),
        (
            '{"type": "keywords", "keywords": ["abcdefghijk"]}',
            Refused.MESSAGE,
            "keywords: 'abcdefghijk' is longer than 10 characters",
        ),
        (b"\0\1\2", Refused.MESSAGE, "sound is 16-bit samples, so wanted an even number of bytes, got 3"),
        (bytes(2_002), Refused.TOO_LARGE, "a message has 2,002 bytes, more than the 2,000 allowed"),
        ("é" * 1_001, Refused.TOO_LARGE, "a message has 2,002 bytes, more than the 2,000 allowed"),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(data: str | bytes, why: Refused, message: str) -> None:
    with pytest.raises(Fault, match=f"^{re.escape(message)}$") as fault:
        read_message(data, LIMITS)
    assert fault.value.why is why


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "sample_rate", "x"]), inner),
    max_leaves=8,
)
near_misses = st.fixed_dictionaries(
    {"type": st.sampled_from(["start", "keywords", "stats", "end"]) | json_values},
    optional={"sample_rate": json_values, "keywords": json_values},
)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=64) | st.text(max_size=64) | st.one_of(json_values, near_misses).map(json.dumps))
def test_anything_else_is_a_message_or_a_fault(data: str | bytes) -> None:
    try:
        message = read_message(data, LIMITS)
    except Fault as fault:
        assert len(str(fault)) < 200  # noqa: PT017
    else:
        assert isinstance(message, Start | Keywords | Ask | bytes)


def test_every_refusal_has_a_close_code() -> None:
    assert set(CLOSE_CODES) == set(Refused)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"streams": 0}, "Limits: streams must lie in 1..100000, not 0"),
        ({"idle_seconds": 0}, "Limits: idle_seconds must lie in 0.001..86400, not 0"),
        (
            {"lowest_sample_rate": 50_000, "highest_sample_rate": 40_000},
            "Limits: lowest_sample_rate must lie in 1000..40000, not 50000",
        ),
        ({"waiting_seconds": float("nan")}, "Limits: waiting_seconds must lie in 0.1..60, not nan"),
    ],
)
def test_limits_have_ranges(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ServerError, match=f"^{re.escape(message)}$"):
        Limits(**wrong)  # type: ignore[arg-type]
