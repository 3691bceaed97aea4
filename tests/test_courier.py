"""Events that leave together: the kernel says on the board itself which of them it took, and nothing depends on who dies when."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aisa.http.server import Reply, Request
from aisa.ledger.board import Board, Slot
from aisa.ledger.courier import ARMED, BYTES_MAX, COUNT, MESSAGES_MAX, Courier, can_carry
from http_server_rig import Run, both_loops, get, serving, until

pytestmark = pytest.mark.skipif(not can_carry(), reason="needs sendmmsg")

EVENTS = [b"data: %d%b\n\n" % (number, b"x" * number) for number in range(1, 9)]


def board_in(folder: Path) -> Board:
    """Open the board of a folder."""
    return Board.open(folder / "board", slots_max=2_048)


def courier_of(board: Board) -> Courier:
    """Return a board's courier, which there is."""
    assert board.courier is not None
    return board.courier


@contextmanager
def connected() -> Generator[tuple[socket.socket, socket.socket]]:
    """Yield both ends of a TCP connection; the first does not wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        far, _ = listener.accept()
        with far:
            near.setblocking(False)
            yield near, far


def found_after_death(board: Board, folder: Path) -> list[tuple[bytes, int]]:
    """Return (opening, progress) of the calls that the next process finds, if this one dies here."""
    with closing(board_in(folder)) as after:
        return [(found.opening, found.progress) for found in after.found()]


def test_a_death_behind_the_system_call_finds_every_event_that_the_kernel_took(tmp_path: Path) -> None:
    """The call's own progress was not stored yet; only its call is touched, and a second start changes nothing."""
    with closing(board_in(tmp_path)) as board, connected() as (near, far):
        slots = [board.take(b"call %d" % number) for number in range(3)]
        for slot in slots:
            slot.words[slot.at] = 5
        assert courier_of(board).send(
            near.fileno(), EVENTS, [6, 7, 8, 8, 9, 12, 13, 14], number=slots[1].number, opening=slots[1].opening
        ) == (8, 0)
        near.send(b"!")
        assert far.recv(65_536) == b"".join(EVENTS) + b"!"
        for _ in range(2):
            assert found_after_death(board, tmp_path) == [(b"call 0", 5), (b"call 1", 14), (b"call 2", 5)]


def test_what_the_kernel_did_not_take_is_not_counted(tmp_path: Path) -> None:
    """Of a connection whose buffer is full the courier says exactly where it stopped, and so does the board."""
    events = [bytes([65 + number]) * 20_000 for number in range(6)]
    with closing(board_in(tmp_path)) as board, connected() as (near, far):
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        slot = board.take(b"call")
        sent = b""
        tokens = 0
        while True:
            totals = [tokens + place for place in range(1, 7)]
            whole, more = courier_of(board).send(near.fileno(), events, totals, number=slot.number, opening=slot.opening)
            sent += b"".join(events)[: 20_000 * whole + more]
            if whole:
                tokens = slot.words[slot.at] = totals[whole - 1]
            if whole < len(events):
                break
            courier_of(board).disarm()
        assert found_after_death(board, tmp_path) == [(b"call", tokens)]
        near.shutdown(socket.SHUT_WR)
        received = b""
        while part := far.recv(65_536):
            received += part
        assert (received, more < 20_000) == (sent, True)


def test_a_broken_connection_takes_nothing(tmp_path: Path) -> None:
    """No signal, no exception: whoever writes next is told, as ever."""
    with closing(board_in(tmp_path)) as board:
        slot = board.take(b"call")
        with connected() as (near, _):
            near.shutdown(socket.SHUT_WR)
            assert courier_of(board).send(near.fileno(), EVENTS, list(range(1, 9)), number=slot.number, opening=slot.opening) == (0, 0)
        assert found_after_death(board, tmp_path) == [(b"call", 0)]


def test_after_a_power_failure_a_call_is_not_given_what_another_in_its_slot_had(tmp_path: Path) -> None:
    """Sectors may be of different ages: the courier's of a call that has ended, the slot's of the next one; or the slot's may be newer."""
    with closing(board_in(tmp_path)) as board, connected() as (near, _):
        slot = board.take(b"ended")
        courier_of(board).send(near.fileno(), EVENTS, list(range(1, 9)), number=slot.number, opening=slot.opening)
        slot.words[slot.at] = 9
        assert found_after_death(board, tmp_path) == [(b"ended", 9)]
        slot.free()
        slot = board.take(b"next")
        courier_of(board).send(near.fileno(), EVENTS, list(range(1, 9)), number=slot.number, opening=slot.opening + 1)
        assert found_after_death(board, tmp_path) == [(b"next", 0)]


