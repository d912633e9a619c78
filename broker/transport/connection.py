"""A connection's packets: whole buffers taken apart in one pass, whole chunks sealed in one go.

Two methods of asyncssh are put before their originals: the one that reads a packet's header, and
the one that asks for more data. On AES-GCM without compression, once authenticated, they deal with
channel data and window adjustments themselves; anything else is handed to the original with
nothing changed, so that errors, limits and order are asyncssh's own.
"""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, Any, cast

import asyncssh
from asyncssh.connection import SSHConnection
from asyncssh.constants import (
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_KEX_LAST,
)
from asyncssh.misc import MACError

from broker.transport.gcm import BLOCK, LENGTH, TAG, Gcm

if TYPE_CHECKING:
    from asyncssh.channel import SSHChannel

_DATA = struct.Struct(">BBII")  # padding length, type, channel, length
_EXTENDED = struct.Struct(">BBIII")  # the same, with the kind of data before the length
_ADJUST = struct.Struct(">BBII")
_UNPACK_DATA = _DATA.unpack_from
_UNPACK_EXTENDED = _EXTENDED.unpack_from
_SHORTEST = BLOCK - LENGTH  # what asyncssh reads at least: shorter packets cannot be right
KEEPALIVE_GRAIN = 1 / 30  # of its interval: the keepalive timer is put off no more often


