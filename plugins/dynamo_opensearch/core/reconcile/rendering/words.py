"""Numbers, durations and times as people read them."""

import math

import pendulum

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


def number(value: float) -> str:
    """``1,234``; one decimal where it is no whole number."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def signed(value: int) -> str:
    """With a sign, and a minus as wide as the plus; ``0`` without."""
    return f"{value:+,}".replace("-", "\u2212") if value else "0"


def counted(count: int, one: str, many: str = "") -> str:
    """``1 item``, ``2 items``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(parts: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def sentence(text: str) -> str:
    """With a capital at its beginning and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def axis_number(value: float, step: float) -> str:
    """Short, as ``1.2 M``, where neighbours a ``step`` apart stay different by it; else whole."""
    for size, unit in _UNITS:
        if abs(value) >= size:
            decimals = max(0, math.ceil(math.log10(size) - math.log10(step) - 1e-9))
            return f"{value / size:,.{decimals}f} {unit}" if decimals <= 2 else number(value)
    return number(value)


def duration(seconds: float) -> str:
    """``0.4 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``: two units at most."""
    if seconds < 10 and not float(seconds).is_integer():
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, smaller_unit in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "min"),
        (_MINUTE_S, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size:,} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
    return f"{whole} s"


def moment(time_us: int) -> str:
    """``12 Mar 2026, 02:30 UTC``."""
    return f"{_utc(time_us).format('D MMM YYYY, HH:mm')} UTC"


def exact_moment(time_us: int) -> str:
    """``2026-03-12 02:30:05 UTC``."""
    return f"{_utc(time_us).format('YYYY-MM-DD HH:mm:ss')} UTC"


def day(time_us: int) -> str:
    """``12 Mar``."""
    return str(_utc(time_us).format("D MMM"))


def minute(time_us: int) -> str:
    """``12 Mar, 02:30``."""
    return str(_utc(time_us).format("D MMM, HH:mm"))


def _utc(time_us: int) -> pendulum.DateTime:
    return pendulum.from_timestamp(time_us // 1_000_000, tz="UTC")
