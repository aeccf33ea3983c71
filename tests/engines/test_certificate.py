"""The certificate of a cluster that is made for a study."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography.x509 import load_pem_x509_certificate

from penstock.engines.certificate import new_certificate


def test_a_certificate_is_good_for_machines_whose_clocks_differ_by_hours() -> None:
    certificate = load_pem_x509_certificate(new_certificate()[0].encode())
    there = datetime.now(UTC)
    assert certificate.not_valid_before_utc <= there - timedelta(hours=23)
    assert certificate.not_valid_after_utc >= there + timedelta(days=300)


def test_no_two_studies_have_one_certificate() -> None:
    assert len({part for _ in range(3) for part in new_certificate()}) == 6