class FastConnection(SSHConnection):
    """What both sides share; its state lives in the instance, as asyncssh's does."""

    _short = 0  # bytes missing before there is anything to do
    _late: bytearray | None = None  # what came while bytes were missing
    _heard = 0.0  # when the keepalive timer was last put off, and for how long
    _interval: object = None

    # -- receiving -------------------------------------------------------------------------------

    def data_received(self, data: bytes, datatype: object = None) -> None:
        """Bytes of the socket. A packet in many pieces is joined once, not at every piece."""
        if len(data) < self._short:
            if self._late is None:
                self._late = bytearray()
            self._late += data
            self._short -= len(data)
            self._reset_keepalive_timer()
            return
        if self._late:
            data, self._late = bytes(self._late) + data, None
        self._short = 0
        self._inpbuf += data
        self._recv_data()

    def _recv_pkthdr(self) -> bool:
        """Take every whole packet of the buffer that is plain data; the rest is asyncssh's."""
        cipher = self._recv_encryption
        if type(cipher) is not Gcm or self._decompressor or not self._auth_complete:
            return super()._recv_pkthdr()
        buffer, at = self._inpbuf, 0
        try:
            while (stop := self._packet_end(buffer, at)) is not None:
                header = buffer[at : at + LENGTH]
                body = cipher.opened(header, buffer[at + LENGTH : stop])
                if not body:
                    msg = "MAC verification failed"
                    raise MACError(msg)
                if not self._took(cipher, body):
                    break
                at = stop
                if self._transport is None:
                    return False
            else:
                return False
        finally:
            if at and self._inpbuf:
                self._inpbuf = buffer[at:]
        return super()._recv_pkthdr()

    def _packet_end(self, buffer: bytes, at: int) -> int | None:
        """Where the packet at this place ends; None when its end has not come yet."""
        have = len(buffer) - at
        if have < BLOCK:
            self._short = BLOCK - have
            return None
        length = int.from_bytes(buffer[at : at + LENGTH], "big")
        if length > self._max_recv_pktlen:
            msg = "Max packet size exceeded"
            raise asyncssh.ProtocolError(msg)
        if length < _SHORTEST:
            msg = "MAC verification failed"
            raise MACError(msg)
        missing = LENGTH + length + TAG - have
        if missing > 0:
            self._short = missing
            return None
        return at + LENGTH + length + TAG

    def _took(self, cipher: Gcm, body: bytes) -> bool:
        """Deal with one packet if it is what nearly all packets are; False leaves all unchanged."""
        end = len(body) - body[0]
        if end < _DATA.size or body[0] == 0:
            return False
        kind = body[1]
        _, _, number, size = _UNPACK_DATA(body)
        channel: SSHChannel[bytes] | None = self._channels.get(number)
        if channel is None:
            return False
        if kind == MSG_CHANNEL_DATA:
            start, datatype = _DATA.size, None
        elif kind == MSG_CHANNEL_EXTENDED_DATA and end >= _EXTENDED.size:
            _, _, _, datatype, size = _UNPACK_EXTENDED(body)
            start = _EXTENDED.size
            if datatype not in channel._read_datatypes:
                return False
        else:
            return self._took_adjustment(cipher, channel, body, end)
        if channel._recv_state != "open" or size != end - start or size > channel._recv_window:
            return False
        self._finish(cipher)
        channel._accept_data(body[start:end], datatype)
        return True

    def _took_adjustment(
        self, cipher: Gcm, channel: SSHChannel[bytes], body: bytes, end: int
    ) -> bool:
        if body[1] != MSG_CHANNEL_WINDOW_ADJUST or end != _ADJUST.size:
            return False
        if channel._recv_state not in {"open", "eof_pending", "eof"}:
            return False
        self._finish(cipher)
        channel._send_window += _ADJUST.unpack_from(body)[3]
        channel._flush_send_buf()
        return True

    def _finish(self, cipher: Gcm) -> None:
        """What asyncssh does after each packet of this kind, before its data is handed on."""
        cipher.skip()
        self._auth_final = True
        self._recv_seq = (self._recv_seq + 1) & 0xFFFFFFFF

    def _reset_keepalive_timer(self) -> None:
        """Put the timer off, but not for each of thousands of packets a second."""
        now, interval = time.monotonic(), self._keepalive_interval
        waiting = self._keepalive_timer is not None and self._interval == interval
        if not waiting or now - self._heard >= float(interval or 0) * KEEPALIVE_GRAIN:
            self._heard, self._interval = now, interval
            super()._reset_keepalive_timer()

    # -- sending ---------------------------------------------------------------------------------

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """asyncssh makes the new ciphers; ours carry on with the same keys and nonces."""
        super().send_newkeys(k, h)
        self._send_encryption = Gcm.taking_over(self._send_encryption) or self._send_encryption
        following = self._next_recv_encryption
        self._next_recv_encryption = Gcm.taking_over(following) or following

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:  # noqa: ANN401
        """As asyncssh, without the empty packet that hides a CBC cipher's last block."""
        if pkttype > MSG_KEX_LAST and self._flows() and not self._rekey_due():
            self._send(self._sealed((bytes((pkttype,)), *args)))
        else:
            super().send_packet(pkttype, *args, handler=handler)

    def send_data(self, channel: SSHChannel[bytes], data: memoryview, datatype: int | None) -> None:
        """Channel data as packets of the peer's size, all in one write."""
        number, most = channel._send_chan, channel._send_pktsize
        ready: list[bytes] = []
        for at in range(0, len(data), most):
            piece = data[at : at + most]
            head = (
                struct.pack(">BII", MSG_CHANNEL_DATA, number, len(piece))
                if datatype is None
                else struct.pack(">BIII", MSG_CHANNEL_EXTENDED_DATA, number, datatype, len(piece))
            )
            if self._flows() and not self._rekey_due():
                ready.append(self._sealed((head, piece)))
                continue
            if ready:
                self._send(b"".join(ready))
                ready = []
            super().send_packet(head[0], head[1:], bytes(piece), handler=channel)
        if ready:
            self._send(ready[0] if len(ready) == 1 else b"".join(ready))

    def _flows(self) -> bool:
        """Is nothing in the way: no key exchange, no compression, no other cipher?"""
        return (
            self._auth_complete
            and self._kex_complete
            and self._compressor is None
            and type(self._send_encryption) is Gcm
        )

    def _rekey_due(self) -> bool:
        return self._rekey_bytes_sent >= self._rekey_bytes or bool(
            self._rekey_seconds and time.monotonic() >= self._rekey_time
        )

    def _sealed(self, parts: tuple[bytes | memoryview, ...]) -> bytes:
        """One encrypted packet of these parts, counted as asyncssh counts."""
        cipher = cast("Gcm", self._send_encryption)  # `_flows` was asked
        size = sum(map(len, parts))
        padding = -(self._send_enchdrlen + size) % self._send_blocksize
        if padding < 4:
            padding += self._send_blocksize
        length = 1 + size + padding
        header = length.to_bytes(LENGTH, "big")
        body = b"".join((bytes((padding,)), *parts, os.urandom(padding)))
        sealed = header + cipher.seal(header, body)
        self._send_seq = (self._send_seq + 1) & 0xFFFFFFFF
        self._rekey_bytes_sent += length
        return sealed


class FastClientConnection(FastConnection, asyncssh.SSHClientConnection):
    """Our side of a target's sshd."""


class FastServerConnection(FastConnection, asyncssh.SSHServerConnection):
    """Our side of a client's ssh."""