@pytest.mark.parametrize(
    ("armed", "count"), [(0, 3), (1, 0), (1, MESSAGES_MAX + 1), (5_000, 3)], ids=["not armed", "none", "too many", "no such slot"]
)
def test_what_cannot_have_been_left_there_is_passed_over(tmp_path: Path, armed: int, count: int) -> None:
    """A file that somebody has damaged costs no start, and gives no call another's progress."""
    with closing(board_in(tmp_path)) as board, connected() as (near, _):
        slot = board.take(b"call")
        slot.words[slot.at] = 2
        courier_of(board).send(near.fileno(), EVENTS, [40] * 8, number=slot.number, opening=slot.opening)
        words = courier_of(board)._words
        words[ARMED], words[COUNT] = armed, count
        assert found_after_death(board, tmp_path) == [(b"call", 2)]


class Count:
    """A carrier that keeps the tokens in a slot, as a charge does."""

    def __init__(self, board: Board, slot: Slot) -> None:
        self.groups: list[int] = []
        self._courier = courier_of(board)
        self._slot = slot

    @property
    def tokens(self) -> int:
        """What the board says."""
        return self._slot.words[self._slot.at]

    def advance(self, tokens: int) -> None:
        """Note it."""
        self._slot.words[self._slot.at] = tokens

    def carry(self, descriptor: int, events: list[bytes], tokens: list[int]) -> tuple[int, int] | None:
        """Have them sent."""
        if sum(map(len, events)) > BYTES_MAX:
            return None
        carried = self._courier.send(descriptor, events, tokens, number=self._slot.number, opening=self._slot.opening)
        if carried.whole:
            self.advance(tokens[carried.whole - 1])
        self._courier.disarm()
        self.groups.append(carried.whole)
        return carried


@both_loops
def test_a_group_is_framed_event_by_event_and_ends_are_told(run: Run, tmp_path: Path) -> None:
    """A client sees one chunk an event, whatever left together; an event ends where its own bytes do."""

    async def scenario() -> None:
        with closing(board_in(tmp_path)) as board:
            carrier = Count(board, board.take(b"call"))
            ends: list[int] = []
            begins: list[int] = []

            async def script(request: Request, reply: Reply) -> None:
                reply.start(200, [], None)
                reply.write(b"first")
                begins.append(reply.bytes_written)
                ends.extend(reply.write_many(EVENTS, list(range(1, 9)), carrier))
                assert reply.bytes_written == ends[-1] + 2
                reply.end(b"last")

            async with serving(script) as served:
                client = await served.connect()
                answer = await client.ask(get())
                assert answer.body == b"first" + b"".join(EVENTS) + b"last"
                assert answer.chunks == [5, *map(len, EVENTS), 4]
                assert (carrier.groups, carrier.tokens) == ([7], 8)
                sizes = [len(b"%x\r\n%b\r\n" % (len(event), event)) for event in EVENTS]
                assert [end - begins[0] for end in ends] == [sum(sizes[: at + 1]) - 2 for at in range(8)]
                assert served.complaints == []

    run(scenario())


@both_loops
def test_of_a_group_for_a_client_that_does_not_read_one_event_waits_at_most(run: Run, tmp_path: Path) -> None:
    """What waits in this process leaves without its noticing, so a death could leave the board wrong by all of it."""

    async def scenario() -> None:
        with closing(board_in(tmp_path)) as board:
            carrier = Count(board, board.take(b"call"))
            event = b"e" * 1_000
            state: list[tuple[int, int, int]] = []

            async def script(request: Request, reply: Reply) -> None:
                reply.start(200, [], None)
                reply.write(b"first")
                handed = 0
                while not reply.congested:
                    totals = list(range(handed + 1, handed + 33))
                    handed += len(reply.write_many([event] * 32, totals, carrier))
                state.append((handed, carrier.tokens, reply.bytes_written - reply.bytes_taken()))
                await reply.writable()
                reply.end(b"last")

            async with serving(script) as served:
                client = await served.connect_bare(receive_buffer_bytes=4_096)
                await client.send(get())
                await until(lambda: state)
                handed, tokens, waiting = state[0]
                assert (tokens == handed, 0 < waiting <= 1_007) == (True, True)
                body = await client.read_until(b"last\r\n0\r\n\r\n")
                assert body.count(event) == handed

    run(scenario())
