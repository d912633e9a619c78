from __future__ import annotations

from broker.wire.ledger import Ledger, Owed, Portal, Prepared, Result, Sort

OLD, NEW = Prepared("SELECT 1", frozenset()), Prepared("SELECT 2", frozenset())


def parsed(name: bytes, prepared: Prepared) -> Owed:
    return Owed(Sort.PARSE, name, prepared=prepared)


def test_a_name_means_what_the_client_has_sent_before_the_server_confirms_it() -> None:
    ledger = Ledger()
    ledger.expect(parsed(b"s", OLD))
    assert ledger.statements.find(b"s") is OLD
    assert ledger.statements.known == {}
    ledger.done()
    assert ledger.statements.known == {b"s": OLD}


def test_an_error_takes_back_what_was_expected_up_to_sync_and_no_further() -> None:
    ledger = Ledger()
    ledger.expect(parsed(b"s", OLD))
    ledger.done()
    ledger.expect(Owed(Sort.CLOSE, b"s", what="S"))
    ledger.expect(parsed(b"s", NEW))
    ledger.expect(Owed(Sort.SYNC))
    ledger.expect(parsed(b"t", NEW))
    ledger.failed()
    assert ledger.statements.find(b"s") is OLD
    assert ledger.statements.find(b"t") is NEW
    assert not ledger.skipping
    assert [owed.sort for owed in ledger.owed] == [Sort.SYNC, Sort.PARSE]


def test_without_a_sync_all_is_skipped_until_one_comes() -> None:
    ledger = Ledger()
    ledger.expect(parsed(b"", OLD))
    ledger.failed()
    assert ledger.skipping


def test_the_unnamed_statement_is_gone_after_a_failed_parse() -> None:
    ledger = Ledger()
    ledger.expect(parsed(b"", OLD))
    ledger.done()
    ledger.expect(parsed(b"", NEW))
    ledger.failed()
    assert ledger.statements.find(b"") is None


def test_portals_end_with_their_transaction() -> None:
    ledger = Ledger()
    portal = Portal(OLD, Result())
    ledger.expect(Owed(Sort.BIND, b"p", portal=portal))
    ledger.done()
    ledger.expect(Owed(Sort.SYNC))
    ledger.ready("T")
    assert ledger.portals.find(b"p") is portal
    ledger.expect(Owed(Sort.SYNC))
    ledger.ready("I")
    assert ledger.portals.find(b"p") is None


def test_a_void_name_stays_void_when_its_parse_is_confirmed_late() -> None:
    ledger = Ledger()
    ledger.expect(parsed(b"s", Prepared("SELECT 1", frozenset())))
    ledger.void_statements()
    ledger.done()
    assert ledger.statements.find(b"s") is None


def test_copy_in_eats_the_syncs_sent_along() -> None:
    ledger = Ledger()
    ledger.expect(Owed(Sort.EXECUTE))
    ledger.expect(Owed(Sort.SYNC))
    assert ledger.copies_in()
    assert [owed.sort for owed in ledger.owed] == [Sort.EXECUTE]


def test_copy_in_with_more_in_the_pipeline_is_noticed() -> None:
    ledger = Ledger()
    ledger.expect(Owed(Sort.EXECUTE))
    ledger.expect(Owed(Sort.SYNC))
    ledger.expect(parsed(b"", OLD))
    assert not ledger.copies_in()
