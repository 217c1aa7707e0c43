"""How old a proof of freshness is, whatever the machine's clocks do."""

import time

import pytest
from nats.aio.client import Client

from latchwire._clock import monotonic
from latchwire._proof import Proof
from latchwire._replica import SWEEP_LATER_MS, Replica
from latchwire.records import Record, record_key
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


LIFE_MS = 600_000
KEY = record_key(b"k" * 32, "session", "revoked")


@pytest.fixture
def replica(machine: Machine) -> Replica:
    """A proven list with one session that is revoked for ten minutes; `tick` is one turn of its loop."""
    replica = Replica(
        Client(), hash_key=b"k" * 32, monotonic=lambda: machine.at, now_ms=lambda: machine.wall_ms
    )
    replica.blocklist.apply(KEY, Record(machine.wall_ms + LIFE_MS))
    replica._start_over = False
    prove(replica._proof)
    tick(replica)
    return replica


def tick(replica: Replica) -> None:
    """What the loop does at the end of each turn."""
    replica._sweep()


def test_a_clock_that_is_put_back_proves_nothing_before_the_list_is_read_again(
    machine: Machine, replica: Replica
) -> None:
    """An hour ahead the record is swept; back again it would be alive, and the proof is as young as before."""
    machine.pause(3_600)
    prove(replica._proof)
    tick(replica)
    assert replica.blocklist.get(KEY) is None
    assert replica.staleness_seconds() == 0

    machine.pause(-3_600)

    assert replica.staleness_seconds() == float("inf")
    tick(replica)
    assert replica._start_over
    assert replica.staleness_seconds() == float("inf")


def test_a_clock_that_goes_forth_and_back_in_small_steps_is_noticed_too(
    machine: Machine, replica: Replica
) -> None:
    """No step is long enough to be called one; what counts is how far the list was swept."""
    steps = 400
    for seconds in [1.9] * steps + [-1.9] * steps:
        machine.pause(seconds)
        machine.run(0.1)
        tick(replica)
        if not replica._start_over:
            prove(replica._proof)

    assert replica.blocklist.get(KEY) is None
    assert replica._start_over
    assert replica.staleness_seconds() == float("inf")


def test_a_clock_that_is_put_back_a_little_costs_nothing(
    machine: Machine, replica: Replica
) -> None:
    """What has lapsed stays a minute longer, so that such a step brings nothing back to life."""
    machine.run(LIFE_MS / 1000 + 1)
    prove(replica._proof)
    tick(replica)
    assert replica.blocklist.get(KEY) is not None

    machine.pause(-30)
    tick(replica)
    assert not replica._start_over
    assert replica.staleness_seconds() == 0

    machine.run(31 + SWEEP_LATER_MS / 1000)
    tick(replica)
    assert replica.blocklist.get(KEY) is None
