"""Names, packed: the same as a plain list of them, whatever is done to both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.mailbox.names import Kept, Names

SIZES = st.sampled_from([289, 4_129, 65_569])
STEPS = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 40), st.integers(1, 9), SIZES),
    st.tuples(st.just("cut"), st.integers(0, 5), st.just(0), st.just(0)),
    st.tuples(st.just("expire"), st.integers(0, 10), st.just(0), st.just(0)),
)


def kept(position: int, expiry_s: int = 9, size: int = 289) -> Kept:
    return Kept(position, position.to_bytes(16, "big"), size, expiry_s)


@given(st.lists(STEPS, max_size=30), st.integers(0, 41), st.integers(0, 9))
def test_names_are_a_sorted_list(steps: list[tuple[str, int, int, int]], position: int, most: int) -> None:
    names, plain = Names(), dict[int, Kept]()
    for what, number, expiry_s, size in steps:
        in_order = [plain[at] for at in sorted(plain)]
        gone: list[Kept] = []
        if what == "add" and number not in plain:
            names.add(kept(number, expiry_s, size))
            plain[number] = kept(number, expiry_s, size)
        elif what == "cut":
            names.cut(number)
            gone = in_order[:number]
        elif what == "expire":
            gone = [one for one in in_order if one.expiry_s <= number]
            assert names.expire(float(number)) == gone
        for one in gone:
            del plain[one.position]
    in_order = [plain[at] for at in sorted(plain)]
    assert (list(names), len(names), bool(names)) == (in_order, len(in_order), bool(in_order))
    assert names.since(position, most) == [one for one in in_order if one.position >= position][:most]
    assert all((kept(at).digest in names) == (at in plain) for at in range(1, 41))
    assert list(Names(in_order)) == in_order
