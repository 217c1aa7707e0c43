"""How old a proof of freshness is, whatever the machine's clocks do."""

import time

import pytest

from latchwire._clock import monotonic
from latchwire._proof import Proof
from shared.clock import SystemClock


class Machine:
    """Two clocks; `run` moves both, `pause` only the wall's."""

    def __init__(self) -> None:
        self.at, self.wall_ms = 1_000.0, 1_795_312_000_000

    def run(self, seconds: float) -> None:
        """Time passes."""
        self.at += seconds
        self.wall_ms += int(seconds * 1000)

    def pause(self, seconds: float) -> None:
        """The virtual machine stood still, and its wall clock was put right."""
        self.wall_ms += int(seconds * 1000)


@pytest.fixture
def machine() -> Machine:
    """Its clocks agree."""
    return Machine()


@pytest.fixture
def proof(machine: Machine) -> Proof:
    """Nothing is proven yet."""
    return Proof(lambda: machine.at, lambda: machine.wall_ms)


def prove(proof: Proof, backlog: float = 0.0) -> None:
    """A question, answered at once, of an empty stream."""
    proof.offer(proof.now(), backlog, 0)
    proof.settle(0)


def test_nothing_is_proven_at_first(proof: Proof) -> None:
    """However the clocks stand."""
    assert proof.age_seconds() == float("inf")


def test_a_proof_ages_with_the_machine(machine: Machine, proof: Proof) -> None:
    """From the question on, and it was as old as the backlog then."""
    prove(proof, backlog=2.0)
    machine.run(5)

    assert proof.age_seconds() == pytest.approx(7)


def test_a_machine_that_stood_still_has_no_proof_before_its_first_answer(
    machine: Machine, proof: Proof
) -> None:
    """The monotonic clock alone would call an hour's sleep nothing."""
    prove(proof)
    machine.pause(3_600)

    assert proof.age_seconds() == float("inf")
    machine.run(1)
    assert proof.age_seconds() == float("inf")
    prove(proof)
    assert proof.age_seconds() == 0


def test_a_question_from_before_the_pause_proves_nothing_after_it(
    machine: Machine, proof: Proof
) -> None:
    """Its answer waited in the socket, or for records, just as long."""
    sent = proof.now()
    machine.pause(60)

    proof.offer(sent, 0.0, 0)
    proof.settle(0)

    assert proof.age_seconds() == float("inf")


def test_many_short_pauses_add_up(machine: Machine, proof: Proof) -> None:
    """None is long enough to be seen alone."""
    prove(proof)
    for _ in range(4):
        machine.pause(0.9)

    assert proof.age_seconds() == float("inf")


def test_a_small_correction_of_the_wall_clock_is_no_pause(machine: Machine, proof: Proof) -> None:
    """Nor is one backwards."""
    prove(proof)
    for seconds in (1.5, -30.0):
        machine.pause(seconds)
        assert proof.age_seconds() == 0


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="Linux")
def test_the_clock_counts_the_machines_sleep() -> None:
    """CLOCK_MONOTONIC does not."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)

    assert before <= monotonic() <= SystemClock().monotonic()
    assert SystemClock().monotonic() <= time.clock_gettime(time.CLOCK_BOOTTIME)
